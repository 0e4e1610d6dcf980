"""Pieces to pieces on the CPU: CTranslate2's beam search, bounded, and the same whatever stands beside a sentence.

Sentences are computed in groups of one length, as in :mod:`sprat_inference.encoder` and for the same reason: padding
changes the rounding of its neighbours, and a sentence would be translated by the company it comes in.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeVar

import ctranslate2

from sprat_inference.artefact import ModelError
from sprat_inference.encoder import micro_batches

BEAM = 4
MICRO_BATCH_TOKENS = 320
"""Source pieces computed at once by one thread. A beam of 4 makes them 1,280 rows; more gain nothing on a CPU."""

LONGEST_RATIO, LONGEST_MORE = 2, 10
"""A translation has at most so many pieces for each source piece, and so many more."""


NOT_FINITE: Final = "the network gave a chance that is not finite: its weights are damaged"

_MANY = 10_000
"""More pieces than any sentence has."""

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the translations that the beam ended with."""

    pieces: tuple[str, ...]
    score: float
    """Mean natural logarithm of the pieces' chances, as the beam search has it."""


def longest_translation(pieces: int) -> int:
    """Pieces after which the translation of so many ends, whatever the network would add."""
    return LONGEST_RATIO * pieces + LONGEST_MORE


class Network:
    """Thread-safe; holds no state between calls."""

    def __init__(self, translator: ctranslate2.Translator, threads: int) -> None:
        self._translator = translator
        self._pool = ThreadPoolExecutor(threads, "translator") if threads > 1 else None

    @classmethod
    def load(cls, folder: Path, threads: int) -> Self:
        """Load the CTranslate2 files of `folder`; so many `threads` compute groups side by side.

        Raises:
            RuntimeError: when they cannot be read, or ValueError; the caller knows what to say of it.
        """
        translator = ctranslate2.Translator(str(folder), device="cpu", inter_threads=threads, intra_threads=1)
        return cls(translator, threads)

    def translate(self, sentences: Sequence[Sequence[str]]) -> list[tuple[Candidate, ...]]:
        """Translate all, in order: the best candidates of each, best first, at least one.

        Each sentence must have at least one piece, and what becomes of it depends on itself alone.

        Raises:
            ModelError: when the runtime fails, or a score is not a number.
        """
        if not all(sentences):
            raise ValueError("an empty sentence has no translation")  # the last guard before native code
        lengths = [len(sentence) for sentence in sentences]
        return self._by_length(lengths, lambda places: self._search([list(sentences[place]) for place in places]))

    def chances(self, sources: Sequence[Sequence[str]], targets: Sequence[Sequence[str]]) -> list[tuple[float, ...]]:
        """Natural logarithm of the chance of each target's pieces, given those before; the end of it comes last.

        Raises:
            ModelError: when the runtime fails, or a chance is not a number.
        """
        # A number for each pair of lengths, so that one group holds no other pair.
        lengths = [len(source) * _MANY + len(target) for source, target in zip(sources, targets, strict=True)]
        return self._by_length(
            lengths,
            lambda places: self._scored([list(sources[p]) for p in places], [list(targets[p]) for p in places]),
            limit=MICRO_BATCH_TOKENS * _MANY,
        )

    def probe(self, piece: str, longest: int) -> None:
        """Compute the longest sentence there can be, and the longest translation.

        Raises:
            ModelError: when the network cannot: it has too few positions, say.
        """
        self.chances([[piece] * longest], [[piece] * longest_translation(longest)])

    def _by_length(
        self, lengths: Sequence[int], compute: Callable[[list[int]], list[Outcome]], limit: int = MICRO_BATCH_TOKENS
    ) -> list[Outcome]:
        """What `compute` makes of groups of places of one length, in order, on as many threads as there are."""
        groups = list(micro_batches(lengths, limit))
        done = map(compute, groups) if self._pool is None else self._pool.map(compute, groups)
        by_place: dict[int, Outcome] = {}
        for group, outcomes in zip(groups, done, strict=True):
            by_place.update(zip(group, outcomes, strict=True))
        return [by_place[place] for place in range(len(lengths))]

    def _search(self, batch: list[list[str]]) -> list[tuple[Candidate, ...]]:
        try:
            found = self._translator.translate_batch(
                batch,
                beam_size=BEAM,
                num_hypotheses=BEAM,
                max_input_length=0,  # the caller has looked; cutting in silence would lose the end of a sentence
                max_decoding_length=longest_translation(len(batch[0])),
                return_scores=True,
                disable_unk=True,
            )
        except RuntimeError as error:
            raise ModelError(f"CTranslate2 failed on a batch of {len(batch)}: {error}") from error
        if not all(math.isfinite(score) for each in found for score in each.scores):
            raise ModelError(NOT_FINITE)
        return [
            tuple(Candidate(tuple(pieces), score) for pieces, score in zip(each.hypotheses, each.scores, strict=True))
            for each in found
        ]

    def _scored(self, sources: list[list[str]], targets: list[list[str]]) -> list[tuple[float, ...]]:
        try:
            scored = self._translator.score_batch(sources, targets, max_input_length=0)
        except RuntimeError as error:
            raise ModelError(f"CTranslate2 failed on a batch of {len(sources)}: {error}") from error
        if not all(math.isfinite(chance) for each in scored for chance in each.log_probs):
            raise ModelError(NOT_FINITE)
        return [tuple(each.log_probs) for each in scored]
