"""What of a text was not understood: fields that no reader knows, with the known one that was probably meant.

The names of such fields are the sender's own: one may hold a personal value or a secret. A name is quoted only where it
is like a known one, and values never.
"""

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from functools import cache
from itertools import islice
from typing import Final

from sprat_contracts.base import Part
from sprat_contracts.codes import ReasonCode
from sprat_contracts.texts import TextSubmitted, TextWarning

MAX_WARNINGS: Final = 8
"""Of a text; the last one counts the others."""

_LOOKED_AT: Final = 64
"""Names that are compared: a text may have thousands."""
_QUOTABLE: Final = re.compile(r"[A-Za-z][A-Za-z_-]{0,31}")
"""Secrets, and numbers of people, have digits."""


def warnings_of(text: TextSubmitted, noted: Iterable[TextWarning] = ()) -> tuple[TextWarning, ...]:
    """Return what of a text was not understood, at most MAX_WARNINGS; `noted` was found while it was read.

    An unknown field that is null asks for nothing, so it is no warning.
    """
    parts: list[tuple[str, Part]] = [("", text), *((f"tasks.{task}.", each) for task, each in text.tasks.known.items())]
    names = [
        (path, name, _optional(type(part)))
        for path, part in parts
        for name, given in (part.model_extra or {}).items()
        if given is not None
    ]
    told = list(noted)
    count = max(0, len(names) - _LOOKED_AT)
    for path, name, known in names[:_LOOKED_AT]:
        quoted = _quoted(name, known) if len(told) < MAX_WARNINGS - 1 else None
        if quoted is None:
            count += 1
        else:
            told.append(TextWarning(code=ReasonCode.UNKNOWN_FIELD, detail=path + quoted))
    if count:
        detail = f"{count} unknown field{'s' * (count > 1)} whose name is not shown"
        told.append(TextWarning(code=ReasonCode.UNKNOWN_FIELD, detail=detail))
    return tuple(told)


@cache
def _optional(part: type[Part]) -> tuple[str, ...]:
    """Return the fields that may be misspelt: a text that is read has all mandatory ones."""
    return tuple(name for name, field in part.model_fields.items() if not field.is_required())


def misspelt(missing: str, names: Iterable[str], known: Collection[str]) -> str | None:
    """Return the name that a sender has probably given to a missing field; None where none is like it."""
    unknown = [name for name in islice(names, _LOOKED_AT) if name not in known and _QUOTABLE.fullmatch(name)]
    return next(iter(get_close_matches(missing, unknown, n=1)), None)


def _quoted(name: str, known: Iterable[str]) -> str | None:
    """Return a name with the known one that it is like; None where it is like none, or may not be shown."""
    meant = get_close_matches(name.lower(), known, n=1) if _QUOTABLE.fullmatch(name) else []
    return f"{name}, did you mean {meant[0]}?" if meant else None
