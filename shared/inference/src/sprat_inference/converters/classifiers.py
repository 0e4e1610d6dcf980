"""Convert a fine-tuned model that labels texts or tokens to an artefact, without torch.

It is a `…ForSequenceClassification` or a `…ForTokenClassification` of the transformers library.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from sprat.base.errors import UserError
from sprat_inference.artefact import write_artefact, write_json
from sprat_inference.card import Card
from sprat_inference.classifier import NOT_CALIBRATED, ClassCalibration
from sprat_inference.converters.bert import Quantization, write_bert
from sprat_inference.converters.cards import Provenance, WrittenNetwork, uncalibrated_card
from sprat_inference.converters.families import encoder_of, family_of
from sprat_inference.converters.onnx_model import OnnxFile, Outputs, write_onnx
from sprat_inference.converters.saved_model import SavedModel, Weights
from sprat_inference.heads import CLASSIFIER_READER, ONNX_CLASSIFIER_READER, ClassifierHead, Floats, TokenHead
from sprat_inference.label_sets import MULTI_LABEL, SetCalibration
from sprat_inference.label_sets import NOT_CALIBRATED as SETS_NOT_CALIBRATED
from sprat_inference.platt import UNFITTED
from sprat_inference.token_classifier import (
    ONNX_TOKEN_READER,
    TAGS_FILE,
    TOKEN_CLASSIFIER_READER,
    parse_tags,
    types_of,
)

LONGEST_WINDOW: Final = 256
"""Most tokens that a model of tokens reads at once. A text is read to its end, in windows; attention costs their
square."""

NOT_CALIBRATED_LIMIT: Final = (
    "Not calibrated: its confidence is the network's own probability, which is usually too high."
)
SPANS_NOT_CALIBRATED: Final = "none: the product of the probabilities of the labels of all words, fitted to nothing"
SPANS_NOT_CALIBRATED_LIMIT: Final = (
    "Not calibrated: its confidence falls with the doubts and the length of a text, and is no chance of anything."
)
_OF_TEXTS: Final = "ForSequenceClassification"
_OF_TOKENS: Final = "ForTokenClassification"

MakeHead = Callable[[Weights, int], ClassifierHead | TokenHead]
"""Makes the head of all arrays and the width of the encoder."""


def convert_classifier(
    saved: SavedModel,
    provenance: Provenance,
    task: str,
    folder: Path,
    *,
    quantization: Quantization = "int8",
    onnx: OnnxFile | None = None,
) -> Card:
    """Write the artefact of a model of texts into `folder`, which must exist and be empty, and return its card.

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
            network = _convert(saved, CLASSIFIER_READER, _text_head(saved, order), folder, quantization)
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


def convert_token_classifier(
    saved: SavedModel,
    provenance: Provenance,
    task: str,
    folder: Path,
    *,
    quantization: Quantization = "int8",
    onnx: OnnxFile | None = None,
) -> Card:
    """Do the same for a model of tokens, whose task has spans; see :func:`convert_classifier`.

    Raises:
        UserError: the model is of another kind, or cannot be converted; the message says what to do.
    """
    with saved.refused():
        if onnx is None:
            family_of(saved)
        if not saved.architecture.endswith(_OF_TOKENS):
            named = saved.architecture or "no architecture"
            raise UserError(f"{saved.folder}: config.json names {named}; a model that labels tokens is a …{_OF_TOKENS}")
        if not (types := types_of(parse_tags(saved.labels))):
            raise UserError(f"{saved.folder}: id2label names no type beside O")
        if onnx is None:
            network = _convert(saved, TOKEN_CLASSIFIER_READER, _token_head(saved), folder, quantization)
        else:
            outputs = Outputs(ONNX_TOKEN_READER, len(saved.labels), of_tokens=True)
            network = write_onnx(saved, onnx, outputs, folder)
    write_json(folder / TAGS_FILE, saved.labels)
    network = replace(network, max_tokens=min(network.max_tokens, LONGEST_WINDOW))
    calibration = {"method": SPANS_NOT_CALIBRATED}
    return write_artefact(
        folder, uncalibrated_card(provenance, task, types, network, calibration, (SPANS_NOT_CALIBRATED_LIMIT,))
    )


def gives_several(saved: SavedModel) -> bool:
    """Return whether the model gives a text several labels, each by a sigmoid of its own."""
    return saved.config.get("problem_type") == "multi_label_classification"


def _check_kind(saved: SavedModel) -> None:
    """Check that the model labels a whole text."""
    if not saved.architecture.endswith(_OF_TEXTS):
        named = saved.architecture or "no architecture"
        raise UserError(
            f"{saved.folder}: config.json names {named}; a model that labels texts is a …{_OF_TEXTS}. "
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


def _convert(
    saved: SavedModel, reader: str, make_head: MakeHead, folder: Path, quantization: Quantization
) -> WrittenNetwork:
    """Write encoder and head into `folder`, converted from the weights."""
    weights = saved.weights()
    encoder = encoder_of(saved, weights)
    head = make_head(weights, encoder.width)
    write_bert(encoder.weights, encoder.shape, saved.folder / "tokenizer.json", folder, quantization)
    head.save(folder)
    used_for = f"encoder and head ({saved.architecture}), converted to CTranslate2 in {quantization}"
    return WrittenNetwork(reader, saved.longest_input(encoder.positions), used_for)


def _text_head(saved: SavedModel, order: Sequence[int]) -> MakeHead:
    def make(weights: Weights, width: int) -> ClassifierHead:
        where = family_of(saved).classifier
        between, last = where.layers
        inner, inner_bias = _layer(saved, weights, between, (width, width))
        outer, outer_bias = _last_layer(saved, weights, last, width)
        layer = (np.ascontiguousarray(inner.T), inner_bias)
        return ClassifierHead(np.ascontiguousarray(outer[order].T), outer_bias[order], where.activation, layer)

    return make


def _token_head(saved: SavedModel) -> MakeHead:
    def make(weights: Weights, width: int) -> TokenHead:
        (last,) = family_of(saved).tagger.layers
        outer, bias = _last_layer(saved, weights, last, width)
        return TokenHead(np.ascontiguousarray(outer.T), bias)

    return make


def _last_layer(saved: SavedModel, weights: Weights, name: str, width: int) -> tuple[Floats, Floats]:
    """Return weights, labels × width, and bias of the layer that computes the logits; see :func:`_layer`."""
    labels = len(saved.labels)
    if (array := weights.get(f"{name}.weight")) is not None and len(array) != labels:
        raise UserError(f"{saved.folder}: has {len(array)} outputs and {labels} labels in id2label")
    return _layer(saved, weights, name, (labels, width))


def _layer(saved: SavedModel, weights: Weights, name: str, shape: tuple[int, int]) -> tuple[Floats, Floats]:
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
