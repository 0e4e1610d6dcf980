"""Announced and withdrawn models: who serves them, withdrawing one, and when its service may stop."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CoordinatorNotAvailableError, GroupAuthorizationFailedError, for_code

from sprat.base.errors import Fatal, UserError
from sprat.base.model import DEFAULT_MODEL
from sprat.base.settings import KafkaSettings, section_prefix
from sprat.kafka.clients import close_in_time, make_consumer, missing_topics
from sprat.kafka.lag import LagMeter, LagSnapshot, OwnTexts, limit_to_owned
from sprat.kafka.signatures import Signatures
from sprat.registry.announcements import (
    Announcement,
    IgnoredRecord,
    ModelsReader,
    tombstone_record,
    unannounced_record,
)
from sprat.registry.model_table import ModelTable, model_key
from sprat.registry.retirement import Ends, Retirement
from sprat_contracts import KafkaRecord, ModelAnnounced, Topics
from sprat_operations.connection import reading_signatures
from sprat_operations.lag import count_own_texts
from sprat_operations.services import CLASSIFY, module_of, program_of

_TRIES: Final = 10
_WAIT_S: Final = 0.5
_TOMBSTONE_TRIES: Final = 10


class ServingState(StrEnum):
    """Whether an announced model is served."""

    yes = "yes"
    starting = "starting"
    """It owns no texts yet: its service starts, or its start failed."""
    nobody = "nobody"
    """Texts that ask for it wait for a service."""
    unknown = "unknown"
    """This user may not see its group."""


def group_of(announced: ModelAnnounced) -> str:
    """Return the consumer group of a model's service, without the prefix."""
    return f"{announced.task}.{announced.model}"


def serving_advice(announced: ModelAnnounced) -> str:
    """Return what to do about a model without a running service."""
    task, model = announced.task, announced.model
    section, package = section_prefix(program_of(task)), module_of(task)
    named = f"{section}TASK={task}" if program_of(task) == CLASSIFY else ""
    if model == DEFAULT_MODEL:
        start = f"sprat up, or python -m {package}" + (f" with {named}" if named else "")
    else:
        start = (
            f"sprat up --model {task}/{model}=DIR, or python -m {package} with {section}MODEL={model} and "
            f"{section}ARTEFACT=DIR" + (f" and {named}" if named else "")
        )
    return f"start it: {start}; or retire it, so that new texts are escalated: sprat models retire {task}/{model}"


async def serving(
    admin: AIOKafkaAdminClient, topics: Topics, announced: Iterable[ModelAnnounced], *, retry_s: float = _WAIT_S
) -> tuple[ServingState, ...]:
    """Return for each of these models whether it is served, in their order.

    Raises:
        KafkaError: the broker does not answer.
    """
    return tuple([await _serving(admin, topics, each, retry_s) for each in announced])


async def _serving(
    admin: AIOKafkaAdminClient, topics: Topics, announced: ModelAnnounced, retry_s: float
) -> ServingState:
    if announced.owns_from is None:
        return ServingState.starting
    try:
        members = await _members(admin, f"{topics.prefix}.{group_of(announced)}", retry_s)
    except GroupAuthorizationFailedError:
        return ServingState.unknown
    return ServingState.yes if members else ServingState.nobody


async def _members(admin: AIOKafkaAdminClient, group: str, retry_s: float) -> int:
    """Return how many members a group has; one that does not exist has none."""
    for _ in range(_TRIES - 1):
        try:
            return await _counted(admin, group)
        except CoordinatorNotAvailableError:  # a broker without any group first creates the topic of offsets
            await asyncio.sleep(retry_s)
    return await _counted(admin, group)


async def _counted(admin: AIOKafkaAdminClient, group: str) -> int:
    # One group at a time: aiokafka 0.14 cannot read an answer about several.
    (response,) = await admin.describe_consumer_groups([group])
    error, _name, _state, _type, _protocol, members, *_ = response.groups[0]
    if error:
        raise for_code(error)
    return len(members)


@dataclass(frozen=True, slots=True)
class RegisteredModels:
    """The content of the topic of models."""

    announced: tuple[ModelAnnounced, ...]
    """Ordered by task and name."""
    withdrawn: OwnTexts
    ignored: tuple[IgnoredRecord, ...] = ()
    """What services ignore."""
    valid: Mapping[bytes | None, KafkaRecord] = field(default_factory=dict)
    """The last record that counts, by key."""
    verified: bool = True
    """Whether signatures were verified."""

    def counts(self, ignored: IgnoredRecord) -> bool:
        """Return whether a record that counts stands under the key of one that does not."""
        return ignored.record.key in self.valid


async def registered_models(kafka: KafkaSettings) -> RegisteredModels:
    """Return the announced and the withdrawn models, as far as this shell can verify them.

    Raises:
        UserError: the topic of models does not exist, as for every command.
    """
    try:
        return await read_registered_models(kafka, reading_signatures(kafka))
    except Fatal as error:
        raise UserError(str(error)) from None


async def read_registered_models(settings: KafkaSettings, signatures: Signatures | None) -> RegisteredModels:
    """Return the announced models, and the withdrawn ones whose tombstone is still on the topic.

    `signatures` verify them; None: they are what the topic says, whoever wrote it.

    Raises:
        Fatal: the topic does not exist.
        Retryable: Kafka does not answer.
        KafkaError: it refuses.
    """
    models, ignored, valid = ModelTable(), list[IgnoredRecord](), dict[bytes | None, KafkaRecord]()

    def apply(seen: Announcement) -> None:
        models.apply(seen.key, seen.announced, seen.retirement.until)
        if seen.record is not None:
            valid[seen.key] = seen.record

    reader = ModelsReader(settings, signatures, apply, ignored.extend)
    try:
        await reader.start()
    finally:
        await reader.stop()
    return RegisteredModels(models.announced(), models.withdrawn(), tuple(ignored), valid, signatures is not None)


WHY_IGNORED: Final[Mapping[str, str]] = {
    "unsigned": "it has no signature",
    "invalid": "its signature is not this installation's",
    "outdated": "it withdraws an announcement that another has followed",
    "unreadable": "it is no announcement",
    "key": "its key is not its own task and model",
}


async def running_groups(client: Mapping[str, Any], topics: Topics, names: Iterable[str]) -> frozenset[str]:
    """Return those of these names, as `intent/hr`, whose consumer group has members.

    Raises:
        KafkaError: the broker does not answer, or this user may not see a group.
    """
    admin = AIOKafkaAdminClient(**client)
    try:
        await admin.start()
        groups = {name: f"{topics.prefix}.{name.replace('/', '.', 1)}" for name in names if "/" in name}
        return frozenset([name for name, group in groups.items() if await _members(admin, group, _WAIT_S)])
    finally:
        await close_in_time(admin.close)


async def remove_ignored(
    client: Mapping[str, Any], kafka: KafkaSettings, ignored: Iterable[IgnoredRecord], signatures: Signatures
) -> int:
    """Write a valid record after each ignored one, so that compaction removes that; return how many are left.

    It is the record that counted before, once more, else a tombstone. What counts is read again just before.

    Raises:
        Fatal: the topic does not exist.
        Retryable: Kafka does not answer.
        KafkaError: it refuses.
    """
    keys = {each.record.key for each in ignored}
    producer = AIOKafkaProducer(**client, acks="all", enable_idempotence=True)
    try:
        await producer.start()
        found = await read_registered_models(kafka, signatures)
        for each in found.ignored:
            if each.record.key in keys:
                again = found.valid.get(each.record.key) or unannounced_record(
                    kafka.topics, each.record.key, signatures
                )
                await producer.send_and_wait(
                    kafka.topics.models, value=again.value, key=again.key, headers=list(again.headers)
                )
    finally:
        await close_in_time(producer.stop)
    left = await read_registered_models(kafka, signatures)
    return sum(each.record.key in keys for each in left.ignored)


@dataclass(frozen=True, slots=True)
class Backlog:
    """The texts that a withdrawn model still has to answer."""

    texts: int
    """Unless they were counted an upper bound: its service skips texts that do not ask for it."""
    members: int
    """Processes that serve it."""
    is_counted: bool = False
    """Whether the texts were read, and all of them ask for the model."""


async def withdraw(
    client: Mapping[str, Any], kafka: KafkaSettings, task: str, model: str, signatures: Signatures
) -> Ends:
    """Write the tombstones of a model and return the offsets before which texts are its own, by partition.

    The router reads the topic of models to its end before each batch. So it escalates every text that was appended
    after the first tombstone, and the texts that it left to the model are before the end offsets of that moment: the
    service may stop once it has committed them. The second tombstone holds these offsets (see `sprat.registry`). Where
    a service announced the model between the two, the second is ignored, and two others follow.

    Everything that can fail is done before the first tombstone. A call that was interrupted between the two can be
    repeated.

    Raises:
        UserError: there is no topic of texts, or the model is announced again each time.
        Fatal: there is no topic of models.
        Retryable: that topic cannot be read.
        KafkaError: Kafka cannot be reached, or refuses.
    """
    key = model_key(task, model)
    found = [Retirement()]
    reader = ModelsReader(kafka, signatures, lambda seen: found.append(seen.retirement) if seen.key == key else None)
    producer = AIOKafkaProducer(**client, acks="all", enable_idempotence=True)
    consumer = make_consumer(client, group_id=None)

    owns_from: int | None = None

    async def send(ends: Ends | None) -> None:
        record = tombstone_record(kafka.topics, task, model, ends, signatures, owns_from)
        await producer.send_and_wait(record.topic, value=None, key=record.key, headers=record.headers)

    try:
        texts = await _partitions(client, kafka.topics.texts)
        await reader.start()
        await consumer.start()
        await producer.start()
        await consumer.end_offsets(texts)
        owns_from = found[-1].owns_from
        await send(None)
        for _ in range(_TOMBSTONE_TRIES):
            if found[-1].announced:
                owns_from = found[-1].owns_from
            ends = {tp.partition: end for tp, end in (await consumer.end_offsets(texts)).items()}
            await send(ends)
            await reader.catch_up()
            if found[-1].until is not None:
                return found[-1].until
    finally:
        await close_in_time(reader.stop, consumer.stop, producer.stop)
    raise UserError(f"{task}/{model} is announced again and again: see why its service does not stay, then retire it")


async def _partitions(client: Mapping[str, Any], topic: str) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(**client)
    try:
        await admin.start()
        described = await admin.describe_topics([topic])
    finally:
        await close_in_time(admin.close)
    if missing := missing_topics(described):
        raise UserError(f"there is no topic {', '.join(missing)}: run `sprat topics create`")
    return [TopicPartition(topic, part["partition"]) for part in described[0]["partitions"]]


async def watch_backlog(
    client: Mapping[str, Any], topics: Topics, meter: LagMeter, group: str, ends: Ends
) -> AsyncIterator[Backlog]:
    """Measure and return what is left at each step, until no text is left. Where no service runs, texts are counted.

    Args:
        client: the arguments of an aiokafka client.
        topics: of the installation.
        meter: the meter to measure with.
        group: the group of the model's service, without the prefix.
        ends: the offsets that :func:`withdraw` returned.

    Raises:
        KafkaError: the broker does not answer.
    """
    while True:
        withdrawn = {group: ends}
        measured = limit_to_owned(await meter.measure(), withdrawn)
        left = _left(await count_own_texts(client, topics, measured, withdrawn), group)
        yield left
        if not left.texts:
            return


def _left(measured: LagSnapshot, group: str) -> Backlog:
    found = measured.groups.get(group)
    return Backlog(0, 0) if found is None else Backlog(found.lag, len(found.group.members), found.is_counted)
