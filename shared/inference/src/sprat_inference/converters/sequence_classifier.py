"""Convert a fine-tuned text classifier for the transformers library to an artefact of a label task, without torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from sprat.errors import UserError
from sprat_contracts.announcements import NOT_FITTED
from sprat_inference.artefact import write_artefact
from sprat_inference.card import Card, label_set_hash
from sprat_inference.classifier import NOT_CALIBRATED, TEMPERATURE
from sprat_inference.converters.bert import Quantization, write_bert
from sprat_inference.converters.families import encoder_of, family_of
from sprat_inference.converters.saved_model import SavedModel, Weights
from sprat_inference.heads import CLASSIFIER_READER, ClassifierHead, Floats

LONGEST_TEXT: Final = 20_000
"""Code points of the longest text that the contract allows. Nothing is known of texts of another length."""

NOT_CALIBRATED_LIMIT: Final = (
    "Not calibrated: its confidence is the network's own probability, which is usually too high."
)
NOT_MEASURED_LIMIT: Final = "Not measured here: what its authors say of it is in their own card."
_SUFFIX: Final = "ForSequenceClassification"


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the files of a model do not state."""

    name: str
    """For the card."""
    source: str
    """Where the files were taken from: a model's id with its commit, or a folder."""
    authors: str
    """Whom to credit."""
    licence: str
    """SPDX expression of the weights."""
    languages: tuple[str, ...]
    """BCP 47 tags of the texts that it reads; empty if it is not known, so that texts of all languages are read."""
    outside_label: str | None = None
    """The label that means: none of the others."""


def convert_classifier(
    saved: SavedModel, provenance: Provenance, task: str, folder: Path, *, quantization: Quantization = "int8"
) -> Card:
    """Write the artefact into `folder`, which must exist and be empty, and return its card.

    Raises:
        UserError: the model is of another kind, or cannot be converted; the message says what to do.
    """
    with saved.refused():
        _check_kind(saved)
        weights = saved.weights()
        encoder = encoder_of(saved, weights)
        labels, head = _labels_and_head(saved, weights, provenance.outside_label)
        write_bert(encoder.weights, encoder.shape, saved.folder / "tokenizer.json", folder, quantization)
    head.save(folder)
    max_tokens = saved.longest_input(encoder.positions)
    card = uncalibrated_card(saved, provenance, task, labels, max_tokens, quantization)
    limits = (NOT_CALIBRATED_LIMIT, f"Reads the first {max_tokens:,} tokens of a text.", NOT_MEASURED_LIMIT)
    calibration = {**card["calibration"], "method": NOT_CALIBRATED, "parameters": {TEMPERATURE: (1.0,)}}
    return write_artefact(folder, card | {"reader": CLASSIFIER_READER, "calibration": calibration, "limits": limits})


def _check_kind(saved: SavedModel) -> None:
    """Check that the model labels a whole text, with one label."""
    family_of(saved)
    if not saved.architecture.endswith(_SUFFIX):
        named = saved.architecture or "no architecture"
        raise UserError(
            f"{saved.folder}: config.json names {named}; a model that labels texts is a …{_SUFFIX}. "
            "A plain encoder can be trained on: sprat train"
        )
    kind = saved.config.get("problem_type")
    if kind in {"regression", "multi_label_classification"} or len(saved.labels) < 2:
        what = str(kind or "a single output").replace("_", " ")
        raise UserError(f"{saved.folder}: is a model for {what}; one of two labels or more for a text is needed")


def _labels_and_head(
    saved: SavedModel, weights: Weights, outside_label: str | None
) -> tuple[tuple[str, ...], ClassifierHead]:
    """Return the labels without the one for texts outside, and the head with that one as its last class."""
    named = saved.labels
    if outside_label is not None and outside_label not in named:
        raise UserError(f"--outside-label {outside_label}: the model has no such label; it has {_some(named)}")
    order = [place for place, label in enumerate(named) if label != outside_label]
    labels = tuple(named[place] for place in order)
    if outside_label is not None:
        order.append(named.index(outside_label))
    where = family_of(saved).classifier
    layers = [
        (array_of(saved, weights, f"{name}.weight"), array_of(saved, weights, f"{name}.bias")) for name in where.layers
    ]
    (inner, inner_bias), (last, last_bias) = layers
    if last.shape[0] != len(named):
        raise UserError(f"{saved.folder}: has {last.shape[0]} outputs and {len(named)} labels in id2label")
    return labels, ClassifierHead(
        np.ascontiguousarray(last[order].T),
        last_bias[order],
        where.activation,
        (np.ascontiguousarray(inner.T), inner_bias),
    )


def array_of(saved: SavedModel, weights: Weights, name: str) -> Floats:
    """Return an array of a head.

    Raises:
        UserError: it is missing.
    """
    if (array := weights.get(name)) is None:
        raise UserError(f"{saved.folder}: the weights lack {name}; its head was not saved, or is of another form")
    return array


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:8]) + (f" and {len(labels) - 8} more" if len(labels) > 8 else "")


def uncalibrated_card(
    saved: SavedModel,
    provenance: Provenance,
    task: str,
    labels: tuple[str, ...],
    max_tokens: int,
    quantization: Quantization,
) -> dict[str, Any]:
    """Return what the cards of models of others share; `reader`, `limits` and the calibration's method are missing."""
    return {
        "name": provenance.name,
        "task": task,
        "labels": labels,
        "label_set": label_set_hash(labels),
        "languages": provenance.languages,
        "max_tokens": max_tokens,
        "licence": provenance.licence,
        "made_of": (
            {
                "name": provenance.name,
                "authors": provenance.authors,
                "licence": provenance.licence,
                "source": provenance.source,
                "used_for": f"encoder and head ({saved.architecture}), converted to CTranslate2 in {quantization}",
            },
        ),
        "scores": (),
        "calibration": {
            "fitted_on": NOT_FITTED,
            "outside_share": 0.0,
            "longest_code_points": LONGEST_TEXT,
            "parameters": {},
        },
        "keep_at": 1.0,
        "keep_at_rule": "not calibrated, so keeping nothing is recommended",
    }
