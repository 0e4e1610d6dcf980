"""The frontier's decisions: from a request to an answer, or to the reason for none. No Kafka and no Redis here."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from time import perf_counter
from typing import Any
from uuid import uuid4

from sprat.errors import Rejected, Retryable
from sprat.processing.handler import Emit, Outcome, Received, record_key
from sprat.telemetry import signals
from sprat.telemetry.spans import child_span
from sprat_contracts import (
    Declined,
    Egress,
    EgressRecord,
    FrontierAnswered,
    FrontierRequested,
    ModelRef,
    ReasonCode,
    Topics,
    ids,
)
from sprat_frontier.answer_store import PaidAnswer, answer_key, read_answer
from sprat_frontier.call_limiter import CallLimiter
from sprat_frontier.escalation import Escalation, escalation_of
from sprat_frontier.fault_log import FaultLog
from sprat_frontier.observed_provider import ObservedProvider
from sprat_frontier.protocols import (
    AnswerStore,
    CallCounter,
    Clock,
    EgressAudit,
    HashFunction,
    PreparedRequest,
    Provider,
    ProviderAnswer,
    ProviderError,
    TenantPolicies,
    TextMasker,
)
from sprat_frontier.quota import SectionQuota
from sprat_frontier.settings import FrontierSettings
from sprat_frontier.single_flight import SharedCall, SingleFlight
from sprat_frontier.waiting_cases import AnswerTooLateError, DeadlinePassedError, NotCalledError, WaitingCases
from sprat_policy import TaskFile, TenantGuard
from sprat_privacy import LanguageNotCovered, NotRestorable, NotVerified, TextTooLong

SERVICE = "frontier"
NOTHING_LEFT = Egress(left=False, masked={})
_REDELIVERED_S = 2.0
"""How long a case whose deadline has passed may wait for masking: its answer may be paid for and stored."""


class FrontierHandler:
    """Answers or declines every request; `escalate` is the whole path.

    Under `redact`, what is sent, stored and shared contains placeholders only; each escalation restores its own values
    in its own answer, as the last step. A redelivered request finds the answer that was paid for it and reports the
    same cost and egress as the first time.

    Raises:
        UserError: the configured model has no price.
    """

    def __init__(
        self,
        settings: FrontierSettings,
        *,
        topics: Topics,
        policies: TenantPolicies,
        guard: TenantGuard,
        masker: TextMasker,
        store: AnswerStore,
        provider: Provider,
        audit: EgressAudit,
        hash: HashFunction,
        clock: Clock,
        counter: CallCounter | None = None,
        limiter: CallLimiter | None = None,
        tasks: Mapping[str, TaskFile] | None = None,
    ) -> None:
        self._settings = settings
        self._price = settings.price_of_model()
        self._topics = topics
        self._policies = policies
        self._tasks = tasks or {}
        self._guard = guard
        self._masker = masker
        self._store = store
        self._provider = ObservedProvider(provider, settings)
        self._audit = audit
        self._hash = hash
        self._clock = clock
        self._limiter = limiter or CallLimiter(settings)
        self._waiting = WaitingCases(settings.max_waiting)
        self._quota = SectionQuota(policies, counter, hash, clock)
        self._calls = SingleFlight()
        self._masking_faults = FaultLog("a text could not be masked and stays here")

    def message_type(self, topic: str) -> type[FrontierRequested]:
        """Return the message type of its one topic."""
        return FrontierRequested

    def skip_reason(self, received: Received[FrontierRequested]) -> str | None:
        """Return `replay` for a record that is replayed for another service, or why the text is not its tenant's.

        A request for such a text ends here, without an answer: the router has refused the text, and a Result of it
        could take the place of that of the tenant's own text with the same source and id.
        """
        if received.envelope.replay_for not in {None, SERVICE}:
            return "replay"
        return self._guard.skip_reason(received.message.prediction)

    async def handle(self, received: Received[FrontierRequested]) -> Outcome:
        """Answer or decline one request.

        Raises:
            Retryable: see `escalate`.
        """
        return self._outcome(await self.escalate(received.message))

    def malformed(self, rejected: Rejected) -> Outcome:
        """Reject the record: no other service reads the requests."""
        return Outcome(rejected=rejected)

    def failed(self, received: Received[FrontierRequested]) -> Outcome:
        """Decline after a defect in this code: the text and its task still end in a Result."""
        declined = Declined(code=ReasonCode.DEFECT, detail="see the logs")
        _count(received.message, "declined", declined.code)
        return self._outcome(FrontierAnswered(request=received.message, declined=declined))

    def oversized(self, received: Received[FrontierRequested], emit: Emit) -> Outcome:
        """Decline instead, with a dead letter; the answer still reports its cost. The escalation is counted already."""
        rejected = Rejected(ReasonCode.TOO_LARGE, f"the answer is too large for the topic {emit.topic}")
        declined = Declined(code=rejected.code, detail=rejected.detail)
        message = emit.message.model_copy(update={"output": None, "declined": declined})
        return Outcome((replace(emit, message=message),), rejected)

    async def drain(self, timeout_s: float) -> None:
        """Wait for the calls under way, so that their answers are stored; cancel those that take longer."""
        await self._calls.drain(timeout_s)

    async def escalate(self, request: FrontierRequested) -> FrontierAnswered:
        """Return the answer to a hard case, or why there is none; by its deadline, also while a call continues.

        Raises:
            Retryable: the service is stopping; a redelivery tries again.
            SpratError: as the audit raises it, when an egress record could not be written.
        """
        escalation = escalation_of(request, self._policies, self._clock, self._settings.max_wait_s, self._tasks)

        # Mask. First, because stored answers are keyed by the masked text; masking is deterministic and sends nothing.
        try:
            escalation = await self._masked(escalation)
        except NotCalledError as error:
            return self._not_called(escalation, error)

        # Stored answer. Before deadline and policy, so that a redelivered request gets the answer it has paid for.
        key = self._key(escalation)
        stored = await self._stored(escalation, key)
        if stored is not None:
            return self._restored(escalation, stored, "stored")

        # Deadline and policy.
        refusal = escalation.refusal(self._provider.region)
        if refusal is not None:
            return self._declined(escalation, refusal, NOTHING_LEFT)

        # Single flight. The call continues after the deadline of those who wait: its answer is stored for the next one.
        return await self._call_or_join(escalation, key)

    async def _call_or_join(self, escalation: Escalation, key: str) -> FrontierAnswered:
        """Return the answer of a call for this question, one's own or another escalation's."""
        while True:
            call = self._calls.get(key)
            if call is None:
                call = SharedCall(asked_by=escalation.answer_id)
                self._calls.start(key, call, self._call_provider(escalation, key, call))
            pays = call.asked_by == escalation.answer_id
            try:
                answer = await self._answer_of(escalation, key, call, pays=pays)
            except DeadlinePassedError as late:
                if not (pays or escalation.deadline.passed or isinstance(late, AnswerTooLateError)):
                    continue  # The deadline was another escalation's; this one has more time and asks again.
                return self._not_called(escalation, late, call)
            except NotCalledError as error:
                return self._not_called(escalation, error, call)
            except ProviderError as error:
                return self._provider_failed(escalation, error, call.call_id, pays=pays)

            # Restore.
            return self._restored(escalation, answer, "answered" if pays else "coalesced")

    async def _answer_of(self, escalation: Escalation, key: str, call: SharedCall, *, pays: bool) -> PaidAnswer:
        """Wait for a call's answer. The case that it was made for gives way to no other once it has begun.

        Raises:
            AnswerTooLateError: it has not ended by this escalation's deadline.
            OverloadError: too many cases wait.
            Retryable: the service is stopping.
            NotCalledError: as `_call_provider` raises it.
            ProviderError: likewise.
        """
        until: set[asyncio.Future[Any]] = {call.task, call.begun} if pays else {call.task}
        with self._calls.wait_for(key, call):
            async with self._waiting.waiting(escalation, escalation.deadline.remaining_s(), AnswerTooLateError()):
                await asyncio.wait(until, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({call.task}, timeout=escalation.deadline.remaining_s())
            if not call.task.done():
                raise AnswerTooLateError
        if call.task.cancelled():
            raise Retryable("the service is stopping; the call was cancelled")
        return call.task.result()

    async def _call_provider(self, escalation: Escalation, key: str, call: SharedCall) -> PaidAnswer:
        """Call until there is an answer. The deadline does not cut a call short: it is paid for anyway.

        Every HTTP request has records of its own: `attempt`, acknowledged before a byte leaves, and `outcome`.

        Raises:
            DeadlinePassedError: the deadline came, or is sure to come, before another call could be made.
            QuotaReachedError: the section's escalations of this minute are used up.
            ProviderError: the last call failed, and another makes no sense.
            SpratError: as the audit raises it, when an egress record could not be written.
        """
        await self._quota.spend(escalation.sender.section)
        prepared = self._provider.prepare(escalation.question)
        failures = 0
        while True:
            async with self._limiter.permit(escalation.sender, key, escalation.deadline) as permit:
                attempt = self._attempt_record(escalation, prepared)
                try:
                    await self._audit(attempt)
                except asyncio.CancelledError:  # nobody waits any longer; the attempt is written all the same
                    await self._audit(self._outcome_record(attempt, "not_sent"))
                    raise
                if escalation.deadline.passed:
                    # Whoever asked may have been told already that nothing left.
                    await self._audit(self._outcome_record(attempt, "not_sent"))
                    raise DeadlinePassedError("the record of the call was not acknowledged in time")
                call.begin(attempt.call_id)
                _count_egress(attempt)
                started_s = perf_counter()
                try:
                    answer = await self._provider.ask(prepared)
                except ProviderError as error:
                    self._limiter.breaker.record_error(permit, error)
                    await self._audit(self._outcome_record(attempt, error.code, error))
                    failure = error
                except asyncio.CancelledError:
                    await self._audit(self._outcome_record(attempt, "cancelled"))
                    raise
                else:
                    self._limiter.breaker.record_success(permit)
                    paid = self._paid(escalation, answer, attempt.call_id, (perf_counter() - started_s) * 1000)
                    try:
                        # Stored as soon as it is there: whatever fails from here on, nobody pays for it again.
                        await self._store_usable(escalation, key, paid)
                    finally:
                        await self._audit(self._outcome_record(attempt, "answered", answer))
                    return paid
            failures += not permit.probe
            await self._limiter.pause_before_retry(failure, failures, escalation.deadline)

    async def _masked(self, escalation: Escalation) -> Escalation:
        """Return the escalation with its text masked, or with the reason why it is not.

        Raises:
            DeadlinePassedError: it was not masked in time.
            OverloadError: too many cases wait.
        """
        if escalation.rule != "redact":
            return escalation
        question = escalation.question
        wait_s = escalation.deadline.remaining_s() or _REDELIVERED_S
        late = DeadlinePassedError("the text was not masked in time")
        try:
            with child_span(signals.MASK) as span, signals.MASKING_SECONDS.timed():
                async with self._waiting.waiting(escalation, wait_s, late):
                    masked = await self._masker.mask(escalation.sender, question.text, question.language)
                span.set(masked=masked.counts)
        except NotVerified as error:
            if not isinstance(error, LanguageNotCovered | TextTooLong):  # limits, no faults
                self._masking_faults.add(f"{type(error).__name__}: {error.reason}")
            return replace(escalation, masking_failure=error.reason)
        return replace(
            escalation.with_masked(masked), labels_to_keep=self._masker.labels_to_keep(escalation.question.labels)
        )

    async def _stored(self, escalation: Escalation, key: str) -> PaidAnswer | None:
        if escalation.masking_failure is not None:
            return None
        return read_answer(await self._store.get(key), escalation.question)

    async def _store_usable(self, escalation: Escalation, key: str, paid: PaidAnswer) -> None:
        """Store the answer, unless it cannot be restored: the next one who asks gets another chance."""
        try:
            escalation.restored(paid.output)
        except NotRestorable:
            return
        await self._store.put(key, paid.model_dump_json().encode())

    def _key(self, escalation: Escalation) -> str:
        masker_version = "" if escalation.masked is None else self._masker.version
        endpoint = self._settings.base_url
        return answer_key(self._hash, escalation.question, escalation.rule, masker_version, self._provider, endpoint)

    def _paid(self, escalation: Escalation, answer: ProviderAnswer, call_id: str, call_ms: float) -> PaidAnswer:
        return PaidAnswer(
            asked_by=escalation.answer_id,
            output=answer.output,
            model=ModelRef(name=answer.model, version=answer.model),
            usage=answer.usage,
            cost_eur=self._price.cost_eur(answer.usage),
            egress=self._egress(escalation, call_id, simulated=answer.simulated),
            call_ms=call_ms,
        )

    def _restored(self, escalation: Escalation, answer: PaidAnswer, result: str) -> FrontierAnswered:
        """Return the answer with the escalation's own values.

        Only the escalation that the call was made for reports its cost; of the others, an equal text has left.
        """
        pays = answer.asked_by == escalation.answer_id
        egress = answer.egress.model_copy(update={"masked": dict(escalation.masked_counts)})
        cost: dict[str, Any] = {"usage": answer.usage, "cost_eur": answer.cost_eur} if pays else {}
        call_ms = answer.call_ms if pays else None
        try:
            output = escalation.restored(answer.output)
        except NotRestorable as error:
            declined = Declined(code=error.code, detail=error.reason)
            return self._declined(escalation, declined, egress, call_ms=call_ms, **cost)
        _count(escalation.request, result)
        return FrontierAnswered(
            request=escalation.request,
            output=output,
            model=answer.model,
            egress=egress,
            cached=not pays,
            timings_ms=escalation.timings_ms(call_ms),
            **cost,
        )

    def _provider_failed(
        self, escalation: Escalation, error: ProviderError, call_id: str | None, *, pays: bool
    ) -> FrontierAnswered:
        """Decline after a failed call; only the escalation that it was made for reports its cost."""
        own_code = error.code in {ReasonCode.INVALID_ANSWER, ReasonCode.REFUSED, ReasonCode.NO_GOLD}
        code = error.code if own_code else ReasonCode.PROVIDER
        declined = Declined(code=code, detail=error.detail if code == error.code else f"{error.code}: {error.detail}")
        usage = error.usage if pays else None
        egress = self._egress(escalation, call_id, simulated=error.simulated)
        return self._declined(escalation, declined, egress, usage=usage, cost_eur=self._price.cost_eur(usage))

    def _not_called(
        self, escalation: Escalation, error: NotCalledError, call: SharedCall | None = None
    ) -> FrontierAnswered:
        """Decline where no call was made, or none ended in time; `call` is the one that was waited for."""
        egress = self._egress(escalation, None if call is None else call.call_id)
        return self._declined(escalation, Declined(code=error.code, detail=str(error)), egress)

    def _declined(
        self, escalation: Escalation, declined: Declined, egress: Egress, call_ms: float | None = None, **cost: Any
    ) -> FrontierAnswered:
        _count(escalation.request, "declined", declined.code)
        timings = escalation.timings_ms(call_ms)
        return FrontierAnswered(
            request=escalation.request, declined=declined, egress=egress, timings_ms=timings, **cost
        )

    def _outcome(self, answered: FrontierAnswered) -> Outcome:
        prediction = answered.request.prediction
        emit = Emit(
            topic=self._topics.frontier_answers,
            key=record_key(prediction.origin, prediction.text_id),
            id=str(ids.derive(ids.ANSWER, prediction.text_source, prediction.text_id, prediction.task)),
            message=answered,
            extensions={"tenant": prediction.submitted.tenant},
        )
        return Outcome(events=(emit,))

    def _egress(self, escalation: Escalation, call_id: str | None, *, simulated: bool = False) -> Egress:
        """Return what left by a call; None: there was none."""
        if call_id is None:
            return NOTHING_LEFT
        masked = dict(escalation.masked_counts)
        provider, region = self._provider.name, self._provider.region
        return Egress(left=True, masked=masked, provider=provider, region=region, call_id=call_id, simulated=simulated)

    def _attempt_record(self, escalation: Escalation, prepared: PreparedRequest) -> EgressRecord:
        question = escalation.question
        submitted = escalation.request.prediction.submitted
        return EgressRecord(
            call_id=str(uuid4()),
            phase="attempt",
            tenant=question.tenant,
            task=question.task,
            provider=self._provider.name,
            region=self._provider.region,
            model=self._provider.model,
            host=self._settings.host,
            bytes_out=prepared.bytes_out,
            masked=dict(escalation.masked_counts),
            # Of the text as it was submitted, so that its owner finds the record.
            text_hash=self._hash("egress-text", question.tenant, submitted.text),
        )

    def _outcome_record(
        self, attempt: EgressRecord, outcome: str, billed: ProviderAnswer | ProviderError | None = None
    ) -> EgressRecord:
        usage = None if billed is None else billed.usage
        changes: dict[str, Any] = {"phase": "outcome", "outcome": outcome, "usage": usage}
        changes |= {"cost_eur": self._price.cost_eur(usage)}
        if billed is not None:
            changes |= {"certificate": billed.certificate, "usage_capped": billed.usage_capped}
        return attempt.model_copy(update=changes)


def _count(request: FrontierRequested, result: str, reason: str = "none") -> None:
    """Count a concluded escalation."""
    prediction = request.prediction
    tenant = prediction.submitted.tenant
    signals.ESCALATIONS.add(1, task=prediction.task, tenant=tenant, result=result, reason=reason)


def _count_egress(attempt: EgressRecord) -> None:
    """Count a call whose record is acknowledged."""
    labels = {"tenant": attempt.tenant, "provider": attempt.provider, "region": attempt.region}
    signals.EGRESS_CALLS.add(1, **labels)
    signals.EGRESS_BYTES.add(attempt.bytes_out, **labels)
    for type, items in attempt.masked.items():
        signals.MASKED_ITEMS.add(items, type=type)
