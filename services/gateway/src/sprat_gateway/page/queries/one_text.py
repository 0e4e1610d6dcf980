"""Screen 3: the path of one text, also while it is under way, and what of it left the house."""

from dataclasses import dataclass
from typing import Any, Final

from sprat_gateway.page.queries.viewer import HiddenText

_WORST_FIRST: Final = ("unanswered", "degraded")


@dataclass(frozen=True, slots=True)
class Hop:
    """A record that the text caused, or the text itself."""

    kind: str
    """text, prediction, request, egress, answer, result or dead_letter."""
    service: str
    """That wrote it; of the text its source."""
    task: str | None
    topic: str
    partition: int
    offset: int
    at_ms: int
    """When the broker appended it."""
    after_ms: int
    """Since the text was appended."""
    depth: int
    """0: the text itself; 1: what it caused, and so on."""
    sentence: str
    """What it says in a few words, never with the text."""
    decision: str
    """In one word: predicted, escalated, kept, declined, answered, rejected, …; may be empty."""
    reason: str


@dataclass(frozen=True, slots=True)
class SmallModelView:
    """What the small model said of a task."""

    model: str | None
    """None where it declined, and no model serves the task."""
    version: str | None
    stage: str | None
    answer: str
    """In a few words, never of the text; empty where it declined."""
    declined: str | None
    """Code of the reason why it gave no answer."""
    confidence: float | None
    certified: float | None
    """The highest accuracy that is certified for its confidence."""
    estimated: float | None
    renormalised: bool
    """Whether the confidence is a share among the labels asked for, and not calibrated."""
    cached: bool


@dataclass(frozen=True, slots=True)
class ResultView:
    """The Result of a task."""

    status: str
    decision: str
    reason: str
    source: str
    tier: str | None
    model: str | None
    version: str | None
    answer: str
    """In a few words, never of the text."""
    output: dict[str, Any] | None
    """The whole output; None without the role `read-texts`, where it may hold parts of the text."""
    confidence: float | None
    renormalised: bool
    """As of the small model."""
    level: float | None
    goal: float | None
    evidence: str | None
    threshold: float | None
    cached: bool
    cost_eur: float
    total_ms: int
    causes: tuple[tuple[str, str], ...]
    """Code and detail of each cause why there is no better answer."""
    warnings: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TaskPath:
    """What happened for one task."""

    task: str
    model: str
    """That the text asked for."""
    labels: tuple[str, ...]
    """To which the text limits the answer; empty where it does not, and where its record has expired."""
    small: SmallModelView | None
    """None where no prediction was seen, or it has expired."""
    answer: ResultView | None
    """None while it is under way."""
    waits_for: str | None
    """The service that has to act next: the task's own, router or frontier; None where nothing is to come."""


@dataclass(frozen=True, slots=True)
class Left:
    """A call that took the text, or a part of it, to a provider."""

    call_id: str
    at_ms: int
    task: str
    tier: str | None
    provider: str
    region: str
    host: str | None
    model: str
    bytes_out: int | None
    """None where the audit is not read, or has let the call go."""
    masked: dict[str, int]
    outcome: str | None
    """None where it is under way."""
    cost_eur: float
    simulated: bool
    sent: str | None
    """The text as it stood in the request after masking; None without the role `read-texts`, before the answer is
    there, and where it has expired."""
    shared: bool
    """Whether it is the call of an equal question of another text, whose answer this one shares."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A dead letter of the text."""

    code: str
    detail: str
    service: str
    at_ms: int
    partition: int
    offset: int
    whole: bool
    """Whether it ends the whole text."""
    command: str
    """That replays it."""


@dataclass(frozen=True, slots=True)
class OneText:
    """The screen."""

    uuid: str
    id: str
    source: str
    tenant: str
    at_ms: int
    reference: dict[str, str]
    hidden: HiddenText | None
    text: str | None
    """None without the role `read-texts`, and where it has expired."""
    trace_id: str | None
    complete: bool
    """Whether nothing more is to come: every task has a Result, or the text was rejected."""
    tasks: tuple[TaskPath, ...]
    hops: tuple[Hop, ...]
    """In the order of time; causes before what they caused."""
    left: tuple[Left, ...]
    rejections: tuple[Rejection, ...]
    seq: int
    """Grows with each further record."""

    @property
    def status(self) -> str:
        """The worst of its tasks; `rejected` where the whole text was."""
        if any(each.whole for each in self.rejections):
            return "rejected"
        found = {"unanswered" if each.answer is None else each.answer.status for each in self.tasks}
        return next((each for each in _WORST_FIRST if each in found), "answered")
