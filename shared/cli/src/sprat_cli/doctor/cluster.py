"""Kafka and what stands in it, each part by its own check."""

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from sprat.errors import UserError
from sprat.kafka.clients import client_arguments, close_in_time, make_consumer
from sprat.settings import KafkaSettings
from sprat_cli.connection import UnreachableError, reaching
from sprat_cli.doctor.brokers import check_brokers
from sprat_cli.doctor.check import Check, broken, good
from sprat_cli.doctor.clock import check_clock
from sprat_cli.doctor.groups import check_groups
from sprat_cli.doctor.models import check_models
from sprat_cli.doctor.policy import check_policy
from sprat_cli.doctor.topics import check_topics
from sprat_operations.lag import LagMeter
from sprat_operations.retirement import own_alone, read_standing
from sprat_operations.topics import TopicState, list_topics
from sprat_policy import Policy


async def check_cluster(kafka: KafkaSettings, policy: Policy | None) -> AsyncIterator[Check]:
    """Look at Kafka, and at the policy beside it; where Kafka cannot be reached, say so and look no further."""
    try:
        with reaching(kafka):
            client = client_arguments(kafka)
            admin = AIOKafkaAdminClient(**client)
            consumer = make_consumer(client, group_id=None)
            try:
                async for check in _check(kafka, policy, admin, consumer):
                    yield check
            finally:
                await close_in_time(admin.close, consumer.stop)
    except UnreachableError as error:
        yield broken("kafka", f"{_asked(kafka)} cannot be reached: {error.reason}", error.mend)
    except UserError as error:
        yield broken("kafka", str(error), "give this user the right to describe topics and groups")


async def _check(
    kafka: KafkaSettings, policy: Policy | None, admin: AIOKafkaAdminClient, consumer: Any
) -> AsyncIterator[Check]:
    began = time.monotonic()
    await admin.start()
    brokers = (await admin.describe_cluster())["brokers"]
    took_ms = (time.monotonic() - began) * 1000
    yield good("kafka", f"{_asked(kafka)}: {len(brokers)} broker{'s' * (len(brokers) != 1)}, {took_ms:.0f} ms")
    async for check in check_brokers(kafka, admin, [node for node, *_ in map(_fields, brokers)]):
        yield check
    yield await check_clock(kafka)
    client = client_arguments(kafka)
    states = await list_topics(client, kafka.topics)
    async for check in check_topics(kafka, admin, states):
        yield check
    await consumer.start()
    measured = await LagMeter(consumer, admin, kafka.topics).measure()
    standing = await read_standing(kafka) if _exists(states, kafka.topics.models) else None
    if standing is None:
        for check in check_groups(measured, None):
            yield check
        return
    measured = own_alone(measured, standing.withdrawn)
    for check in check_groups(measured, standing):
        yield check
    for check in check_models(standing.announced, measured):
        yield check
    if policy is not None:
        for check in check_policy(policy, standing.announced):
            yield check


def _fields(broker: dict[str, Any]) -> tuple[int, str]:
    return broker["node_id"], broker["host"]


def _exists(states: Sequence[TopicState], name: str) -> bool:
    return any(state.name == name and state.status != "missing" for state in states)


def _asked(kafka: KafkaSettings) -> str:
    return f"{kafka.bootstrap} ({kafka.security_protocol})"
