"""Translate sequences of subword pieces with CTranslate2: bounded beam search, and how far its candidates agree.

Sentences are computed in groups of equal length, as in :mod:`sprat_inference.encoder` and for the same reason: padding
changes the rounding of the other rows, so that a translation would depend on the other sentences of the batch.
"""

import math
from collections import Counter
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
"""Source pieces computed at once by one thread: 1,280 rows with a beam of 4. On a CPU, more are not faster."""

LONGEST_RATIO, LONGEST_MORE = 2, 10
"""The translation of n source pieces has at most LONGEST_RATIO × n + LONGEST_MORE pieces."""

NOT_FINITE: Final = "the network computed a probability that is not finite: its weights are damaged"

_MANY = 10_000
"""More pieces than any sentence has."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the translations that the beam search returned."""

    pieces: tuple[str, ...]
    score: float
    """Mean natural logarithm of the probabilities of the pieces, as computed by the beam search."""


def longest_translation(pieces: int) -> int:
    """Return the number of pieces at which the translation of `pieces` pieces is cut off."""
    return LONGEST_RATIO * pieces + LONGEST_MORE


class TranslationNetwork:
    """A network in CTranslate2 that translates. Thread-safe; holds no state between calls."""

    def __init__(self, translator: ctranslate2.Translator, threads: int) -> None:
        self._translator = translator
        self._pool = ThreadPoolExecutor(threads, "translator") if threads > 1 else None

    @classmethod
    def load(cls, folder: Path, threads: int) -> Self:
        """Load the CTranslate2 files of `folder`; `threads` groups are computed in parallel.

        Raises:
            RuntimeError: when CTranslate2 cannot load the files. Callers turn both into `BrokenArtefact`.
            ValueError: likewise.
        """
        translator = ctranslate2.Translator(str(folder), device="cpu", inter_threads=threads, intra_threads=1)
        return cls(translator, threads)

    def translate(self, sentences: Sequence[Sequence[str]], start: Sequence[str] = ()) -> list[tuple[Candidate, ...]]:
        """Return the candidates of each sentence, in order: the best first, at least one.

        Each sentence must have at least one piece. Its candidates depend on that sentence alone. They do not hold
        `start`, the pieces that the network is made to begin with.

        Raises:
            ModelError: when CTranslate2 fails, or a score is not finite.
        """
        if not all(sentences):
            raise ValueError("an empty sentence has no translation")  # the last check before native code
        lengths = [len(sentence) for sentence in sentences]
        return self._by_length(
            lengths, lambda indices: self._search([list(sentences[index]) for index in indices], list(start))
        )

    def log_probabilities(
        self, sources: Sequence[Sequence[str]], targets: Sequence[Sequence[str]], start: Sequence[str] = ()
    ) -> list[tuple[float, ...]]:
        """Return the natural logarithms of the probabilities of each target's pieces, given the pieces before.

        The last value of a target is that of the end of the sentence. `start` precedes every target, and has no value.

        Raises:
            ModelError: when CTranslate2 fails, or a value is not finite.
        """
        # One number for each pair of lengths, so that all pairs of a group have equal lengths.
        lengths = [len(source) * _MANY + len(target) for source, target in zip(sources, targets, strict=True)]
        return self._by_length(
            lengths,
            lambda indices: self._score(
                [list(sources[i]) for i in indices], [list(targets[i]) for i in indices], list(start)
            ),
            limit=MICRO_BATCH_TOKENS * _MANY,
        )

    def probe(self, piece: str, longest: int) -> None:
        """Compute the longest possible sentence with the longest possible translation.

        Raises:
            ModelError: when the network fails, for example because it has too few positions.
        """
        self.log_probabilities([[piece] * longest], [[piece] * longest_translation(longest)])

    def _by_length(
        self, lengths: Sequence[int], compute: Callable[[list[int]], list[Result]], limit: int = MICRO_BATCH_TOKENS
    ) -> list[Result]:
        """Call `compute` with groups of indices of equal length, in the thread pool; return the results in order."""
        groups = list(micro_batches(lengths, limit))
        all_results = map(compute, groups) if self._pool is None else self._pool.map(compute, groups)
        by_index: dict[int, Result] = {}
        for group, results in zip(groups, all_results, strict=True):
            by_index.update(zip(group, results, strict=True))
        return [by_index[index] for index in range(len(lengths))]

    def _search(self, batch: list[list[str]], start: list[str]) -> list[tuple[Candidate, ...]]:
        try:
            results = self._translator.translate_batch(
                batch,
                target_prefix=[start] * len(batch) if start else None,
                beam_size=BEAM,
                num_hypotheses=BEAM,
                max_input_length=0,  # callers check the length; cutting silently would lose the end of a sentence
                max_decoding_length=longest_translation(len(batch[0])) + len(start),
                return_scores=True,
                disable_unk=True,
            )
        except RuntimeError as error:
            raise ModelError(f"CTranslate2 failed on a batch of {len(batch)}: {error}") from error
        if not all(math.isfinite(score) for each in results for score in each.scores):
            raise ModelError(NOT_FINITE)
        return [
            tuple(
                Candidate(tuple(pieces[len(start) :]), score)
                for pieces, score in zip(each.hypotheses, each.scores, strict=True)
            )
            for each in results
        ]

    def _score(self, sources: list[list[str]], targets: list[list[str]], start: list[str]) -> list[tuple[float, ...]]:
        try:
            scored = self._translator.score_batch(sources, [start + each for each in targets], max_input_length=0)
        except RuntimeError as error:
            raise ModelError(f"CTranslate2 failed on a batch of {len(sources)}: {error}") from error
        if not all(math.isfinite(value) for each in scored for value in each.log_probs):
            raise ModelError(NOT_FINITE)
        return [tuple(each.log_probs[len(start) :]) for each in scored]


@dataclass(frozen=True, slots=True)
class BeamAgreement:
    """How far the candidates of one sentence agree. A network that is right seldom has alternatives."""

    lead: float
    """Score of the chosen candidate minus that of the best other one; negative if a better one was unusable."""
    share: float
    """Probability of the chosen candidate as a share of the sum over all candidates."""
    consensus: float
    """Mean similarity of all candidates to the chosen one, 0 to 1, weighted by their shares; itself included."""
    indecision: float
    """Entropy of the shares, in nats; 0 if one candidate has the whole probability."""
    least_alike: float
    """Similarity of the least similar candidate; 1 if there is no other."""
    mean_alike: float
    """Unweighted mean similarity of the others; 1 if there are none."""


def compare_candidates(candidates: Sequence[Candidate], texts: Sequence[str]) -> BeamAgreement:
    """Compare the first candidate, which is the chosen one, with the others. `texts` are their decoded texts."""
    chosen, *others = candidates
    totals = [each.score * (len(each.pieces) + 1) for each in candidates]
    weights = [math.exp(total - max(totals)) for total in totals]
    shares = [weight / sum(weights) for weight in weights]
    similarities = [_similarity(texts[0], text) for text in texts]
    return BeamAgreement(
        lead=chosen.score - others[0].score if others else 0.0,
        share=shares[0],
        consensus=sum(share * each for share, each in zip(shares, similarities, strict=True)),
        indecision=-sum(share * math.log(share) for share in shares if share),
        least_alike=min(similarities),
        mean_alike=sum(similarities[1:]) / len(others) if others else 1.0,
    )


def _similarity(first: str, second: str) -> float:
    """Return the Dice coefficient of the character trigrams of two texts."""
    ours, theirs = _trigrams(first), _trigrams(second)
    return 2 * (ours & theirs).total() / (ours.total() + theirs.total())


def _trigrams(text: str) -> Counter[str]:
    framed = f"  {text.casefold()}  "
    return Counter(framed[start : start + 3] for start in range(len(framed) - 2))
