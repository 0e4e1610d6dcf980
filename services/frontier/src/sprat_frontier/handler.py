"""The frontier's decisions: from a request to an answer, or to the reason for none. No Kafka and no Redis here."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from time import perf_counter
from typing import Any
from uuid import uuid4

from sprat.base.errors import Rejected, Retryable
from sprat.base.retry import FaultLog
from sprat.processing.handler import Emit, Outcome, Received, record_key
from sprat.telemetry import signals
from sprat.telemetry.spans import child_span
from sprat_contracts import (
    Declined,
    EgressRecord,
    FrontierAnswered,
    FrontierRequested,
    Output,
    ReasonCode,
    Topics,
    ids,
)
from sprat_contracts.languages import DEFAULT_LANGUAGE
from sprat_frontier.answer_store import PaidAnswer, answer_key, read_answer
from sprat_frontier.errors import AnswerTooLateError, DeadlinePassedError, NotCalledError, ProviderError
from sprat_frontier.escalation import Escalation, escalation_of
from sprat_frontier.protocols import (
    AnswerStore,
    CallCounter,
    Clock,
    EgressAudit,
    HashFunction,
    PreparedRequest,
    ProviderAnswer,
    TenantPolicies,
    TextMasker,
)
from sprat_frontier.quota import SectionQuota
from sprat_frontier.settings import FrontierSettings
from sprat_frontier.single_flight import SharedCall, SingleFlight
from sprat_frontier.tier_steps import (
    ClimbStep,
    concluded,
    failed,
    not_called,
    paid,
    paid_for_nothing,
    refused,
    restored,
)
from sprat_frontier.tiers import Tier, Tiers
from sprat_frontier.waiting_cases import WaitingCases
from sprat_policy import INSIDE, TaskFile, TenantGuard
from sprat_privacy import LanguageNotCovered, NotRestorable, NotVerified, TextTooLong

SERVICE = "frontier"
_REDELIVERED_S = 2.0
"""How long a case whose deadline has passed may wait for masking: its answer may be paid for and stored."""


class FrontierHandler:
    """Answers or declines every request; `escalate` is the whole path.

    A case climbs the tiers that are for it, one after the other, until one gives an answer that is kept. The way to
    each is the same: what may leave is decided for each, and recorded.

    Under `redact`, what is sent, stored and shared contains placeholders only; each escalation restores its own values
    in its own answer, as the last step. A redelivered request finds what was paid for it, tier by tier, and reports the
    same cost and egress as the first time.
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
        tiers: Tiers,
        audit: EgressAudit,
        hash: HashFunction,
        clock: Clock,
        counter: CallCounter | None = None,
        tasks: Mapping[str, TaskFile] | None = None,
        default_language: str = DEFAULT_LANGUAGE,
    ) -> None:
        self._settings = settings
        self._default_language = default_language
        self._tiers = tiers
        self._topics = topics
        self._policies = policies
        self._tasks = tasks or {}
        self._guard = guard
        self._masker = masker
        self._store = store
        self._audit = audit
        self._hash = hash
        self._clock = clock
        self._waiting = WaitingCases(settings.max_waiting)
        self._quota = SectionQuota(policies, counter, hash, clock)
        self._calls = SingleFlight()
        self._no_probabilities = FaultLog("a tier tells no probability of its labels, so that it keeps nothing")
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
        escalation = escalation_of(
            request, self._policies, self._clock, self._settings.max_wait_s, self._tasks, self._default_language
        )
        question = escalation.question
        order = self._hash("tier-order", question.tenant, question.task, question.text)
        tiers = self._tiers.of(escalation.sender.section, question.task, order)
        steps: list[ClimbStep] = []
        masked: Escalation | None = None
        for place, tier in enumerate(tiers):
            if tier.group is not None and any(step.tier.group == tier.group and step.is_said for step in steps):
                continue  # another provider of the same tier has said something
            followed = any(
                escalation.bar(other) is None and other.problem(question) is None for other in tiers[place + 1 :]
            )
            case = escalation.within(tier.share) if followed else escalation
            if tier.masks(escalation.rule) and (tier.inside or escalation.rule != "deny"):
                # Mask, once for all tiers. First, because stored answers are keyed by the masked text; masking is
                # deterministic and sends nothing.
                try:
                    masked = masked or await self._masked(case)
                except NotCalledError as error:
                    steps.append(not_called(case, tier, error))
                    _count_step(request, steps[-1])
                    continue
                case = replace(masked, deadline=case.deadline)
            began_s = perf_counter()
            steps.append(await self._step(case, tier, followed=followed))
            _count_step(request, steps[-1], perf_counter() - began_s)
            if steps[-1].declined is None:
                break
        answered = concluded(escalation, steps, reported=self._tiers.are_reported)
        if answered.declined is None:
            _count(request, steps[-1].result)
        else:
            _count(request, "declined", answered.declined.code)
        return answered

    async def _step(self, escalation: Escalation, tier: Tier, *, followed: bool) -> ClimbStep:
        """Return what one tier says to a case.

        Raises:
            Retryable: the service is stopping.
            SpratError: as the audit raises it, when an egress record could not be written.
        """
        # Stored answer. Before deadline and policy, so that a redelivered request gets the answer it has paid for.
        key = self._key(escalation, tier)
        stored = await self._stored(escalation, key)
        if stored is not None:
            return restored(escalation, tier, stored, "stored")

        # Deadline and policy.
        refusal = escalation.refusal(tier)
        if refusal is not None:
            return refused(tier, refusal)

        # Single flight. The call continues after the deadline of those who wait: its answer is stored for the next one.
        step = await self._call_or_join(escalation, tier, key, followed=followed)
        if step.output is not None and step.confidence is None and tier.asks_probabilities:
            self._no_probabilities.add(tier.name)
        return step

    async def _call_or_join(self, escalation: Escalation, tier: Tier, key: str, *, followed: bool) -> ClimbStep:
        """Return the answer of a call for this question, one's own or another escalation's."""
        flight = f"{key} followed" if followed else key  # it is not tried again
        while True:
            call = self._calls.get(flight)
            if call is None:
                call = SharedCall(asked_by=escalation.answer_id)
                self._calls.start(flight, call, self._call_provider(escalation, tier, key, call, followed=followed))
            pays = call.asked_by == escalation.answer_id
            try:
                answer = await self._answer_of(escalation, flight, call, pays=pays)
            except DeadlinePassedError as late:
                if not (pays or escalation.deadline.passed or isinstance(late, AnswerTooLateError)):
                    continue  # The deadline was another escalation's; this one has more time and asks again.
                return not_called(escalation, tier, late, call)
            except NotCalledError as error:
                return not_called(escalation, tier, error, call)
            except ProviderError as error:
                return failed(escalation, tier, error, call.call_id, pays=pays)

            # Restore.
            return restored(escalation, tier, answer, "answered" if pays else "coalesced")

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

    async def _call_provider(
        self, escalation: Escalation, tier: Tier, key: str, call: SharedCall, *, followed: bool
    ) -> PaidAnswer:
        """Call until there is an answer. The deadline does not cut a call short: it is paid for anyway.

        Every HTTP request has records of its own: `attempt`, acknowledged before a byte leaves, and `outcome`. Where
        another tier follows, a call that failed is not made again.

        Raises:
            DeadlinePassedError: the deadline came, or is sure to come, before another call could be made.
            QuotaReachedError: the section's escalations of this minute are used up.
            UnavailableError: the provider is, and another tier follows.
            ProviderError: the last call failed, and another makes no sense.
            SpratError: as the audit raises it, when an egress record could not be written.
        """
        spends = not tier.inside
        if spends:
            self._quota.check(escalation.sender.section)
        prepared = tier.provider.prepare(escalation.question)
        failures = 0
        while True:
            async with tier.limiter.permit(escalation.sender, key, escalation.deadline, patient=not followed) as permit:
                if spends:  # only here: a tier that is not asked, because its breaker is open, takes nothing
                    await self._quota.spend(escalation.sender.section)
                    spends = False
                attempt = await self._attempt(escalation, tier, prepared)
                call_id = None if tier.inside else attempt.call_id
                sent_before = call.call_id
                call.begin(call_id)
                if not tier.inside:
                    _count_egress(attempt)
                started_s = perf_counter()
                try:
                    answer = await tier.provider.ask(prepared)
                except ProviderError as error:
                    call_ms = (perf_counter() - started_s) * 1000
                    tier.limiter.breaker.record_error(permit, error)
                    if not error.sent:
                        call.call_id = sent_before
                    try:
                        if followed and error.usage is not None:
                            # So that a redelivery goes on to the next tier, and does not pay for nothing again.
                            nothing = paid_for_nothing(escalation, tier, error, error.usage, call_id, call_ms)
                            await self._store.put(key, nothing.model_dump_json().encode())
                    finally:
                        await self._record(tier, _outcome_record(attempt, tier, error.code, error))
                    failure = error
                except asyncio.CancelledError:
                    await self._record(tier, _outcome_record(attempt, tier, "cancelled"))
                    raise
                else:
                    tier.limiter.breaker.record_success(permit)
                    answer_paid = paid(escalation, tier, answer, call_id, (perf_counter() - started_s) * 1000)
                    try:
                        # Stored as soon as it is there: whatever fails from here on, nobody pays for it again.
                        await self._store_usable(escalation, key, answer.output, answer_paid, followed=followed)
                    finally:
                        await self._record(tier, _outcome_record(attempt, tier, "answered", answer))
                    return answer_paid
            failures += not permit.probe
            await tier.limiter.pause_before_retry(failure, failures, escalation.deadline, patient=not followed)

    async def _attempt(self, escalation: Escalation, tier: Tier, prepared: PreparedRequest) -> EgressRecord:
        """Write the record of a call that is about to be made, and return it.

        Raises:
            DeadlinePassedError: it was not acknowledged in time.
            SpratError: as the audit raises it.
        """
        attempt = self._attempt_record(escalation, tier, prepared)
        try:
            await self._record(tier, attempt)
        except asyncio.CancelledError:  # nobody waits any longer; the attempt is written all the same
            await self._record(tier, _outcome_record(attempt, tier, "not_sent"))
            raise
        if escalation.deadline.passed:
            # Whoever asked may have been told already that nothing left.
            await self._record(tier, _outcome_record(attempt, tier, "not_sent"))
            raise DeadlinePassedError("the record of the call was not acknowledged in time")
        return attempt

    async def _record(self, tier: Tier, record: EgressRecord) -> None:
        """Write an egress record, unless nothing leaves.

        Raises:
            SpratError: as the audit raises it.
        """
        if not tier.inside:
            await self._audit(record)

    async def _masked(self, escalation: Escalation) -> Escalation:
        """Return the escalation with its text masked, or with the reason why it is not.

        Raises:
            DeadlinePassedError: it was not masked in time.
            OverloadError: too many cases wait.
        """
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
        return read_answer(await self._store.get(key), escalation.question, escalation.answer_id)

    async def _store_usable(
        self, escalation: Escalation, key: str, output: Output, answer: PaidAnswer, *, followed: bool
    ) -> None:
        """Store the answer, unless it cannot be restored: the next one who asks gets another chance.

        Where another tier follows, it is stored that this one was paid for nothing, for who has paid.
        """
        try:
            escalation.restored(output)
        except NotRestorable as error:
            if not followed:
                return
            declined = Declined(code=error.code, detail=error.reason)
            answer = answer.model_copy(update={"output": None, "declined": declined})
        await self._store.put(key, answer.model_dump_json().encode())

    def _key(self, escalation: Escalation, tier: Tier) -> str:
        masker_version = "" if escalation.masked is None else self._masker.version
        rule = INSIDE if tier.inside else escalation.rule  # inside, the rules for what leaves make no difference
        return answer_key(self._hash, escalation.question, rule, masker_version, tier.provider, tier.endpoint)

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

    def _attempt_record(self, escalation: Escalation, tier: Tier, prepared: PreparedRequest) -> EgressRecord:
        question = escalation.question
        submitted = escalation.request.prediction.submitted
        return EgressRecord(
            call_id=str(uuid4()),
            phase="attempt",
            tenant=question.tenant,
            task=question.task,
            provider=tier.provider.name,
            region=tier.provider.region,
            model=tier.provider.model,
            host=tier.settings.host,
            bytes_out=prepared.bytes_out,
            masked=dict(escalation.masked_counts),
            # Of the text as it was submitted, so that its owner finds the record.
            text_hash=self._hash("egress-text", question.tenant, submitted.text),
        )


def _outcome_record(
    attempt: EgressRecord, tier: Tier, outcome: str, billed: ProviderAnswer | ProviderError | None = None
) -> EgressRecord:
    usage = None if billed is None else billed.usage
    changes: dict[str, Any] = {"phase": "outcome", "outcome": outcome, "usage": usage}
    changes |= {"breaker": tier.limiter.breaker.state, "cost_eur": tier.price.cost_eur(usage)}
    if billed is not None:
        changes |= {"certificate": billed.certificate, "usage_capped": billed.usage_capped}
    return attempt.model_copy(update=changes)


def _count(request: FrontierRequested, result: str, reason: str = "none") -> None:
    """Count a concluded escalation."""
    prediction = request.prediction
    tenant = prediction.submitted.tenant
    signals.ESCALATIONS.add(1, task=prediction.task, tenant=tenant, result=result, reason=reason)


def _count_step(request: FrontierRequested, step: ClimbStep, seconds: float | None = None) -> None:
    """Count a case at a tier, with the seconds that it spent there where it could be asked."""
    tier = step.tier.name
    outcome = "kept" if step.declined is None else step.declined.code
    signals.TIER_CASES.add(1, task=request.prediction.task, tier=tier, outcome=outcome)
    if step.asked and seconds is not None:
        signals.TIER_SECONDS.record(seconds, tier=tier)


def _count_egress(attempt: EgressRecord) -> None:
    """Count a call whose record is acknowledged."""
    labels = {"tenant": attempt.tenant, "provider": attempt.provider, "region": attempt.region}
    signals.EGRESS_CALLS.add(1, **labels)
    signals.EGRESS_BYTES.add(attempt.bytes_out, **labels)
    for type, items in attempt.masked.items():
        signals.MASKED_ITEMS.add(items, type=type)
