"""One text's way, hop by hop: every record that carries its trace id, in the order of the broker's clock."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sprat_contracts import KafkaRecord
from sprat_local.demo.account import Account, Pair, trace_id
from sprat_local.demo.publishing import Published
from sprat_operations.record_summary import DEPTH, Kind, kinds, summarise


@dataclass(frozen=True, slots=True)
class Hop:
    """A record of the trace."""

    after_ms: int
    """After the text was appended, by the broker's clock."""
    topic: str
    partition: int
    offset: int
    says: str
    """What it says, without the text."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A text to follow."""

    trace_id: str
    text_id: str
    hops: tuple[Hop, ...]


def pick_trace(published: Iterable[Published], account: Account) -> Trace | None:
    """Choose a text that went all the way: an intent that the small model was unsure of and the frontier answered.

    Where there is none, the text with most hops.
    """
    accepted = [one for one in published if one.accepted_tasks]
    whole = [one for one in accepted if _went_out(one, account)]
    return max((_trace(one, account) for one in whole or accepted), key=lambda trace: len(trace.hops), default=None)


def _went_out(one: Published, account: Account) -> bool:
    if one.accepted_tasks != ("intent",):
        return False
    endings = account.endings.get(Pair(*one.identity, "intent"), [])
    return any(e.result.source == "frontier" and e.result.route.reason == "low_confidence" for e in endings)


def _trace(one: Published, account: Account) -> Trace:
    name = trace_id(one.outgoing.headers)
    held = kinds(account.topics)
    records = sorted(account.traces.get(name, []), key=lambda record: (record.timestamp, _depth(record, held)))
    hops = tuple(
        Hop(record.timestamp - one.timestamp_ms, record.topic, record.partition, record.offset, _says(record, held))
        for record in records
    )
    return Trace(name, one.identity[1], hops)


def _depth(record: KafkaRecord, held: Mapping[str, Kind]) -> int:
    """Order records of the same millisecond as they cause each other."""
    kind = held.get(record.topic)
    return len(DEPTH) if kind is None else DEPTH[kind]


def _says(record: KafkaRecord, held: Mapping[str, Kind]) -> str:
    """Tell in a few words what a record says; never the text."""
    kind = held.get(record.topic)
    try:
        value = json.loads(record.value or b"")
    except ValueError:
        return ""
    return summarise(kind, value).says if kind is not None else ""
