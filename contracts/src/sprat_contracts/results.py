"""`Result`: the end of a text and a task, written by the router alone; `FeedbackGiven`: a correction of one."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from pydantic import Field

from sprat_contracts.base import Message, Part, Probability, TaskName, TimingsMs
from sprat_contracts.frontier import Egress, TierStep, Usage
from sprat_contracts.predictions import Declined, ModelRef, Origin, Output, TextId, TextSource
from sprat_contracts.texts import LanguageDetected, TextWarning

OF_REVIEW: Final = "review"
"""What an answer to a review is `of`."""
EACH_NAME: Final = "each_name"
"""The reason of an answer that is kept by its names, and would not be as a whole."""


class Route(Part):
    """What the router decided and why."""

    decision: Annotated[str, Field(description="`kept` or `escalated`.")]
    reason: Annotated[
        str,
        Field(
            description="confident, each_name, low_confidence, may_miss, not_certified, not_measured, denied, several, "
            "too_little, declined, …"
        ),
    ]
    threshold: Annotated[
        Probability | None, Field(description="The `keep_at` that was applied; null where none was.")
    ] = None
    goal: Annotated[
        float | None, Field(ge=0, le=1, description="The share right that is wanted of kept answers; null: a keep_at.")
    ] = None
    evidence: Annotated[
        str | None, Field(description="`estimated` or `certified`: what must reach the goal; null: a keep_at.")
    ] = None
    level: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            description="What this answer reaches by that evidence; null: no level. With "
            "`each_name` and `may_miss`, what it is worth that none is missed.",
        ),
    ] = None


class SmallAnswer(Part):
    """What the small model said of a text that was escalated."""

    model: Annotated[ModelRef, Field(description="The small model.")]
    labels: Annotated[
        tuple[str, ...],
        Field(description="The label or labels that it gave; empty where it gave none, and for tasks without labels."),
    ] = ()
    confidence: Annotated[
        Probability | None, Field(description="Calibrated probability that its answer is right; null where not known.")
    ] = None


class Result(Message):
    """The end of one text and task. Keep the first with an output for each (`text_source`, `text_id`, `task`)."""

    event_type: ClassVar[str] = "dev.sprat.result.decided.v1"

    text_id: TextId
    text_source: TextSource
    task: Annotated[TaskName, Field(description="The task answered.")]
    asked_model: Annotated[
        str | None,
        Field(
            description="The model that the text asked for, `default` where it named none; null from an older router. "
            "`model` is the one that answered."
        ),
    ] = None
    requested: Annotated[tuple[TaskName, ...], Field(description="All known tasks of that text, for joins.")]
    origin: Annotated[Origin, Field(description="Where the text is on the texts topic.")]
    status: Annotated[
        str,
        Field(
            description="`answered`; `degraded`: the small answer, because the frontier declined; `unanswered`: none."
        ),
    ]
    output: Annotated[Output | None, Field(description="The answer; null where unanswered.")]
    declined: Annotated[Declined | None, Field(description="Why there is no better answer; null where answered.")] = (
        None
    )
    confidence: Annotated[
        Probability | None,
        Field(description="Calibrated probability, 0–1, that the output is right; null from a frontier."),
    ] = None
    renormalised: Annotated[
        bool,
        Field(description="True where the confidence is a share among the labels asked for, and not calibrated."),
    ] = False
    source: Annotated[str, Field(description="`small`, `frontier` or `none`.")]
    route: Annotated[Route, Field(description="What the router decided and why.")]
    model: Annotated[ModelRef | None, Field(description="The model whose answer this is.")] = None
    cached: Annotated[bool, Field(description="True when the answer came from a cache.")] = False
    cost_eur: Annotated[float, Field(ge=0, description="What the frontier charged for it, in euros.")] = 0.0
    usage: Annotated[
        Usage | None,
        Field(
            description="Tokens of all frontiers asked for it; null where no call was made, and from an older router."
        ),
    ] = None
    egress: Annotated[Egress | None, Field(description="What left the perimeter; null where nothing was to leave.")] = (
        None
    )
    timings_ms: TimingsMs = Field(default_factory=dict, description="Stage → milliseconds spent in it.")
    language: Annotated[str, Field(description="Language of the text as submitted, else the installation's default.")]
    language_detected: Annotated[
        LanguageDetected | None,
        Field(description="The language that the text was read in; null where the text, or the default, names one."),
    ] = None
    tenant: Annotated[str, Field(description="The text's tenant.")]
    reference: Annotated[
        Mapping[str, str] | None, Field(description="The upstream's own keys and values, untouched.")
    ] = None
    warnings: Annotated[
        tuple[TextWarning, ...],
        Field(description="What of the text was not understood, such as a misspelt field: it had no effect."),
    ] = ()
    tiers: Annotated[
        tuple[TierStep, ...],
        Field(description="The tiers of the policy in the order in which they were asked; empty without `tiers`."),
    ] = ()
    small: Annotated[
        SmallAnswer | None,
        Field(
            description="What the small model said of an escalated text; null where its answer was kept or it gave "
            "none, and from an older router."
        ),
    ] = None


class FeedbackGiven(Message):
    """A correction of one Result: what the right answer is; or, with `of: review`, the answer to a review."""

    event_type: ClassVar[str] = "dev.sprat.feedback.given.v1"

    text_id: TextId
    text_source: TextSource
    task: Annotated[TaskName, Field(description="The task corrected.")]
    output: Annotated[Output, Field(description="The right answer.")]
    by: Annotated[
        str, Field(min_length=1, max_length=256, description="Who corrects it: a pseudonym or a system's name.")
    ]
    of: Annotated[
        str | None,
        Field(description="`review`: it answers a draw; null: somebody picked the text."),
    ] = None
    token: Annotated[str | None, Field(description="Of the `ReviewAsked` that it answers.")] = None
    verdict: Annotated[
        str | None,
        Field(
            description="Of a review: `right`, `wrong` or `cannot_tell`, where somebody judged the small "
            "model's answer; then `output` is that answer. Null: `output` is compared with it."
        ),
    ] = None

    @property
    def is_review(self) -> bool:
        """Whether it answers a draw: then it corrects nothing."""
        return self.of == OF_REVIEW
