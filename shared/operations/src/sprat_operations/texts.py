"""Finding texts by their ids: all that is there is read, for an id says nothing of where its text stands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sprat.kafka import aiokafka_compat
from sprat.model import DEFAULT_MODEL
from sprat_contracts import KafkaRecord, TextSubmitted, WireError, decode
from sprat_contracts.ids import plain_text_identity
from sprat_operations.dead_letters import Identity, identity_of
from sprat_operations.topic_reader import OnReadProgress, TopicReader, silent


@dataclass(frozen=True, slots=True)
class FoundText:
    """A text, and when it was appended."""

    text: TextSubmitted = field(repr=False)
    appended_at: int
    """By the broker's clock: epoch milliseconds."""


@dataclass(slots=True)
class Wanted:
    """Texts that are looked for. Of texts with one id the first valid one counts, as it does for results."""

    missing: set[Identity]
    found: dict[Identity, FoundText] = field(default_factory=dict)
    invalid: set[Identity] = field(default_factory=set)
    """Their text was there and not valid; it may have been mended and sent again under its id."""
    oldest: int | None = None
    """When the oldest text that is still there was appended; None: there is none."""

    def take(self, record: KafkaRecord) -> None:
        """Look at a record of the topic of texts."""
        self.oldest = record.timestamp if self.oldest is None else min(self.oldest, record.timestamp)
        identity = _identity(record)
        if identity not in self.missing:
            return
        try:
            self.found[identity] = FoundText(decode(record, TextSubmitted).message, record.timestamp)
        except WireError:
            self.invalid.add(identity)
        else:
            self.missing.discard(identity)
            self.invalid.discard(identity)


async def look_for(client: Mapping[str, Any], topic: str, wanted: Wanted, *, progress: OnReadProgress = silent) -> None:
    """Read the headers of every text that is still there, until all are found; what is found stays also if it raises.

    Raises:
        UserError: there is no such topic.
        TimeoutError: the broker gives nothing more.
    """
    aiokafka_compat.install()
    async with TopicReader(client, progress) as looking:
        async for records in looking.since([topic], None):
            for record in records:
                wanted.take(record)
            if not wanted.missing:
                break


def model_asked(text: TextSubmitted, task: str) -> str:
    """Give the model of a task that a text asks for: the default where it names none, or asks for other tasks alone."""
    options = text.tasks.known.get(task)
    return DEFAULT_MODEL if options is None else options.model


def _identity(record: KafkaRecord) -> Identity:
    return identity_of(record.headers) or plain_text_identity(
        record.topic, record.partition, record.offset, record.timestamp
    )
