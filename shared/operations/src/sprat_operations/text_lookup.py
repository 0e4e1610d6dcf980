"""The texts of results, read from their topic by the place that each result names."""

from typing import Any, Final

from aiokafka import TopicPartition

from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import client_arguments, close_in_time, make_consumer
from sprat_contracts import Result, TextSubmitted, WireError, decode
from sprat_operations.feedback import identity_of_text

_WAIT_MS: Final = 5_000


class TextLookup:
    """A consumer of the topic of texts, without a group, that reads one record at a time."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self.topic = kafka.topics.texts
        self._client = client_arguments(kafka)
        self._consumer: Any = None

    async def start(self) -> None:
        """Connect."""
        self._consumer = make_consumer(self._client, group_id=None, auto_offset_reset="earliest")
        await self._consumer.start()

    async def stop(self) -> None:
        """Disconnect."""
        if self._consumer is not None:
            await close_in_time(self._consumer.stop)

    async def text_of(self, result: Result) -> str | None:
        """Return the text of a result; None where it is no longer there, as texts expire and are erased.

        Raises:
            TopicAuthorizationFailedError: this user may not read the texts.
        """
        place, offset = TopicPartition(self.topic, result.origin.partition), result.origin.offset
        self._consumer.assign([place])
        first = (await self._consumer.beginning_offsets([place]))[place]
        end = (await self._consumer.end_offsets([place]))[place]
        if not first <= offset < end:
            return None
        self._consumer.seek(place, offset)
        found = await self._consumer.getmany(place, timeout_ms=_WAIT_MS, max_records=1)
        for record in found.get(place, ()):
            # Another record may stand there, where the topic was made anew or the text was erased.
            if record.offset == offset and identity_of_text(record) == (result.text_source, result.text_id):
                return _text_in(record)
        return None


def _text_in(record: Any) -> str | None:
    try:
        return decode(record, TextSubmitted).message.text
    except WireError:
        return None
