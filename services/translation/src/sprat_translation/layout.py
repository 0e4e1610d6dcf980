"""A text as sentences and all that stands between them, so that a translation has the same paragraphs and lines.

Only sentences are translated. Line breaks, indentation, the marks of lists, and whatever has no letter in it ("---",
"12.50", "😀") are kept as they are.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

import sentencex

_LINE_BREAK = re.compile(r"(\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029])")
_LIST_MARK = re.compile(r"\s*(?:[-*+•‣·–—>]+|\d{1,3}[.)]|[A-Za-z][)])\s+")
_CORE = re.compile(r"[\w\"'“”„‘’«»‹›(\[{<$€£¥#@&%+⟦].*[\w\"'“”„‘’«»‹›)\]}>%.!?…,:;$€£¥⟧]|\w", re.DOTALL)
"""From the first to the last character that belongs to a sentence: spaces and emoji around it are kept as they are."""
_VARIATIONS = frozenset(map(chr, range(0xFE00, 0xFE10)))


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the text."""

    text: str
    is_sentence: bool
    """False: it is kept as it is."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The pieces of a text, in its order; put together they are the text."""

    pieces: tuple[Piece, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is to be translated."""
        return tuple(piece.text for piece in self.pieces if piece.is_sentence)

    def filled(self, translations: Mapping[str, str]) -> str:
        """The text with each sentence replaced by its translation."""
        return "".join(translations[piece.text] if piece.is_sentence else piece.text for piece in self.pieces)


def lay_out(text: str, language: str = "en") -> Layout:
    """Find the sentences of a text in `language`. Takes time in proportion to the text's length, whatever it holds."""
    pieces: list[Piece] = []
    for number, line in enumerate(_LINE_BREAK.split(text)):
        if number % 2:
            pieces.append(Piece(line, is_sentence=False))
        elif line:
            pieces += _of_line(line, language)
    return Layout(tuple(pieces))


def _of_line(line: str, language: str) -> list[Piece]:
    pieces: list[Piece] = []
    mark = _LIST_MARK.match(line)
    start = mark.end() if mark else 0
    if start:
        pieces.append(Piece(line[:start], is_sentence=False))
    rest = line[start:]
    for sentence in _split(rest, language) if rest else ():
        pieces += _of_sentence(sentence)
    return pieces


def _split(line: str, language: str) -> list[str]:
    """The sentences of a line, the spaces between them included; the line itself should the library drop anything."""
    sentences: list[str] = sentencex.segment(language, line)
    return sentences if "".join(sentences) == line else [line]


def _of_sentence(sentence: str) -> list[Piece]:
    core = _CORE.search(sentence) if any(map(str.isalpha, sentence)) else None
    if core is None:
        return [Piece(sentence, is_sentence=False)]
    start, end = core.start(), _end_of_letter(sentence, core.end())
    around = ((sentence[:start], False), (sentence[start:end], True), (sentence[end:], False))
    return [Piece(text, is_sentence) for text, is_sentence in around if text]


def _end_of_letter(sentence: str, end: int) -> int:
    """Behind the accents and vowel signs that follow: they are written on the letter before them, and part of it."""
    while end < len(sentence) and _is_written_on(sentence[end]):
        end += 1
    return end


def _is_written_on(character: str) -> bool:
    """Say whether it belongs to the letter before it. What makes an emoji or a key of the sign before it does not."""
    return unicodedata.category(character) in {"Mn", "Mc"} and character not in _VARIATIONS
