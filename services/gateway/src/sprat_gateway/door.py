"""`Door`: takes a text, publishes it, and waits for its Results. Every shape of a request goes through it."""

import asyncio
import uuid as uuids
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sprat.base.settings import KafkaSettings
from sprat.kafka.publisher import NotAcknowledged, OutRecord, Publisher, TooLarge
from sprat_contracts import (
    SIGNATURE_HEADER,
    Envelope,
    Record,
    TextSubmitted,
    Traceparent,
    WireError,
    decode,
    encode,
    ids,
)
from sprat_gateway.http.callers import Caller
from sprat_gateway.http.problems import Problem
from sprat_gateway.replies.waiters import TableFull, TextOutcome, Waiter, Waiters
from sprat_policy import DoorSigner

MAX_WAIT_S: Final = 30.0
_HOLD_S: Final = 5.0
"""How long Kafka may take to acknowledge a text."""


@dataclass(frozen=True, slots=True)
class ValidText:
    """A text that may be published: valid, in its tenant's name."""

    message: TextSubmitted
    envelope: Envelope
    value: bytes
    headers: list[tuple[str, bytes]]
    outcome: TextOutcome
    """Without any Result."""


class Door:
    """Everything goes through the topics: the same policy, masking, audit, cache and trace as for any client."""

    def __init__(self, kafka: KafkaSettings, publisher: Publisher, waiters: Waiters, signer: DoorSigner) -> None:
        self._kafka = kafka
        self._publisher = publisher
        self._waiters = waiters
        self._signer = signer

    def read(self, caller: Caller, body: bytes, id: str | None = None) -> ValidText:
        """Return a text as it will be published: with the tenant and the source of the key.

        Raises:
            Problem: 422, it is no valid text; 403, it names another tenant, or the policy does not let the door send
                this tenant's texts from the key's source.
        """
        if (refusal := self._signer.refusal(caller.tenant, caller.source)) is not None:
            raise Problem(403, refusal.code, refusal.detail)
        source, id = caller.source, id or str(uuids.uuid4())
        given = Envelope(id=id, source=source, traceparent=Traceparent.root(source, id))
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", id.encode()),
            ("ce_source", source.encode()),
            ("ce_type", TextSubmitted.event_type.encode()),
            ("content-type", b"application/json"),
        ]
        try:
            message = decode(Record(self._kafka.topics.texts, 0, 0, 0, None, body, headers), TextSubmitted).message
        except WireError as error:
            raise Problem(422, error.code, error.detail) from None
        if "tenant" in message.model_fields_set and message.tenant != caller.tenant:
            raise Problem(403, "foreign_tenant", "tenant: the key is for another one; leave it out", field="tenant")
        message = message.model_copy(update={"tenant": caller.tenant})
        value, out = encode(message, given)
        if (signature := self._signer.sign(caller.tenant, source, id, value)) is not None:
            out.append((SIGNATURE_HEADER, signature))
        uuid = str(ids.derive(ids.TEXT, source, id))
        tasks = tuple(message.tasks.known_to(self._kafka.topics.tasks)) + message.tasks.unknown_to(
            self._kafka.topics.tasks
        )
        return ValidText(message, given, value, out, TextOutcome(uuid, source, id, caller.tenant, tasks))

    async def submit(self, caller: Caller, body: bytes, *, id: str | None = None, wait_s: float) -> TextOutcome:
        """Publish a text and return what is known of it after at most `wait_s`.

        Raises:
            Problem: it is refused, or cannot be published.
        """
        submission = self.read(caller, body, id)
        async with self._waiting(submission.outcome) as waiter:
            await self._publish(submission)
            return await _wait(waiter, wait_s)

    @asynccontextmanager
    async def _waiting(self, outcome: TextOutcome) -> AsyncIterator[Waiter]:
        """Register before anything is published: an answer may come before the acknowledgement."""
        try:
            waiter = self._waiters.register(outcome)
        except TableFull:
            detail = "as many texts are waited for as may be; try again later, or with Prefer: wait=0"
            raise Problem(429, "queue_full", detail, headers={"Retry-After": "1"}) from None
        try:
            yield waiter
        finally:
            self._waiters.release(waiter)

    async def _publish(self, submission: ValidText) -> None:
        record = OutRecord(
            self._kafka.topics.texts, submission.envelope.id.encode(), submission.value, submission.headers
        )
        try:
            await self._publisher.publish([record], _HOLD_S)
        except TooLarge:
            raise Problem(413, "too_large", "the text's record is larger than its topic allows") from None
        except NotAcknowledged:
            detail = "Kafka does not answer; send it again with the same Idempotency-Key: it is then the same text"
            raise Problem(503, "kafka_away", detail, headers={"Retry-After": "5"}) from None


async def _wait(waiter: Waiter, wait_s: float) -> TextOutcome:
    """Return the outcome when it is complete, or after `wait_s`."""
    try:
        async with asyncio.timeout(wait_s):
            while not waiter.outcome.complete:
                await waiter.changed.wait()
    except TimeoutError:
        pass
    return waiter.outcome
