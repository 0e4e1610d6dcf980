"""`card.json`: what a model is, may be used for, and was measured at. Frozen; it travels in `ModelAnnounced`."""

import hashlib
import json
from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


class Work(_Frozen):
    """Somebody's work that the model is made of."""

    name: Annotated[str, Field(min_length=1)]
    authors: Annotated[str, Field(min_length=1, description="Whom to credit, as they ask for it.")]
    licence: Annotated[str, Field(min_length=1, description="SPDX identifier.")]
    source: Annotated[str, Field(description="Where it was taken from.")]
    used_for: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str | None, Field(description="Of the file that was taken.")] = None


class Score(_Frozen):
    """One measured figure; it means nothing without its protocol."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    value: float
    protocol: Annotated[str, Field(min_length=1, description="On which data, by which rule.")]


class Calibration(_Frozen):
    """How a confidence comes about, and for which traffic it holds."""

    method: Annotated[str, Field(min_length=1)]
    fitted_on: Annotated[str, Field(min_length=1)]
    outside_share: Annotated[Share, Field(description="Assumed share of texts outside every label.")]
    longest_code_points: Annotated[int, Field(ge=1, description="Length of the longest text it was fitted on.")]
    parameters: dict[str, tuple[float, ...]]


class Card(_Frozen):
    """The card of one artefact. `version` covers every other field, and through `files` every byte of the model."""

    name: Annotated[str, Field(min_length=1)]
    version: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$", description="Content hash, from sprat.models.artefact.")]
    task: Annotated[str, Field(min_length=1)]
    reader: Annotated[
        str, Field(min_length=1, description="The code that turns the files into answers, with its revision.")
    ]
    labels: tuple[str, ...] | None = None
    label_set: Annotated[str | None, Field(description="Hash of the labels, whatever their order.")] = None
    languages: tuple[str, ...]
    targets: tuple[str, ...] = ()
    max_tokens: Annotated[int, Field(ge=3, description="Tokens read of a text; the rest is not read.")]
    licence: Annotated[str, Field(min_length=1, description="SPDX expression for the artefact as a whole.")]
    made_of: Annotated[tuple[Work, ...], Field(description="Weights and data, with authors and licences.")]
    scores: tuple[Score, ...]
    calibration: Calibration
    keep_at: Annotated[Share, Field(description="Recommended least confidence to keep an answer.")]
    keep_at_rule: Annotated[str, Field(min_length=1, description="How keep_at was found.")]
    limits: Annotated[tuple[str, ...], Field(description="What it cannot do, in plain words.")] = ()
    files: Annotated[dict[str, str], Field(description="File name → sha256, in hexadecimal digits.")]

    @model_validator(mode="after")
    def _labels_match_their_hash(self) -> Self:
        if self.label_set != (None if self.labels is None else label_set_hash(self.labels)):
            raise ValueError("label_set is not the hash of labels")
        return self

    def score(self, name: str) -> float:
        """Give the figure of that name.

        Raises:
            KeyError: when the card has none.
        """
        return {score.name: score.value for score in self.scores}[name]


def label_set_hash(labels: Iterable[str]) -> str:
    """Give 16 hexadecimal digits that are equal for equal sets of labels."""
    text = json.dumps(sorted(set(labels)), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
