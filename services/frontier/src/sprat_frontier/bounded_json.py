"""JSON of a provider, read within bounds of memory and time."""

from typing import Any, Final

from pydantic import TypeAdapter

MAX_BRACKETS: Final = 32_768
"""Opening ones, in strings, too. Each may make an object; 2,000 mentions take 2,001, and the rest is for the text's."""
_ANYTHING: Final = TypeAdapter[Any](Any)


def read_json(written: bytes) -> Any:
    """Return what the JSON says.

    Pydantic's reading takes 170 bytes of memory for each byte of empty objects, hence the bound.

    Raises:
        ValueError: it is not JSON, or has too many brackets. The message may quote it.
    """
    if written.count(b"{") + written.count(b"[") > MAX_BRACKETS:
        raise ValueError("too many brackets")
    return _ANYTHING.validate_json(written)
