"""Where a text stands, as every message derived from it says, and the key that all of them carry."""

import base64

from sprat.delivery.outcomes import Received
from sprat_contracts import Message, Origin


def origin_of(received: Received[Message]) -> Origin:
    """Make the origin of a text that was just read."""
    return Origin(
        partition=received.partition,
        offset=received.offset,
        appended_at=received.appended_at,
        key=None if received.key is None else base64.b64encode(received.key).decode(),
    )


def record_key(origin: Origin, text_id: str) -> bytes:
    """Give the upstream's key; the text's id where it gave none, or where a foreign producer wrote no base64."""
    if origin.key is not None:
        try:
            return base64.b64decode(origin.key, validate=True)
        except ValueError:
            return text_id.encode()
    return text_id.encode()
