"""A help desk: it sends what customers write to Sprat, and puts each ticket into a queue by the Result."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer

QUEUES = {"card_lost": "cards", "transfer": "payments"}
PEOPLE = "people"
"""The queue of tickets that nobody may sort but people."""


def queue_of(result: Mapping[str, Any]) -> str:
    """Return the queue of a ticket: only a full answer with a label that the desk knows is sorted by machine."""
    if result["status"] != "answered":
        return PEOPLE
    return QUEUES.get(result["output"]["label"], PEOPLE)


class Desk:
    """Sends tickets, and sorts them as their Results come."""

    def __init__(self, bootstrap: str, tenant: str) -> None:
        self.queues: dict[str, str] = {}
        """Ticket → queue."""
        self._tenant = tenant
        self._producer = Producer({"bootstrap.servers": bootstrap})
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"desk-{uuid.uuid4()}",
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
            }
        )
        self._consumer.subscribe(["sprat.results.intent.v1"])

    def submit(self, ticket: str, text: str) -> None:
        """Send a ticket."""
        event = {"text": text, "tasks": {"intent": {}}, "tenant": self._tenant, "reference": {"ticket": ticket}}
        self._producer.produce("sprat.texts.v1", json.dumps(event))
        self._producer.flush()

    def sort_one(self, timeout_s: float) -> None:
        """Sort the ticket of the next Result; return after `timeout_s` seconds if none comes.

        Raises:
            KafkaException: Kafka reports an error.
        """
        record = self._consumer.poll(timeout_s)
        if record is None:
            return
        if record.error():
            raise KafkaException(record.error())
        result = json.loads(record.value() or b"{}")
        ticket = (result["reference"] or {}).get("ticket")
        if ticket is not None:
            self.queues.setdefault(ticket, queue_of(result))  # the first Result counts: a second may be a repetition

    def close(self) -> None:
        """Leave Kafka."""
        self._consumer.close()
