"""One sentence to another: what must stay is taken out, the rest is translated, and what comes out is checked."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sprat_translation import denial
from sprat_translation.beam import Beam, compare
from sprat_translation.network import Candidate, Network
from sprat_translation.pieces import Pieces
from sprat_translation.protected import is_kept, is_misread
from sprat_translation.stand_ins import Masked, masked, restore


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What the network wrote for one sentence, and how sure it was."""

    pieces: tuple[str, ...]
    chances: tuple[float, ...]
    """Natural logarithm of the chance of each piece, given those before it; the end of the sentence comes last."""
    beam: Beam
    """How it compares with the other candidates."""


@dataclass(frozen=True, slots=True)
class Translation:
    """What became of one sentence."""

    source: str
    text: str
    """The source itself where nothing was translated."""
    read: str
    """What the network read: the source, with stand-ins for what must stay."""
    hypothesis: Hypothesis | None
    """None where the network was not asked: there was nothing to translate, or more than it reads."""
    is_kept: bool
    """All that must stay is there, and nothing of the kind besides. False, too, where the sentence was too long."""

    @property
    def is_sound(self) -> bool:
        """Can it be right at all? Else it is worth nothing, however sure the network was.

        What must stay is there, a German reads it as it was meant, and both sides deny something or neither does. The
        last is no reason to take another candidate: one that was made to deny may say the opposite.
        """
        if self.hypothesis is None:
            return self.is_kept
        return self.is_kept and not is_misread(self.source) and not denial.differs(self.source, self.text)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A translation whose chances are not known yet."""

    text: str
    read: str
    pieces: tuple[str, ...]
    """What the network read; nothing where it was not asked."""
    candidates: tuple[Candidate, ...]
    """The one taken comes first."""
    written: tuple[str, ...]
    """What they say, with the stand-ins in it."""
    is_kept: bool


class Sentences:
    """Translates sentences. Thread-safe."""

    def __init__(self, pieces: Pieces, network: Network, longest: int) -> None:
        self._pieces = pieces
        self._network = network
        self._longest = longest

    def translate(self, sentences: Iterable[str]) -> dict[str, Translation]:
        """Translate each, by what it is.

        A sentence is read with stand-ins for numbers, addresses and the like, and the best candidate that holds them
        all is taken. Where none does, it is read in another way, at last as it stands, and what that gives is taken;
        where it, too, loses something, it says so.

        Raises:
            ModelError: when the runtime fails.
        """
        wanted = list(dict.fromkeys(sentences))
        ways = {sentence: self._ways(sentence) for sentence in wanted}
        drafts: dict[str, _Draft] = {}
        while asked := {sentence: way for sentence in wanted if (way := self._next(sentence, ways, drafts))}:
            drafts |= self._drafts(asked)
        return self._finished({sentence: drafts[sentence] for sentence in wanted})

    def _ways(self, sentence: str) -> Iterator[Masked]:
        return masked(sentence) if self._pieces.copies_symbols else iter([Masked(sentence)])

    @staticmethod
    def _next(sentence: str, ways: dict[str, Iterator[Masked]], drafts: dict[str, _Draft]) -> Masked | None:
        """The next way to read a sentence; none where the last one kept everything."""
        return None if sentence in drafts and drafts[sentence].is_kept else next(ways[sentence], None)

    def _drafts(self, asked: dict[str, Masked]) -> dict[str, _Draft]:
        encoded = dict(zip(asked, self._pieces.encode([way.text for way in asked.values()]), strict=True))
        drafts: dict[str, _Draft] = {}
        ready: list[str] = []
        for sentence, way in asked.items():
            if not any(map(str.isalpha, way.text)) or not encoded[sentence]:
                drafts[sentence] = _Draft(sentence, way.text, (), (), (), is_kept=True)
            elif len(encoded[sentence]) > self._longest:
                drafts[sentence] = _Draft(sentence, way.text, (), (), (), is_kept=False)
            else:
                ready.append(sentence)
        found = self._network.translate([encoded[sentence] for sentence in ready]) if ready else []
        for sentence, candidates in zip(ready, found, strict=True):
            drafts[sentence] = self._chosen(sentence, asked[sentence], encoded[sentence], candidates)
        return drafts

    def _chosen(self, sentence: str, way: Masked, read: Sequence[str], candidates: Sequence[Candidate]) -> _Draft:
        """The best candidate that keeps everything, else the best of all."""
        written = [self._pieces.decode(candidate.pieces) for candidate in candidates]
        restored = [restore(text, way) for text in written]
        kept = [text is not None and bool(text) and is_kept(sentence, text) for text in restored]
        taken = kept.index(True) if any(kept) else 0
        text = restored[taken]
        order = [taken, *(place for place in range(len(kept)) if place != taken)]
        return _Draft(
            written[taken] if text is None else text,
            way.text,
            tuple(read),
            tuple(candidates[place] for place in order),
            tuple(written[place] for place in order),
            kept[taken],
        )

    def _finished(self, drafts: dict[str, _Draft]) -> dict[str, Translation]:
        asked = [draft for draft in drafts.values() if draft.pieces]
        chances = self._network.chances([each.pieces for each in asked], [each.candidates[0].pieces for each in asked])
        hypotheses = iter(
            [
                Hypothesis(draft.candidates[0].pieces, own, compare(draft.candidates, draft.written))
                for draft, own in zip(asked, chances, strict=True)
            ]
        )
        return {
            sentence: Translation(
                sentence, draft.text, draft.read, next(hypotheses) if draft.pieces else None, draft.is_kept
            )
            for sentence, draft in drafts.items()
        }
