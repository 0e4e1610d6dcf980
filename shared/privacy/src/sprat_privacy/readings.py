r"""What a text can also be read as.

Detectors read a text as it is written, and its readings:

1. *as a browser shows it*: HTML's character references, as `&#64;` or `&nbsp;`, are decoded;
2. *as a large model may read it*, on top of the first: escapes (`%40`, `\u0040`), Unicode's tag characters, and digits
   and letters in negative circles and squares are decoded; emoji and other signs between words are spaces; `(at)` and
   `(dot)` are the signs of an e-mail address; eight or more digits in words are a number.

Both are also made of the text without what nobody sees of it, as zero-width characters: so it leaves, and inside an
escape or a word they would hide it. Tag characters are decoded where they stand.

Readings are additional: what is detected without them is detected with them. The tagger, which takes most of the time,
reads those alone whose letters or digits differ; for it, signs that touch a word are spaces from the start.
"""

import html
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
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
_DOT: Final = "(?:dot|punkt|point|punto|ponto|punt)"
_LABEL: Final = r"[^\W_][\w-]{0,62}+"
_AT: Final = (
    rf"(?:at|ät|a(?=[ ]?[)\]}}>][ ]?{_LABEL}(?:\.|[ ]{_DOT}[ ]|[ ]?[(\[{{<][ ]?{_DOT}[ ]?[)\]}}>][ ]?)[^\W\d_]{{2}}))"
)
"""`(a)` begins many a list: it is a sign before a domain alone."""
_NO_LOCAL_PART: Final = frozenset(
    (  # noqa: SIM905 - a list of many literals is harder to read
        "am are arrived available be been booked bought buy found got here is look looked looking looks me meet met "
        "ordered paid saw see shopped shopping sold started stay stayed that there was were worked working works"
    ).split()
)
"""Words before ` at ` that are no local part: `look at booking dot com`."""
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
_FLAG: Final = "(?<![\U0001f1e6-\U0001f1ff])[\U0001f1e6-\U0001f1ff]{2}(?![\U0001f1e6-\U0001f1ff])"
_TAGS: Final = {0xE0000 + point: point for point in range(0x20, 0x7F)}
_MEANT: Final = re.compile(
    r"(?P<percent>(?:%(?:25){0,2}[0-9A-Fa-f]{2})+)"
    r"|(?P<escape>(?-i:(?:\\{1,4}|%)u(?:[0-9A-Fa-f]{4}|\{[0-9A-Fa-f]{1,6}\})"
    r"|\\{1,4}(?:U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}))+)"
    r"|(?P<tags>[\U000e0020-\U000e007e]+)"
    rf"|(?P<flag>{_FLAG})"
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
_IGNORED: Final = re.compile(f"[{IGNORABLE}]+")
_TAG: Final = re.compile("[\U000e0020-\U000e007e]")
_SIGN_RUN: Final = re.compile(f"(?:[{_SIGNS}]|{_FLAG})(?:[{_SIGNS}{IGNORABLE}]|{_FLAG})*")
_NAMELESS: Final = frozenset({"flag", "sign", "at", "dot"})
"""Groups of `_MEANT` that spell no letter or digit of a name."""
_LAST_WORD: Final = re.compile(r"[\w.+-]+\Z")
_SPOKEN_DOT: Final = re.compile(rf"[ ]{_DOT}[ ]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TextReading(FoldedText):
    """What a text can also be read as."""

    has_names: bool
    """Whether names may be in it that the tagger does not find in the text itself."""


def readings(text: str) -> list[TextReading]:
    """Return the readings of a text that differ from it; their offsets are those of the text."""
    found: dict[str, TextReading] = {}

    def add(reading: FoldedText, *, has_names: bool) -> None:
        if reading.text and reading.text != text:
            found.setdefault(reading.text, TextReading(reading.text, reading.origins, reading.ends, has_names))

    for source in _spellings(FoldedText(text, None, None)):
        add(source, has_names=False)  # the tagger's folded text is without these characters, too
        shown = decode_references(source.text)
        if shown is not None:
            shown = shown.within(source)
            add(shown, has_names=True)
        for base in _spellings(shown or source):
            groups: set[str] = set()
            meant = _rewrite(base.text, _MEANT, partial(_meaning, groups=groups))
            if meant is not None:
                add(meant.within(base), has_names=not groups <= _NAMELESS)
    return list(found.values())


def without_touching_signs(text: str) -> str:
    """Return the text, of the same length, with a space in place of emoji and other signs that touch a word.

    The tagger reads it so: it misses a name whose words a sign joins.
    """
    if text.isascii():
        return text
    return _SIGN_RUN.sub(_space, text)


def _space(signs: re.Match[str]) -> str:
    """Return a space, and nothing to see, as long as the signs; the signs where they touch no letter or digit."""
    text, (start, end) = signs.string, signs.span()
    touches = text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()
    return " " + "\u200b" * (end - start - 1) if touches else signs.group()


def _spellings(source: FoldedText) -> list[FoldedText]:
    """Return the text without what nobody sees of it; before it, the text as it is where it has tag characters."""
    bare = None if source.text.isascii() else _rewrite(source.text, _IGNORED, lambda _: "")
    if bare is None:
        return [source]
    bare = bare.within(source)
    return [source, bare] if _TAG.search(source.text) else [bare]


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


def _meaning(match: re.Match[str], groups: set[str]) -> str | None:
    """Return what a match of `_MEANT` stands for, and add its group; None if for itself."""
    group = match.lastgroup or ""
    meaning = _MEANINGS[group](match)
    if meaning is not None:
        groups.add(group)
    return meaning


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


def _at(match: re.Match[str]) -> str | None:
    """Return the sign of an e-mail address, and the domain after it where it is spelled out."""
    if match["spoken_domain"]:
        before = _LAST_WORD.search(match.string, max(match.start() - 64, 0), match.start())
        if before is not None and before.group().lower() in _NO_LOCAL_PART:
            return None
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
    "flag": lambda match: "".join(map(_VEILED.__getitem__, match.group())),
    "veiled": lambda match: _VEILED[match.group()],
    "sign": _sign,
    "at": _at,
    "dot": lambda _: ".",
    "number": _number,
}
"""By the group of `_MEANT`."""
