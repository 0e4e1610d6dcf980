"""Convert a fine-tuned text classifier for the transformers library to an artefact of a label task, without torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from sprat.base.errors import UserError
from sprat_inference.artefact import write_artefact
from sprat_inference.card import Card
from sprat_inference.classifier import NOT_CALIBRATED, ClassCalibration
from sprat_inference.converters.bert import Quantization, write_bert
from sprat_inference.converters.cards import Provenance, WrittenNetwork, uncalibrated_card
from sprat_inference.converters.families import encoder_of, family_of
from sprat_inference.converters.onnx_model import OnnxFile, Outputs, write_onnx
from sprat_inference.converters.saved_model import SavedModel, Weights
from sprat_inference.heads import CLASSIFIER_READER, ONNX_CLASSIFIER_READER, ClassifierHead, Floats
from sprat_inference.label_sets import MULTI_LABEL, SetCalibration
from sprat_inference.label_sets import NOT_CALIBRATED as SETS_NOT_CALIBRATED
from sprat_inference.platt import UNFITTED

NOT_CALIBRATED_LIMIT: Final = (
    "Not calibrated: its confidence is the network's own probability, which is usually too high."
)
_SUFFIX: Final = "ForSequenceClassification"


def convert_classifier(
    saved: SavedModel,
    provenance: Provenance,
    task: str,
    folder: Path,
    *,
    quantization: Quantization = "int8",
    onnx: OnnxFile | None = None,
) -> Card:
    """Write the artefact into `folder`, which must exist and be empty, and return its card.

    Args:
        saved: the model.
        provenance: what its files do not state.
        task: that it answers.
        folder: of the artefact.
        quantization: of the weights, where they are converted.
        onnx: is taken instead of the weights.

    Raises:
        UserError: the model is of another kind, or cannot be converted; the message says what to do.
    """
    with saved.refused():
        if onnx is None:
            family_of(saved)
        _check_kind(saved)
        order = _order(saved, provenance.outside_label)
        if onnx is None:
            network = _write_converted(saved, order, folder, quantization)
        else:
            outputs = Outputs(ONNX_CLASSIFIER_READER, len(order), of_tokens=False, order=order)
            network = write_onnx(saved, onnx, outputs, folder)
    labels = tuple(saved.labels[place] for place in order if saved.labels[place] != provenance.outside_label)
    calibration: dict[str, Any] = {"method": NOT_CALIBRATED, "parameters": ClassCalibration(UNFITTED, {}).parameters()}
    if gives_several(saved):
        calibration = {"method": SETS_NOT_CALIBRATED, "parameters": SetCalibration.none(len(labels)).parameters()}
    limits = (NOT_CALIBRATED_LIMIT, f"Reads the first {network.max_tokens:,} tokens of a text.")
    card = uncalibrated_card(provenance, task, labels, network, calibration, limits)
    return write_artefact(folder, card | {"kind": MULTI_LABEL if gives_several(saved) else None})


def gives_several(saved: SavedModel) -> bool:
    """Return whether the model gives a text several labels, each by a sigmoid of its own."""
    return saved.config.get("problem_type") == "multi_label_classification"


def _check_kind(saved: SavedModel) -> None:
    """Check that the model labels a whole text."""
    if not saved.architecture.endswith(_SUFFIX):
        named = saved.architecture or "no architecture"
        raise UserError(
            f"{saved.folder}: config.json names {named}; a model that labels texts is a …{_SUFFIX}. "
            "A plain encoder can be trained on: sprat train"
        )
    kind = saved.config.get("problem_type")
    if kind == "regression" or len(saved.labels) < 2:
        what = "regression" if kind == "regression" else "a single output"
        raise UserError(f"{saved.folder}: is a model for {what}; two labels or more are needed")


def _order(saved: SavedModel, outside_label: str | None) -> list[int]:
    """Return the numbers of the logits in the order of the artefact: that of texts outside is the last."""
    named = saved.labels
    if outside_label is not None and gives_several(saved):
        raise UserError(
            f"--outside-label {outside_label}: the model gives a text several labels; none of them is outside"
        )
    if outside_label is not None and outside_label not in named:
        raise UserError(f"--outside-label {outside_label}: the model has no such label; it has {_some(named)}")
    return sorted(range(len(named)), key=lambda place: named[place] == outside_label)


def _write_converted(
    saved: SavedModel, order: Sequence[int], folder: Path, quantization: Quantization
) -> WrittenNetwork:
    weights = saved.weights()
    encoder = encoder_of(saved, weights)
    head = _head(saved, weights, order, encoder.width)
    write_bert(encoder.weights, encoder.shape, saved.folder / "tokenizer.json", folder, quantization)
    head.save(folder)
    used_for = f"encoder and head ({saved.architecture}), converted to CTranslate2 in {quantization}"
    return WrittenNetwork(CLASSIFIER_READER, saved.longest_input(encoder.positions), used_for)


def _head(saved: SavedModel, weights: Weights, order: Sequence[int], width: int) -> ClassifierHead:
    where = family_of(saved).classifier
    between, last = where.layers
    inner, inner_bias = layer_of(saved, weights, between, (width, width))
    outer, outer_bias = last_layer_of(saved, weights, last, width)
    return ClassifierHead(
        np.ascontiguousarray(outer[order].T),
        outer_bias[order],
        where.activation,
        (np.ascontiguousarray(inner.T), inner_bias),
    )


def last_layer_of(saved: SavedModel, weights: Weights, name: str, width: int) -> tuple[Floats, Floats]:
    """Return weights, labels × width, and bias of the layer that computes the logits; see :func:`layer_of`."""
    labels = len(saved.labels)
    if (array := weights.get(f"{name}.weight")) is not None and len(array) != labels:
        raise UserError(f"{saved.folder}: has {len(array)} outputs and {labels} labels in id2label")
    return layer_of(saved, weights, name, (labels, width))


def layer_of(saved: SavedModel, weights: Weights, name: str, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Return weights and bias of a layer of a head.

    Raises:
        UserError: one is missing, or its shape is not that of the layer.
    """
    arrays = []
    for kind, wanted in (("weight", shape), ("bias", shape[:1])):
        if (array := weights.get(f"{name}.{kind}")) is None:
            raise UserError(
                f"{saved.folder}: the weights lack {name}.{kind}; its head was not saved, or is of another form"
            )
        saved.check_shape(f"{name}.{kind}", array, wanted)
        arrays.append(array)
    return arrays[0], arrays[1]


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:8]) + (f" and {len(labels) - 8} more" if len(labels) > 8 else "")
