"""From a request to an answer, or to the reason for none: a case climbs the tiers that are for it."""

from dataclasses import replace
from time import perf_counter

from sprat.base.retry import FaultLog
from sprat.telemetry import signals
from sprat.telemetry.spans import child_span
from sprat_contracts import (
    FrontierAnswered,
    FrontierRequested,
    Output,
    ReviewAsked,
)
from sprat_frontier.errors import DeadlinePassedError, NotCalledError, ProviderError
from sprat_frontier.escalation import CaseReader, Escalation
from sprat_frontier.paid_calls import PaidCalls
from sprat_frontier.protocols import HashFunction, TextMasker
from sprat_frontier.tier_steps import ClimbStep, concluded, failed, not_called, refused, restored
from sprat_frontier.tiers import Tier, Tiers
from sprat_frontier.waiting_cases import WaitingCases
from sprat_policy import COMPARED
from sprat_privacy import LanguageNotCovered, NotVerified, TextTooLong

_REDELIVERED_S = 2.0
"""How long a case whose deadline has passed may wait for masking: its answer may be paid for and stored."""


class Climb:
    """Puts a case to the tiers that are for it, one after the other, until one gives an answer that is kept.

    The way to each is the same: what may leave is decided for each, and recorded.

    Under `redact`, what is sent, stored and shared contains placeholders only; each case restores its own values in its
    own answer, as the last step. A redelivered request finds what was paid for it, tier by tier, and reports the same
    cost and egress as the first time.

    Args:
        tiers: of the policy.
        cases: reads requests.
        masker: masks texts.
        waiting: the cases that wait.
        calls: asks tiers.
        hash: orders the providers of a group by the question.
    """

    def __init__(
        self,
        tiers: Tiers,
        cases: CaseReader,
        masker: TextMasker,
        waiting: WaitingCases,
        calls: PaidCalls,
        hash: HashFunction,
    ) -> None:
        self._tiers = tiers
        self._cases = cases
        self._masker = masker
        self._waiting = waiting
        self._calls = calls
        self._hash = hash
        self._no_probabilities = FaultLog("a tier tells no probability of its labels, so that it keeps nothing")
        self._not_reviewed = FaultLog("a review gets no answer of its tier")
        self._masking_faults = FaultLog("a text could not be masked and stays here")

    async def answer(self, request: FrontierRequested) -> FrontierAnswered:
        """Return the answer to a hard case, or why there is none; by its deadline, also while a call continues.

        Raises:
            Retryable: the service is stopping; a redelivery tries again.
            SpratError: as the audit raises it, when an egress record could not be written.
        """
        unmasked = self._cases.read(request)
        question = unmasked.question
        order = self._hash("tier-order", question.tenant, question.task, question.text)
        tiers = self._tiers.of(unmasked.sender.section, question.task, order)
        steps: list[ClimbStep] = []
        masked: Escalation | None = None
        for place, tier in enumerate(tiers):
            group = tier.rules.group
            if group is not None and any(step.tier.rules.group == group and step.is_said for step in steps):
                continue  # another provider of the same tier has said something
            followed = any(
                unmasked.bar(other) is None and other.problem(question) is None for other in tiers[place + 1 :]
            )
            case = unmasked.within(tier.rules.share) if followed else unmasked
            step, masked = await self._at(case, tier, masked, followed=followed)
            steps.append(step)
            if step.declined is None:
                break
        answered = concluded(unmasked, steps, reported=self._tiers.are_reported)
        if answered.declined is None:
            count(request, steps[-1].result)
        else:
            count(request, "declined", answered.declined.code)
        return answered

    async def review(self, asked: ReviewAsked) -> Output | None:
        """Return what a tier says of a text whose answer was kept, however sure it is; None where it says nothing.

        A text under `deny` goes to no tier, not even to one inside the house: people alone review it.

        Raises:
            Retryable: the service is stopping; a redelivery tries again.
            SpratError: as the audit raises it, when an egress record could not be written.
        """
        case = self._cases.read_review(asked)
        tier = self._tiers.reviewer(asked.by, case.sender.section, case.question.task)
        if tier is None or case.rule == "deny" or case.question.output not in COMPARED:
            self._not_reviewed.add(f"no tier {asked.by} may see it")
            return None
        step, _ = await self._at(case, tier, None, followed=False)
        if step.output is None:
            self._not_reviewed.add("it gave none" if step.declined is None else step.declined.code)
        return step.output

    async def _at(
        self, case: Escalation, tier: Tier, masked: Escalation | None, *, followed: bool
    ) -> tuple[ClimbStep, Escalation | None]:
        """Return what one tier says to a case, and the masked case, which is made once for all tiers.

        Masking comes first, because stored answers are keyed by the masked text; it is deterministic and sends nothing.

        Raises:
            Retryable: the service is stopping.
            SpratError: as the audit raises it, when an egress record could not be written.
        """
        if tier.masks(case.rule) and (tier.inside or case.rule != "deny"):
            try:
                masked = masked or await self._masked(case)
            except NotCalledError as error:
                step = not_called(case, tier, error)
                _count_step(case.request, step)
                return step, None
            case = replace(masked, deadline=case.deadline)
        began_s = perf_counter()
        step = await self._step(case, tier, followed=followed)
        _count_step(case.request, step, perf_counter() - began_s)
        return step, masked

    async def _step(self, case: Escalation, tier: Tier, *, followed: bool) -> ClimbStep:
        """Return what one tier says to a case.

        Raises:
            Retryable: the service is stopping.
            SpratError: as the audit raises it, when an egress record could not be written.
        """
        # Before deadline and policy, so that a redelivered request gets the answer it has paid for.
        stored = await self._calls.stored(case, tier)
        if stored is not None:
            return restored(case, tier, stored, "stored")
        refusal = case.refusal(tier)
        if refusal is not None:
            return refused(tier, refusal)
        try:
            answer = await self._calls.ask(case, tier, followed=followed)
        except NotCalledError as error:
            return not_called(case, tier, error)
        except ProviderError as error:
            return failed(case, tier, error)
        step = restored(case, tier, answer, "answered" if answer.asked_by == case.answer_id else "coalesced")
        if step.output is not None and step.confidence is None and tier.rules.decides:
            self._no_probabilities.add(tier.name)
        return step

    async def _masked(self, case: Escalation) -> Escalation:
        """Return the case with its text masked, or with the reason why it is not.

        Raises:
            DeadlinePassedError: it was not masked in time.
            OverloadError: too many cases wait.
        """
        question = case.question
        wait_s = case.deadline.remaining_s() or _REDELIVERED_S
        late = DeadlinePassedError("the text was not masked in time")
        try:
            with child_span(signals.MASK) as span, signals.MASKING_SECONDS.timed():
                async with self._waiting.waiting(case, wait_s, late):
                    masked = await self._masker.mask(case.sender, question.text, question.language)
                span.set(masked=masked.counts)
        except NotVerified as error:
            if not isinstance(error, LanguageNotCovered | TextTooLong):  # limits, no faults
                self._masking_faults.add(f"{type(error).__name__}: {error.reason}")
            return replace(case, masking_failure=error.reason)
        return replace(
            case,
            question=replace(question, text=masked.text),
            masked=masked,
            masker_version=self._masker.version,
            labels_to_keep=self._masker.labels_to_keep(question.labels),
        )


def count(request: FrontierRequested, result: str, reason: str = "none") -> None:
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
