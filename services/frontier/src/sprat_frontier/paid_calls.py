"""From a case and a tier to the answer that was paid for: a stored one, or that of a call, which equal questions share.

No Kafka and no Redis here: the audit and the store are given.
"""

import asyncio
from time import perf_counter
from typing import Any
from uuid import uuid4

from sprat.base.errors import Retryable
from sprat.telemetry import signals
from sprat_contracts import Declined, EgressRecord, Output
from sprat_contracts.frontier import FOR_REVIEW
from sprat_frontier.answer_store import PaidAnswer, answer_key, read_answer
from sprat_frontier.errors import AnswerTooLateError, DeadlinePassedError, NoAnswerError, ProviderError
from sprat_frontier.escalation import Escalation
from sprat_frontier.protocols import AnswerStore, EgressAudit, HashFunction, PreparedRequest, ProviderAnswer
from sprat_frontier.quota import SectionQuota
from sprat_frontier.single_flight import SharedCall, SingleFlight
from sprat_frontier.tier_steps import paid, paid_for_nothing
from sprat_frontier.tiers import Tier
from sprat_frontier.waiting_cases import WaitingCases
from sprat_policy import INSIDE
from sprat_privacy import NotRestorable


class PaidCalls:
    """The answers that tiers are paid for.

    Args:
        store: keeps them.
        audit: writes the egress records.
        quota: of the policy's sections.
        waiting: the cases that wait, for masking as well.
        hash: for the keys of answers, and for the texts in egress records.
    """

    def __init__(
        self, store: AnswerStore, audit: EgressAudit, quota: SectionQuota, waiting: WaitingCases, hash: HashFunction
    ) -> None:
        self._store = store
        self._audit = audit
        self._quota = quota
        self._waiting = waiting
        self._hash = hash
        self._calls = SingleFlight()

    async def drain(self, timeout_s: float) -> None:
        """Wait for the calls under way, so that their answers are stored; cancel those that take longer."""
        await self._calls.drain(timeout_s)

    async def stored(self, case: Escalation, tier: Tier) -> PaidAnswer | None:
        """Return the stored answer of a tier to a case; None where there is none."""
        if case.masking_failure is not None:
            return None
        return read_answer(await self._store.get(self._key(case, tier)), case.question, case.answer_id)

    async def ask(self, case: Escalation, tier: Tier, *, followed: bool) -> PaidAnswer:
        """Return the answer of a call for this question, made for this case or for another one.

        The call continues after the deadline of those who wait: its answer is stored for the next one.

        Args:
            case: whose question it is.
            tier: that is asked.
            followed: whether another tier follows: a call that failed is not made again.

        Raises:
            NoAnswerError: there is none. It names the call in the audit, and the case that pays for it.
            Retryable: the service is stopping.
            SpratError: as the audit raises it, when an egress record could not be written.
        """
        key = self._key(case, tier)
        flight = f"{key} followed" if followed else key
        while True:
            call = self._calls.get(flight)
            if call is None:
                call = SharedCall(asked_by=case.answer_id)
                self._calls.start(flight, call, self._call_provider(case, tier, key, call, followed=followed))
            try:
                return await self._answer_of(case, flight, call)
            except NoAnswerError as error:
                is_own = call.asked_by == case.answer_id or isinstance(error, AnswerTooLateError)
                if isinstance(error, DeadlinePassedError) and not (is_own or case.deadline.passed):
                    continue  # The deadline was another case's; this one has more time and asks again.
                error.call_id, error.asked_by = call.call_id, call.asked_by
                raise

    async def _answer_of(self, case: Escalation, flight: str, call: SharedCall) -> PaidAnswer:
        """Wait for a call's answer. The case that it was made for gives way to no other once it has begun.

        Raises:
            AnswerTooLateError: it has not ended by this case's deadline.
            OverloadError: too many cases wait.
            Retryable: the service is stopping.
            NoAnswerError: as `_call_provider` raises it.
        """
        pays = call.asked_by == case.answer_id
        until: set[asyncio.Future[Any]] = {call.task, call.begun} if pays else {call.task}
        with self._calls.wait_for(flight, call):
            async with self._waiting.waiting(case, case.deadline.remaining_s(), AnswerTooLateError()):
                await asyncio.wait(until, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({call.task}, timeout=case.deadline.remaining_s())
            if not call.task.done():
                raise AnswerTooLateError
        if call.task.cancelled():
            raise Retryable("the service is stopping; the call was cancelled")
        return call.task.result()

    async def _call_provider(
        self, case: Escalation, tier: Tier, key: str, call: SharedCall, *, followed: bool
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
        section, spends = case.sender.section, not tier.inside
        if spends:
            self._quota.check(section)
        prepared = tier.provider.prepare(case.question)
        failures = 0
        while True:
            async with tier.limiter.permit(case.sender, key, case.deadline, patient=not followed) as permit:
                if spends:  # only here: a tier that is not asked, because its breaker is open, takes nothing
                    await self._quota.spend(section)
                    spends = False
                attempt = await self._attempt(case, tier, prepared)
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
                            await self._put(key, paid_for_nothing(case, tier, error, error.usage, call_id, call_ms))
                    finally:
                        await self._record(tier, _outcome_record(attempt, tier, error.code, error))
                    failure = error
                except asyncio.CancelledError:
                    await self._record(tier, _outcome_record(attempt, tier, "cancelled"))
                    raise
                else:
                    tier.limiter.breaker.record_success(permit)
                    answer_paid = paid(case, tier, answer, call_id, (perf_counter() - started_s) * 1000)
                    try:
                        # Stored as soon as it is there: whatever fails from here on, nobody pays for it again.
                        await self._put_usable(case, key, answer.output, answer_paid, followed=followed)
                    finally:
                        await self._record(tier, _outcome_record(attempt, tier, "answered", answer))
                    return answer_paid
            failures += not permit.probe
            await tier.limiter.pause_before_retry(failure, failures, case.deadline, patient=not followed)

    async def _attempt(self, case: Escalation, tier: Tier, prepared: PreparedRequest) -> EgressRecord:
        """Write the record of a call that is about to be made, and return it.

        Raises:
            DeadlinePassedError: it was not acknowledged in time.
            SpratError: as the audit raises it.
        """
        attempt = self._attempt_record(case, tier, prepared)
        try:
            await self._record(tier, attempt)
        except asyncio.CancelledError:  # nobody waits any longer; the attempt is written all the same
            await self._record(tier, _outcome_record(attempt, tier, "not_sent"))
            raise
        if case.deadline.passed:
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

    async def _put(self, key: str, answer: PaidAnswer) -> None:
        await self._store.put(key, answer.model_dump_json().encode())

    async def _put_usable(
        self, case: Escalation, key: str, output: Output, answer: PaidAnswer, *, followed: bool
    ) -> None:
        """Store the answer, unless it cannot be restored: the next one who asks gets another chance.

        Where another tier follows, it is stored that this one was paid for nothing, for who has paid.
        """
        try:
            case.restored(output)
        except NotRestorable as error:
            if not followed:
                return
            declined = Declined(code=error.code, detail=error.reason)
            answer = answer.model_copy(update={"output": None, "declined": declined})
        await self._put(key, answer)

    def _key(self, case: Escalation, tier: Tier) -> str:
        rule = INSIDE if tier.inside else case.rule  # inside, the rules for what leaves make no difference
        return answer_key(self._hash, case.question, rule, case.masker_version, tier.provider, tier.endpoint)

    def _attempt_record(self, case: Escalation, tier: Tier, prepared: PreparedRequest) -> EgressRecord:
        question = case.question
        submitted = case.request.prediction.submitted
        return EgressRecord(
            call_id=str(uuid4()),
            phase="attempt",
            tenant=question.tenant,
            task=question.task,
            provider=tier.provider.name,
            region=tier.provider.region,
            model=tier.provider.model,
            host=tier.settings.host,
            purpose=FOR_REVIEW if case.is_review else None,
            bytes_out=prepared.bytes_out,
            masked=dict(case.masked_counts),
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


def _count_egress(attempt: EgressRecord) -> None:
    """Count a call whose record is acknowledged."""
    labels = {"tenant": attempt.tenant, "provider": attempt.provider, "region": attempt.region}
    signals.EGRESS_CALLS.add(1, **labels)
    signals.EGRESS_BYTES.add(attempt.bytes_out, **labels)
    for type, items in attempt.masked.items():
        signals.MASKED_ITEMS.add(items, type=type)
