"""Detector of a company's own terms and patterns, from the policy file's section `perimeter`."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from sprat_policy import PrivacyPolicy, compile_pattern
from sprat_privacy.boundaries import UNSPACED_RANGES, is_seam, is_unspaced
from sprat_privacy.detection import Detection
from sprat_privacy.normalisation import FoldedText, fold, normal_text

_FIRST_WORD = re.compile(rf"[^\W_{UNSPACED_RANGES}]+|[{UNSPACED_RANGES}]+")
"""A word, or a run of characters of scripts without spaces between words."""


@dataclass(frozen=True, slots=True)
class _Term:
    form: str
    """Without case and with single spaces."""
    lead: int
    """Offset of its first letter or digit."""
    type: str


@dataclass(frozen=True)
class Terms:
    """Detects what the policy lists: terms that no letter or digit touches, and patterns wherever they match.

    Terms are looked up by their first word, so time grows with the text and not with the number of terms. Patterns are
    RE2's and take linear time. They search the original text and the folded one (digits of every script as 0–9, no
    zero-width characters, plain spaces and hyphens).
    """

    terms: dict[str, tuple[_Term, ...]]
    """First word → the terms that begin with it."""
    unspaced_terms: tuple[_Term, ...]
    """Terms in scripts without spaces between words; each is searched for on its own."""
    patterns: tuple[tuple[str, Any], ...]
    name: ClassVar[str] = "terms"
    languages: ClassVar[None] = None

    @classmethod
    def of(cls, policy: PrivacyPolicy) -> Self:
        """Build the detector of a policy."""
        terms: dict[str, tuple[_Term, ...]] = {}
        unspaced_terms: list[_Term] = []
        for rule in policy.terms:
            for word in rule.words:
                form = _caseless(word).text.strip()
                first = _FIRST_WORD.search(form)
                if first is None:
                    continue
                if any(map(is_unspaced, first.group())):
                    unspaced_terms.append(_Term(form, first.start(), rule.type))
                else:
                    known = terms.get(first.group(), ())
                    terms[first.group()] = (*known, _Term(form, first.start(), rule.type))
        patterns = tuple((rule.type, compile_pattern(rule.pattern)) for rule in policy.patterns)
        return cls(terms, tuple(unspaced_terms), patterns)

    def find(self, text: str, language: str) -> list[Detection]:
        """Return every term and every match of a pattern."""
        detections = list(self._find_terms(text)) if self.terms or self.unspaced_terms else []
        if self.patterns:
            detections += self._find_matches(FoldedText(text, None, None))
            folded = fold(text)
            if folded.text != text:
                detections += self._find_matches(folded)
        return detections

    def _find_terms(self, text: str) -> Iterator[Detection]:
        caseless = _caseless(text)
        for term, begin in self._candidates(caseless.text):
            start, end = caseless.original(begin, begin + len(term.form))
            if is_seam(text, start) and is_seam(text, end):
                yield Detection(start, end, term.type, self.name)

    def _candidates(self, text: str) -> Iterator[tuple[_Term, int]]:
        for word in _FIRST_WORD.finditer(text):
            for term in self.terms.get(word.group(), ()):
                begin = word.start() - term.lead
                if begin >= 0 and text.startswith(term.form, begin):
                    yield term, begin
        for term in self.unspaced_terms:
            begin = text.find(term.form)
            while begin >= 0:
                yield term, begin
                begin = text.find(term.form, begin + 1)

    def _find_matches(self, folded: FoldedText) -> Iterable[Detection]:
        for type, pattern in self.patterns:
            for match in pattern.finditer(folded.text):
                if match.end() > match.start():
                    yield Detection(*folded.original(match.start(), match.end()), type, self.name)


def _caseless(text: str) -> FoldedText:
    """Return a text without case and invisible characters, with each run of white space as a single space."""
    plain = normal_text(text, "caseless")
    pieces: list[str] = []
    origins: list[int] = []
    ends: list[int] = []
    after_space = False
    for character, origin, end in zip(plain.text, plain.origins or (), plain.ends or (), strict=True):
        is_space = character.isspace()
        if is_space and after_space:
            ends[-1] = end
        else:
            pieces.append(" " if is_space else character)
            origins.append(origin)
            ends.append(end)
        after_space = is_space
    return FoldedText("".join(pieces), tuple(origins), tuple(ends))
