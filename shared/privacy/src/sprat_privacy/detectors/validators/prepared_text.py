"""The text that all validators search, prepared once."""

import re
import unicodedata
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

from sprat_contracts.languages import primary_subtag
from sprat_privacy.normalisation import FoldedText, fold

MAX_CHECKS = 2000
"""How many numbers of a text are checked for each type. A text full of digits must not block the service: beyond this,
whatever looks like the type is masked unchecked."""

BEFORE = 48
AFTER = 24
"""How many characters before and after a number a context word may be."""

_GLUED = re.compile(
    r"(?<![^\W_])[^\W\d_]{3,}+(?=\(?[0-9](?:[ .\-/()]{0,2}[0-9]){6})"
    r"|[^\W\d_](?=\+ ?\(?[0-9](?:[ .\-/()]{0,2}[0-9]){6})"
    r"|(?:[0-9][ .\-/()]{0,2}){6}[0-9](?=[^\W\d_]{3,}+(?![0-9]))"
)
"""A word directly before a number of seven digits or more, any letter before the `+` of one, or a number directly
before a word. Words have three letters at least: `AB1234567` is a code."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A span that a validator found; offsets count in the folded text."""

    start: int
    end: int
    type: str
    score: float = 1.0


@dataclass(slots=True)
class CheckBudget:
    """How many more numbers may be checked."""

    left: int = MAX_CHECKS

    def spend(self) -> bool:
        """Use one check; return False if none is left."""
        self.left -= 1
        return self.left >= 0


@dataclass(frozen=True)
class PreparedText:
    """The folded text, its language, and what the validators share. Without slots: derived values are cached."""

    folded: FoldedText
    language: str
    """Primary tag."""
    region: str | None
    """The region of the language tag in upper case: GB of en-GB."""
    budgets: dict[str, CheckBudget] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Return the folded text."""
        return self.folded.text

    @cached_property
    def lower(self) -> str:
        """Return the text in lower case without accents, of the same length."""
        return self.text.lower() if self.text.isascii() else "".join(map(_lower, self.text))

    @cached_property
    def has_digits(self) -> bool:
        """Return whether the text has a digit."""
        return re.search(r"[0-9]", self.text) is not None

    def near(self, start: int, end: int, words: re.Pattern[str]) -> bool:
        """Return whether one of the words is shortly before or after the span."""
        return self.before(start, words) or words.search(self.lower, end, end + AFTER) is not None

    def before(self, start: int, words: re.Pattern[str]) -> bool:
        """Return whether one of the words is shortly before `start`."""
        return words.search(self.lower, max(0, start - BEFORE), start) is not None

    def is_isolated(self, start: int, end: int) -> bool:
        """Return whether no letter or digit touches the span."""
        text = self.text
        return not ((start > 0 and text[start - 1].isalnum()) or (end < len(text) and text[end].isalnum()))

    def may_check(self, type: str) -> bool:
        """Use one of the checks of a type; return False if none is left."""
        return self.budgets.setdefault(type, CheckBudget()).spend()

    def with_numbers_apart(self) -> "PreparedText | None":
        """Return the text with a space between each number and the words that touch it; None where none does."""
        cuts = [match.end() for match in _GLUED.finditer(self.text)] if self.has_digits else []
        return replace(self, folded=self.folded.with_spaces(cuts)) if cuts else None

    def is_spent(self, type: str) -> bool:
        """Return whether a type has no checks left."""
        return type in self.budgets and self.budgets[type].left <= 0


def prepare(text: str, language: str) -> PreparedText:
    """Fold a text and parse its language tag (BCP 47)."""
    subtags = language.replace("_", "-").split("-")[1:]
    region = next((tag.upper() for tag in subtags if re.fullmatch(r"[A-Za-z]{2}", tag)), None)
    return PreparedText(fold(text), primary_subtag(language), region)


def any_word(*words: str) -> re.Pattern[str]:
    """Return a pattern that finds one of the words in `PreparedText.lower`; `word*` also matches longer words."""
    listed = sorted({"".join(map(_lower, word)) for word in words}, key=lambda word: (-len(word), word))
    forms = (re.escape(word[:-1]) if word.endswith("*") else re.escape(word) + r"(?![^\W_])" for word in listed)
    return re.compile(r"(?<![^\W_])(?:" + "|".join(forms) + ")")


@lru_cache(maxsize=8192)
def _lower(character: str) -> str:
    """Return a character in lower case without its accent; always a single character."""
    lower = unicodedata.normalize("NFKD", character)[:1].lower()
    return lower if len(lower) == 1 else character
