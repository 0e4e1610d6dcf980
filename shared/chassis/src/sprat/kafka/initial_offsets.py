"""Where a new consumer group starts: at the first text appended at or after the moment its service owns them from."""

import logging

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from sprat.errors import Fatal
from sprat.kafka.clients import make_consumer, missing_topics
from sprat.settings import KafkaSettings

log = logging.getLogger(__name__)


async def set_initial_offsets(settings: KafkaSettings, group: str, topic: str, timestamp_ms: int) -> None:
    """Commit the first offsets of a group that has none yet in some partitions of a topic.

    A member that is at work already did so; then the broker refuses the commit of an outsider, and that is well.

    Raises:
        Fatal: the topic does not exist.
    """
    missing = await _without_offset(settings, group, topic)
    if not missing:
        return
    consumer = make_consumer(settings.client(), group_id=group)
    try:
        await consumer.start()
        consumer.assign(missing)
        # The ends first: a text appended between the two look-ups must not fall between them.
        ends = await consumer.end_offsets(missing)
        found = await consumer.offsets_for_times(dict.fromkeys(missing, timestamp_ms))
        starts = {partition: found[partition].offset if found[partition] else ends[partition] for partition in missing}
        await consumer.commit(starts)
    except KafkaError as error:
        if await _without_offset(settings, group, topic):
            raise
        log.info("group %s was started by another member: %s", group, type(error).__name__)
    finally:
        await consumer.stop()


async def _without_offset(settings: KafkaSettings, group: str, topic: str) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(**settings.client())
    try:
        await admin.start()
        (description,) = await admin.describe_topics([topic])
        if missing_topics([description]):
            raise Fatal(f"topic {topic} does not exist: run `sprat topics create`")
        committed = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    partitions = [TopicPartition(topic, part["partition"]) for part in description["partitions"]]
    return [p for p in partitions if p not in committed or committed[p].offset < 0]
