"""Withdraws a model, and tells when its service may stop.

The router reads the topic of models to its end before each batch. So every text that was appended after the tombstone
is escalated, and every text that the router left to the model lies before the end that the texts had at that moment:
the service may stop once it has committed as far.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition

from sprat.model_table import model_key
from sprat.operating.lag import LagMeter, Measured
from sprat_contracts import Topics


@dataclass(frozen=True, slots=True)
class Remainder:
    """What a withdrawn model still has to answer."""

    texts: int
    """At most: its service passes over those that are not for it."""
    members: int
    """Processes that serve it."""


async def withdraw(client: Mapping[str, Any], topics: Topics, task: str, model: str) -> None:
    """Write the tombstone, and return when Kafka has acknowledged it.

    Raises:
        KafkaError: Kafka cannot be reached, or refuses.
    """
    producer = AIOKafkaProducer(**client, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        await producer.send_and_wait(topics.models, value=None, key=model_key(task, model))
    finally:
        await producer.stop()


async def remainders(meter: LagMeter, topics: Topics, group: str) -> AsyncIterator[Remainder]:
    """Give what is left, each time one asks; call it after :func:`withdraw`. The last one has no texts.

    Args:
        meter: measures.
        topics: of the installation.
        group: of the model's service, without the prefix.

    Raises:
        KafkaError: the broker does not answer.
    """
    ends: Mapping[TopicPartition, int] | None = None
    while True:
        measured = await meter.measure()
        if ends is None:
            ends = {tp: end for tp, end in measured.ends.items() if tp.topic == topics.texts}
        left = _left(measured, group, ends)
        yield left
        if not left.texts:
            return


def _left(measured: Measured, group: str, ends: Mapping[TopicPartition, int]) -> Remainder:
    found = measured.groups.get(group)
    if found is None:
        return Remainder(0, 0)
    texts = sum(max(0, ends.get(each.partition, 0) - each.start) for each in found.partitions)
    return Remainder(texts, len(found.group.members))
