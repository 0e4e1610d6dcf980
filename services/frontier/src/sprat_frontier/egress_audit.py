"""Writes egress records to Kafka: for the service, and for `sprat assess`."""

from sprat.errors import Retryable
from sprat.kafka.publisher import OutRecord, Publisher
from sprat.retry import retry_until
from sprat.telemetry import signals
from sprat.telemetry.spans import child_span, current_traceparent
from sprat_contracts import EgressRecord, Envelope, Topics, Traceparent, encode
from sprat_contracts.ids import derive


class KafkaEgressAudit:
    """The audit topic. A call returns when Kafka has acknowledged the record.

    Args:
        publisher: a started one.
        topics: names of the topics.
        writer: name of the service or command, for the events' source.
        give_up_s: how long Kafka may be unavailable.
    """

    def __init__(self, publisher: Publisher, topics: Topics, writer: str, give_up_s: float) -> None:
        self._publisher = publisher
        self._topics = topics
        self._source = f"/{topics.prefix}/{writer}"
        self._give_up_s = give_up_s

    async def __call__(self, record: EgressRecord) -> None:
        """Write a record.

        Raises:
            Fatal: Kafka was unavailable for `give_up_s`.
        """
        event_id = str(derive(f"egress-{record.phase}", self._source, record.call_id, record.task))
        topic = self._topics.egress
        with child_span(
            signals.SEND,
            topic,
            operation="send",
            operation_type="send",
            destination=topic,
            message_id=event_id,
            phase=record.phase,
        ) as span:
            traceparent = current_traceparent.get() or Traceparent.root(self._source, event_id)
            envelope = Envelope(
                id=event_id, source=self._source, traceparent=traceparent, extensions={"tenant": record.tenant}
            )
            value, headers = encode(record, envelope)
            # One record for all tries: a second one would report an attempt that was never made.
            out = OutRecord(topic, record.text_hash.encode(), value, headers)

            async def publish() -> None:
                (place,) = await self._publisher.publish([out])
                span.set(partition=str(place.partition), offset=place.offset)

            await retry_until(publish, Retryable, self._give_up_s)
