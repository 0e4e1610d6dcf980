"""Tax, identity and social-security numbers of the EU, the UK, the US and some neighbours; numbers of documents.

National numbers: adjacent groups of letters and digits are joined across single separators, and the shape of the
result selects the rules to apply. So time grows with the number of groups, not with the number of countries.

Documents (passports, identity cards, driving licences) have no form of their own; a context word introduces them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from sprat_privacy.detectors.validators.context_words import DOCUMENT_WORDS, IDENTITY_WORDS, SOCIAL_WORDS, TAX_WORDS
from sprat_privacy.detectors.validators.national_rules import (
    EU_RULES,
    IDENTITY,
    LONGEST,
    OTHER_RULES,
    SOCIAL,
    TAX,
    Rule,
    shape,
)
from sprat_privacy.detectors.validators.prepared_text import Hit, PreparedText, any_word

_BUDGET: Final = "national"
"""One budget of checks for all rules."""
_MAX_GROUPS: Final = 8
_MIN_DIGITS_UNCHECKED: Final = 6
_GROUP = re.compile(r"[^\W_]+")
_BETWEEN = re.compile(r"(?: - |[ .\-/+]{0,2})")
_CERTAIN, _LIKELY, _UNCHECKED = 1.0, 0.6, 0.5
"""Scores. A phone number (0.9) outweighs a likely national number."""
_TYPE_WORDS = {TAX: TAX_WORDS, SOCIAL: SOCIAL_WORDS, IDENTITY: IDENTITY_WORDS}


@dataclass(frozen=True, slots=True)
class _CompiledRule:
    """A rule with its compiled patterns."""

    rule: Rule
    words: re.Pattern[str]
    layout: re.Pattern[str] | None


def _compile_by_shape() -> dict[str, tuple[_CompiledRule, ...]]:
    shapes: dict[str, tuple[_CompiledRule, ...]] = {}
    for rule in (*EU_RULES, *OTHER_RULES):
        words = rule.words if rule.name == "ssn (said)" else (*rule.words, *_TYPE_WORDS[rule.type])
        compiled = _CompiledRule(rule, any_word(*words), re.compile(rule.layout, re.ASCII) if rule.layout else None)
        for each in rule.shapes:
            shapes[each] = (*shapes.get(each, ()), compiled)
    return shapes


_RULES: Final = _compile_by_shape()


@dataclass(frozen=True, slots=True)
class _Group:
    start: int
    end: int
    shape: str


class _Groups:
    """The groups of letters and digits of a text, and which of them are adjacent."""

    def __init__(self, text: str) -> None:
        self.items = [_Group(match.start(), match.end(), shape(match.group())) for match in _GROUP.finditer(text)]
        self.joined = [
            right.start - left.end <= 3 and _BETWEEN.fullmatch(text, left.end, right.start) is not None
            for left, right in pairwise(self.items)
        ]
        """For each group but the last: whether the next one follows after a single separator."""

    def may_begin(self, first: int) -> bool:
        """Return whether a number may begin at this group: one of its first groups has a digit. Skips most words."""
        return any("9" in group.shape for group in self.items[first : first + 3])

    def windows(self, first: int) -> Iterator[tuple[int, str]]:
        """Yield each group with which a number that begins at `first` may end, with the number's shape."""
        joined_shape = ""
        for last in range(first, min(first + _MAX_GROUPS, len(self.items))):
            if last > first and not self.joined[last - 1]:
                return
            joined_shape += self.items[last].shape
            if len(joined_shape) > LONGEST:
                return
            yield last, joined_shape

    def is_isolated(self, first: int, last: int) -> bool:
        """Return whether no other digits are adjacent to these groups, as in a longer number."""
        before = first > 0 and self.joined[first - 1] and "9" in self.items[first - 1].shape
        after = last < len(self.joined) and self.joined[last] and "9" in self.items[last + 1].shape
        return not (before or after)

    def row_end(self, first: int) -> int:
        """Return the last of the adjacent groups with digits from here on."""
        last = first
        while last < len(self.joined) and self.joined[last] and "9" in self.items[last + 1].shape:
            last += 1
        return last

    def digits(self, first: int, last: int) -> int:
        """Return the number of digits in these groups."""
        return sum(group.shape.count("9") for group in self.items[first : last + 1])


def find_national_numbers(source: PreparedText) -> Iterator[Hit]:
    """Find every number that a rule accepts."""
    if not source.has_digits:
        return
    groups = _Groups(source.text)
    first = 0
    while first < len(groups.items):
        if groups.may_begin(first):
            for last, joined_shape in groups.windows(first):
                for compiled in _RULES.get(joined_shape, ()):
                    hit = _apply(compiled, source, groups, first, last)
                    if hit is not None:
                        yield hit
        if source.is_spent(_BUDGET):
            # Too many numbers to check: the whole row of digits is masked.
            last = groups.row_end(first)
            if groups.digits(first, last) >= _MIN_DIGITS_UNCHECKED:
                yield Hit(groups.items[first].start, groups.items[last].end, IDENTITY, _UNCHECKED)
            first = last
        first += 1


def _apply(compiled: _CompiledRule, source: PreparedText, groups: _Groups, first: int, last: int) -> Hit | None:
    """Return a hit if the groups from `first` to `last` satisfy what the rule needs and its check."""
    rule = compiled.rule
    start, end = groups.items[first].start, groups.items[last].end
    written = source.text[start:end]
    if not written.isascii():
        return None
    likely = rule.needs == "nothing" or (compiled.layout is not None and compiled.layout.fullmatch(written) is not None)
    score = _CERTAIN if likely else _LIKELY
    if not likely and rule.needs == "place" and source.language in rule.languages:
        likely = first == last or groups.is_isolated(first, last)
    if not likely and source.near(start, end, compiled.words):
        likely, score = True, _CERTAIN
    if not likely:
        return None
    if not source.may_check(_BUDGET):
        return Hit(start, end, rule.type, _UNCHECKED)
    number = re.sub(r"\s", "", written).upper() if rule.as_written else re.sub(r"[^A-Za-z0-9]", "", written).upper()
    return Hit(start, end, rule.type, score) if rule.is_valid(number) else None


_DOCUMENT_PATTERNS = {type: any_word(*words) for type, words in DOCUMENT_WORDS.items()}
_DOCUMENT_NUMBER = re.compile(
    r"(?<![^\W_])(?:[A-Z]{1,3}[ -])?[A-Za-z0-9]*[0-9][A-Za-z0-9]*"
    r"(?:[ -][A-Za-z0-9]{0,8}[0-9][A-Za-z0-9]{0,8}){0,5}(?![^\W_])"
)
_DOCUMENT_REACH = 40
"""Most characters from the word to the end of its number."""
_SHORTEST_DOCUMENT, _LONGEST_DOCUMENT, _FEWEST_DIGITS = 5, 20, 4


def find_document_numbers(source: PreparedText) -> Iterator[Hit]:
    """Find the first number after each word for a document."""
    if not source.has_digits:
        return
    for type, words in _DOCUMENT_PATTERNS.items():
        for word in words.finditer(source.lower):
            number = _DOCUMENT_NUMBER.search(source.text, word.end(), word.end() + _DOCUMENT_REACH)
            if number is None:
                continue
            compact = [character for character in number.group() if character.isalnum()]
            digits = sum(map(str.isdigit, compact))
            if _SHORTEST_DOCUMENT <= len(compact) <= _LONGEST_DOCUMENT and digits >= _FEWEST_DIGITS:
                yield Hit(number.start(), number.end(), type, 0.8)
