"""The records that the guardian writes. Written again, a record has the same id."""

from typing import Final

from sprat.kafka.publisher import OutRecord
from sprat.kafka.signatures import Signatures
from sprat.registry.alarms import alarm_record
from sprat_contracts import AlarmRaised, Envelope, ReviewClosed, Topics, Traceparent, encode
from sprat_contracts.ids import REVIEW_CLOSED, derive

DISPUTED: Final = "review-disputed"


class RecordWriter:
    """Encodes and signs what the service `name` of an installation writes."""

    def __init__(self, topics: Topics, name: str, signatures: Signatures) -> None:
        self._topics = topics
        self._source = f"/{topics.prefix}/{name}"
        self._signatures = signatures

    def record(self, message: ReviewClosed | AlarmRaised) -> OutRecord:
        """Return the record of a closed draw, or of an alarm."""
        if isinstance(message, AlarmRaised):
            return alarm_record(self._topics, message, self._source, self._signatures)
        text = (message.text_source, message.text_id)
        id = str(derive(DISPUTED if message.disputed else REVIEW_CLOSED, *text, message.task))
        value, headers = encode(message, Envelope(id=id, source=self._source, traceparent=Traceparent.root(*text)))
        return self._signatures.sign(OutRecord(self._topics.reviews_closed, message.task.encode(), value, headers))
