"""The texts that a withdrawn model has left: which of those that its service has not read ask for it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError

from sprat.base.errors import Rejected
from sprat.kafka.lag import GroupLag, LagSnapshot, OwnTexts
from sprat.registry.model_table import asking_pattern
from sprat_contracts import TextSubmitted, Topics, decode
from sprat_operations.topic_reader import TopicReader

MOST_READ: Final = 100_000
"""Texts of a group that are read at most: one for another task takes some 10 µs, one for this task 120 µs."""


async def count_own_texts(
    client: Mapping[str, Any], topics: Topics, measured: LagSnapshot, withdrawn: OwnTexts
) -> LagSnapshot:
    """Return the measurement in which of texts left by withdrawn models those alone count that ask for the model.

    That is so for groups without members, where it is known which texts are still the model's: who has a service needs
    no count. Where more than :data:`MOST_READ` would have to be read, or this user may not read the texts, all texts
    count, as before.

    Args:
        client: the arguments of an aiokafka client.
        topics: of the installation.
        measured: limited by :func:`sprat.kafka.lag.limit_to_owned`.
        withdrawn: the withdrawn models.

    Raises:
        KafkaError: Kafka does not answer.
    """
    left = {
        name: group
        for name, group in measured.groups.items()
        if withdrawn.get(name) is not None and not group.group.members and 0 < group.lag <= MOST_READ
    }
    if not left:
        return measured
    try:
        async with TopicReader(client) as reader:
            counted = {name: await _counted(reader, topics, group) for name, group in left.items()}
    except (TopicAuthorizationFailedError, TimeoutError):
        return measured
    return replace(measured, groups={**measured.groups, **counted})


async def _counted(reader: TopicReader, topics: Topics, group: GroupLag) -> GroupLag:
    task, _, model = group.group.name.partition(".")
    waiting = [each for each in group.partitions if each.lag and each.partition.topic == topics.texts]
    found: Counter[TopicPartition] = Counter()
    pattern = asking_pattern(task)
    between = {each.partition: (each.start, each.end) for each in waiting}
    async for records in reader.read_between(between):
        for record in records:
            if pattern.search(record.value or b"") and _asks(record, task, model):
                found[TopicPartition(record.topic, record.partition)] += 1
    return replace(group, partitions=tuple(replace(each, asking=found[each.partition]) for each in group.partitions))


def _asks(record: ConsumerRecord, task: str, model: str) -> bool:
    """Return whether the service of a model would answer a record."""
    try:
        received = decode(record, TextSubmitted)
    except Rejected:  # the router writes the dead letter
        return False
    options = received.message.tasks.options(task)
    return options is not None and options.model == model and received.envelope.replay_for in {None, task}
