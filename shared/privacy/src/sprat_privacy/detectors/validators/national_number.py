"""Tax, identity and social-security numbers of the EU, the UK, the US and some neighbours.

Letters and digits are read together across single separators; the shape of what they give names the rules to ask. So
time grows with the number of groups, not with that of countries.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from sprat_privacy.detectors.validators.context import IDENTITY as IDENTITY_WORDS
from sprat_privacy.detectors.validators.context import SOCIAL as SOCIAL_WORDS
from sprat_privacy.detectors.validators.context import TAX as TAX_WORDS
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
from sprat_privacy.detectors.validators.reading import Hit, Reading, any_word

_FORM: Final = "national"
_MAX_GROUPS: Final = 8
_FEWEST_UNCHECKED: Final = 6
_GROUP = re.compile(r"[^\W_]+")
_BETWEEN = re.compile(r"(?: - |[ .\-/+]{0,2})")
_CERTAIN, _LIKELY, _UNCHECKED = 1.0, 0.6, 0.5
"""A phone number (0.9) outweighs what only likely is a national one."""
_TYPE_WORDS = {TAX: TAX_WORDS, SOCIAL: SOCIAL_WORDS, IDENTITY: IDENTITY_WORDS}


@dataclass(frozen=True, slots=True)
class _Ready:
    """A rule with its patterns."""

    rule: Rule
    words: re.Pattern[str]
    layout: re.Pattern[str] | None


def _by_shape() -> dict[str, tuple[_Ready, ...]]:
    shapes: dict[str, tuple[_Ready, ...]] = {}
    for rule in (*EU_RULES, *OTHER_RULES):
        words = rule.words if rule.name == "ssn (said)" else (*rule.words, *_TYPE_WORDS[rule.type])
        ready = _Ready(rule, any_word(*words), re.compile(rule.layout, re.ASCII) if rule.layout else None)
        for one in rule.shapes:
            shapes[one] = (*shapes.get(one, ()), ready)
    return shapes


_RULES: Final = _by_shape()


@dataclass(frozen=True, slots=True)
class _Group:
    start: int
    end: int
    shape: str


class _Rows:
    """The groups of letters and digits of a text, and which of them follow each other closely."""

    def __init__(self, text: str) -> None:
        self.groups = [_Group(match.start(), match.end(), shape(match.group())) for match in _GROUP.finditer(text)]
        self.joined = [
            right.start - left.end <= 3 and _BETWEEN.fullmatch(text, left.end, right.start) is not None
            for left, right in pairwise(self.groups)
        ]
        """For each group but the last: does the next one follow across a single separator?"""

    def may_begin(self, first: int) -> bool:
        """Say whether a number may begin here: it has a digit in its first groups. Most words are passed by."""
        return any("9" in group.shape for group in self.groups[first : first + 3])

    def windows(self, first: int) -> Iterator[tuple[int, str]]:
        """Give the groups that a number beginning here may end with, and the shape of it."""
        pieces = ""
        for last in range(first, min(first + _MAX_GROUPS, len(self.groups))):
            if last > first and not self.joined[last - 1]:
                return
            pieces += self.groups[last].shape
            if len(pieces) > LONGEST:
                return
            yield last, pieces

    def alone(self, first: int, last: int) -> bool:
        """Say whether no other digits stand next to these groups, as in one longer number."""
        before = first > 0 and self.joined[first - 1] and "9" in self.groups[first - 1].shape
        after = last < len(self.joined) and self.joined[last] and "9" in self.groups[last + 1].shape
        return not (before or after)

    def row_end(self, first: int) -> int:
        """Give the last of the groups with digits that follow each other from here."""
        last = first
        while last < len(self.joined) and self.joined[last] and "9" in self.groups[last + 1].shape:
            last += 1
        return last

    def digits(self, first: int, last: int) -> int:
        """Count the digits of some groups."""
        return sum(group.shape.count("9") for group in self.groups[first : last + 1])


def find(reading: Reading) -> Iterator[Hit]:
    """Give every number that a rule takes for one."""
    if not reading.has_digits:
        return
    rows = _Rows(reading.text)
    first = 0
    while first < len(rows.groups):
        if rows.may_begin(first):
            for last, pieces in rows.windows(first):
                for ready in _RULES.get(pieces, ()):
                    hit = _asked(reading, ready, rows, first, last)
                    if hit is not None:
                        yield hit
        if reading.spent(_FORM):
            # More than can be told apart: the whole row of numbers is masked as it stands.
            last = rows.row_end(first)
            if rows.digits(first, last) >= _FEWEST_UNCHECKED:
                yield Hit(rows.groups[first].start, rows.groups[last].end, IDENTITY, _UNCHECKED)
            first = last
        first += 1


def _asked(reading: Reading, ready: _Ready, rows: _Rows, first: int, last: int) -> Hit | None:
    rule = ready.rule
    start, end = rows.groups[first].start, rows.groups[last].end
    written = reading.text[start:end]
    if not written.isascii():
        return None
    likely = rule.needs == "nothing" or (ready.layout is not None and ready.layout.fullmatch(written) is not None)
    score = _CERTAIN if likely else _LIKELY
    if not likely and rule.needs == "place" and reading.language in rule.languages:
        likely = first == last or rows.alone(first, last)
    if not likely and reading.near(start, end, ready.words):
        likely, score = True, _CERTAIN
    if not likely:
        return None
    if not reading.may_check(_FORM):
        return Hit(start, end, rule.type, _UNCHECKED)
    number = re.sub(r"\s", "", written).upper() if rule.as_written else re.sub(r"[^A-Za-z0-9]", "", written).upper()
    return Hit(start, end, rule.type, score) if rule.is_valid(number) else None
