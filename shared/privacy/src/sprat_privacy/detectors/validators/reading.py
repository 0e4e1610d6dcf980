"""A text as all validators read it, once."""

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from sprat_contracts.languages import primary_subtag
from sprat_privacy.normalisation import Folded, fold

MAX_CHECKS = 2000
"""Numbers of a text that are checked for each form. A table of digits must not hold up the service: what looks like the
form beyond that is masked unchecked."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A stretch of the folded text."""

    start: int
    end: int
    type: str
    score: float = 1.0


@dataclass(slots=True)
class Checks:
    """How many more numbers may be checked."""

    left: int = MAX_CHECKS

    def spend(self) -> bool:
        """Take one; false when none is left."""
        self.left -= 1
        return self.left >= 0


@dataclass(frozen=True)
class Reading:
    """The folded text and what validators share of it. Not slotted: what is derived is kept."""

    folded: Folded
    language: str
    """Primary tag."""
    region: str | None
    """Of the language's tag, upper case: GB of en-GB."""
    checks: dict[str, Checks] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Give the text to read."""
        return self.folded.text

    @cached_property
    def lower(self) -> str:
        """Give the text in small letters without accents, of the same length."""
        return self.text.lower() if self.text.isascii() else "".join(map(_small, self.text))

    @cached_property
    def has_digits(self) -> bool:
        """Is there a digit?"""
        return re.search(r"[0-9]", self.text) is not None

    def near(self, start: int, end: int, words: re.Pattern[str]) -> bool:
        """Does one of the words stand shortly before or after?"""
        return self.before(start, words) or words.search(self.lower, end, end + AFTER) is not None

    def before(self, start: int, words: re.Pattern[str]) -> bool:
        """Does one of the words stand shortly before?"""
        return words.search(self.lower, max(0, start - BEFORE), start) is not None

    def stands_alone(self, start: int, end: int) -> bool:
        """Does no letter or digit touch the stretch?"""
        text = self.text
        return not ((start > 0 and text[start - 1].isalnum()) or (end < len(text) and text[end].isalnum()))

    def may_check(self, form: str) -> bool:
        """Take one of the checks of a form; false when there is none left."""
        return self.checks.setdefault(form, Checks()).spend()

    def spent(self, form: str) -> bool:
        """Say whether a form has no checks left."""
        return form in self.checks and self.checks[form].left <= 0


BEFORE = 48
AFTER = 24
"""How far from a number a word may stand that says what it is, in characters."""


def read(text: str, language: str) -> Reading:
    """Fold a text and note its language."""
    subtags = language.replace("_", "-").split("-")[1:]
    region = next((tag.upper() for tag in subtags if re.fullmatch(r"[A-Za-z]{2}", tag)), None)
    return Reading(fold(text), primary_subtag(language), region)


def any_word(*words: str) -> re.Pattern[str]:
    """Give a pattern that finds one of the words in `Reading.lower`; one with a `*` also begins longer ones."""
    listed = sorted({"".join(map(_small, word)) for word in words}, key=lambda word: (-len(word), word))
    forms = (re.escape(word[:-1]) if word.endswith("*") else re.escape(word) + r"(?![^\W_])" for word in listed)
    return re.compile(r"(?<![^\W_])(?:" + "|".join(forms) + ")")


@lru_cache(maxsize=8192)
def _small(character: str) -> str:
    small = unicodedata.normalize("NFKD", character)[:1].lower()
    return small if len(small) == 1 else character
