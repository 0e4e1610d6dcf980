"""What stands of a text for those who ask later, and what may hold it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sprat_gateway.replies.waiters import TextOutcome


@dataclass(frozen=True, slots=True)
class KeptText:
    """A text's outcome, and by what a repeat of it is known."""

    outcome: TextOutcome
    digest: str | None
    """Of the value of the text's record, see `digest_of`; None where it is not known."""
    place: tuple[int, int] | None = None
    """Partition and offset of the text; None where they are not known."""
    appended_ms: int | None = None
    """When the broker appended the text; None where it is not known."""


class TextStore(Protocol):
    """Keeps texts by their uuid. A failure is a text that is not found, never an error."""

    async def find(self, uuid: str, tenant: str, source: str) -> KeptText | None:
        """Return what stands of a text; None where there is none of this tenant and source."""
        ...

    async def keep(self, changed: Sequence[KeptText]) -> None:
        """Keep what is known now of some texts; it replaces what was known before."""
        ...


class TextStores:
    """`TextStore` in several places: all keep, and the most complete that is found counts."""

    def __init__(self, places: Sequence[TextStore]) -> None:
        self._places = places

    async def find(self, uuid: str, tenant: str, source: str) -> KeptText | None:
        """Return what stands of a text in the first place that has all of it, else the most that any has."""
        best: KeptText | None = None
        for place in self._places:
            found = await place.find(uuid, tenant, source)
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
    """Return the digest of the value of a text's record, in hex. Who reads the topic computes the same."""
    return hashlib.sha256(value).hexdigest()
