"""Names of record headers.

Kafka tells capitals from small letters. CloudEvents, W3C trace context and Sprat write small ones, but not every client
does: `CE_ID`, `Content-Type`.
"""

from collections.abc import Iterable
from typing import Final

from sprat_contracts.signing import SIGNATURE_HEADER

ATTRIBUTE: Final = "ce_"
"""How the header of a CloudEvents attribute begins."""
_ANY_CASE: Final = frozenset({"content-type", "traceparent", "tracestate", SIGNATURE_HEADER})


def header_name(name: str) -> str:
    """Return the name under which a header is read: in small letters where senders write it.

    What only Sprat writes, such as `sprat_replay_for`, is read as it stands.
    """
    small = name.lower()
    return small if small.startswith(ATTRIBUTE) or small in _ANY_CASE else name


def decoded(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """Return the headers as strings, by the names that services read; of duplicates the last counts, as for them."""
    return {header_name(name): (value or b"").decode("utf-8", "replace") for name, value in headers}
