"""What a detector is, what it returns, and how overlapping detections become one."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sprat_privacy.entity_types import rank
from sprat_privacy.readings import without_touching_signs


@dataclass(frozen=True, slots=True)
class Detection:
    """A span of a text that is personal or secret. `start` and `end` count Unicode code points, `end` exclusive."""

    start: int
    end: int
    type: str
    detector: str
    score: float = 1.0
    """Probability, 0 to 1; 1 if a check digit or a fixed form proves it."""


class Detector(Protocol):
    """Finds personal data or secrets in a text. If it raises, masking fails and the text does not leave."""

    @property
    def name(self) -> str:
        """Return its name in messages and records."""
        ...

    @property
    def languages(self) -> Collection[str] | None:
        """Return the languages (BCP 47 primary tags) in which it finds names and other values without a fixed form.

        None: it finds fixed forms and listed words alone, in every language; it does not count as a detector of names.
        """
        ...

    def find(self, text: str, language: str) -> list[Detection]:
        """Return its detections, in any order; spans may overlap."""
        ...


class TextDetector(Protocol):
    """A detector that is not passed the language, as the tagger."""

    def find_many(self, texts: Sequence[str]) -> list[list[Detection]]:
        """Return the detections of each text, which depend on that text alone."""
        ...


@dataclass(frozen=True, slots=True)
class NameDetector:
    """The tagger as a detector for the languages that its card lists."""

    tagger: TextDetector
    languages: Collection[str]
    name: str = "tagger"

    def find(self, text: str, language: str) -> list[Detection]:
        """Return the tagger's detections. Masking calls it only for texts in `languages`."""
        return self.find_many([text])[0]

    def find_many(self, texts: Sequence[str]) -> list[list[Detection]]:
        """Return the tagger's detections of each text."""
        return self.tagger.find_many([without_touching_signs(text) for text in texts])


@dataclass(frozen=True, slots=True)
class ReadNames:
    """A `NameDetector` that has read one text already, with others."""

    detector: NameDetector
    text: str
    detections: list[Detection]

    @property
    def name(self) -> str:
        """Return the detector's name."""
        return self.detector.name

    @property
    def languages(self) -> Collection[str]:
        """Return the detector's languages."""
        return self.detector.languages

    def find(self, text: str, language: str) -> list[Detection]:
        """Return the detections of that text, or read another one."""
        return self.detections if text == self.text else self.detector.find(text, language)


def resolve(detections: Iterable[Detection]) -> list[Detection]:
    """Merge detections that overlap; return them in the order of the text.

    The result covers all that any of them covers. The longest one decides the type. Among equally long ones decide, in
    this order: the higher score, the stronger type (`entity_types.STRONGEST_FIRST`), the earlier start, the name of the
    detector. Detections that only touch stay separate.
    """
    resolved: list[Detection] = []
    group: list[Detection] = []
    end = 0
    for each in sorted(detections, key=lambda each: (each.start, -each.end)):
        if group and each.start >= end:
            resolved.append(_merge(group, end))
            group = []
        end = max(end, each.end) if group else each.end
        group.append(each)
    if group:
        resolved.append(_merge(group, end))
    return resolved


def _merge(group: list[Detection], end: int) -> Detection:
    return replace(min(group, key=_precedence), start=group[0].start, end=end)


def _precedence(detection: Detection) -> tuple[int, float, tuple[int, str], int, str]:
    length = detection.end - detection.start
    return -length, -detection.score, rank(detection.type), detection.start, detection.detector
