"""`Prediction`: a small model's answer to one text and task, or why there is none; and the outputs of all tasks."""

from typing import Annotated, ClassVar, Final

from pydantic import Field

from sprat_contracts.base import OWN_TASKS, EpochMs, Message, Part, Probability, TaskName, TimingsMs
from sprat_contracts.signing import TextSignature
from sprat_contracts.texts import LanguageDetected, TextSubmitted, TextWarning


class Alternative(Part):
    """A label that the model considered."""

    label: Annotated[str, Field(description="An announced label.")]
    probability: Annotated[Probability, Field(description="Calibrated probability that this label is right, 0–1.")]


class IntentOutput(Part):
    """The label of a text: its intent, or its language."""

    label: Annotated[
        str | None,
        Field(
            description="The intent, null means outside every known intent; or the language, BCP 47, null means "
            "undetermined."
        ),
    ]
    alternatives: Annotated[
        tuple[Alternative, ...],
        Field(
            description="The likeliest labels of a small model, best first, at most three are written; where the label "
            "is null, those of which it was not sure enough. Empty from a large model."
        ),
    ] = ()


class Entity(Part):
    """A named entity in a text."""

    start: Annotated[int, Field(ge=0, description="First character, in Unicode code points of the text, from 0.")]
    end: Annotated[int, Field(ge=1, description="One past the last character, in Unicode code points.")]
    text: Annotated[str, Field(min_length=1, description="text[start:end].")]
    label: Annotated[str, Field(min_length=1, description="PER, ORG, LOC, MISC, EMAIL, IBAN, …: an open list.")]
    probability: Annotated[
        Probability | None,
        Field(description="Probability that span and label are right, 0–1; null from a frontier model."),
    ] = None
    level: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            description="The highest accuracy that entities of this type reach on average from this probability on; "
            "null: it reaches none, or was not measured, as what is found by its form (EMAIL, IBAN, …) and what a "
            "frontier model names.",
        ),
    ] = None
    uncertain: Annotated[
        bool,
        Field(
            description="In a Result that is kept by its names (`each_name`): true where the level is below the goal, "
            "or null, as of what is found by its form, even where check digits are right. The consumer takes or leaves "
            "it. In any other Result it is false and says nothing."
        ),
    ] = False


class NerOutput(Part):
    """The named entities of a text."""

    entities: Annotated[tuple[Entity, ...], Field(max_length=1000, description="In order of their start.")]
    truncated: Annotated[bool, Field(description="True when more than 1,000 were found; the rest is left out.")] = False


class TranslationOutput(Part):
    """A text in another language."""

    text: Annotated[str, Field(description="The translation; paragraphs of the source are kept.")]
    target: Annotated[str, Field(description="Language of the translation, BCP 47.")]


class TextOutput(Part):
    """What a large model has written, as the task's file asks."""

    content: Annotated[str, Field(description="The text, at most as long as the task's file says.")]


class ScoredLabel(Part):
    """A label that applies to a text."""

    label: Annotated[str, Field(min_length=1, description="An announced label.")]
    probability: Annotated[
        Probability | None,
        Field(description="Calibrated probability that this label applies, 0–1; null from a frontier model."),
    ] = None


class LabelsOutput(Part):
    """The labels of a text, of which several may apply, or none."""

    labels: Annotated[
        tuple[ScoredLabel, ...],
        Field(max_length=1000, description="All labels that apply, the likeliest first; empty: none of them does."),
    ]
    alternatives: Annotated[
        tuple[Alternative, ...],
        Field(
            description="The likeliest labels of a small model that do not apply, best first, at most three are "
            "written. Empty from a large model."
        ),
    ] = ()


class PersonalSpan(Part):
    """Where a text holds a personal or secret value. It does not hold the value, so it may be published."""

    start: Annotated[int, Field(ge=0, description="First character, in Unicode code points of the text, from 0.")]
    end: Annotated[int, Field(ge=1, description="One past the last character, in Unicode code points.")]
    label: Annotated[str, Field(min_length=1, description="PERSON, ADDRESS, EMAIL, IBAN, …: an open list.")]
    placeholder: Annotated[
        str, Field(min_length=1, description="What stands for it in the masked text: the same for the same value.")
    ]


class MaskedOutput(Part):
    """The personal data of a text, and the text without it."""

    masked: Annotated[
        str,
        Field(
            description="The text with a placeholder, as [PERSON_1], in place of each span, without characters that "
            "nobody sees."
        ),
    ]
    spans: Annotated[tuple[PersonalSpan, ...], Field(description="In the order of the text, without overlaps.")]


Output = IntentOutput | NerOutput | TranslationOutput | TextOutput | LabelsOutput | MaskedOutput
"""On the wire, outputs are distinguished by their mandatory fields: `label`, `entities`, `text` with `target`,
`content`, `labels`, `masked` with `spans`. The forms after the third are those of tasks from files alone."""


def is_outside(output: Output) -> bool:
    """Return whether an output says that none of the task's labels is right."""
    if isinstance(output, IntentOutput):
        return output.label is None
    return isinstance(output, LabelsOutput) and not output.labels


_FORMS: Final[dict[str, type[IntentOutput] | type[NerOutput] | type[TranslationOutput]]] = {
    "label": IntentOutput,
    "entities": NerOutput,
    "translation": TranslationOutput,
}
OUTPUTS = {name: _FORMS[task.form] for name, task in OWN_TASKS.items()}
"""Task of this version → form of its output."""

TextId = Annotated[str, Field(min_length=1, description="The CloudEvents id of the text.")]
TextSource = Annotated[str, Field(min_length=1, description="The CloudEvents source of the text.")]


class Origin(Part):
    """Where the text is on the texts topic. Consumers that need order sort by it."""

    partition: Annotated[int, Field(ge=0, description="Partition of the texts topic.")]
    offset: Annotated[int, Field(ge=0, description="Offset in that partition.")]
    appended_at: Annotated[EpochMs, Field(description="When the broker appended the text: epoch milliseconds.")]
    key: Annotated[str | None, Field(description="The upstream's record key, base64; null where it gave none.")] = None


UNCHANGED: Final = "unchanged"
"""The stage of a model that was not asked: the text is the answer, as it is in the target's language already."""


class ModelRef(Part):
    """Which model answered."""

    name: Annotated[str, Field(min_length=1, description="Name of the artefact or of the provider's model.")]
    version: Annotated[str, Field(min_length=1, description="Content hash of the artefact; of a frontier, its name.")]
    stage: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Which stage of it answered: `lexical`, by the words alone, or `encoder`; `unchanged`: none, "
            "the text is in the target's language already; null where it has one. Open list.",
        ),
    ] = None


DENIED: Final = "denied"
SEVERAL: Final = "several"
TOO_LITTLE: Final = "too_little"
DOUBTS: Final = (DENIED, SEVERAL, TOO_LITTLE)
"""Why an answer is doubted whatever its confidence is."""

Doubt = Annotated[
    str,
    Field(
        min_length=1,
        description="`denied`: the text says that this is not wanted; `several`: it has several wishes; `too_little`: "
        "it says too little. Open list.",
    ),
]


class Accuracy(Part):
    """What an answer is worth by the thresholds of its model: the highest levels that its confidence reaches."""

    certified: Annotated[
        float | None,
        Field(ge=0, le=1, description="The highest accuracy that is certified for its confidence; null: none is."),
    ] = None
    estimated: Annotated[
        float | None,
        Field(ge=0, le=1, description="The highest accuracy that is reached on average; null: none is."),
    ] = None
    thresholds: Annotated[str, Field(min_length=1, description="Version of the thresholds.")]
    rows: Annotated[int, Field(ge=0, description="On how many measured rows the estimate rests.")] = 0


class Cause(Part):
    """A reason why there is no answer."""

    code: Annotated[str, Field(min_length=1, description="Open list: language, target, deadline, policy, masking, …")]
    detail: Annotated[str, Field(description="For people; never holds the text.")] = ""


class Declined(Cause):
    """Why there is no answer. In a Result, `code` and `detail` are those of the first cause."""

    causes: Annotated[
        tuple[Cause, ...],
        Field(description="In a Result: all causes in order, the small model's before the frontier's."),
    ] = ()


class Prediction(Message):
    """A small model's answer to one text and task, or why there is none."""

    event_type: ClassVar[str] = "dev.sprat.prediction.made.v1"
    signed: ClassVar[bool] = True

    text_id: TextId
    text_source: TextSource
    task: Annotated[TaskName, Field(description="The task answered.")]
    origin: Annotated[Origin, Field(description="Where the text is on the texts topic.")]
    submitted: Annotated[TextSubmitted, Field(description="The text as it was submitted, unknown fields included.")]
    output: Annotated[Output | None, Field(description="The answer; null where the model declined.")]
    confidence: Annotated[
        Probability | None,
        Field(description="Calibrated probability, 0–1, that the output is right, at the card's out-of-scope share."),
    ]
    model: Annotated[
        ModelRef | None, Field(description="The model that answered; null where no model serves the task.")
    ]
    accuracy: Annotated[
        Accuracy | None,
        Field(description="What the answer is worth; null without thresholds, and from an older specialist."),
    ] = None
    nothing_missed: Annotated[
        Accuracy | None,
        Field(
            description="What it is worth that no name, or no further one, is missed; null where it is not measured, "
            "and for tasks without names."
        ),
    ] = None
    doubt: Annotated[
        Doubt | None,
        Field(description="Why the answer is to be escalated whatever its confidence is; null where nothing is said."),
    ] = None
    renormalised: Annotated[
        bool,
        Field(
            description="True where the text asks for some labels alone, and the model's answer over all of them is "
            "none of these: the confidence is a share among the labels asked for, and not calibrated."
        ),
    ] = False
    cached: Annotated[bool, Field(description="True when the answer came from the cache.")] = False
    timings_ms: TimingsMs = Field(default_factory=dict, description="Stage → milliseconds spent in it.")
    declined: Annotated[Declined | None, Field(description="Why the model gave no answer.")] = None
    text_signature: Annotated[
        TextSignature | None,
        Field(
            description="The text's signature, copied, so that the next services can verify it; null where it has none."
        ),
    ] = None
    warnings: Annotated[
        tuple[TextWarning, ...], Field(description="What of the text was not understood; the Result shows it.")
    ] = ()
    language_detected: Annotated[
        LanguageDetected | None,
        Field(description="The language that the text was read in; null where the text, or the default, names one."),
    ] = None

    @property
    def text_language(self) -> str:
        """The language that the text was read in: the one that it names, or the detected one."""
        return self.submitted.language if self.language_detected is None else self.language_detected.language
