"""The topic of alarms: the last record of each place counts, and what is written to it.

The topic is compacted: whoever starts reads the last record under a key. So a record that somebody writes once more, or
one that is not valid, would hide the alarm that counts. The guardian writes the latter again.
"""

from collections.abc import Iterator
from typing import Final

from sprat.kafka.publisher import OutRecord
from sprat.kafka.signatures import Signatures
from sprat_contracts import (
    AlarmRaised,
    Envelope,
    KafkaRecord,
    ReviewCell,
    Topics,
    Traceparent,
    WireError,
    decode,
    encode,
)
from sprat_contracts.ids import derive
from sprat_contracts.reviews import CLEARED, ERRORS, RAISED

ALARM: Final = "alarm"


def alarm_key(kind: str, task: str, cell: ReviewCell) -> bytes:
    """Return the key of the records of a kind and place."""
    return AlarmRaised(kind=kind, task=task, cell=cell, number=1, raised_at=0).key


class AlarmBook:
    """The last valid record of each key, in the order of the topic.

    Args:
        signatures: verify the records; None: all count, for tools that decide nothing.
    """

    def __init__(self, signatures: Signatures | None) -> None:
        self._signatures = signatures
        self._last: dict[bytes, AlarmRaised] = {}
        self._changed_at: dict[bytes, int] = {}
        self._cleared_at: dict[bytes, int] = {}
        self._hidden: set[bytes] = set()
        """Keys whose last record on the topic is not the one that counts, or will not be valid for long."""

    def take(self, record: KafkaRecord) -> None:
        """Take a record of the topic. One whose number is not above the last valid one is out of date."""
        verdict = "current" if self._signatures is None else self._signatures.verdict(record)
        accepted = self._signatures is None or self._signatures.accepts_verdict(verdict)
        alarm = _read(record) if accepted else None
        key = record.key or b""
        last = self._last.get(key)
        if alarm is not None and (last is None or alarm.number > last.number):
            self._last[key], self._changed_at[key] = alarm, record.timestamp
            if alarm.state == CLEARED:
                self._cleared_at[key] = record.timestamp
        elif alarm is None or alarm != last:
            if self._signatures is not None:
                self._signatures.refused(record, "outdated" if alarm is not None else verdict)
            if last is not None:
                self._hidden.add(key)
            return
        self._hidden.discard(key)
        if verdict != "current":
            self._hidden.add(key)

    def forget(self) -> None:
        """Forget all: the topic was deleted and created again."""
        self._last.clear()
        self._changed_at.clear()
        self._cleared_at.clear()
        self._hidden.clear()

    def last(self, kind: str, task: str, cell: ReviewCell) -> AlarmRaised | None:
        """Return the last valid record of a kind and place."""
        return self._last.get(alarm_key(kind, task, cell))

    def changed_at(self, alarm: AlarmRaised) -> int:
        """Return when the last valid record of its key was appended: epoch milliseconds."""
        return self._changed_at[alarm.key]

    def clears(self, task: str, cell: ReviewCell, at: int) -> int:
        """Return how many alarms of errors were cleared in a place before a time: epoch milliseconds, the broker's.

        Of several clears the time of the last one alone is known; not where a later alarm has taken its record's place.
        """
        last = self.last(ERRORS, task, cell)
        if last is None:
            return 0
        return last.clears - (at < self._cleared_at.get(last.key, 0))

    def hidden(self) -> Iterator[AlarmRaised]:
        """Yield the alarms that must be written again."""
        for key in sorted(self._hidden):
            yield self._last[key]

    def following(self, alarm: AlarmRaised) -> AlarmRaised:
        """Return an alarm that is raised, with its place in the order of its key."""
        last = self._last.get(alarm.key)
        if last is None:
            return alarm.model_copy(update={"steps": 1})
        steps = 1 if last.state == CLEARED else last.steps + 1
        return alarm.model_copy(update={"number": last.number + 1, "clears": last.clears, "steps": steps})

    def all(self) -> tuple[AlarmRaised, ...]:
        """Return the last record of each place, by key."""
        return tuple(self._last[key] for key in sorted(self._last))

    def standing(self) -> Iterator[AlarmRaised]:
        """Yield the alarms that are raised and not cleared."""
        return (each for each in self._last.values() if each.state == RAISED)


def cleared(alarm: AlarmRaised, by: str, because: str | None, thresholds: str | None) -> AlarmRaised:
    """Return the record that clears an alarm.

    Args:
        alarm: that stands.
        by: who clears it.
        because: why; None where the certificate says it.
        thresholds: version of the thresholds with a certificate that was measured after the alarm.
    """
    changes = {"state": CLEARED, "number": alarm.number + 1, "clears": alarm.clears + 1, "steps": 0}
    return alarm.model_copy(update={**changes, "cleared_by": by, "because": because, "thresholds": thresholds})


def alarm_record(topics: Topics, alarm: AlarmRaised, source: str, signatures: Signatures) -> OutRecord:
    """Return the signed record of an alarm, for its CloudEvents source; written again, it has the same id."""
    id = str(derive(ALARM, alarm.key.decode(), str(alarm.number)))
    value, headers = encode(alarm, Envelope(id=id, source=source, traceparent=Traceparent.root(source, id)))
    return signatures.sign(OutRecord(topics.alarms, alarm.key, value, headers))


def _read(record: KafkaRecord) -> AlarmRaised | None:
    """Return the alarm in a record; None where there is none, or where its key is another's."""
    try:
        alarm = decode(record, AlarmRaised).message
    except WireError:
        return None
    return alarm if alarm.key == record.key else None
