"""`card.json`: what a model is made of, its licence, limits, scores and calibration. It is part of `ModelAnnounced`."""

import hashlib
import json
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from sprat.base.model import Model
from sprat_contracts.languages import primary_subtag

Share = Annotated[float, Field(ge=0, le=1)]

VERSION: Final = r"^[0-9a-f]{16}$"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


class Work(_Frozen):
    """Weights or data by others that the model is made of."""

    name: Annotated[str, Field(min_length=1)]
    authors: Annotated[str, Field(min_length=1, description="Whom to credit, as they ask for it.")]
    licence: Annotated[str, Field(min_length=1, description="SPDX identifier.")]
    source: Annotated[str, Field(description="Where it was taken from.")]
    used_for: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str | None, Field(description="Of the file that was taken.")] = None


class Score(_Frozen):
    """One measured figure and its protocol, without which it cannot be interpreted."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    value: float
    protocol: Annotated[str, Field(min_length=1, description="On which data, by which rule.")]


class Calibration(_Frozen):
    """How a confidence is computed, and for which traffic it is calibrated."""

    method: Annotated[str, Field(min_length=1)]
    fitted_on: Annotated[str, Field(min_length=1)]
    outside_share: Annotated[Share, Field(description="Assumed share of texts outside every label.")]
    longest_code_points: Annotated[int, Field(ge=1, description="Length of the longest text it was fitted on.")]
    parameters: dict[str, tuple[float, ...]]


class LexicalCard(_Frozen):
    """The lexical stage of a label model: it answers by the words of a text, so that the encoder need not read it."""

    reader: Annotated[str, Field(min_length=1, description="The code that turns its file into logits, with revision.")]
    languages: Annotated[tuple[str, ...], Field(min_length=1, description="It reads no text in another language.")]
    answers_from: Annotated[Share, Field(description="Least confidence at which it answers.")]
    rule: Annotated[str, Field(min_length=1, description="How answers_from was found.")]
    calibration: Annotated[dict[str, tuple[float, ...]], Field(description="Parameters for its own logits.")]
    evidence: Annotated[
        float, Field(ge=0, description="Its logits times this are added to the encoder's for texts that it passes on.")
    ]
    passed_on: Annotated[
        dict[str, tuple[float, ...]],
        Field(description="Parameters for those sums: the texts that it passes on are the harder ones."),
    ]


class DoubtsCard(_Frozen):
    """Which answers of a label model are doubted by how their texts are worded."""

    reader: Annotated[str, Field(min_length=1, description="The code with the rules, with its revision.")]
    ordering: Annotated[
        tuple[str, ...],
        Field(description="Labels whose own training texts forbid something (do not …): not doubted as denied."),
    ] = ()
    denying: Annotated[
        tuple[str, ...],
        Field(
            description="Labels whose own training texts deny something: doubted as denied only where a text forbids."
        ),
    ]
    short: Annotated[
        tuple[str, ...], Field(description="Labels whose own training texts are as short: not doubted as too_little.")
    ]
    several: Annotated[
        bool, Field(description="Whether parts of a text with different labels are a doubt: not where texts are so.")
    ]


class PartCard(BaseModel):
    """The fields of every card, and the card of a part without a task that several models share, such as an encoder.

    `version` covers every other field, and through `files` every byte.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())

    name: Annotated[str, Field(min_length=1)]
    version: Annotated[str, Field(pattern=VERSION, description="Content hash, from sprat_inference.artefact.")]
    reader: Annotated[
        str, Field(min_length=1, description="The code that turns the files into answers, with its revision.")
    ]
    languages: tuple[str, ...]
    max_tokens: Annotated[int, Field(ge=3, description="Tokens read of a text; the rest is not read.")]
    licence: Annotated[str, Field(min_length=1, description="SPDX expression for the artefact as a whole.")]
    made_of: Annotated[tuple[Work, ...], Field(description="Weights and data, with authors and licences.")]
    scores: tuple[Score, ...]
    limits: Annotated[tuple[str, ...], Field(description="What it cannot do, in plain words.")] = ()
    files: Annotated[dict[str, str], Field(description="File name → sha256, in hexadecimal digits.")]

    def score(self, name: str) -> float:
        """Return the value of the score `name`.

        Raises:
            KeyError: when the card has no such score.
        """
        return {score.name: score.value for score in self.scores}[name]


class PartRef(_Frozen):
    """Refers to the version of a shared part that the model was made on; the part is in another folder."""

    name: Annotated[str, Field(min_length=1)]
    version: Annotated[str, Field(pattern=VERSION)]


class Card(PartCard):
    """The card of one model."""

    model_config = ConfigDict(extra="forbid")

    task: Annotated[str, Field(min_length=1)]
    kind: Annotated[
        Literal["multi_label"] | None,
        Field(description="multi_label: several labels may apply, or none; absent where the task says all."),
    ] = None
    built_on: Annotated[PartRef | None, Field(description="The shared part whose files are read, too.")] = None
    labels: tuple[str, ...] | None = None
    label_set: Annotated[str | None, Field(description="Hash of the labels, whatever their order.")] = None
    targets: tuple[str, ...] = ()
    calibration: Calibration
    lexical: Annotated[LexicalCard | None, Field(description="The stage before the encoder; absent without one.")] = (
        None
    )
    doubts: Annotated[DoubtsCard | None, Field(description="Absent: no answer is doubted.")] = None
    keep_at: Annotated[Share, Field(description="Recommended least confidence to keep an answer.")]
    keep_at_by_language: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")], Share],
        Field(description="What is recommended for a language instead of keep_at; absent where nothing is."),
    ] = {}
    keep_at_outside: Annotated[
        Share | None,
        Field(description="Least confidence to keep an answer that no label fits, where that is not keep_at."),
    ] = None
    keep_at_rule: Annotated[str, Field(min_length=1, description="How they were found.")]

    def keep_at_of(self, language: str) -> float:
        """Return the recommended least confidence for texts in a language, BCP 47: `de` also stands for `de-AT`."""
        return self.keep_at_by_language.get(primary_subtag(language), self.keep_at)

    @model_validator(mode="after")
    def _labels_match_their_hash(self) -> Self:
        if self.label_set != (None if self.labels is None else label_set_hash(self.labels)):
            raise ValueError("label_set is not the hash of labels")
        return self

    @model_serializer(mode="wrap")
    def _omit_what_is_absent(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what a card of before it existed does not have, so that such a card keeps its version."""
        fields: dict[str, Any] = serialize(self)
        absent = {
            name
            for name in ("kind", "built_on", "lexical", "doubts", "keep_at_by_language", "keep_at_outside")
            if not fields.get(name)
        }
        return {name: value for name, value in fields.items() if name not in absent}


def label_set_hash(labels: Iterable[str]) -> str:
    """Return 16 hexadecimal digits that are equal for equal sets of labels, whatever their order."""
    text = json.dumps(sorted(set(labels)), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class SpecialistModel(Model, Protocol):
    """A model that knows the card of its artefact."""

    @property
    def card(self) -> Card:
        """Return the card."""
