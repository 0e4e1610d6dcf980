"""Replace personal data and secrets of a text by placeholders, and verify that none of it is left.

text
  │  1 detect       run each detector (most search a folded text: see `normalisation`) on the text and on what else it
  │                 can be read as: see `readings`; leave out what nobody sees of it, and numbers that the tagger
  │                 takes for addresses and that count something (`counted`); trim white space
  │  2 occurrences  find every other place of the detected values, widened to whole words
  │  3 resolve      merge detections that overlap into one span: see `detection`
  │  4 number       give each value its placeholder: `[PERSON_1]`, the same for the same value
  │  5 replace      build the masked text
  │  6 verify       no detected value is left in it, and the original can be restored from it
  ▼
MaskedText, or NotVerified: then the text must not leave the perimeter
"""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Final

from sprat_contracts.languages import primary_subtag
from sprat_privacy.boundaries import Cuts, is_seam
from sprat_privacy.detection import Detection, Detector, NameDetector, ReadNames, resolve
from sprat_privacy.detectors.counted import without_counts
from sprat_privacy.entity_types import NUMBERS, SECRETS, is_type
from sprat_privacy.errors import LanguageNotCovered, NotVerified, TextTooLong
from sprat_privacy.masked_text import MaskedSpan, MaskedText, Numbering, lookalikes_in
from sprat_privacy.normalisation import (
    Comparison,
    SeenText,
    comparison_for,
    folded_exceeds,
    normal_form,
    normal_text,
    seen,
)
from sprat_privacy.readings import TextReading, readings

REVISION: Final = "sprat-perimeter/8"
"""Revision of the code that decides what is masked. Raise it with every change of what is masked."""

MAX_FOLDED: Final = 21_000
"""Most characters of a folded text. Time is linear in them, and the worst text of this length takes about two seconds
of a core, one with both other readings five. The longest text of the contract has 20,000 code points, of which few fold
to several."""

_OCCURRENCE: Final = "occurrence"
"""Detector of a span whose value was detected elsewhere in the text."""

_BETWEEN_WORDS = re.compile(r"[\s\-./_·'’]+")

_SpanKey = tuple[int, int, str]
"""Start, end, type."""


def mask(
    text: str,
    language: str,
    detectors: Sequence[Detector],
    *,
    validators_alone: Collection[str] = (),
) -> MaskedText:
    """Replace everything that the detectors find, and every other occurrence of the same values.

    Deterministic: the same text, detectors and policy give the same masked text.

    Args:
        text: the text.
        language: its BCP 47 tag.
        detectors: those of names are used only for the languages that they cover.
        validators_alone: languages (primary tags) for which the policy accepts that no detector covers names.

    Raises:
        NotVerified: a detector failed or returned an impossible span; no detector of names covers the language; the
            text is too long once folded; or a masked value would be left in the masked text. The text must not leave
            the perimeter then.
    """
    others = readings(text)
    if _exceeds(text, others):
        raise TextTooLong(f"with its compatibility forms written out, it is longer than {MAX_FOLDED:,} characters")
    usable = _usable(primary_subtag(language), detectors, validators_alone)
    visible = seen(text)
    detections: list[Detection] = []
    for reading in (TextReading(text, None, None, has_names=True), *others):
        for detector in usable:
            reads_names = isinstance(detector, NameDetector | ReadNames)
            if reads_names and not reading.has_names:
                continue
            found = _detect(reading.text, language, detector)
            for each in without_counts(reading.text, language, found) if reads_names else found:
                start, end = reading.original(each.start, each.end)
                detections += _trimmed(visible.text, each, visible.places[start], visible.places[end])
    spans = resolve(_occurrences(visible.text, detections)) if detections else []
    masked = _replace(visible.text, spans)
    _verify(masked, {visible.text[each.start : each.end] for each in detections})
    return _in_original(text, masked, visible)


def is_too_long(text: str) -> bool:
    """Return whether :func:`mask` refuses a text for its length: with its compatibility forms written out."""
    return _exceeds(text, readings(text))


def _exceeds(text: str, others: Sequence[TextReading]) -> bool:
    return any(folded_exceeds(reading, MAX_FOLDED) for reading in (text, *(other.text for other in others)))


def read_names(texts: Sequence[tuple[str, str]], detectors: Sequence[Detector]) -> list[Sequence[Detector]]:
    """Return for each text and its language the detectors with which to mask it; those of names have read it.

    Reading several texts at once takes about half the time. Each text's detections depend on that text alone; where
    reading them all fails, each is read by itself.
    """
    using = [list(detectors) for _ in texts]
    for place, detector in enumerate(detectors):
        if not isinstance(detector, NameDetector):
            continue
        covered = [
            number
            for number, (text, language) in enumerate(texts)
            if primary_subtag(language) in detector.languages and not folded_exceeds(text, MAX_FOLDED)
        ]
        if len(covered) < 2:
            continue
        found: Sequence[list[Detection]] = ()
        try:
            found = detector.find_many([texts[number][0] for number in covered])
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001, S112 - as in `_detect`; one text of them all may be the cause
            continue
        if len(found) < len(covered):
            continue
        for number, detections in zip(covered, found, strict=True):
            using[number][place] = ReadNames(detector, texts[number][0], detections)
    return list(using)


def _usable(tag: str, detectors: Sequence[Detector], validators_alone: Collection[str]) -> list[Detector]:
    """Return the detectors that cover the language or do not depend on it."""
    usable = [detector for detector in detectors if detector.languages is None or tag in detector.languages]
    if not any(detector.languages is not None for detector in usable) and tag not in validators_alone:
        raise LanguageNotCovered(
            "no detector of names covers the text's language; the policy takes it without one where it lists it under "
            "perimeter.validators_alone"
        )
    if not usable:
        raise NotVerified("there is no detector to run")
    return usable


def _detect(text: str, language: str, detector: Detector) -> list[Detection]:
    """Run one detector and trim white space from the ends of its spans."""
    failure: str | None = None
    detections: list[Detection] = []
    try:
        detections = list(detector.find(text, language))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - the boundary to detectors: whatever fails, or panics, the text stays
        failure = type(error).__name__
    if failure is not None:
        # Raised outside the handler, so that the detector's own error is not chained: its message may hold the text.
        raise NotVerified(f"the detector {detector.name} failed: {failure}")
    if any(not 0 <= each.start < each.end <= len(text) or not is_type(each.type) for each in detections):
        raise NotVerified(f"the detector {detector.name} returned an impossible span")
    return detections


def _trimmed(text: str, detection: Detection, start: int, end: int) -> list[Detection]:
    """Return the detection at these offsets without white space around it; nothing where there is nothing else."""
    value = text[start:end].strip()
    if not value:
        return []
    start = text.index(value, start)
    return [replace(detection, start=start, end=start + len(value))]


def _occurrences(text: str, detections: Collection[Detection]) -> list[Detection]:
    """Return every whole-word span that equals a detected value, widened to cuts; includes the detections.

    Every exact copy counts; if a detection ends inside a word, both the detected part and the whole word are searched.
    Numbers, e-mail addresses and names of several words are also found in other case and with other separators. A name
    of one word is found in upper case and capitalised too, but not in lower case: a person called Will must not mask
    the text's verbs.
    """
    spans = _Spans(text)
    values: dict[tuple[str, str], Detection] = {}
    for each in detections:
        if (widened := spans.add(each, each.start, each.end, each.detector)) is not None:
            values.setdefault((text[widened.start : widened.end], each.type), each)
        values.setdefault((text[each.start : each.end], each.type), each)
    for (value, type), source in values.items():
        for form in {value} if type in SECRETS else {value, value.upper(), value[:1].upper() + value[1:]}:
            for start in _find_all(text, form):
                spans.add(source, start, start + len(form), _OCCURRENCE)
    _add_equal_forms(spans, text, values)
    return list(spans.found.values())


class _Spans:
    """The spans to mask, widened to cuts."""

    def __init__(self, text: str) -> None:
        self.found: dict[_SpanKey, Detection] = {}
        self._cuts = Cuts(text)

    def add(self, source: Detection, start: int, end: int, detector: str) -> Detection | None:
        """Add a span with a value of the source's type; return it as it is added, None if it is there."""
        start, end = self._cuts.widen(start, end)
        if (start, end, source.type) in self.found:
            return None
        added = replace(source, start=start, end=end, detector=detector)
        self.found[start, end, source.type] = added
        return added


def _find_all(text: str, value: str) -> Iterator[int]:
    """Yield the start of each whole-word occurrence of a value; occurrences do not overlap."""
    start = text.find(value)
    while start >= 0:
        is_whole = is_seam(text, start) and is_seam(text, start + len(value))
        if is_whole:
            yield start
        start = text.find(value, start + (len(value) if is_whole else 1))


def _add_equal_forms(spans: _Spans, text: str, values: dict[tuple[str, str], Detection]) -> None:
    """Add the spans that equal a value in its normal form without being a copy of it."""
    by_comparison: dict[Comparison, dict[tuple[str, str], Detection]] = {}
    for (value, type), source in values.items():
        comparison = comparison_for(value, type)
        form = normal_form(value, comparison)
        if form and comparison != "exact" and (type in NUMBERS or comparison == "caseless" or _has_words(value)):
            by_comparison.setdefault(comparison, {})[form, type] = source
    for comparison, forms in by_comparison.items():
        normal = normal_text(text, comparison)
        for (form, _), source in forms.items():
            at = normal.text.find(form)
            while at >= 0:
                start, end = normal.original(at, at + len(form))
                is_whole = is_seam(text, start) and is_seam(text, end)
                if is_whole:
                    spans.add(source, start, end, _OCCURRENCE)
                at = normal.text.find(form, at + (len(form) if is_whole else 1))


def _has_words(value: str) -> bool:
    """Return whether a value has several words."""
    return sum(map(bool, _BETWEEN_WORDS.split(value))) > 1


def _replace(text: str, spans: Sequence[Detection]) -> MaskedText:
    """Replace the spans, which do not overlap, by numbered placeholders."""
    numbering = Numbering(frozenset(lookalikes_in(text)))
    replaced: list[MaskedSpan] = []
    pieces: list[str] = []
    length = last = 0
    for span in spans:
        value = text[span.start : span.end]
        comparison = comparison_for(value, span.type)
        names = (value, (comparison, normal_form(value, comparison) or value))
        placeholder = numbering.placeholder_for(names, span.type)
        length += span.start - last
        replaced.append(MaskedSpan(span.start, span.end, length, placeholder, span.type, span.detector))
        pieces += (text[last : span.start], placeholder)
        length += len(placeholder)
        last = span.end
    return MaskedText("".join((*pieces, text[last:])), text, tuple(replaced))


def _verify(masked: MaskedText, values: Collection[str]) -> None:
    """Check that no masked value is left between seams outside the placeholders, and that the original is restored."""
    if not masked.spans:
        return
    starts = [span.at for span in masked.spans]
    for value in {masked.value(span) for span in masked.spans} | set(values):
        if _is_left(masked, value, starts):
            raise NotVerified("a masked value would be left in the masked text")
    if masked.unmasked() != masked.original:
        raise NotVerified("the original could not be restored from the masked text")


def _in_original(text: str, masked: MaskedText, visible: SeenText) -> MaskedText:
    """Return the masked text of what is seen as that of the whole text.

    What is not seen inside of a span comes back with its value; the rest is dropped for good.
    """
    if len(visible.origins) == len(text):
        return masked
    origins = visible.origins
    spans = tuple(replace(span, start=origins[span.start], end=origins[span.end - 1] + 1) for span in masked.spans)
    dropped: list[MaskedSpan] = []
    offset = at = 0
    """The end of what was looked at, in the whole text and in the masked one."""
    for span in (*spans, MaskedSpan(len(text), len(text), len(masked.text), "", "", "")):
        while offset < span.start:
            kept = visible.places[offset + 1] > visible.places[offset]
            if kept:
                at += 1
            elif dropped and dropped[-1].end == offset:
                dropped[-1] = replace(dropped[-1], end=offset + 1)
            else:
                dropped.append(MaskedSpan(offset, offset + 1, at, "", "", ""))
            offset += 1
        offset, at = span.end, span.after
    whole = MaskedText(masked.text, text, spans, tuple(dropped))
    if whole.unmasked() != text:
        raise NotVerified("the original could not be restored from the masked text")
    return whole


def _is_left(masked: MaskedText, value: str, starts: Sequence[int]) -> bool:
    """Return whether the value occurs between seams in the masked text, clear of every placeholder."""
    at = masked.text.find(value)
    while at >= 0:
        end = at + len(value)
        before = bisect_left(starts, end) - 1
        is_clear = before < 0 or masked.spans[before].after <= at
        if is_clear and is_seam(masked.text, at) and is_seam(masked.text, end):
            return True
        at = masked.text.find(value, at + 1)
    return False
