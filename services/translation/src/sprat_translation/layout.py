"""Split a text into sentences and what is between them, so that its translation has the same paragraphs and lines.

Only sentences are translated. Line breaks, indentation, list markers, and anything without a letter ("---", "12.50",
"😀") stay as they are.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

import sentencex

_LINE_BREAK = re.compile(r"(\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029])")
_LIST_MARKER = re.compile(r"\s*(?:[-*+•‣·–—>]+|\d{1,3}[.)]|[A-Za-z][)])\s+")
_CORE = re.compile(r"[\w\"'“”„‘’«»‹›(\[{<$€£¥#@&%+⟦].*[\w\"'“”„‘’«»‹›)\]}>%.!?…,:;$€£¥⟧]|\w", re.DOTALL)
"""A sentence from its first to its last character, without the spaces and emoji around it."""
_VARIATIONS = frozenset(map(chr, range(0xFE00, 0xFE10)))


@dataclass(frozen=True, slots=True)
class Segment:
    """A section of the text."""

    text: str
    is_sentence: bool
    """False: it is copied."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The segments of a text, in order; joined, they are the text."""

    segments: tuple[Segment, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """The sentences to translate."""
        return tuple(segment.text for segment in self.segments if segment.is_sentence)

    def fill(self, translations: Mapping[str, str]) -> str:
        """Return the text with each sentence replaced by its translation."""
        return "".join(translations[segment.text] if segment.is_sentence else segment.text for segment in self.segments)


def lay_out(text: str, language: str = "en") -> Layout:
    """Find the sentences of a text in `language`, a BCP 47 tag, in time linear in the length of the text."""
    segments: list[Segment] = []
    for number, line in enumerate(_LINE_BREAK.split(text)):
        if number % 2:
            segments.append(Segment(line, is_sentence=False))
        elif line:
            segments += _segment_line(line, language)
    return Layout(tuple(segments))


def _segment_line(line: str, language: str) -> list[Segment]:
    segments: list[Segment] = []
    marker = _LIST_MARKER.match(line)
    start = marker.end() if marker else 0
    if start:
        segments.append(Segment(line[:start], is_sentence=False))
    rest = line[start:]
    for sentence in _split(rest, language) if rest else ():
        segments += _segment_sentence(sentence)
    return segments


def _split(line: str, language: str) -> list[str]:
    """Return the sentences of a line, including spaces; the whole line if the library dropped a character."""
    sentences: list[str] = sentencex.segment(language, line)
    return sentences if "".join(sentences) == line else [line]


def _segment_sentence(sentence: str) -> list[Segment]:
    core = _CORE.search(sentence) if any(map(str.isalpha, sentence)) else None
    if core is None:
        return [Segment(sentence, is_sentence=False)]
    start, end = core.start(), _end_of_letter(sentence, core.end())
    around = ((sentence[:start], False), (sentence[start:end], True), (sentence[end:], False))
    return [Segment(text, is_sentence) for text, is_sentence in around if text]


def _end_of_letter(sentence: str, end: int) -> int:
    """Return the end after the combining marks that follow: they belong to the letter before them."""
    while end < len(sentence) and _is_combining(sentence[end]):
        end += 1
    return end


def _is_combining(character: str) -> bool:
    """Return whether it belongs to the letter before it; variation selectors, which form emoji, do not."""
    return unicodedata.category(character) in {"Mn", "Mc"} and character not in _VARIATIONS
