"""What of a text was not understood: fields that no reader knows, with the known one that was probably meant.

The names of such fields are the sender's own: one may hold a personal value or a secret. A name is quoted only where it
is like a known one, and values never.
"""

import re
from collections.abc import Collection, Iterable
from difflib import SequenceMatcher, get_close_matches
from itertools import islice
from typing import Final

from sprat_contracts.base import Part
from sprat_contracts.codes import ReasonCode
from sprat_contracts.texts import TextSubmitted, TextWarning

MAX_WARNINGS: Final = 8
"""Of a text; the last one counts the others."""

_LOOKED_AT: Final = 64
"""Names that are compared: a text may have thousands."""
_VERY_LIKE: Final = 0.8
_QUOTABLE: Final = re.compile(r"[A-Za-z][A-Za-z_-]{0,31}")
"""Secrets, and numbers of people, have digits."""

_ID: Final = "the id of a text is the header ce_id; carry an id of your own in reference"
_USUAL: Final = {
    "id": _ID,
    "textid": _ID,
    "messageid": _ID,
    "requestid": _ID,
    "eventid": _ID,
    "priority": "texts have no priority; deadline_ms says how long a hard case may wait",
    "metadata": "carry keys and values of your own in reference",
    "source": "the source of a text is the header ce_source",
    "timestamp": "the time of a text is that of its record",
}
"""What producers of other systems often send, without case, `-` and `_`, and what to send instead."""


def warnings_of(text: TextSubmitted, noted: Iterable[TextWarning] = ()) -> tuple[TextWarning, ...]:
    """Return what of a text was not understood, at most MAX_WARNINGS; `noted` was found while it was read.

    An unknown field that is null asks for nothing, so it is no warning.
    """
    names = [
        (path, name, part)
        for path, part in text.parts()
        for name, given in (part.model_extra or {}).items()
        if given is not None
    ]
    told = list(noted)
    count = max(0, len(names) - _LOOKED_AT)
    for path, name, part in names[:_LOOKED_AT]:
        quoted = _quoted(name, part) if len(told) < MAX_WARNINGS - 1 else None
        if quoted is None:
            count += 1
        else:
            told.append(TextWarning(code=ReasonCode.UNKNOWN_FIELD, detail=path + quoted))
    if count:
        detail = f"{count} unknown field{'s' * (count > 1)} whose name is not shown"
        told.append(TextWarning(code=ReasonCode.UNKNOWN_FIELD, detail=detail))
    return tuple(told)


def misspelt(missing: str, names: Iterable[str], known: Collection[str]) -> str | None:
    """Return the name that a sender has probably given to a missing field; None where none is like it."""
    unknown = [name for name in islice(names, _LOOKED_AT) if name not in known and _QUOTABLE.fullmatch(name)]
    return next(iter(get_close_matches(missing, unknown, n=1)), None)


def _quoted(name: str, part: Part) -> str | None:
    """Return a name with the field of `part` that it is like; None where it is like none, or may not be shown.

    Of a text that is read, all mandatory fields are there. So a name must be very like one of these.
    """
    fields = type(part).model_fields
    if isinstance(part, TextSubmitted) and (advice := _USUAL.get(re.sub(r"[-_]", "", name.lower()))):
        return f"{name}: {advice}"
    meant = get_close_matches(name.lower(), fields, n=1) if _QUOTABLE.fullmatch(name) else []
    if not meant or (fields[meant[0]].is_required() and not _very_like(name.lower(), meant[0])):
        return None
    if meant[0] in part.model_fields_set:
        return f"{name}, the field is {meant[0]}, which is there"
    return f"{name}, did you mean {meant[0]}?"


def _very_like(name: str, field: str) -> bool:
    """Return whether one or two letters are missing or too many: `txt` is so like `text`, and `ticket` is not."""
    return SequenceMatcher(None, name, field).ratio() >= _VERY_LIKE
