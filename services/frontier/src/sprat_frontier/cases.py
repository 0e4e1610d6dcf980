"""A request with what is decided of it once: question, rule, deadline, identity, and what may leave of its text."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sprat.perimeter import Masked, restore
from sprat.policy import effective_rule
from sprat_contracts import Declined, FrontierRequested, Output, ids
from sprat_frontier.clock import CaseDeadline, Clock
from sprat_frontier.ports import Policies, Told
from sprat_frontier.questions import FrontierQuestion, question_of


@dataclass(frozen=True, slots=True)
class Case:
    """A hard case at the frontier's door."""

    request: FrontierRequested
    question: FrontierQuestion
    """As it is asked: under `redact` with the masked text."""
    rule: str
    """allow, redact or deny: the stricter of the text's and the tenant's."""
    regions: tuple[str, ...]
    """Where the tenant lets its texts go."""
    deadline: CaseDeadline
    answer_id: str
    """Of the event that answers it, the same at each delivery."""
    masked: Masked | None = None
    """Under `redact`: what may leave, and the way back."""
    unmaskable: str | None = None
    """Under `redact`: why the text could not be masked, if so."""

    def redacted(self, masked: Masked) -> "Case":
        """Give the case as one that asks about the masked text."""
        return replace(self, question=replace(self.question, text=masked.text), masked=masked)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many stretches of the text are masked, by type."""
        return {} if self.masked is None else self.masked.counts

    @property
    def told(self) -> Told:
        """What the audit is told of it."""
        return Told(self.request.prediction.submitted.text, self.counts)

    def restored(self, output: Output) -> Output:
        """Give an answer to the question as one about the text itself.

        Raises:
            NotRestorable: it does not hold each placeholder as often as the masked text.
        """
        return output if self.masked is None else restore(output, self.masked)

    def refusal(self, region: str) -> Declined | None:
        """Say why the case must not go to a provider in that region, if so; the gravest reason first."""
        if self.deadline.passed:
            return Declined(code="deadline", detail="it came too late")
        if self.rule == "deny":
            return Declined(code="policy", detail="text or tenant let nothing leave")
        if region not in self.regions:
            return Declined(code="policy", detail=f"the tenant lets nothing go to the region {region}")
        if self.rule != "allow" and self.masked is None:
            return Declined(code="masking", detail=self.unmaskable or "the text is not masked")
        return self.question.problem()


def case_of(request: FrontierRequested, policies: Policies, clock: Clock, max_wait_s: float) -> Case:
    """Give the case that a request is about.

    Its deadline is cut to `max_wait_s` from now: a house full of cases with time would keep out those without.
    """
    prediction = request.prediction
    submitted = prediction.submitted
    tenant = policies.tenant(submitted.tenant)
    latest_ms = clock.now_ms() + round(max_wait_s * 1000)
    wait_ms = tenant.deadline_ms if submitted.deadline_ms is None else submitted.deadline_ms
    return Case(
        request=request,
        question=question_of(request),
        rule=effective_rule(submitted.frontier, tenant),
        regions=tuple(tenant.regions),
        deadline=CaseDeadline(min(prediction.origin.appended_at + wait_ms, latest_ms), clock),
        answer_id=str(ids.derive(ids.ANSWER, prediction.text_source, prediction.text_id, prediction.task)),
    )
