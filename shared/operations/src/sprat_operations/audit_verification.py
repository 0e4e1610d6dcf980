"""Reads what an audit is verified by: records, checkpoints, answers and Results."""

import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sprat.audit.keys import PublicKeys
from sprat.audit.places import CheckpointFolder, StoredCheckpoint, topic_of
from sprat.audit.settings import AuditSettings
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import client_arguments
from sprat_contracts import FrontierAnswered, KafkaRecord, Result, Topics, WireError, decode
from sprat_contracts.topics import DAY_MS
from sprat_contracts.wire import SIGNATURE
from sprat_operations.audit_proof import GRACE_MS, AuditProof
from sprat_operations.topic_reader import TopicReader, read_since
from sprat_operations.topics import Difference, kept_for, list_topics
from sprat_operations.transactions import find_open_transactions

_LEAD_MS: Final = 3_600_000
"""How far before what is wanted to start reading, so that an outcome finds its attempt: longer than any call takes, and
more than clocks differ."""
_PROVES_BY: Final = frozenset({"cleanup.policy", "message.timestamp.type"})
"""Settings of the topic without which a proof is none: compaction removes records, and a writer chooses their times."""


@dataclass(frozen=True, slots=True)
class VerificationOptions:
    """What to verify."""

    since_ms: int | None = None
    """Epoch milliseconds; None: all."""
    unsigned_before_ms: int = 0
    grace_ms: int = GRACE_MS
    retention_ms: int | None = None
    """How long records are to be kept; None: what `sprat topics create` sets."""
    answer_ttl_ms: int = DAY_MS
    """For how long the frontier keeps answers: a Result may name a call that is this much older."""
    reconcile: bool = True
    """Whether to read answers and Results, which hold texts."""


async def verify_audit(
    kafka: KafkaSettings, keys: PublicKeys, places: AuditSettings, options: VerificationOptions
) -> AuditProof:
    """Read and check all. The order of the readings matters: what is read later must hold what was seen before.

    Raises:
        UserError: there is no such topic, or a place cannot be read.
        TimeoutError: a broker returns no more records.
        KafkaError: Kafka cannot be reached or refuses.
    """
    now_ms = time.time_ns() // 1_000_000
    topics, client = kafka.topics, client_arguments(kafka)
    answer_topics = (
        [topics.frontier_answers, *(topics.results(task) for task in topics.tasks)] if options.reconcile else []
    )
    wanted_ms = options.retention_ms or next(
        each.retention_ms for each in topics.table() if each.name == topics.egress and each.retention_ms
    )
    proof = AuditProof(
        keys,
        now_ms,
        horizon_ms=max(now_ms - wanted_ms, options.since_ms or 0),
        unsigned_before_ms=options.unsigned_before_ms,
        grace_ms=options.grace_ms,
    )
    for transaction in await find_open_transactions(client, [topics.egress, *answer_topics]):
        proof.hold_back(transaction, audit=transaction.topic == topics.egress)
    async for stored in _checkpoints(places):
        proof.add_checkpoint(stored)
    begin_ms = answers_ms = None
    if options.since_ms is not None:
        answers_ms = max(0, options.since_ms - _LEAD_MS)
        begin_ms = max(0, proof.reach_back(options.answer_ttl_ms + _LEAD_MS, now_ms - wanted_ms) - _LEAD_MS)
    if answer_topics:
        async for record in read_since(client, answer_topics, answers_ms):
            _add_answer(proof, record)
    async with TopicReader(client) as reader:
        # A record beyond these ends may count others as acknowledged that another broker has not shown yet.
        ends = {partition: end for partition, (_, end) in (await reader.bounds(topics.egress)).items()}
        async for records in reader.read_since([topics.egress], begin_ms):
            for record in records:
                proof.add(record, latest=record.offset >= ends.get(record.partition, 0))
    async for stored in _checkpoints(places):
        proof.add_checkpoint(stored, again=True)
    kept = await _kept_ms(client, [topics.egress, *answer_topics])
    proof.find_retention(topics.egress, kept[topics.egress], wanted_ms)
    for difference in await _weaker_settings(client, topics):
        proof.find_setting(topics.egress, difference)
    proof.finish(
        checkpoints=places.checkpoints is not None or places.kafka is not None,
        answers_since_ms=_held_since(now_ms, options, [kept[name] for name in answer_topics[1:]]),
    )
    return proof


async def _kept_ms(client: Mapping[str, Any], names: list[str]) -> dict[str, int]:
    """Return for how long each topic keeps its records; -1: without end."""
    return {name: -1 if times is None else times[0] for name, times in (await kept_for(client, names)).items()}


async def _weaker_settings(client: Mapping[str, Any], topics: Topics) -> list[Difference]:
    (state,) = await list_topics(client, topics, only=topics.egress)
    return [each for each in state.differences if each.setting in _PROVES_BY]


def _held_since(now_ms: int, options: VerificationOptions, retentions: list[int]) -> int | None:
    """Return from when on every Result is still there; None where they are not read."""
    if not retentions:
        return None
    since_ms = options.since_ms or 0
    finite = [each for each in retentions if each >= 0]
    return (max(now_ms - min(finite), since_ms) if finite else since_ms) + options.grace_ms


def _add_answer(proof: AuditProof, record: KafkaRecord) -> None:
    where = f"{record.topic} {record.partition}@{record.offset}"
    try:
        if record.topic.endswith(".frontier.answers.v1"):
            answer = decode(record, FrontierAnswered).message
            prediction = answer.request.prediction
            proof.add_answer(
                where, prediction.submitted.tenant, prediction.task, answer.egress, record.timestamp, answer.tiers
            )
        else:
            result = decode(record, Result).message
            proof.add_answer(where, result.tenant, result.task, result.egress, record.timestamp, result.tiers)
    except WireError:
        proof.counts["unreadable_answers"] += 1


async def _checkpoints(places: AuditSettings) -> AsyncIterator[StoredCheckpoint]:
    if places.checkpoints is not None:
        for stored in CheckpointFolder(places.checkpoints).read():
            yield stored
    if places.kafka is not None:
        async for record in read_since(client_arguments(places.kafka), [topic_of(places.kafka)], None):
            signature = next((value for name, value in record.headers if name == SIGNATURE), b"")
            yield StoredCheckpoint(f"{record.topic} {record.partition}@{record.offset}", record.value or b"", signature)
