"""`Door`: takes a text, publishes it, and waits for its Results. Every shape of a request goes through it."""

import asyncio
import codecs
import json
import logging
import time
import uuid as uuids
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import from_json

from sprat.base.errors import Fatal
from sprat.base.settings import KafkaSettings
from sprat.kafka.publisher import NotAcknowledged, OutRecord, Publisher, TooLarge
from sprat.processing.records import root_at
from sprat.telemetry import signals
from sprat.telemetry.instruments import Value
from sprat.telemetry.spans import begin, ending, samples
from sprat_contracts import (
    SIGNATURE_HEADER,
    Envelope,
    ReasonCode,
    Record,
    TextSubmitted,
    Traceparent,
    WireError,
    decode,
    encode,
    ids,
)
from sprat_gateway.answers.kept import KeptText, TextStore, digest_of
from sprat_gateway.http.callers import Caller
from sprat_gateway.http.problems import Problem
from sprat_gateway.replies.search import ReplySearch
from sprat_gateway.replies.waiters import TableFull, TextOutcome, Waiter, Waiters
from sprat_policy import DoorSigner

log = logging.getLogger(__name__)

MAX_WAIT_S: Final = 30.0
MAX_ID: Final = 256
"""Characters of the id of a text."""
_HOLD_S: Final = 5.0
"""How long Kafka may take to acknowledge a text."""


@dataclass(frozen=True, slots=True)
class ValidText:
    """A text that may be published: valid, in its tenant's name."""

    record: OutRecord
    outcome: TextOutcome
    """Without any Result."""
    groups: tuple[str, ...]
    """Of the models that it asks for, as `intent.default`."""

    def continue_trace(self, traceparent: Traceparent) -> None:
        """Name another span as the one that sends the text."""
        others = [each for each in self.record.headers if each[0] != "traceparent"]
        self.record.headers = [*others, ("traceparent", str(traceparent).encode())]


class Door:
    """Everything goes through the topics: the same policy, masking, audit, cache and trace as for any client.

    Args:
        kafka: names the topics.
        publisher: is connected.
        waiters: whom the reader of replies tells.
        signer: signs texts where the policy asks for it, and refuses what the router would.
        answers: where texts stand for those who ask later; None: nowhere.
        search: finds what was decided before this door listened; None: the answers' place does that.
        late: returns whether texts for these groups of models will not be answered within so many seconds.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        publisher: Publisher,
        waiters: Waiters,
        signer: DoorSigner,
        answers: TextStore | None = None,
        *,
        search: ReplySearch | None = None,
        late: Callable[[tuple[str, ...], float], bool] = lambda _groups, _wait_s: False,
    ) -> None:
        self._topics = kafka.topics
        self._publisher = publisher
        self._waiters = waiters
        self._answers = answers
        self._search = search
        self._late = late
        self._signer = signer
        self._held: OutRecord | None = None
        """A text that Kafka has not acknowledged in time."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._unkept: dict[str, Waiter] = {}
        """Of which more is known than is kept."""
        self._keeping = asyncio.Lock()
        waiters.on_change = self._changed

    def read(
        self, caller: Caller, body: bytes, id: str | None = None, traceparent: Traceparent | None = None
    ) -> ValidText:
        """Return a text as it will be published: as it was given, with the tenant and the source of the key.

        Raises:
            Problem: 422, it is no valid text; 403, it names another tenant, or the policy does not let the door send
                this tenant's texts from the key's source; 400, the id cannot be one.
        """
        if (refusal := self._signer.refusal(caller.tenant, caller.source)) is not None:
            raise Problem(403, refusal.code, refusal.detail)
        _check_id(id)
        source, id = caller.source, id or str(uuids.uuid4())
        envelope = Envelope(id=id, source=source, traceparent=traceparent or Traceparent.root(source, id))
        topic = self._topics.texts
        try:
            value = _of_tenant(body, caller.tenant)
            # What is published is what is checked. `ce_` headers: the value cannot be an event with its own identity.
            headers = [("ce_specversion", b"1.0"), ("ce_id", id.encode()), ("ce_source", source.encode())]
            headers.append(("ce_type", TextSubmitted.event_type.encode()))
            message = decode(Record(topic, 0, 0, 0, None, value, headers), TextSubmitted).message
        except WireError as error:
            raise Problem(422, error.code, error.detail, field=error.field) from None
        _, headers = encode(message, envelope)
        if (signature := self._signer.sign(caller.tenant, source, id, value)) is not None:
            headers.append((SIGNATURE_HEADER, signature))
        table = self._topics.tasks
        known = message.tasks.known_to(table)
        tasks = (*known, *message.tasks.unknown_to(table))
        groups = tuple(f"{task}.{options.model}" for task, options in known.items())
        uuid = str(ids.derive(ids.TEXT, source, id))
        outcome = TextOutcome(uuid, source, id, caller.tenant, tasks)
        return ValidText(OutRecord(topic, id.encode(), value, headers), outcome, groups)

    async def submit(
        self,
        caller: Caller,
        body: bytes,
        *,
        id: str | None = None,
        wait_s: float,
        traceparent: Traceparent | None = None,
    ) -> TextOutcome:
        """Publish a text and return what is known of it after at most `wait_s`.

        A text whose id is found is not published again; a caller that gives no id has a new one.

        Raises:
            Problem: it is refused, it cannot be published, or its id is that of another text (409).
        """
        began_ns = time.time_ns()
        text = self.read(caller, body, id, traceparent)
        topic, known = text.record.topic, text.outcome
        about: dict[str, Value] = {"destination": topic, "message_id": known.id, "tenant": known.tenant}
        about["tasks"] = tuple(each.partition(".")[0] for each in text.groups)  # the known ones: no words of the sender
        if traceparent is not None:
            with ending(begin(signals.SUBMIT, topic, traceparent, began_ns, about)) as span:
                text.continue_trace(span.traceparent if span.recorded else traceparent)
                return (await self._submit(caller, text, wait_s, is_named=id is not None)).outcome
        waiter = await self._submit(caller, text, wait_s, is_named=id is not None)
        root = Traceparent.root(known.source, known.id)
        if waiter.place is not None and samples(signals.ACCEPT, root):  # the root is known by the text's place alone
            begin(signals.SUBMIT, topic, root_at(root, topic, *waiter.place), began_ns, about).end()
        return waiter.outcome

    async def _submit(self, caller: Caller, text: ValidText, wait_s: float, *, is_named: bool) -> Waiter:
        digest = digest_of(text.record.value or b"")
        found = await self._find(text.outcome.uuid, caller) if is_named else None
        if found is not None and found.outcome.refused is not None:  # what was wrong may be repaired
            self._waiters.forget(text.outcome.uuid)
        elif found is not None:
            _check_same(found.digest, digest)
            async with self._waiting(caller, found) as waiter:
                await self._wait(waiter, wait_s)
                return waiter
        async with self._waiting(caller, KeptText(text.outcome, digest)) as waiter:
            _check_same(waiter.digest, digest)
            await self._publish_once(waiter, text)
            await self._wait(waiter, 0 if self._late(text.groups, wait_s) else wait_s)
            if not waiter.outcome.complete:  # it is asked for later, perhaps at another instance
                await self._keep()
            return waiter

    async def find(self, caller: Caller, uuid: str) -> TextOutcome | None:
        """Return what is known of a text; None where there is none, or it is another tenant's or source's.

        Raises:
            Problem: 501, this door keeps nothing.
        """
        self._check_keeps()
        found = await self._find(uuid, caller)
        return None if found is None else found.outcome

    async def events(self, caller: Caller, uuid: str) -> AsyncIterator[TextOutcome]:
        """Yield what is known of a text and each change until it is complete; nothing where `find` returns None.

        Raises:
            Problem: as `find`; 429, too many wait.
        """
        self._check_keeps()
        found = await self._find(uuid, caller)
        if found is None:
            return
        if found.outcome.complete:
            yield found.outcome
            return
        async with self._waiting(caller, found) as waiter:
            while True:
                changed, outcome = waiter.changed, waiter.outcome
                yield outcome
                if outcome.complete or self._waiters.closed:
                    return
                await changed.wait()

    def _check_keeps(self) -> None:
        if self._answers is None:
            detail = "this gateway keeps no Results: set SPRAT_GATEWAY__DATA, or SPRAT_GATEWAY__SEAL_KEY to use Redis"
            raise Problem(501, "not_kept", detail)

    async def _find(self, uuid: str, caller: Caller) -> KeptText | None:
        """Return what is known of a text of the caller's."""
        waiter = self._waiters.find(uuid)
        if waiter is None or not waiter.is_published:
            found = await self._stored(uuid, caller)
            ended = found is None or (found.outcome.complete and found.outcome.refused is None)
            return found if found is None or ended else await self._searched(caller, found)
        if not caller.may_see(waiter.outcome.tenant, waiter.outcome.source):
            return None
        found = None if waiter.outcome.complete else await self._stored(uuid, caller)
        if found is not None and found.digest == waiter.digest:  # else it is what was rejected under the same id
            self._waiters.update(waiter, waiter.outcome.merged(found.outcome))  # it may know what was not read here
        return _kept(waiter)

    async def _stored(self, uuid: str, caller: Caller) -> KeptText | None:
        found = None if self._answers is None else await self._answers.find(uuid, caller.tenant, caller.source)
        if found is None or not caller.may_see(found.outcome.tenant, found.outcome.source):
            return None
        return found

    async def _searched(self, caller: Caller, found: KeptText) -> KeptText:
        """Return a text with what was decided while no instance told this one's store; from now on it is followed."""
        if self._search is None or found.appended_ms is None:
            return found
        async with self._waiting(caller, found) as waiter:
            known = await self._search.complete(found.outcome, found.place, found.appended_ms)
            self._waiters.update(waiter, waiter.outcome.merged(known))
            return _kept(waiter)

    @asynccontextmanager
    async def _waiting(self, caller: Caller, kept: KeptText) -> AsyncIterator[Waiter]:
        """Register before anything is published: an answer may come before the acknowledgement."""
        try:
            waiter = self._waiters.register(caller.key_id, kept.outcome, kept.digest, kept.place, kept.appended_ms)
        except TableFull as full:
            whose = "this key waits for as many texts as one may" if full.of_key else "all wait for as many as may be"
            detail = f"{whose}: try again later, or wait for a shorter time"
            raise Problem(429, "queue_full", detail, headers={"Retry-After": "1"}) from None
        try:
            if waiter.outcome.tenant != kept.outcome.tenant:  # keys of two tenants have one source
                raise Problem(409, "another_text", "the id is that of another text; use a new one")
            yield waiter
        finally:
            self._waiters.release(waiter)

    async def _publish_once(self, waiter: Waiter, text: ValidText) -> None:
        """Publish a text, also where its client hangs up; several that send the same share it."""
        if waiter.publishing is None or (waiter.publishing.done() and not waiter.is_published):
            waiter.publishing = self._in_background(self._publish(waiter, text))
        await asyncio.shield(waiter.publishing)

    async def _publish(self, waiter: Waiter, text: ValidText) -> None:
        if self._held is not None and self._held.sending is not None and not self._held.sending.done():
            raise _kafka_away(text, "nothing was published")
        self._held = None
        try:
            (place,) = await self._publisher.publish([text.record], _HOLD_S)
        except TooLarge:
            raise Problem(413, "too_large", "the text's record is larger than its topic allows") from None
        except Fatal as error:
            log.warning("a text is not published: %s", error)
            raise Problem(503, "kafka_refuses", "Kafka does not let this gateway write; its log says why") from None
        except NotAcknowledged:
            self._held = text.record
            raise _kafka_away(text, "whether the text was published is not known") from None
        waiter.place, waiter.appended_ms = (place.partition, place.offset), place.timestamp_ms
        self._changed(waiter)

    async def _wait(self, waiter: Waiter, wait_s: float) -> None:
        """Return when the outcome is complete, or after `wait_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while not (waiter.outcome.complete or self._waiters.closed):
                    await waiter.changed.wait()

    def _changed(self, waiter: Waiter) -> None:
        if not self._unkept:
            self._in_background(self._keep())
        self._unkept[waiter.outcome.uuid] = waiter

    async def _keep(self) -> None:
        """Keep what is known now of all texts; one at a time, so that less is never kept in place of more."""
        async with self._keeping:
            changed, self._unkept = self._unkept, {}
            if changed and self._answers is not None:
                await self._answers.keep([_kept(waiter) for waiter in changed.values()])

    def _in_background(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, Problem):
            log.error("a text could not be published or kept: %s", type(error).__name__, exc_info=error)


def _of_tenant(body: bytes, tenant: str) -> bytes:
    """Return the value of a text's record: with its tenant, all else as it was given, so that a Result can warn of it.

    The order of fields and white space are always the same: two bodies that say the same have the same digest.

    Raises:
        WireError: the body is no JSON object; `decode` finds all else.
        Problem: it names another tenant.
    """
    try:
        fields = from_json(body.removeprefix(codecs.BOM_UTF8), allow_inf_nan=False)
    except ValueError:
        fields = None
    if not body:
        raise WireError(ReasonCode.EMPTY_VALUE, "the request has no body: send a JSON object with text and tasks")
    if not isinstance(fields, dict):
        decode(Record("", 0, 0, 0, None, body, ()), TextSubmitted)  # says what is wrong
        raise WireError(ReasonCode.INVALID_JSON, "the body must be an object")
    if fields.get("tenant", tenant) not in (tenant, None):
        raise Problem(403, "foreign_tenant", "tenant: the key is for another one; leave it out", field="tenant")
    return json.dumps(fields | {"tenant": tenant}, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _check_id(id: str | None) -> None:
    if id is not None and not (0 < len(id) <= MAX_ID and id.isascii() and id.isprintable()):
        raise Problem(400, "invalid_id", f"the id must be 1 to {MAX_ID} printable ASCII characters")


def _check_same(found: str | None, digest: str) -> None:
    if found != digest:
        detail = "Idempotency-Key: another text was sent with it; use a new one for each text"
        raise Problem(409, "another_text", detail)


def _kept(waiter: Waiter) -> KeptText:
    return KeptText(waiter.outcome, waiter.digest, waiter.place, waiter.appended_ms)


def _kafka_away(text: ValidText, what: str) -> Problem:
    detail = f"Kafka does not answer; {what}. Send it again with Idempotency-Key: the id; it is then the same text"
    return Problem(503, "kafka_away", detail, headers={"Retry-After": "5"}, id=text.outcome.id)
