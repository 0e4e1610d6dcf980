"""Dead letters: the original record untouched, with headers that say what is wrong with it and where it was."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sprat_contracts.headers import decoded, header_name
from sprat_contracts.structured import MAX_ATTRIBUTE, event_in

ERROR_CODE = "sprat_error_code"
ERROR_DETAIL = "sprat_error_detail"
ORIGIN_TOPIC = "sprat_origin_topic"
ORIGIN_PARTITION = "sprat_origin_partition"
ORIGIN_OFFSET = "sprat_origin_offset"
ORIGIN_TIMESTAMP = "sprat_origin_timestamp"
SERVICE = "sprat_service"
VERSION = "sprat_version"
REPLAYS = "sprat_replays"
REPLAY_FOR = "sprat_replay_for"
REPLAY_SIGNATURE = "sprat_replay_signature"
DEAD_LETTER_SIGNATURE = "sprat_dead_letter_signature"
MAX_REPLAYS = 3

OWN_HEADERS = frozenset(
    {
        ERROR_CODE,
        ERROR_DETAIL,
        ORIGIN_TOPIC,
        ORIGIN_PARTITION,
        ORIGIN_OFFSET,
        ORIGIN_TIMESTAMP,
        SERVICE,
        VERSION,
        REPLAYS,
        REPLAY_FOR,
        REPLAY_SIGNATURE,
        DEAD_LETTER_SIGNATURE,
    }
)
"""What a dead letter or a replay adds to the headers of a record."""

Headers = tuple[tuple[str, bytes], ...]

_IDENTITY = {"source": "ce_source", "id": "ce_id"}
"""The attributes of a structured event that its dead letter has as headers, too: a reader finds its own by them."""


@dataclass(frozen=True, slots=True)
class DeadLetterReason:
    """Why a record could not be handled, where it was, and which service reports it: the headers of a dead letter."""

    code: str
    """An open list; writers use `ReasonCode`."""
    detail: str
    """Field and reason, for people; never the text."""
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    service: str
    version: str
    replays: int = 0

    def headers(self, original: Iterable[tuple[str, bytes]], value: bytes | None = None) -> list[tuple[str, bytes]]:
        """Return the dead letter's headers: the original ones, without those of an earlier dead letter, and these.

        Where the original's `value` is an event in structured mode, its id and source are added as `ce_` headers.
        """
        kept = [each for each in original if each[0] not in OWN_HEADERS]
        there = {header_name(name) for name, _ in kept}
        kept += [added for added in _identity_headers(kept, value) if added[0] not in there]
        own = {
            ERROR_CODE: self.code,
            ERROR_DETAIL: self.detail,
            ORIGIN_TOPIC: self.topic,
            ORIGIN_PARTITION: str(self.partition),
            ORIGIN_OFFSET: str(self.offset),
            ORIGIN_TIMESTAMP: str(self.timestamp_ms),
            SERVICE: self.service,
            VERSION: self.version,
            REPLAYS: str(self.replays),
        }
        return kept + [(name, value.encode()) for name, value in own.items()]

    @classmethod
    def from_headers(cls, headers: Iterable[tuple[str, bytes]]) -> "DeadLetterReason":
        """Read the reason back.

        Raises:
            ValueError: a header is missing or not of its type; the message names it.
        """
        values = {name: value.decode("utf-8", "replace") for name, value in headers if name in OWN_HEADERS}
        values.setdefault(REPLAYS, "0")
        try:
            return cls(
                code=values[ERROR_CODE],
                detail=values[ERROR_DETAIL],
                topic=values[ORIGIN_TOPIC],
                partition=_number(values, ORIGIN_PARTITION),
                offset=_number(values, ORIGIN_OFFSET),
                timestamp_ms=_number(values, ORIGIN_TIMESTAMP),
                service=values[SERVICE],
                version=values[VERSION],
                replays=_number(values, REPLAYS),
            )
        except KeyError as missing:
            raise ValueError(f"not a dead letter: header {missing.args[0]} is missing") from None


def original_headers(headers: Iterable[tuple[str, bytes]], value: bytes | None) -> list[tuple[str, bytes]]:
    """Return the headers of the original of a dead letter: without those that `DeadLetterReason.headers` has added.

    `value` is the dead letter's, which is the original's. Where it could not be kept, what its event added stays.
    """
    kept = [each for each in headers if each[0] not in OWN_HEADERS]
    added = _identity_headers([each for each in kept if each[0] not in _IDENTITY.values()], value)
    return [each for each in kept if each not in added]


def _identity_headers(headers: Iterable[tuple[str, bytes]], value: bytes | None) -> list[tuple[str, bytes]]:
    """Return id and source of an event in structured mode as headers; not what is missing, no string or too long."""
    event = event_in(decoded(headers), value) or {}
    given = {header: event.get(name) for name, header in _IDENTITY.items()}
    return [
        (header, each.encode())
        for header, each in given.items()
        if isinstance(each, str) and 0 < len(each) <= MAX_ATTRIBUTE
    ]


def _number(values: Mapping[str, str], header: str) -> int:
    try:
        return int(values[header])
    except ValueError:
        raise ValueError(f"not a dead letter: header {header} is not a number") from None


def replays_of(headers: Iterable[tuple[str, bytes]]) -> int:
    """Return how often a record was replayed; 0 where its header is missing or not a small number."""
    counts = [value for name, value in headers if name == REPLAYS]
    return int(counts[-1]) if counts and counts[-1] and counts[-1].isdigit() and len(counts[-1]) < 4 else 0
