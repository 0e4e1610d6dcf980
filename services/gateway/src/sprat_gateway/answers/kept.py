"""What stands of a text for those who ask later, and what may hold it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic_core import from_json

from sprat_gateway.replies.waiters import TextOutcome


@dataclass(frozen=True, slots=True)
class KeptText:
    """A text's outcome, and by what a repeat of it is known."""

    outcome: TextOutcome
    digest: str
    """Of the text's record: see `digest_of`."""
    partition: int | None = None
    """Of the topic of texts; None where it is not known."""
    appended_ms: int | None = None
    """When the broker appended the text; None where it is not known."""


class TextStore(Protocol):
    """Keeps texts by their uuid. A failure is a text that is not found, never an error."""

    async def find(self, uuid: str) -> KeptText | None:
        """Return what stands of a text, whoever's it is."""
        ...

    async def keep(self, changed: Sequence[KeptText]) -> None:
        """Keep what is known now of some texts; it replaces what was known before."""
        ...


class TextStores:
    """`TextStore` in several places: all keep, and the most complete that is found counts."""

    def __init__(self, places: Sequence[TextStore]) -> None:
        self._places = places

    async def find(self, uuid: str) -> KeptText | None:
        """Return what stands of a text in the first place that has all of it, else the most that any has."""
        best: KeptText | None = None
        for place in self._places:
            found = await place.find(uuid)
            if found is not None and (best is None or _known(found) > _known(best)):
                best = found
            if best is not None and best.outcome.complete:
                break
        return best

    async def keep(self, changed: Sequence[KeptText]) -> None:
        """Keep them in all places."""
        for place in self._places:
            await place.keep(changed)


def _known(kept: KeptText) -> int:
    return len(kept.outcome.results) + len(kept.outcome.rejected)


def digest_of(value: bytes) -> str:
    """Return the digest of a text's record: two that differ in white space or in the order of fields have the same.

    It does not depend on the version: nothing is filled in. Who reads the topic computes the same.

    Raises:
        ValueError: it is no JSON.
    """
    canonical = json.dumps(from_json(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()
