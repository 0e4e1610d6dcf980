"""What a rule for a national number says, and how rules are found by the shape of a number."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

TAX = "TAX_ID"
SOCIAL = "SOCIAL_SECURITY"
IDENTITY = "GOVERNMENT_ID"

Needs = Literal["nothing", "place", "word"]
"""What a number needs beyond its shape and its check, to be taken for one.

nothing   its shape or its check is seen in no other number
place     many numbers look so, every tenth or so passes the check: the text is in a language of the country, and the
          number stands in one piece or no other digits stand next to it; or a word says what it is
word      there is no check digit: a word says what it is
"""

_DIGIT = re.compile(r"[0-9]")
_LETTER = re.compile(r"[A-Za-z]")


def shape(written: str) -> str:
    """Give the shape of letters and digits: `9` for each digit, `A` for each letter."""
    return _LETTER.sub("A", _DIGIT.sub("9", written))


@dataclass(frozen=True, slots=True)
class Rule:
    """One number of one country."""

    country: str
    name: str
    type: str
    shapes: tuple[str, ...]
    """Letters and digits in a row, without what stands between."""
    is_valid: Callable[[str], bool]
    """Of the letters and digits in capitals; of the number as it is written where `as_written`."""
    needs: Needs
    words: tuple[str, ...] = ()
    """Its own, besides those of its type."""
    languages: tuple[str, ...] = ()
    layout: str | None = None
    """A pattern; a number that is written so needs nothing else."""
    as_written: bool = False


def no_check(_: str) -> bool:
    """Take any: the number has no check digit."""
    return True


def digits(*counts: int) -> tuple[str, ...]:
    """Give the shapes of so many digits."""
    return tuple("9" * count for count in counts)


LONGEST: Final = 18
"""Letters and digits of the longest number."""
