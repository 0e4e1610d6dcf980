"""Company-specific terms and patterns, from the policy file's section `perimeter`."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from sprat_policy.privacy_rules import PrivacyPolicy, compiled
from sprat_privacy.boundaries import UNSPACED_RANGES, is_seam, unspaced
from sprat_privacy.detection import Detection
from sprat_privacy.normalisation import Folded, fold, normal_text

_FIRST_WORD = re.compile(rf"[^\W_{UNSPACED_RANGES}]+|[{UNSPACED_RANGES}]+")
"""Up to where a script begins that puts no spaces between words."""


@dataclass(frozen=True, slots=True)
class _Term:
    form: str
    """As it stands in a text without case and with single spaces."""
    lead: int
    """How far its first letter or digit is from its beginning."""
    type: str


@dataclass(frozen=True)
class Terms:
    """Finds what the policy lists. Terms count where no letter or digit touches them; patterns wherever they match.

    Terms are looked up by their first word, so time grows with the text and not with their number. Patterns are RE2's:
    none takes more than linear time. They read the text as it is, and once more folded (digits of every script as
    0–9, no zero-width characters, plain spaces and hyphens).
    """

    terms: dict[str, tuple[_Term, ...]]
    """By their first word."""
    unspaced_terms: tuple[_Term, ...]
    """Those whose script has no words to look up; each is searched for."""
    patterns: tuple[tuple[str, Any], ...]
    name: ClassVar[str] = "terms"
    languages: ClassVar[None] = None

    @classmethod
    def of(cls, policy: PrivacyPolicy) -> Self:
        """Make the finder of a policy."""
        terms: dict[str, tuple[_Term, ...]] = {}
        unspaced_terms: list[_Term] = []
        for rule in policy.terms:
            for word in rule.words:
                form = _without_case(word).text.strip()
                first = _FIRST_WORD.search(form)
                if first is None:
                    continue
                if any(map(unspaced, first.group())):
                    unspaced_terms.append(_Term(form, first.start(), rule.type))
                else:
                    known = terms.get(first.group(), ())
                    terms[first.group()] = (*known, _Term(form, first.start(), rule.type))
        return cls(terms, tuple(unspaced_terms), tuple((rule.type, compiled(rule.pattern)) for rule in policy.patterns))

    def find(self, text: str, language: str) -> list[Detection]:
        """Give every term and every match."""
        found = list(self._terms(text)) if self.terms or self.unspaced_terms else []
        if self.patterns:
            found += self._matches(Folded(text, None, None))
            folded = fold(text)
            if folded.text != text:
                found += self._matches(folded)
        return found

    def _terms(self, text: str) -> Iterator[Detection]:
        view = _without_case(text)
        for term, begin in self._candidates(view.text):
            start, end = view.original(begin, begin + len(term.form))
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

    def _matches(self, view: Folded) -> Iterable[Detection]:
        for type, pattern in self.patterns:
            for match in pattern.finditer(view.text):
                if match.end() > match.start():
                    yield Detection(*view.original(match.start(), match.end()), type, self.name)


def _without_case(text: str) -> Folded:
    """Give a text without case and invisible characters, each stretch of white space a single space."""
    plain = normal_text(text, "cased")
    pieces: list[str] = []
    origins: list[int] = []
    ends: list[int] = []
    spaced = False
    for character, origin, end in zip(plain.text, plain.origins or (), plain.ends or (), strict=True):
        space = character.isspace()
        if space and spaced:
            ends[-1] = end
        else:
            pieces.append(" " if space else character)
            origins.append(origin)
            ends.append(end)
        spaced = space
    return Folded("".join(pieces), tuple(origins), tuple(ends))
