"""The operations of the services, read from the AsyncAPI documents that FastStream makes of their channels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import ConsumerRecord
from faststream.specification import AsyncAPI

from sprat.base.channels import Channels
from sprat.base.settings import KafkaSettings
from sprat.kafka.consumer import make_broker, subscribe
from sprat_contracts import Message


class NoMessage(Message):
    """The payload of a topic whose records are of any kind: FastStream requires one for every topic."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One service reads or writes one topic."""

    service: str
    action: str
    """receive or send."""
    topic: str
    message: str | None
    """Name of the payload's schema; None for records of any kind."""
    description: str


def operations(channels: Channels) -> Iterator[tuple[Operation, dict[str, Any]]]:
    """Yield the operations of a service, each with the schemas that FastStream makes of its message."""
    document = _document(channels)
    messages, schemas = document["components"]["messages"], document["components"]["schemas"]
    schemas.pop(NoMessage.__name__, None)
    for operation in document["operations"].values():
        channel = _follow(document, operation["channel"])
        (reference,) = channel["messages"].values()
        payload = messages[_last(reference)]["payload"]
        name = None if _last(payload) == NoMessage.__name__ else _last(payload)
        about = channel.get("description", "")
        yield Operation(channels.service, operation["action"], channel["address"], name, about), schemas


def _document(channels: Channels) -> dict[str, Any]:
    """Return FastStream's document of a service, from its broker as the running service makes it, not connected.

    The broker has one subscriber per topic, because FastStream shows one message for all topics of a subscriber.
    """
    settings = KafkaSettings()
    broker = make_broker(settings, f"sprat-{channels.service}")
    about = channels.description
    reads = {topic: (message, about) for topic, message in channels.reads.items()}
    follows = {
        topic: (message, "Read from its beginning by every instance, outside the consumer group.")
        for topic, message in channels.follows.items()
    }
    watches = {
        topic: (message or NoMessage, "Read by every instance, outside a consumer group.")
        for topic, message in channels.watches.items()
    }
    for topic, (message, description) in (reads | follows | watches).items():
        alone = Channels(channels.service, description, {topic: message}, {})
        subscribe(broker, alone, f"receive:{topic}", _unused, None, settings)
    for topic, written in channels.writes.items():
        broker.publisher(topic, schema=written or NoMessage, title=f"send:{topic}", description=about)
    specification = AsyncAPI(broker, title=channels.service, version="1", schema_version="3.0.0")
    document: dict[str, Any] = specification.to_specification().to_jsonable()
    return document


async def _unused(_: Sequence[ConsumerRecord]) -> None:
    raise AssertionError("a document reads no records")


def _follow(document: dict[str, Any], reference: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = document
    for step in reference["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found


def _last(reference: dict[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]
