"""One hard case on its way to the frontier: question, rule, deadline, identity, and its masked text."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sprat.base.model import DEFAULT_MODEL
from sprat_contracts import Declined, FrontierRequested, Output, Prediction, ReasonCode, ReviewAsked, ids
from sprat_contracts.frontier import FOR_REVIEW
from sprat_contracts.languages import DEFAULT_LANGUAGE
from sprat_frontier.call_limiter import EscalationDeadline
from sprat_frontier.fair_queue import Sender
from sprat_frontier.prompts import FrontierQuestion, question_of
from sprat_frontier.protocols import Clock, TenantPolicies
from sprat_frontier.tiers import Tier
from sprat_langid import language_detected
from sprat_policy import ALL_OTHERS, TaskFile, effective_rule
from sprat_privacy import MaskedText, restore
from sprat_privacy.detectors.labels import numbered


@dataclass(frozen=True, slots=True)
class Escalation:
    """A hard case, with everything that is decided about it once."""

    request: FrontierRequested
    sender: Sender
    question: FrontierQuestion
    """The question to the provider; under `redact`, with the masked text."""
    rule: str
    """allow, redact or deny: the stricter of the text's and the tenant's."""
    denied: str
    """Under `deny`: whose rule it is, the text's, the tenant's or both; else empty."""
    regions: tuple[str, ...]
    """The regions that the tenant allows."""
    deadline: EscalationDeadline
    answer_id: str
    """Id of the event that answers it; the same after a redelivery."""
    masked: MaskedText | None = None
    """Under `redact`: the masked text, and what restores it."""
    masker_version: str = ""
    """Under `redact`: changes with all that decides what is masked; empty where the text is not."""
    masking_failure: str | None = None
    """Under `redact`: why the text could not be masked, if so."""
    labels_to_keep: tuple[int, ...] = ()
    """Under `redact`: the labels that must not leave, counted from 1."""
    started_s: float = field(default_factory=time.perf_counter)

    @property
    def is_review(self) -> bool:
        """Whether its answer was kept, and is reviewed."""
        return self.request.reasons == (FOR_REVIEW,)

    @property
    def masked_counts(self) -> Mapping[str, int]:
        """How many parts of the text are masked, by type."""
        return {} if self.masked is None else self.masked.counts

    def restored(self, output: Output) -> Output:
        """Return the output with the original values in place of the placeholders.

        Raises:
            NotRestorable: the output does not contain each placeholder as often as the masked text.
        """
        return output if self.masked is None else restore(output, self.masked)

    def bar(self, tier: Tier) -> Declined | None:
        """Return why the text may not go to a tier, masked or not; None if it may. What is inside has not left."""
        if tier.inside:
            return None
        if self.rule == "deny":
            return Declined(code=ReasonCode.POLICY, detail=self.denied)
        region = tier.provider.region
        if region not in self.regions:
            detail = f"the policy lets nothing of the tenant {self.sender.tenant} go to the region {region}"
            return Declined(code=ReasonCode.POLICY, detail=detail)
        return None

    def refusal(self, tier: Tier) -> Declined | None:
        """Return why nothing may be sent to a tier, most serious reason first; None if it may."""
        if self.deadline.passed:
            return Declined(code=ReasonCode.DEADLINE, detail=self._too_late())
        if barred := self.bar(tier):
            return barred
        if tier.masks(self.rule) and self.masked is None:
            # Of a language that is none, that is the cause: nothing can look for names in it either.
            if (unknown := self.question.unknown_language()) is not None:
                return unknown
            return Declined(code=ReasonCode.MASKING, detail=self.masking_failure or "the text is not masked")
        if self.labels_to_keep:
            return Declined(code=ReasonCode.POLICY, detail=self._labels_stay())
        return self.question.problem() or tier.problem(self.question)

    def within(self, share: float) -> "Escalation":
        """Return the escalation with a deadline after a share of the time that is left."""
        now_ms = self.deadline.clock.now_ms()
        left_ms = max(0, self.deadline.at_ms - now_ms)
        at_ms = min(self.deadline.at_ms, now_ms + round(share * left_ms))
        return replace(self, deadline=EscalationDeadline(at_ms, self.deadline.clock))

    def _too_late(self) -> str:
        arrived = self.request.prediction.origin.appended_at
        waited, may_wait = (max(0, ms - arrived) / 1000 for ms in (self.deadline.clock.now_ms(), self.deadline.at_ms))
        return f"it is {waited:,.1f} s after the text, and its deadline was after {may_wait:,.1f} s"

    def _labels_stay(self) -> str:
        prediction = self.request.prediction
        options = prediction.submitted.tasks.options(prediction.task)
        model = DEFAULT_MODEL if options is None else options.model
        verb = "holds" if len(self.labels_to_keep) == 1 else "hold"
        where = f"{prediction.task}/{model}" if self.question.asked is None else "those asked for"
        return (
            f"{numbered(self.labels_to_keep)} of {where} {verb} a term of the policy or a personal "
            "value, and labels are not masked; give the model other labels"
        )

    def timings_ms(self, call_ms: float | None = None) -> dict[str, float]:
        """Return the time since the start, and that of the paid call where there was one."""
        timings = {"frontier": round((time.perf_counter() - self.started_s) * 1000, 3)}
        if call_ms is not None:
            timings["frontier_call"] = round(call_ms, 3)
        return timings


@dataclass(frozen=True, slots=True)
class CaseReader:
    """Reads requests.

    Args:
        policies: the rules of the tenants.
        clock: of deadlines.
        max_wait_s: the longest time that a case waits: many waiting cases with late deadlines would block those with
            early ones.
        tasks: those from files, by name.
        default_language: of a text of which no language is detected.
    """

    policies: TenantPolicies
    clock: Clock
    max_wait_s: float
    tasks: Mapping[str, TaskFile] = field(default_factory=dict)
    default_language: str = DEFAULT_LANGUAGE

    def read(self, request: FrontierRequested) -> Escalation:
        """Return the escalation that a request asks for."""
        request = _with_language(request, self.default_language)
        prediction = request.prediction
        submitted = prediction.submitted
        tenant, section = self.policies.tenant(submitted.tenant), self.policies.section(submitted.tenant)
        latest_ms = self.clock.now_ms() + round(self.max_wait_s * 1000)
        wait_ms = tenant.deadline_ms if submitted.deadline_ms is None else submitted.deadline_ms
        return Escalation(
            request=request,
            sender=Sender(section or ALL_OTHERS, submitted.tenant),
            question=question_of(request, self.tasks.get(prediction.task)),
            rule=effective_rule(submitted.frontier, tenant),
            denied=_denied_by(prediction, tenant.frontier, section),
            regions=tuple(tenant.regions),
            deadline=EscalationDeadline(min(prediction.origin.appended_at + wait_ms, latest_ms), self.clock),
            answer_id=str(ids.derive(ids.ANSWER, prediction.text_source, prediction.text_id, prediction.task)),
        )

    def read_review(self, asked: ReviewAsked) -> Escalation:
        """Return the case that a tier reviews: nobody waits for it, so it may wait as long as any case."""
        request = FrontierRequested(
            prediction=asked.prediction, reasons=(FOR_REVIEW,), labels=asked.labels, label_set=asked.label_set
        )
        prediction = asked.prediction
        until = EscalationDeadline(self.clock.now_ms() + round(self.max_wait_s * 1000), self.clock)
        own_id = str(ids.derive(ids.REVIEW, prediction.text_source, prediction.text_id, prediction.task))
        return replace(self.read(request), deadline=until, answer_id=own_id)


def _denied_by(prediction: Prediction, tenant_rule: str, section: str | None) -> str:
    """Return who lets nothing leave, in words: the text, the tenant's `section` of the policy, or both; empty: nobody.

    Only a Result says it: it has the text's tenant anyway.
    """
    submitted = prediction.submitted
    said = []
    if submitted.frontier == "deny":
        misspelt = any(each.code == ReasonCode.UNKNOWN_VALUE for each in prediction.warnings)
        said.append(
            "the text's frontier is none of allow, redact and deny, and counts as deny"
            if misspelt
            else "the text says frontier: deny"
        )
    if section is None:
        said.append(f'the policy has no entry for the tenant {submitted.tenant}, nor "*" for all others')
    elif tenant_rule == "deny":
        by = "" if section == submitted.tenant else f', by its entry "{section}"'
        said.append(f"the policy lets nothing of the tenant {submitted.tenant} leave{by}")
    return "; ".join(said)


def _with_language(request: FrontierRequested, default_language: str) -> FrontierRequested:
    """Return the request with the language that its text is read in, where that is `auto` and no specialist read it."""
    prediction = request.prediction
    if prediction.language_detected is not None:
        return request
    detected = language_detected(prediction.submitted, default_language)
    if detected is None:
        return request
    return request.model_copy(update={"prediction": prediction.model_copy(update={"language_detected": detected})})
