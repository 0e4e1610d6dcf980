r"""What a text can also be read as.

Detectors read a text as it is written, and its readings:

1. *as a browser shows it*: HTML's character references, as `&#64;` or `&nbsp;`, are decoded;
2. *as a large model may read it*, on top of the first: escapes (`%40`, `\u0040`), Unicode's tag characters, and digits
   and letters in negative circles and squares are decoded; emoji and other signs between words are spaces; `(at)` and
   `(dot)` are the signs of an e-mail address; eight or more digits in words are a number.

Readings are additional: what is detected without them is detected with them.
"""

import html
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from html.entities import html5
from typing import Final

from sprat_privacy.normalisation import IGNORABLE, FoldedText

_AMPERSAND: Final = "(?:amp|#0*+38|#[xX]0*+26);"
_WITHOUT_SEMICOLON: Final = "|".join(sorted((name for name in html5 if name[-1] != ";"), key=len, reverse=True))
_REFERENCE: Final = re.compile(
    rf"&(?:{_AMPERSAND})?"
    r"(?:#(?=[0-9])0*+[0-9]{0,7}+;?|#[xX](?=[0-9A-Fa-f])0*+[0-9A-Fa-f]{0,6}+;?|"
    rf"[A-Za-z][A-Za-z0-9]{{1,31}}+;|(?:{_WITHOUT_SEMICOLON}))"
)
"""A character reference, itself written with one for its `&` or not. As browsers do, it takes numbers with any zeros
before them, and numbers and the oldest names without `;`."""

_FEWEST_SPOKEN: Final = 8
"""Digits in words that are a number."""
_SPOKEN: Final = {
    word: str(digit)
    for digit, words in enumerate(
        # en, de, fr, es, it, pt, nl: no word is two digits
        (
            "zero oh null zéro cero nul",
            "one eins un une uno um uma een één",
            "two zwei zwo deux dos due dois duas twee",
            "three drei trois tres tre três drie",
            "four vier quatre cuatro quattro quatro",
            "five fünf fuenf cinq cinco cinque vijf",
            "six sechs seis sei zes",
            "seven sieben sept siete sette sete zeven",
            "eight acht huit ocho otto oito",
            "nine neun neuf nueve nove negen",
        )
    )
    for word in words.split()
}
_WORD: Final = rf"(?:{'|'.join(sorted(_SPOKEN, key=len, reverse=True))})(?![^\W_])"
_TIMES: Final = {"double": 2, "triple": 3}
_AT: Final = "(?:at|ät|a)"
_DOT: Final = "(?:dot|punkt|point|punto|ponto|punt)"
_LABEL: Final = r"[^\W_][\w-]{0,62}+"
_SIGNS: Final = (
    "\u2190-\u21ff\u2300-\u23ff\u2500-\u2775\u2794-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\U0001f000-\U0001f0ff\U0001f200-\U0001faff"
)
"""Arrows, shapes, dingbats, pictures and emoji, without signs of arithmetic and without letters and digits."""
_VEILED: Final = {
    chr(point): str(int(unicodedata.numeric(chr(point))))
    for points in (range(0x2776, 0x2794), range(0x24EB, 0x2500), (0x1F10B, 0x1F10C))
    for point in points
} | {
    chr(first + letter): chr(ord("A") + letter)
    for first in (0x1F150, 0x1F170, 0x1F1E6)  # in a negative circle, in a negative square, as half of a flag
    for letter in range(26)
}
"""Digits and letters that no compatibility form tells: those in negative circles above all."""
_TAGS: Final = {0xE0000 + point: point for point in range(0x20, 0x7F)}
_MEANT: Final = re.compile(
    r"(?P<percent>(?:%(?:25){0,2}[0-9A-Fa-f]{2})+)"
    r"|(?P<escape>(?-i:(?:\\{1,4}|%)u(?:[0-9A-Fa-f]{4}|\{[0-9A-Fa-f]{1,6}\})"
    r"|\\{1,4}(?:U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}))+)"
    r"|(?P<tags>[\U000e0020-\U000e007e]+)"
    rf"|(?P<veiled>[{''.join(_VEILED)}])"
    rf"|(?P<sign>[ ]?[{_SIGNS}][{_SIGNS}{IGNORABLE}]*[ ]?)"
    rf"|(?P<at>[ ]?[(\[{{<][ ]?{_AT}[ ]?[)\]}}>][ ]?(?P<domain>{_LABEL}(?:[ ]{_DOT}[ ]{_LABEL}){{1,4}})?"
    rf"|[ ]at[ ](?P<spoken_domain>{_LABEL}(?:[ ]{_DOT}[ ]{_LABEL}){{1,4}}))"
    rf"|(?P<dot>[ ]?[(\[{{<][ ]?{_DOT}[ ]?[)\]}}>][ ]?)"
    rf"|(?P<number>(?<![^\W_])(?:plus[ ])?(?:(?:double|triple)[ ])?{_WORD}"
    rf"(?:[\s,.;:/–-]{{1,3}}(?:(?:double|triple)[ ])?(?:{_WORD}|[0-9](?![^\W_]))){{{_FEWEST_SPOKEN - 1},}})",
    re.IGNORECASE,
)
_ESCAPED_BYTE: Final = re.compile(r"%(?:25)*([0-9A-Fa-f]{2})(?=%|$)")
_ESCAPED_UNIT: Final = re.compile(r"[uUx]\{?([0-9A-Fa-f]{1,8})")
_SPOKEN_DOT: Final = re.compile(rf"[ ]{_DOT}[ ]", re.IGNORECASE)


def readings(text: str) -> list[FoldedText]:
    """Return the readings of a text that differ from it; their offsets are those of the text."""
    shown = decode_references(text)
    source = FoldedText(text, None, None) if shown is None else shown
    meant = _rewrite(source.text, _MEANT, _meaning)
    return [reading for reading in (shown, None if meant is None else meant.within(source)) if reading is not None]


def decode_references(text: str) -> FoldedText | None:
    """Return the text with its character references decoded, those of references once; None if it has none.

    What a browser does not show as a character (surrogates, unknown names) stays as it is.
    """
    return _rewrite(text, _REFERENCE, lambda match: _shown(match.group()))


def _rewrite(text: str, pattern: re.Pattern[str], meaning: Callable[[re.Match[str]], str | None]) -> FoldedText | None:
    """Return the text with what each match stands for in its place; None if no match stands for something."""
    pieces: list[str] = []
    origins: list[int] = []
    ends: list[int] = []
    last = 0
    for match in pattern.finditer(text):
        start, end = match.span()
        shown = meaning(match)
        if shown is None:
            continue
        pieces += (text[last:start], shown)
        origins += (*range(last, start), *(start for _ in shown))
        ends += (*range(last + 1, start + 1), *(end for _ in shown))
        last = end
    if not last:
        return None
    pieces.append(text[last:])
    origins += range(last, len(text))
    ends += range(last + 1, len(text) + 1)
    return FoldedText("".join(pieces), tuple(origins), tuple(ends))


@lru_cache(maxsize=1024)
def _shown(reference: str) -> str | None:
    """Return what a character reference stands for; None if for nothing."""
    single = re.sub(rf"^&{_AMPERSAND}(?=.)", "&", reference)
    if single[1] != "#" and single[1:] not in html5:
        return None
    shown = html.unescape(single)
    return shown if shown and "\ufffd" not in shown else None


def _meaning(match: re.Match[str]) -> str | None:
    """Return what a match of `_MEANT` stands for; None if for itself."""
    return _MEANINGS[match.lastgroup or ""](match)


def _percent(match: re.Match[str]) -> str:
    """Return the text of percent escapes; what is not UTF-8 is read as Latin letters."""
    encoded = bytes(int(pair, 16) for pair in _ESCAPED_BYTE.findall(match.group()))
    try:
        return encoded.decode()
    except UnicodeDecodeError:
        return encoded.decode("latin-1")


def _escape(match: re.Match[str]) -> str | None:
    """Return the text of escaped code points and halves of surrogate pairs; None if there is none."""
    try:
        escaped = "".join(chr(int(unit[1], 16)) for unit in _ESCAPED_UNIT.finditer(match.group()))
        return escaped.encode("utf-16", "surrogatepass").decode("utf-16")
    except (ValueError, OverflowError):
        return None


def _sign(match: re.Match[str]) -> str | None:
    """Return a space for a sign that may hide a value: it touches a letter or digit, or stands between digits."""
    text, (start, end) = match.string, match.span()
    before, after = text[start - 1 : start], text[end : end + 1]
    touches = (text[start] != " " and before.isalnum()) or (text[end - 1] != " " and after.isalnum())
    return " " if touches or (before.isdigit() and after.isdigit()) else None


def _at(match: re.Match[str]) -> str:
    """Return the sign of an e-mail address, and the domain after it where it is spelled out."""
    return "@" + _SPOKEN_DOT.sub(".", match["domain"] or match["spoken_domain"] or "")


def _number(match: re.Match[str]) -> str:
    """Return the digits of a number in words."""
    digits: list[str] = []
    times = 1
    for word in re.findall(r"[^\W_]+", match.group().lower()):
        if word in _TIMES:
            times = _TIMES[word]
            continue
        digits.append(times * ("+" if word == "plus" else _SPOKEN.get(word, word)))
        times = 1
    return "".join(digits)


_MEANINGS: Final[dict[str, Callable[[re.Match[str]], str | None]]] = {
    "percent": _percent,
    "escape": _escape,
    "tags": lambda match: f" {match.group().translate(_TAGS)} ",
    "veiled": lambda match: _VEILED[match.group()],
    "sign": _sign,
    "at": _at,
    "dot": lambda _: ".",
    "number": _number,
}
"""By the group of `_MEANT`."""
