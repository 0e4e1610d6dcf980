"""What one tier said to a case, and how the steps of a climb end in one answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from sprat_contracts import (
    Declined,
    Egress,
    FrontierAnswered,
    IntentOutput,
    LabelsOutput,
    ModelRef,
    Output,
    ReasonCode,
    Usage,
)
from sprat_contracts import TierStep as ReportedStep
from sprat_frontier.answer_store import PaidAnswer
from sprat_frontier.errors import NotCalledError, ProviderError
from sprat_frontier.escalation import Escalation
from sprat_frontier.protocols import ProviderAnswer
from sprat_frontier.tiers import Tier
from sprat_privacy import NotRestorable

NOTHING_LEFT = Egress(left=False, masked={})
_SAID = {ReasonCode.UNSURE, ReasonCode.REFUSED, ReasonCode.INVALID_ANSWER, ReasonCode.NO_GOLD}
NO_TIER = Declined(code=ReasonCode.POLICY, detail="no tier of the policy is for this tenant and task")


@dataclass(frozen=True, slots=True)
class ClimbStep:
    """An answer, which is kept unless it says why not; or why there is none."""

    tier: Tier
    result: str
    """stored, answered, coalesced or declined, as escalations are counted."""
    declined: Declined | None = None
    asked: bool = True
    """Whether the tier may be asked at all."""
    output: Output | None = None
    confidence: float | None = None
    """The probability of its label that the model states."""
    calibrated: float | None = None
    """The chance that its label is right; None where the tier is not calibrated."""
    level: float | None = None
    """What it reaches by the evidence of the tier's goal; None: no level."""
    model: ModelRef | None = None
    usage: Usage | None = None
    cost_eur: float = 0.0
    egress: Egress = NOTHING_LEFT
    sent: str | None = None
    """The text as it left; None where nothing did."""
    cached: bool = False
    call_ms: float | None = None
    """Of the call that was paid for this case."""

    @property
    def is_said(self) -> bool:
        """Whether its model has said something, be it of no use; errors and outages are not said by it."""
        return self.declined is None or self.declined.code in _SAID

    def reported(self) -> ReportedStep:
        """Return what a Result tells of it."""
        return ReportedStep(
            tier=self.tier.name,
            provider=self.tier.provider.name,
            model=self.tier.provider.model if self.model is None else self.model.name,
            outcome="kept" if self.declined is None else self.declined.code,
            detail=None if self.declined is None else self.declined.detail,
            label=self.output.label if isinstance(self.output, IntentOutput) else None,
            labels=tuple(each.label for each in self.output.labels) if isinstance(self.output, LabelsOutput) else None,
            confidence=self.confidence,
            calibrated=self.calibrated,
            keep_at=self.tier.rules.keep_at,
            goal=self.tier.rules.goal,
            level=self.level,
            usage=self.usage,
            cost_eur=self.cost_eur,
            cached=self.cached,
            egress=self.egress,
            sent=self.sent,
        )


def paid(escalation: Escalation, tier: Tier, answer: ProviderAnswer, call_id: str | None, call_ms: float) -> PaidAnswer:
    """Return an answer as it is stored; `call_id` is that of the audit, None where nothing left."""
    return PaidAnswer(
        asked_by=escalation.answer_id,
        output=answer.output,
        confidence=answer.confidence,
        model=ModelRef(name=answer.model, version=answer.model),
        usage=answer.usage,
        cost_eur=tier.price.cost_eur(answer.usage),
        egress=_egress(escalation, tier, call_id, simulated=answer.simulated),
        call_ms=call_ms,
    )


def paid_for_nothing(
    escalation: Escalation, tier: Tier, error: ProviderError, usage: Usage, call_id: str | None, call_ms: float
) -> PaidAnswer:
    """Return a failure that was billed, as it is stored for the case that paid."""
    model = tier.provider.model
    return PaidAnswer(
        asked_by=escalation.answer_id,
        output=None,
        declined=_failure(error),
        model=ModelRef(name=model, version=model),
        usage=usage,
        cost_eur=tier.price.cost_eur(usage),
        egress=_egress(escalation, tier, call_id, simulated=error.simulated),
        call_ms=call_ms,
    )


def restored(escalation: Escalation, tier: Tier, answer: PaidAnswer, result: str) -> ClimbStep:
    """Return the step of an answer, with the escalation's own values.

    Only the escalation that the call was made for reports its cost; of the others, an equal text has left.
    """
    pays = answer.asked_by == escalation.answer_id
    egress = answer.egress
    if egress.left:
        egress = egress.model_copy(update={"masked": dict(escalation.masked_counts)})
    output, declined, level = None, answer.declined, None
    calibrated = tier.chance(escalation.question.task, answer.confidence)
    if answer.output is not None:
        try:
            output = escalation.restored(answer.output)
        except NotRestorable as error:
            declined = Declined(code=error.code, detail=error.reason)
        else:
            sure = answer.confidence if calibrated is None else calibrated
            level = tier.level(escalation.question, output, answer.confidence)
            declined = None if tier.is_sure(sure, level) else _unsure(tier, sure)
    return ClimbStep(
        tier,
        "declined" if declined else result,
        declined,
        output=output,
        confidence=answer.confidence,
        calibrated=calibrated,
        level=level,
        model=answer.model,
        usage=answer.usage if pays else None,
        cost_eur=answer.cost_eur if pays else 0.0,
        egress=egress,
        sent=_sent(escalation, egress),
        cached=not pays,
        call_ms=answer.call_ms if pays else None,
    )


def refused(tier: Tier, declined: Declined) -> ClimbStep:
    """Return the step to a tier that may not be asked."""
    return ClimbStep(tier, "declined", declined, asked=False)


def not_called(escalation: Escalation, tier: Tier, error: NotCalledError) -> ClimbStep:
    """Return the step without a call, or without one that ended in time."""
    egress = _egress(escalation, tier, error.call_id)
    declined = Declined(code=error.code, detail=str(error))
    return ClimbStep(tier, "declined", declined, egress=egress, sent=_sent(escalation, egress))


def failed(escalation: Escalation, tier: Tier, error: ProviderError) -> ClimbStep:
    """Return the step with a failed call; only the escalation that it was made for reports its cost."""
    usage = error.usage if error.asked_by == escalation.answer_id else None
    egress = _egress(escalation, tier, error.call_id, simulated=error.simulated)
    return ClimbStep(
        tier,
        "declined",
        _failure(error),
        usage=usage,
        cost_eur=tier.price.cost_eur(usage),
        egress=egress,
        sent=_sent(escalation, egress),
    )


def concluded(escalation: Escalation, steps: Sequence[ClimbStep], *, reported: bool) -> FrontierAnswered:
    """Return the answer that was kept, else why there is none, with what all steps cost and what left in them.

    Args:
        escalation: the case.
        steps: in order; only the last one may have an answer that is kept.
        reported: whether the answer tells the steps.
    """
    if not steps:
        return FrontierAnswered(
            request=escalation.request, declined=NO_TIER, egress=NOTHING_LEFT, timings_ms=escalation.timings_ms()
        )
    end = steps[-1]
    if end.declined is not None:
        # What a tier has said tells more than that another may not be asked.
        end = next((step for step in reversed(steps) if step.asked), end)
    is_kept = end.declined is None
    calls = [step.call_ms for step in steps if step.call_ms is not None]
    egress, sent = _left_by(end, steps)
    return FrontierAnswered(
        request=escalation.request,
        output=end.output if is_kept else None,
        model=end.model if is_kept else None,
        usage=_sum([step.usage for step in steps if step.usage is not None]),
        cost_eur=sum(step.cost_eur for step in steps),
        egress=egress,
        cached=is_kept and end.cached,
        timings_ms=escalation.timings_ms(sum(calls) if calls else None),
        declined=end.declined,
        tiers=tuple(step.reported() for step in steps) if reported else (),
        sent=sent,
    )


def _left_by(end: ClimbStep, steps: Sequence[ClimbStep]) -> tuple[Egress, str | None]:
    """Return what left for the answer, else by the last step in which something left, with the text as it left."""
    if end.egress.left:
        return end.egress, end.sent
    step = next((step for step in reversed(steps) if step.egress.left), end)
    return step.egress.model_copy(update={"simulated": True}) if end.egress.simulated else step.egress, step.sent


def _sent(escalation: Escalation, egress: Egress) -> str | None:
    """Return the text as it left; a stored answer's question has the same text as this case, masked."""
    return escalation.question.text if egress.left else None


def _egress(escalation: Escalation, tier: Tier, call_id: str | None, *, simulated: bool = False) -> Egress:
    """Return what left by a call of the audit; None: there was none."""
    if call_id is None:
        return NOTHING_LEFT.model_copy(update={"simulated": True}) if simulated else NOTHING_LEFT
    masked = dict(escalation.masked_counts)
    provider, region = tier.provider.name, tier.provider.region
    return Egress(left=True, masked=masked, provider=provider, region=region, call_id=call_id, simulated=simulated)


def _failure(error: ProviderError) -> Declined:
    own_code = error.code in {ReasonCode.INVALID_ANSWER, ReasonCode.REFUSED, ReasonCode.NO_GOLD}
    code = error.code if own_code else ReasonCode.PROVIDER
    return Declined(code=code, detail=error.detail if code == error.code else f"{error.code}: {error.detail}")


def _unsure(tier: Tier, confidence: float | None) -> Declined:
    goal = tier.rules.goal
    asked = "its keep_at" if goal is None else f"its goal {goal:g} needs"
    why = "it told no probability of its label" if confidence is None else f"its label is less sure than {asked}"
    return Declined(code=ReasonCode.UNSURE, detail=why)


def _sum(usages: Sequence[Usage]) -> Usage | None:
    if not usages:
        return None
    return Usage(
        input_tokens=sum(each.input_tokens for each in usages),
        output_tokens=sum(each.output_tokens for each in usages),
    )
