"""Detector of a company's own terms and patterns, from the policy file's section `perimeter`."""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from sprat_policy import PrivacyPolicy, compile_pattern
from sprat_privacy.boundaries import is_unspaced
from sprat_privacy.detection import Detection
from sprat_privacy.normalisation import BLANKS, FoldedText, fold, is_invisible, normal_character

_WITHIN, _MAY_BEGIN, _SEPARATED = range(3)
"""What is before a character: the same word; another one, by capitals, digits, a sign or the script; a separator."""

_INFLECTIONS: Final = frozenset({"e", "em", "en", "ens", "er", "ern", "es", "n", "ns", "s"})
"""Endings of nouns and names in German, English and the Romance languages."""
_LONGEST_INFLECTION: Final = max(map(len, _INFLECTIONS))
_SHORTEST_INFLECTED: Final = 4
"""Letters of a term's last word from which an ending may follow: `Rote` is not a form of `Rot`."""

_KEY: Final = 2

_BEGINNING: Final = 4
_MOST_BEGINNINGS: Final = 64
"""Up to so many are looked for one by one, which takes less time than to take a text apart."""


@dataclass(frozen=True, slots=True)
class _Compact:
    """A text without case, separators and invisible characters."""

    text: str
    seams: bytes
    """For each character what is before it."""
    origins: list[int]
    """For each character its offset in the text that it comes from."""
    ends: list[int]

    def may_end(self, at: int) -> bool:
        """Return whether a word can end before this character."""
        return at >= len(self.text) or self.seams[at] != _WITHIN


@dataclass(frozen=True, slots=True)
class _Term:
    seams: bytes
    type: str
    inflected: bool
    """Whether an ending may follow."""

    def fits(self, text: _Compact, at: int) -> bool:
        """Return whether its words are words in the text, too, which has its letters from there on."""
        return not any(
            _SEPARATED in pair and _WITHIN in pair
            for pair in zip(self.seams[1:], text.seams[at + 1 : at + len(self.seams)], strict=True)
        )


@dataclass(frozen=True)
class Terms:
    """Detects what the policy lists: terms that are not part of a longer word, and patterns wherever they match.

    Between the words of a term may be any spaces, hyphens and underscores, or nothing where capitals or digits set them
    apart (`projekt-adler`, `ProjektAdler`). An ending of an inflected noun may follow (`Projekt Adlers`).

    Terms are looked up by their first letters and their length, so time grows with the text and not with the number of
    terms. Patterns are RE2's and take linear time. They search the original text and the folded one (digits of every
    script as 0–9, no zero-width characters, plain spaces and hyphens).
    """

    terms: dict[str, tuple[_Term, ...]]
    """Compact text → the terms that have it."""
    lengths: dict[str, tuple[int, ...]]
    """First characters of compact texts → their lengths, the longest first."""
    beginnings: tuple[str, ...] | None
    """The first letters and digits of all terms, one of which is in every text with a term; None if they are many."""
    patterns: tuple[tuple[str, Any], ...]
    name: ClassVar[str] = "terms"
    languages: ClassVar[None] = None

    @classmethod
    def of(cls, policy: PrivacyPolicy) -> Self:
        """Build the detector of a policy."""
        terms: dict[str, dict[_Term, None]] = {}
        lengths: dict[str, set[int]] = {}
        beginnings: dict[str, None] = {}
        for rule in policy.terms:
            for word in rule.words:
                form = _compact(word)
                last = max(at for at in range(len(form.text)) if at == 0 or form.seams[at] != _WITHIN)
                inflected = form.text[last:].isalpha() and len(form.text) - last >= _SHORTEST_INFLECTED
                terms.setdefault(form.text, {})[_Term(form.seams, rule.type, inflected)] = None
                lengths.setdefault(form.text[:_KEY], set()).add(len(form.text))
                beginnings[_beginning(form.text)] = None
        patterns = tuple(
            (rule.type, compile_pattern(rule.pattern, ignore_case=rule.ignore_case)) for rule in policy.patterns
        )
        return cls(
            {text: tuple(known) for text, known in terms.items()},
            {key: tuple(sorted(known, reverse=True)) for key, known in lengths.items()},
            tuple(beginnings) if len(beginnings) <= _MOST_BEGINNINGS else None,
            patterns,
        )

    def find(self, text: str, language: str) -> list[Detection]:
        """Return every term and every match of a pattern."""
        detections = list(self._find_terms(_compact(text))) if self._may_have_terms(text) else []
        if self.patterns:
            detections += self._find_matches(FoldedText(text, None, None))
            folded = fold(text)
            if folded.text != text:
                detections += self._find_matches(folded)
        return detections

    def _may_have_terms(self, text: str) -> bool:
        """Return whether to look for terms; False only if there are none."""
        if self.beginnings is None:
            return True
        plain = unicodedata.normalize("NFKD", text).casefold().translate(_LETTERS)
        return any(beginning in plain for beginning in self.beginnings)

    def _find_terms(self, text: _Compact) -> Iterator[Detection]:
        for at in range(len(text.text)):
            if at and text.seams[at] == _WITHIN:
                continue
            for length in self._lengths_at(text.text, at):
                end = at + length
                for term in self.terms.get(text.text[at:end], ()):
                    stop = _word_end(text, end, inflected=term.inflected)
                    if stop is not None and term.fits(text, at):
                        yield Detection(text.origins[at], text.ends[stop - 1], term.type, self.name)

    def _lengths_at(self, text: str, at: int) -> tuple[int, ...]:
        """Return the lengths of the terms that may be here."""
        lengths = self.lengths.get(text[at : at + _KEY], ()) + self.lengths.get(text[at], ())
        return tuple(length for length in lengths if at + length <= len(text))

    def _find_matches(self, folded: FoldedText) -> Iterable[Detection]:
        for type, pattern in self.patterns:
            for match in pattern.finditer(folded.text):
                if match.end() > match.start():
                    yield Detection(*folded.original(match.start(), match.end()), type, self.name)


def _word_end(text: _Compact, end: int, *, inflected: bool) -> int | None:
    """Return where the word ends of which a term ends here; None if it is a longer word."""
    if text.may_end(end):
        return end
    if not inflected:
        return None
    stop = end + 1
    while not text.may_end(stop) and stop - end <= _LONGEST_INFLECTION:
        stop += 1
    return stop if text.text[end:stop] in _INFLECTIONS else None


class _Letters(dict[int, str | None]):
    """Deletes separators and invisible characters in `str.translate`, and writes digits of every script as 0–9."""

    def __missing__(self, point: int) -> str | None:
        character = chr(point)
        gone = _is_separator(character) or is_invisible(character)
        self[point] = None if gone else str(unicodedata.decimal(character, character))
        return self[point]


_LETTERS: Final = _Letters()


def _beginning(form: str) -> str:
    """Return the first letters and digits that stand next to each other in a compact text, at most so many."""
    first = next(at for at, character in enumerate(form) if character.isalnum())
    last = first
    while last < len(form) and form[last].isalnum() and last - first < _BEGINNING:
        last += 1
    return form[first:last]


def _compact(text: str) -> _Compact:
    """Return a text without case and separators, with what was between its characters."""
    pieces: list[str] = []
    seams = bytearray()
    origins: list[int] = []
    ends: list[int] = []
    before = "", ""
    """The kinds of the last two letters, digits or signs."""
    first = 0
    """Place of the last one of them."""
    separated = True
    for offset, character in enumerate(text):
        if _is_separator(character):
            separated = True
            continue
        form = normal_character(character, "caseless")
        if not form:
            continue
        kind = _kind(character)
        seam = _SEPARATED if separated else _WITHIN
        if kind == "mark":
            seam = max(seam, _MAY_BEGIN)
        else:
            if seam == _WITHIN and _is_seam(before[1], kind):
                seam = _MAY_BEGIN
            elif seam == _WITHIN and (*before, kind) == ("upper", "upper", "lower"):  # the `S` of `HTTPServer`
                seams[first] = max(seams[first], _MAY_BEGIN)
            before = ("", kind) if seam == _SEPARATED else (before[1], kind)
            first = len(pieces)
        separated = False
        pieces += form
        seams.append(seam)
        seams.extend([_WITHIN] * (len(form) - 1))
        origins += [offset] * len(form)
        ends += [offset + 1] * len(form)
    return _Compact("".join(pieces), bytes(seams), origins, ends)


def _is_seam(before: str, after: str) -> bool:
    """Return whether a word may begin between two characters of these kinds."""
    if {before, after} & {"unspaced", "sign"}:
        return True
    return (before == "lower" and after == "upper") or (before == "digit") != (after == "digit")


def _kind(character: str) -> str:
    if character.isdecimal():
        return "digit"
    if is_unspaced(character):
        return "unspaced"
    if character.isalnum():
        return "upper" if character.isupper() else "lower"
    return "mark" if unicodedata.category(character)[0] == "M" else "sign"


def _is_separator(character: str) -> bool:
    return character.isspace() or character in BLANKS or character == "_" or unicodedata.category(character) == "Pd"
