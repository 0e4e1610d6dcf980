"""The one place that makes Kafka consumers, so that all of them read committed records alone."""

from collections.abc import Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer

ISOLATION_LEVEL: Final = "read_committed"
"""aiokafka's default is `read_uncommitted`: it returns the records of aborted transactions as well."""


def make_consumer(client: Mapping[str, Any], *topics: str, **options: Any) -> Any:
    """Return a consumer, not started, that commits nothing by itself.

    Args:
        client: the arguments of an aiokafka client, see `KafkaSettings.client`.
        topics: what to subscribe to.
        options: more arguments of `AIOKafkaConsumer`.
    """
    return AIOKafkaConsumer(*topics, **client, isolation_level=ISOLATION_LEVEL, enable_auto_commit=False, **options)
