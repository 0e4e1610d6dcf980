"""The topics of an installation, made when it starts."""

import asyncio
from pathlib import Path

from aiokafka.errors import KafkaError

from sprat.admin.topics import TopicState, create_topics
from sprat.errors import UserError
from sprat.local.background import Background
from sprat.local.errors import LocalError
from sprat.local.events import Event, OnEvent
from sprat.refusals import overhearing
from sprat.settings import KafkaSettings
from sprat_contracts import Topics


def make_topics(kafka: KafkaSettings, topics: Topics, kept: Path | None, on_event: OnEvent) -> tuple[TopicState, ...]:
    """Make what is missing; tell what differs from the table. `kept` is the folder of the embedded Kafka's kept data.

    Raises:
        UserError: the broker refuses; or kept topics have another number of partitions than is wanted.
    """
    with overhearing(kafka) as overheard:
        try:
            # On a thread of its own: the caller's may have a running event loop.
            states = Background(lambda: asyncio.run(create_topics(kafka.client(), topics)), "sprat-topics").result()
        except (KafkaError, UserError):
            if overheard.refusal is None:
                raise
            reason = overheard.refusal.reason
            raise LocalError(f"Kafka at {kafka.bootstrap} does not let you in: {reason}") from None
    for state in states:
        for difference in state.differences:
            if kept is not None and difference.setting == "partitions":
                # The count decides where a key's texts are. On somebody's own Kafka it is theirs to judge.
                raise UserError(
                    f"{state.name} in {kept} has {difference.actual} partitions, not {difference.expected}, and that "
                    f"cannot change: --partitions {difference.actual}, or another folder for --data"
                )
            text = f"{state.name}: {difference.setting} is {difference.actual}, not {difference.expected}"
            on_event(Event("topics", "warning", text))
    return states
