"""`FrontierRequested` and `FrontierAnswered`: a hard case and its answer; `EgressRecord`: the audit of a call."""

from typing import Annotated, ClassVar, Final, Self

from pydantic import Field

from sprat_contracts.base import EpochMs, Message, Part, Probability, TimingsMs
from sprat_contracts.predictions import Declined, ModelRef, Output, Prediction

FOR_REVIEW: Final = "review"
"""The purpose of a call that reviews an answer which was kept, and the reason of its case."""


class FrontierRequested(Message):
    """A prediction that the router escalates, with all that the next steps need: no service keeps state."""

    event_type: ClassVar[str] = "dev.sprat.frontier.requested.v1"
    signed: ClassVar[bool] = True

    prediction: Annotated[Prediction, Field(description="The small model's prediction, whole.")]
    reasons: Annotated[
        tuple[str, ...],
        Field(
            min_length=1,
            description="Why it was escalated: low_confidence, not_certified, not_measured, denied, several, "
            "too_little, declined, …",
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
        float | None, Field(ge=0, le=1, description="What the answer reaches by that evidence; null: no level.")
    ] = None
    labels: Annotated[
        tuple[str, ...] | None,
        Field(description="The labels to choose from, as announced; null where none are announced."),
    ] = None
    label_set: Annotated[str | None, Field(description="Hash of the labels.")] = None


class Usage(Part):
    """Tokens, as counted by the provider."""

    input_tokens: Annotated[int, Field(ge=0, description="Tokens of the prompt.")]
    output_tokens: Annotated[int, Field(ge=0, description="Tokens of the answer.")]


class Egress(Part):
    """What left the perimeter for this answer."""

    left: Annotated[bool, Field(description="Whether anything of the text left.")]
    masked: dict[str, int] = Field(
        default_factory=dict, description="Type of personal data → items masked before it left."
    )
    provider: Annotated[str | None, Field(description="Who received it; null where nothing left.")] = None
    region: Annotated[str | None, Field(description="The provider's region, as configured.")] = None
    call_id: Annotated[
        str | None, Field(description="The call in the audit by which it left; null where nothing left.")
    ] = None
    simulated: Annotated[
        bool,
        Field(description="True where a simulator received it, which says so in its response: no model has read it."),
    ] = False


class TierStep(Part):
    """What one tier of the policy was asked for an answer, what it said, and why it was left."""

    tier: Annotated[str, Field(min_length=1, max_length=64, description="The tier's name in the policy.")]
    provider: Annotated[str, Field(description="Who serves it.")]
    model: Annotated[
        str | None, Field(description="The model that answered, as it names itself; else the one asked for.")
    ] = None
    outcome: Annotated[
        str,
        Field(
            description="`kept`; else why it was left: unsure (answered, below its `keep_at` or goal), provider, "
            "refused, deadline, policy, no_confidence (not asked: its answers to this task would have none), …: open."
        ),
    ]
    detail: Annotated[str | None, Field(description="Why it was left, in words; holds nothing of the text.")] = None
    label: Annotated[
        str | None, Field(description="The label that it gave; null where it gave none, and for other tasks.")
    ] = None
    labels: Annotated[
        tuple[str, ...] | None,
        Field(
            description="The labels that it gave, of a task where several may apply, empty where none does; null where "
            "it gave no answer, and for other tasks."
        ),
    ] = None
    confidence: Annotated[
        Probability | None,
        Field(
            description="Its own probability of the label, or of all labels as it wrote them, not calibrated; null "
            "where it gives none."
        ),
    ] = None
    calibrated: Annotated[
        Probability | None,
        Field(
            description="The chance that its label is right, by the calibration that the policy has for the tier and "
            "the task; null where it has none. Where it is there, `keep_at` applies to it."
        ),
    ] = None
    keep_at: Annotated[
        Probability | None,
        Field(description="The tier's `keep_at`; without it and a goal, it keeps every valid answer."),
    ] = None
    goal: Annotated[float | None, Field(ge=0, le=1, description="The tier's goal; null where it has none.")] = None
    level: Annotated[
        float | None, Field(ge=0, le=1, description="What its answer reaches by the goal's evidence; null: no level.")
    ] = None
    usage: Annotated[Usage | None, Field(description="Tokens used; null where no call was made for it.")] = None
    cost_eur: Annotated[float, Field(ge=0, description="What it charged for this text, in euros.")] = 0.0
    cached: Annotated[bool, Field(description="True when it is an earlier answer, paid for by another text.")] = False
    egress: Annotated[
        Egress | None, Field(description="What left to it; `left` is false where it is inside the house.")
    ] = None
    sent: Annotated[
        str | None,
        Field(
            description="The text as it stood in the request to it, after masking; null where nothing left, and in "
            "every Result."
        ),
    ] = None


class FrontierAnswered(Message):
    """The whole request back, with an answer or the reason why there is none."""

    event_type: ClassVar[str] = "dev.sprat.frontier.answered.v1"
    signed: ClassVar[bool] = True

    request: Annotated[FrontierRequested, Field(description="The request, whole.")]
    output: Annotated[Output | None, Field(description="The frontier's answer; null where it declined.")] = None
    model: Annotated[ModelRef | None, Field(description="The provider's model that answered.")] = None
    usage: Annotated[Usage | None, Field(description="Tokens used; null where no call was made for it.")] = None
    cost_eur: Annotated[float, Field(ge=0, description="Cost of this answer in euros; 0 from the cache.")] = 0.0
    egress: Annotated[Egress | None, Field(description="What left the perimeter; null where nothing was to leave.")] = (
        None
    )
    cached: Annotated[bool, Field(description="True when it is an earlier answer.")] = False
    timings_ms: TimingsMs = Field(default_factory=dict, description="Stage → milliseconds spent in it.")
    declined: Annotated[
        Declined | None,
        Field(description="Why declined: deadline, budget, policy, masking, provider, no_labels, …: an open list."),
    ] = None
    tiers: Annotated[
        tuple[TierStep, ...],
        Field(description="The tiers of the policy in the order in which they were asked; empty without `tiers`."),
    ] = ()
    sent: Annotated[
        str | None,
        Field(
            description="The text as it stood in the request of `egress`, after masking; null where nothing left. "
            "Neither Results nor the audit hold it."
        ),
    ] = None

    def without_sent(self) -> Self:
        """Return the answer without the text that left, for what is read by others or kept longer."""
        tiers = tuple(step.model_copy(update={"sent": None}) for step in self.tiers)
        return self.model_copy(update={"sent": None, "tiers": tiers})


class ChainPlace(Part):
    """The place of an egress record among those of its writer. `sprat_signature` signs the value and `ce_` headers."""

    writer: Annotated[
        str, Field(min_length=1, max_length=256, description="The process that wrote it; another after each start.")
    ]
    started_at: Annotated[EpochMs, Field(description="When the writer started, by its own clock: epoch milliseconds.")]
    sequence: Annotated[int, Field(ge=1, description="Number among the writer's records, from 1.")]
    previous: Annotated[
        str, Field(description="SHA-256 of the value of the writer's record before; empty in the first.")
    ]
    acknowledged: Annotated[
        int, Field(ge=0, description="Kafka had acknowledged all of the writer's records up to this number.")
    ]
    signed_at: Annotated[EpochMs, Field(description="When it was signed, by the writer's clock: epoch milliseconds.")]
    checkpoint: Annotated[
        int | None,
        Field(ge=0, description="Number of the writer's last checkpoint before it; null where it makes none."),
    ] = None


class EgressRecord(Message):
    """One of the two phases of a call to an external provider, without anything of the text."""

    event_type: ClassVar[str] = "dev.sprat.egress.recorded.v1"

    call_id: Annotated[str, Field(min_length=1, description="The same in both phases of a call.")]
    phase: Annotated[str, Field(description="`attempt`: acknowledged by Kafka before the call; `outcome`: after it.")]
    tenant: Annotated[str, Field(description="The tenant of the text.")]
    task: Annotated[str, Field(description="The task of the call.")]
    provider: Annotated[str, Field(description="The provider that receives it.")]
    region: Annotated[str, Field(description="The provider's region, as configured.")]
    model: Annotated[str, Field(description="The provider's model.")]
    host: Annotated[str | None, Field(description="Host name of the provider's server.")] = None
    certificate: Annotated[
        str | None,
        Field(description="SHA-256 of the server's TLS certificate, in an outcome; null without TLS or an answer."),
    ] = None
    purpose: Annotated[
        str | None, Field(description="`review`: to review an answer that was kept; null: to answer a hard case.")
    ] = None
    bytes_out: Annotated[int, Field(ge=0, description="Bytes of the request body.")]
    usage: Annotated[Usage | None, Field(description="Tokens; null in an attempt or without an answer.")] = None
    usage_capped: Annotated[
        bool, Field(description="True where the provider counted more tokens than were sent or allowed.")
    ] = False
    cost_eur: Annotated[float, Field(ge=0, description="Cost in euros; 0 in an attempt.")] = 0.0
    masked: dict[str, int] = Field(default_factory=dict, description="Type of personal data → items masked.")
    text_hash: Annotated[
        str, Field(description="Keyed hash of the text, not reversible; its owner finds the record by it.")
    ]
    outcome: Annotated[
        str | None, Field(description="`answered`, or the code of what went wrong; null in an attempt.")
    ] = None
    breaker: Annotated[
        str | None,
        Field(description="The circuit breaker after the call: `closed`, `half_open` or `open`; null in an attempt."),
    ] = None
    chain: Annotated[
        ChainPlace | None, Field(description="Its place among the records of its writer; null where it is not signed.")
    ] = None
