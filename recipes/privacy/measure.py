"""Measure the served tagger: agreement with its own ONNX, and what it covers of annotated personal data."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recipes.privacy.convert import inputs, single_threaded_session
from recipes.privacy.sources import AnnotatedText
from sprat_privacy.detectors.tagger import Tagger


@dataclass(frozen=True, slots=True)
class Agreement:
    """Counts of tokens."""

    tokens: int
    same: int
    """Both choose the same label."""
    same_side: int
    """Both or neither choose `O`."""

    def __add__(self, other: "Agreement") -> "Agreement":
        """Return the sum of the counts."""
        return Agreement(self.tokens + other.tokens, self.same + other.same, self.same_side + other.same_side)


@dataclass(frozen=True, slots=True)
class Quality:
    """Figures over many texts. Letters and digits count, white space and punctuation do not."""

    precision: float
    """Share of the masked letters and digits that are in an annotated span of any type."""
    covered: dict[str, float]
    """Type → share of the annotated spans whose letters and digits are all masked."""


def measure_agreement(tagger: Tagger, graph: Path, texts: Sequence[str]) -> Agreement:
    """Compare the tagger with its ONNX on the tagger's windows of `texts`, token by token, without special tokens."""
    session = single_threaded_session(str(graph))
    outside = (tagger.card.labels or ()).index("O")
    _, windows = tagger.windows.cut(texts)
    total = Agreement(0, 0, 0)
    for window, probabilities in zip(windows, tagger.probabilities(windows), strict=True):
        expected = session.run(None, inputs(window.ids))[0][0, 1:-1].argmax(axis=-1)
        labels = probabilities.argmax(axis=-1)
        same, same_side = (labels == expected).sum(), ((labels == outside) == (expected == outside)).sum()
        total += Agreement(len(labels), int(same), int(same_side))
    return total


def measure_quality(tagger: Tagger, rows: Sequence[AnnotatedText]) -> Quality:
    """Measure what the tagger alone covers of the annotated spans."""
    masked_count = correct_count = 0
    spans: dict[str, list[bool]] = {}
    for row, detections in zip(rows, tagger.find_many([row.text for row in rows]), strict=True):
        readable = {place for place, character in enumerate(row.text) if character.isalnum()}
        masked = {place for each in detections for place in range(each.start, each.end)} & readable
        annotated = {place for start, end, _ in row.spans for place in range(start, end)}
        masked_count, correct_count = masked_count + len(masked), correct_count + len(masked & annotated)
        for start, end, type in row.spans:
            spans.setdefault(type, []).append(readable & set(range(start, end)) <= masked)
    covered = {type: sum(hits) / len(hits) for type, hits in spans.items()}
    return Quality(correct_count / max(masked_count, 1), covered)
