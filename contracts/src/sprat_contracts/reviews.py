"""Reviews of kept answers: what was drawn, how each draw ended, and the alarms that follow.

The router draws kept answers by a keyed hash of source, id and task. People or a tier answer with a `FeedbackGiven`
that names the draw's token. The guardian closes each draw once, and raises an alarm where the closed draws of a cell
say that more of its answers are wrong than its goal allows.
"""

from typing import Annotated, ClassVar, Final

from pydantic import Field

from sprat_contracts.base import EpochMs, Message, Part, Probability, TaskName
from sprat_contracts.predictions import ModelRef, NerOutput, Output, Prediction, TextId, TextSource

PEOPLE: Final = "people"
"""Who reviews, unless the policy names a tier."""
BY_TIER: Final = "tier:"
"""Begins the author of a tier's answers, which are agreement with it."""
RIGHT: Final = "right"
WRONG: Final = "wrong"
CANNOT_TELL: Final = "cannot_tell"
UNANSWERED: Final = "unanswered"

TEXT: Final = "text"
NAMES: Final = "names"
SURE_NAMES: Final = "sure_names"
_JUDGED: Final = (
    "What a review judges: `text`, the whole answer; `names`, its names but for the uncertain ones, and that it misses "
    "none; `sure_names`, these alone. Open list."
)

ERRORS: Final = "errors"
SHIFT: Final = "shift"
TOO_FEW_REVIEWS: Final = "too_few_reviews"
RAISED: Final = "raised"
CLEARED: Final = "cleared"

_HASH: Final = r"^[0-9a-f]{16}$"
_Share = Annotated[float, Field(gt=0, le=1)]


def promises(output: Output | None, judged: str) -> int:
    """Return of how many statements an answer is right only if all are.

    Args:
        output: that was kept, with its uncertain names marked.
        judged: what a review judges of it.
    """
    if judged not in {NAMES, SURE_NAMES} or not isinstance(output, NerOutput):
        return 1
    return sum(not each.uncertain for each in output.entities) + (judged == NAMES)


class ReviewCell(Part):
    """Where errors are counted together: a tenant of the policy and a language, or all of a task."""

    tenant: Annotated[
        str | None,
        Field(min_length=1, description="As the policy names it, `default` for all others; null: all tenants."),
    ] = None
    language: Annotated[
        str | None, Field(pattern=r"^[a-z]{2,8}$", description="Without region; null: all languages.")
    ] = None


class ReviewAsked(Message):
    """A kept answer that was drawn at random, to be reviewed."""

    event_type: ClassVar[str] = "dev.sprat.review.asked.v1"
    signed: ClassVar[bool] = True

    prediction: Annotated[Prediction, Field(description="The whole prediction that was kept.")]
    cell: Annotated[ReviewCell, Field(description="The tenant of the policy and the language.")]
    goal: Annotated[float | None, Field(ge=0, le=1, description="The goal by which it was kept; null: a keep_at.")] = (
        None
    )
    evidence: Annotated[str | None, Field(description="`estimated` or `certified`; null: a keep_at.")] = None
    level: Annotated[float | None, Field(ge=0, le=1, description="What the answer reaches by that evidence.")] = None
    judged: Annotated[str, Field(description=_JUDGED)] = TEXT
    hash: Annotated[str, Field(pattern=_HASH, description="Keyed hash of source, id and task: 64 bits in hex.")]
    share: Annotated[_Share, Field(description="Drawn was what has a hash below this share of 2^64.")]
    least_share: Annotated[
        _Share,
        Field(
            description="The least share that its router has applied to the task since its last earlier hour with a "
            "draw, that whole hour included."
        ),
    ]
    full: Annotated[
        bool,
        Field(
            description="True where its router draws nothing more in this hour, of a tenant or of all: the hour "
            "certifies nothing."
        ),
    ] = False
    by: Annotated[str, Field(min_length=1, description="`people`, or the tier that reviews.")] = PEOPLE
    labels: Annotated[
        tuple[str, ...] | None,
        Field(description="For a tier: the labels to choose from, as announced; null where none are announced."),
    ] = None
    label_set: Annotated[str | None, Field(description="For a tier: the hash of the labels.")] = None
    token: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="An answer without it does not count.")]


class ReviewClosed(Message):
    """How a draw ended. Without the text; the first record of a draw counts."""

    event_type: ClassVar[str] = "dev.sprat.review.closed.v1"
    signed: ClassVar[bool] = True

    text_id: TextId
    text_source: TextSource
    task: Annotated[TaskName, Field(description="Of the answer that was reviewed.")]
    cell: Annotated[ReviewCell, Field(description="As it was drawn.")]
    model: Annotated[ModelRef | None, Field(description="The model whose answer was reviewed.")]
    asked_model: Annotated[str, Field(min_length=1, description="The model that the text asks for.")] = "default"
    says: Annotated[str, Field(description="`some` or `none`: whether the answer names something.")]
    confidence: Annotated[Probability, Field(description="Of the answer that was reviewed.")]
    goal: Annotated[float | None, Field(ge=0, le=1, description="As it was drawn.")] = None
    evidence: Annotated[str | None, Field(description="As it was drawn.")] = None
    level: Annotated[float | None, Field(ge=0, le=1, description="As it was drawn.")] = None
    judged: Annotated[str, Field(description="As it was drawn.")] = TEXT
    promises: Annotated[
        int,
        Field(
            ge=1,
            description="Of how many statements, each at the goal, one that is wrong makes the answer wrong: each name "
            "that is not uncertain, and that none is missed. Of a whole text one.",
        ),
    ] = 1
    hash: Annotated[str, Field(pattern=_HASH, description="Of the draw.")]
    share: Annotated[_Share, Field(description="That was applied to it.")]
    least_share: Annotated[_Share, Field(description="As it was drawn.")]
    full: Annotated[bool, Field(description="As it was drawn.")] = False
    drawn_at: Annotated[EpochMs, Field(description="When it was drawn, by the broker's clock.")]
    verdict: Annotated[str, Field(description="`right`, `wrong`, `cannot_tell` or `unanswered`. Open list.")]
    by: Annotated[str | None, Field(description="Who answered: a pseudonym, or `tier:NAME`; null: nobody.")] = None
    disputed: Annotated[
        bool, Field(description="True in a second record: another answer came later, which differs.")
    ] = False
    clears: Annotated[
        int, Field(ge=0, description="How many alarms of its cell were cleared before: each opens a new test.")
    ] = 0
    pooled_clears: Annotated[int, Field(ge=0, description="Likewise, alarms of the whole task.")] = 0


class TextName(Part):
    """A text, by source and id."""

    text_source: TextSource
    text_id: TextId


class AlarmRaised(Message):
    """An alarm, or that it was cleared: the last record of a place counts. The topic is compacted."""

    event_type: ClassVar[str] = "dev.sprat.alarm.raised.v1"
    signed: ClassVar[bool] = True

    kind: Annotated[
        str,
        Field(
            description="`errors`: more of what is kept is wrong than the goal allows; `shift`: confidences or "
            "escalations are not those of the measured rows; `too_few_reviews`. Open list."
        ),
    ]
    task: Annotated[TaskName, Field(description="Whose answers raised it.")]
    cell: Annotated[ReviewCell, Field(description="Null in both: the whole task.")] = ReviewCell()
    state: Annotated[str, Field(description="`raised` or `cleared`.")] = RAISED
    number: Annotated[
        int, Field(ge=1, description="Counts the records of this kind and place; one below the last is out of date.")
    ]
    clears: Annotated[
        int, Field(ge=0, description="How many alarms of this place were cleared, this one included.")
    ] = 0
    steps: Annotated[
        int, Field(ge=0, description="How many alarms since the last clear: `tighten` raises the goal so often.")
    ] = 0
    model: Annotated[ModelRef | None, Field(description="The version whose answers raised it.")] = None
    goal: Annotated[float | None, Field(ge=0, le=1, description="The goal that is not kept.")] = None
    evidence: Annotated[str | None, Field(description="Of the goal: `estimated` or `certified`.")] = None
    e_value: Annotated[float | None, Field(ge=0, description="The evidence against the goal.")] = None
    needed: Annotated[float | None, Field(ge=1, description="From which e-value on the alarm is raised.")] = None
    reviews: Annotated[int, Field(ge=0, description="Answered reviews since the test began.")] = 0
    errors: Annotated[int, Field(ge=0, description="Of these, wrong answers.")] = 0
    allowed: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            description="The share of them that the goal lets be wrong: more than 1 - goal where answers were kept by "
            "their names; null: 1 - goal.",
        ),
    ] = None
    agreement: Annotated[
        tuple[str, ...],
        Field(description="The tiers that gave some of the answers: of these it is agreement with them, no accuracy."),
    ] = ()
    since: Annotated[EpochMs | None, Field(description="When the first of these was drawn.")] = None
    raised_at: Annotated[EpochMs, Field(description="When the last of these was closed, epoch milliseconds.")]
    texts: Annotated[tuple[TextName, ...], Field(description="At most five texts with a wrong answer.")] = ()
    detail: Annotated[str, Field(description="For people; holds no text.")] = ""
    cleared_by: Annotated[str | None, Field(description="Who cleared it.")] = None
    because: Annotated[str | None, Field(description="Why it was cleared.")] = None
    thresholds: Annotated[
        str | None, Field(description="Version of the thresholds with the certificate by which it was cleared.")
    ] = None

    @property
    def key(self) -> bytes:
        """The key of its record: kind, task, tenant and language; `*` stands for all of them."""
        return "/".join((self.kind, self.task, self.cell.tenant or "*", self.cell.language or "*")).encode()
