"""What stands in a text in place of what is personal: `[PERSON_1]`."""

import re
import unicodedata
from collections.abc import Collection, Hashable
from dataclasses import dataclass, field

_STANDING = re.compile(r"\[([A-Z][A-Z0-9_]{0,31})_([0-9]{1,9})\]")
_RESEMBLING = re.compile(r"\[[ ]*([a-z][a-z0-9_]{0,31})[ _-]{1,3}([0-9]{1,9})[ ]*\]")
"""A placeholder whose case, spaces or hyphens somebody changed, in a text that is folded to lower case."""


def placeholder(type: str, number: int) -> str:
    """Write one."""
    return f"[{type}_{number}]"


def standing_in(text: str) -> list[str]:
    """Give every placeholder of a text, in order, whoever wrote it."""
    return [match.group() for match in _STANDING.finditer(text)]


def resembling_in(text: str) -> list[str]:
    """Give what is a placeholder but for case, spaces and hyphens, in order, all written the same way."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return [f"[{match[1]}_{match[2]}]" for match in _RESEMBLING.finditer(folded)]


@dataclass(slots=True)
class Numbering:
    """Gives each value of a text its placeholder: numbered by type, from 1, the same for the same value.

    A placeholder that stands in the text already, or resembles one that does, is not given.
    """

    taken: Collection[str]
    """What stands in the text, as `resembling_in` gives it."""
    _given: dict[Hashable, str] = field(default_factory=dict)
    _last: dict[str, int] = field(default_factory=dict)

    def give(self, names: Collection[Hashable], type: str) -> str:
        """Give the placeholder of the value that goes by these names; the type counts where none of them is known."""
        given = next((self._given[name] for name in names if name in self._given), None) or self._next(type)
        for name in names:
            self._given.setdefault(name, given)
        return given

    def _next(self, type: str) -> str:
        number = self._last.get(type, 0) + 1
        while placeholder(type, number).lower() in self.taken:
            number += 1
        self._last[type] = number
        return placeholder(type, number)
