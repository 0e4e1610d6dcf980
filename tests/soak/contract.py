"""What the contract says of a record, read by hand: no code of Sprat, so that both cannot be wrong in the same way."""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from hashlib import blake2b, sha1, sha256
from typing import Any, Final
from uuid import UUID

from tests.soak.topic_records import TopicRecord

_NAMESPACE: Final = UUID("5b1c8a52-3f0e-5a36-9c3d-7a4e7d1f2b60").bytes
"""That of `contracts/schemas/test_vectors.json`."""
STRUCTURED: Final = "application/cloudevents+json"
_OFFSET_BITS: Final = 40
_name: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def place_of(partition: int, offset: int) -> int:
    """Return partition and offset as one number; `shown` writes it for people."""
    return partition << _OFFSET_BITS | offset


def shown(place: int) -> str:
    """Return a place as `partition@offset`."""
    return f"{place >> _OFFSET_BITS}@{place & (1 << _OFFSET_BITS) - 1}"


def derived(stage: str, source: str, id: str, task: str = "") -> bytes:
    """Return the bytes of the id that `stage` gives what it makes of a text and a task: a uuid of version 5.

    `uuid.uuid5` takes four times as long, and a run has millions.
    """
    hashed = sha1(_NAMESPACE + _name([stage, source, id, task]).encode(), usedforsecurity=False).digest()
    return b"%b%c%c%c%b" % (hashed[:6], hashed[6] & 15 | 0x50, hashed[7], hashed[8] & 63 | 0x80, hashed[9:16])


def headers_of(record: TopicRecord) -> dict[str, str]:
    """Return the headers by their names in small letters."""
    return {name.lower(): value.decode("utf-8", "replace") for name, value in record.headers}


def object_of(value: bytes | str | None) -> dict[str, Any] | None:
    """Return the JSON object that a value holds; None where it holds none."""
    try:
        text = value.decode("utf-8-sig") if isinstance(value, bytes) else value
        found = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def text_in(record: TopicRecord) -> tuple[str, str, dict[str, Any] | None]:
    """Return source and id of a record of the topic of texts, and the text's fields; None where there are none.

    Whether the text is valid is the services' to say.
    """
    headers, value = headers_of(record), object_of(record.value)
    if any(name.startswith("ce_") for name in headers) and not _is_structured(headers):
        return headers.get("ce_source", ""), headers.get("ce_id", ""), value
    if value and (_is_structured(headers) or ("specversion" in value and "data" in value and "text" not in value)):
        return str(value.get("source", "")), str(value.get("id", "")), _data_of(value)
    return f"/{record.topic}/{record.partition}", f"{record.offset}-{record.timestamp_ms}", value


def _is_structured(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").lower().startswith(STRUCTURED)


def _data_of(event: Mapping[str, Any]) -> dict[str, Any] | None:
    data = event.get("data")
    if isinstance(data, dict):
        return data
    try:
        return object_of(data if data is not None else base64.b64decode(event.get("data_base64") or "", validate=True))
    except (binascii.Error, TypeError):
        return None


def asked_tasks(text: Mapping[str, Any] | None, known: frozenset[str]) -> str:
    """Return the known tasks that a text asks for, sorted, with commas between them."""
    tasks = text and text.get("tasks")
    return (
        ",".join(sorted(task for task in tasks or () if task in known and tasks[task] is not None))
        if (isinstance(tasks, dict))
        else ""
    )


def hash_of(text: str) -> bytes:
    """Return the SHA-256 of a text."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def content_of(record: TopicRecord) -> bytes:
    """Return a hash of key and value, which a dead letter keeps."""
    return blake2b(repr((record.key, record.value)).encode(), digest_size=16).digest()


def hashes_of(body: bytes | str) -> list[str]:
    """Return the SHA-256 of each string in what a provider received, also of those in strings that hold JSON.

    Single words are left out: labels are, of which each request names hundreds.
    """
    said = _strings(body.decode() if isinstance(body, bytes) else body)
    return sorted({hash_of(text).hex() for text in said if len(text.split(maxsplit=1)) > 1})


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        if value[:1] in {"{", "["}:
            try:
                inner = json.loads(value)
            except (ValueError, RecursionError):
                return
            yield from _strings(inner)
    elif isinstance(value, dict):
        yield from (text for each in value.values() for text in _strings(each))
    elif isinstance(value, list):
        yield from (text for each in value for text in _strings(each))
