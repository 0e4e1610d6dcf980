"""A static member that comes back with other topics: it reads all of them, though Kafka remembers its assignment."""

import time
from collections import Counter

from conftest import Kafka
from sprat.base.channels import Channels
from sprat.base.settings import ServiceSettings
from sprat.context import ServiceContext, Subscription
from sprat_contracts import TextSubmitted
from sprat_testing.service import running
from support.stream import eventually, made_topics, publish, settings_for

SESSION_MS = 6_000
"""Long enough that the first member's session lasts until the second joins."""


async def test_a_static_member_that_comes_back_with_more_topics_reads_them_once_the_former_session_ends(
    kafka: Kafka, prefix: str
) -> None:
    settings = settings_for(kafka.bootstrap, prefix)
    kafka_settings = settings.kafka.model_copy(update={"instance_id": "one", "session_timeout_ms": SESSION_MS})
    settings = settings.model_copy(update={"kafka": kafka_settings})
    topics = await made_topics(settings)
    old, new = topics.texts, topics.feedback
    read: Counter[str] = Counter()

    def reading(*names: str):
        async def build(context: ServiceContext, settings: ServiceSettings) -> Subscription:
            async def handle(records) -> None:
                read.update(record.topic for record in records)

            channels = Channels("router", "", dict.fromkeys(names, TextSubmitted), {})
            return Subscription(channels, context.group, handle)

        return build

    async with running("router", settings, reading(old)):
        await publish(kafka.bootstrap, old, [b"{}"])
        await eventually(lambda: read[old] == 1)
    began = time.monotonic()
    async with running("router", settings, reading(old, new), timeout_s=SESSION_MS / 1000 + 10):
        await publish(kafka.bootstrap, new, [b"{}"])
        await eventually(lambda: read[new] == 1, SESSION_MS / 1000 + 10)
    waited_s = time.monotonic() - began

    async with running("router", settings, reading(new, old)) as context:
        await eventually(lambda: len(context.consumers[0].assignment()) == 2 * settings.kafka.partitions)
    assert time.monotonic() - began - waited_s < SESSION_MS / 1000, "the same topics: it has its partitions at once"
