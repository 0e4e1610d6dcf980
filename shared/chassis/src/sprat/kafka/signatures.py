"""The installation's signature on the records that its services write for each other.

Whoever may write to these topics can write any record: without a signature, services would take it for one of their
own. A signature covers the topic, the key, the value's bytes (a tombstone has none), and the headers that decide: those
that begin with `ce_` or `sprat_`. Trace headers are left out, because agents on the way may change them, and so are
those that a dead letter or a replay adds: a record that is replayed keeps its signature.

A replay has one of its own, over the service that it is for. So has a dead letter, over all its headers: what it says
of its origin decides what a replay sends where.
"""

import hashlib
import hmac
import logging
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, Literal

from sprat.base.keys import Keys
from sprat.base.retry import OnceAMinute
from sprat.base.settings import ServiceSettings
from sprat.kafka.publisher import OutRecord
from sprat.telemetry import signals
from sprat_contracts.dead_letters import DEAD_LETTER_SIGNATURE, OWN_HEADERS, REPLAY_FOR, REPLAY_SIGNATURE, REPLAYS
from sprat_contracts.headers import ATTRIBUTE, header_name, may_be_kept
from sprat_contracts.wire import SIGNATURE, RecordContent

log = logging.getLogger(__name__)

Verdict = Literal["current", "previous", "unsigned", "invalid"]
"""The secret that a record is signed with; `unsigned` without a signature, `invalid` with another's."""

Refusal = Literal["current", "previous", "unsigned", "invalid", "outdated", "replay"]
"""Why a record is not accepted: its verdict, or what else is wrong with one that is signed."""

_BY_KEY: Final[tuple[Verdict, ...]] = ("current", "previous")
_VERSION: Final = "v1="
_LENGTH: Final = struct.Struct(">q")
_NULL: Final = _LENGTH.pack(-1)
_WHY: Final = {
    "unsigned": "it is ignored: it has no signature; where services of a version without signatures still run, set "
    "SPRAT_UNSIGNED_RECORDS=accept until they are replaced",
    "invalid": "it is ignored: its signature is not this installation's; services have different SPRAT_SECRETs, or "
    "somebody else writes to this topic",
    "outdated": "it is ignored: it withdraws an announcement that another has followed, or is an alarm with a number "
    "below the last; where nobody has just withdrawn the model while its service started, somebody else has written an "
    "old record once more",
    "replay": "it names one service, as a replay does, without the signature of `sprat dlq replay`: it is for all",
}


class Signatures:
    """Signs and verifies records.

    Args:
        keys: of the installation.
        accept_unsigned: whether records without a signature pass, because services run that write none.
    """

    def __init__(self, keys: Keys, *, accept_unsigned: bool = False) -> None:
        self.accept_unsigned = accept_unsigned
        self._record_keys = keys.accepted("record signature")
        self._replay_keys = keys.accepted("replay signature")
        self._letter_keys = keys.accepted("dead letter signature")
        self._reports = {reason: OnceAMinute() for reason in _WHY}

    @classmethod
    def of(cls, settings: ServiceSettings) -> "Signatures":
        """Return those that the settings describe."""
        return cls(settings.keys, accept_unsigned=settings.unsigned_records == "accept")

    def sign(self, record: OutRecord) -> OutRecord:
        """Add the signature to a record, and return it."""
        return _signed(record, SIGNATURE, self._record_keys[0], _covers)

    def sign_replay(self, record: OutRecord) -> OutRecord:
        """Add the signature of a replay to a record with the headers of one, and return it."""
        return _signed(record, REPLAY_SIGNATURE, self._replay_keys[0], _covers_replay)

    def sign_dead_letter(self, record: OutRecord) -> OutRecord:
        """Add the signature of a dead letter to one that is otherwise complete, and return it."""
        return _signed(record, DEAD_LETTER_SIGNATURE, self._letter_keys[0], _covers_dead_letter)

    def verdict(self, record: RecordContent) -> Verdict:
        """Return with which secret a record is signed, or that it is not."""
        return _verdict(record, SIGNATURE, self._record_keys, _covers)

    def accepts(self, record: RecordContent) -> bool:
        """Return whether a record is of this installation."""
        return self.accepts_verdict(self.verdict(record))

    def accepts_verdict(self, verdict: Verdict) -> bool:
        """Return whether what is signed like this is of this installation."""
        return verdict in {"current", "previous"} or (verdict == "unsigned" and self.accept_unsigned)

    def dead_letter_verdict(self, record: RecordContent) -> Verdict:
        """Return with which secret a dead letter is signed, or that it is not."""
        return _verdict(record, DEAD_LETTER_SIGNATURE, self._letter_keys, _covers_dead_letter)

    def accepts_replay(self, record: RecordContent) -> bool:
        """Return whether the service that a record names is to be honoured: `sprat dlq replay` wrote it."""
        return _verdict(record, REPLAY_SIGNATURE, self._replay_keys, _covers_replay) in {"current", "previous"}

    def refused(self, record: RecordContent, why: Refusal | None = None) -> None:
        """Count a record that is not accepted, by its verdict or another reason, and log it, at most once a minute."""
        reason = why or self.verdict(record)
        signals.REFUSED.add(1, destination=record.topic, reason=reason)
        if self._reports[reason].due():
            log.warning("a record on %s: %s", record.topic, _WHY[reason])


def _covers(header: str) -> bool:
    return header_name(header).startswith((ATTRIBUTE, "sprat_")) and header not in OWN_HEADERS and header != SIGNATURE


def _covers_replay(header: str) -> bool:
    return header_name(header).startswith(ATTRIBUTE) or header in {REPLAY_FOR, REPLAYS}


def _covers_dead_letter(header: str) -> bool:
    return header != DEAD_LETTER_SIGNATURE


def _signed(record: OutRecord, name: str, key: bytes, covers: Callable[[str], bool]) -> OutRecord:
    record.headers = [*record.headers, (name, _signature(key, _signed_bytes(record, covers)))]
    return record


def _verdict(record: RecordContent, name: str, keys: Sequence[bytes], covers: Callable[[str], bool]) -> Verdict:
    given = next((value for header, value in reversed(record.headers) if header == name), None)
    if not given:
        return "unsigned"
    content = _signed_bytes(record, covers)
    for verdict, key in zip(_BY_KEY, keys, strict=False):
        if hmac.compare_digest(given, _signature(key, content)):
            return verdict
    return "invalid"


def _signature(key: bytes, content: bytes) -> bytes:
    return f"{_VERSION}{hmac.digest(key, content, hashlib.sha256).hex()}".encode()


def _signed_bytes(record: RecordContent, covers: Callable[[str], bool]) -> bytes:
    """Return what is signed, each part behind its length, so that no two records have the same bytes.

    Headers are sorted by name; those of one name keep their order, because the last one counts.
    """
    names = tuple([name for name, _ in record.headers])
    covered = (_covered if may_be_kept(names) else _covered.__wrapped__)(names, covers)
    parts = [_framed(record.topic.encode()), _framed(record.key), _framed(record.value)]
    for place, name in covered:
        parts += (name, _framed(record.headers[place][1]))
    return b"".join(parts)


@lru_cache(maxsize=256)
def _covered(names: tuple[str, ...], covers: Callable[[str], bool]) -> tuple[tuple[int, bytes], ...]:
    """Return the places of the headers that are signed, in their order, each with what is signed of its name."""
    places = sorted((place for place, name in enumerate(names) if covers(name)), key=names.__getitem__)
    return tuple((place, _framed(names[place].encode("utf-8", "surrogateescape"))) for place in places)


def _framed(part: bytes | None) -> bytes:
    return _NULL if part is None else _LENGTH.pack(len(part)) + part
