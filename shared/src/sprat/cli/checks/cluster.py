"""Kafka and what stands in it: topics, groups with their members and lag, models."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient

from sprat.admin.topics import TopicState, list_topics
from sprat.announcing import Announcement, ModelsReader
from sprat.cli.checks.check import Check, broken, good, warning
from sprat.cli.connection import UnreachableError, client_arguments, reaching
from sprat.errors import UserError
from sprat.model_table import ModelTable
from sprat.settings import KafkaSettings
from sprat_contracts import ModelAnnounced

NEEDED = ("router", "frontier")
"""Without these, pairs do not end."""


async def check_cluster(kafka: KafkaSettings) -> AsyncIterator[Check]:
    """Look at Kafka; where it cannot be reached, say so and look no further."""
    try:
        with reaching(kafka):
            began = time.monotonic()
            async with _admin(kafka) as admin:
                brokers = len((await admin.describe_cluster())["brokers"])
                took_ms = (time.monotonic() - began) * 1000
                yield good("kafka", f"{_asked(kafka)}: {brokers} broker{'s' * (brokers != 1)}, {took_ms:.0f} ms")
                states = await list_topics(client_arguments(kafka), kafka.topics)
                yield _topics(kafka, states)
                async for check in _groups(kafka, admin):
                    yield check
            if any(state.name == kafka.topics.models and state.status != "missing" for state in states):
                yield await _models(kafka)
    except UnreachableError as error:
        mend = "sprat up; or name a broker: --bootstrap HOST:PORT, SPRAT_KAFKA__BOOTSTRAP"
        yield broken("kafka", f"{_asked(kafka)} cannot be reached: {error.reason}", mend)
    except UserError as error:
        yield broken("kafka", str(error), "give this user the right to describe topics and groups")


def _asked(kafka: KafkaSettings) -> str:
    return f"{kafka.bootstrap} ({kafka.security_protocol})"


@asynccontextmanager
async def _admin(kafka: KafkaSettings) -> AsyncIterator[Any]:
    admin = AIOKafkaAdminClient(**client_arguments(kafka))
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


def _topics(kafka: KafkaSettings, states: Sequence[TopicState]) -> Check:
    missing = [state.name for state in states if state.status == "missing"]
    different = [state.name for state in states if state.status == "differs"]
    if missing:
        return broken("topics", f"{len(missing)} of {len(states)} missing: {_some(missing)}", "sprat topics create")
    if different:
        return broken("topics", f"not as they should be: {_some(different)}", "sprat topics list")
    return good("topics", f"all {len(states)} as they should be, prefix {kafka.prefix}")


def _some(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


async def _groups(kafka: KafkaSettings, admin: Any) -> AsyncIterator[Check]:
    prefix = f"{kafka.prefix}."
    known = {group for group, *_ in await admin.list_consumer_groups() if group.startswith(prefix)}
    members = await _members(admin, sorted(known))
    for name in sorted({group.removeprefix(prefix) for group in known} | set(NEEDED)):
        count, lag = members.get(prefix + name, 0), 0
        if prefix + name in known:
            lag = await _lag(kafka, admin, prefix + name)
        found = f"{name}: {count} member{'s' * (count != 1)}, {lag} record{'s' * (lag != 1)} behind"
        if count:
            yield good("groups", found)
        elif name in NEEDED:
            yield broken("groups", found, f"start it: `sprat up`, or python -m sprat_{name}; its records wait in Kafka")
        else:
            yield warning("groups", found, "start it, or retire its model; until then its texts wait in Kafka")


async def _members(admin: Any, groups: list[str]) -> dict[str, int]:
    """Give how many members each group has."""
    counts: dict[str, int] = {}
    for group in groups:
        # One at a time: aiokafka 0.14 cannot read an answer about several (it expects a field too few in each).
        for response in await admin.describe_consumer_groups([group]):
            # (error code, group, state, protocol type, protocol, members, …)
            counts |= {described[1]: len(described[5]) for described in response.groups}
    return counts


async def _lag(kafka: KafkaSettings, admin: Any, group: str) -> int:
    """Give how many records the group has not yet committed, over the partitions where it has committed any."""
    committed = await admin.list_consumer_group_offsets(group)
    if not committed:
        return 0
    consumer = AIOKafkaConsumer(**client_arguments(kafka))
    await consumer.start()
    try:
        ends = await consumer.end_offsets(list(committed))
    finally:
        await consumer.stop()
    return sum(max(0, ends[partition] - place.offset) for partition, place in committed.items() if place.offset >= 0)


async def _models(kafka: KafkaSettings) -> Check:
    table = ModelTable()

    def apply(seen: Announcement) -> None:
        table.apply(seen.key, seen.announced)

    reader = ModelsReader(kafka, apply)
    try:
        await reader.start()
    finally:
        await reader.stop()
    announced = table.announced()
    if not announced:
        return warning("models", "none announced: every text goes to the frontier", "start a service, as sprat_intent")
    found = ", ".join(_model(each) for each in announced)
    if any(each.owns_from is None for each in announced):
        return warning("models", found, "a service is starting, or its start failed: look at its log")
    return good("models", found)


def _model(announced: ModelAnnounced) -> str:
    labels = f", {len(announced.labels)} labels" if announced.labels else ""
    serving = "" if announced.owns_from is not None else ", not serving yet"
    return f"{announced.task}/{announced.model} {announced.version[:8]}{labels}{serving}"
