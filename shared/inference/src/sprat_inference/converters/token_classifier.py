"""Convert a fine-tuned model that labels tokens to an artefact of a task of spans, without torch."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from sprat.base.errors import UserError
from sprat_inference.artefact import write_artefact
from sprat_inference.card import Card
from sprat_inference.converters.bert import Quantization, write_bert
from sprat_inference.converters.cards import Provenance, WrittenNetwork, uncalibrated_card
from sprat_inference.converters.families import encoder_of, family_of
from sprat_inference.converters.onnx_model import OnnxFile, Outputs, write_onnx
from sprat_inference.converters.saved_model import SavedModel
from sprat_inference.converters.sequence_classifier import last_layer_of
from sprat_inference.heads import TokenHead
from sprat_inference.token_classifier import (
    ONNX_TOKEN_READER,
    TAGS_FILE,
    TOKEN_CLASSIFIER_READER,
    parse_tags,
    types_of,
)

LONGEST_WINDOW: Final = 256
"""Most tokens that are read at once. A text is read to its end, in windows; attention costs their square."""

NOT_CALIBRATED: Final = "none: the product of the probabilities of the labels of all words, fitted to nothing"
NOT_CALIBRATED_LIMIT: Final = (
    "Not calibrated: its confidence falls with the doubts and the length of a text, and is no chance of anything."
)
_SUFFIX: Final = "ForTokenClassification"


def convert_token_classifier(
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
        if not saved.architecture.endswith(_SUFFIX):
            named = saved.architecture or "no architecture"
            raise UserError(f"{saved.folder}: config.json names {named}; a model that labels tokens is a …{_SUFFIX}")
        if not (types := types_of(parse_tags(saved.labels))):
            raise UserError(f"{saved.folder}: id2label names no type beside O")
        if onnx is None:
            network = _write_converted(saved, folder, quantization)
        else:
            outputs = Outputs(ONNX_TOKEN_READER, len(saved.labels), of_tokens=True)
            network = write_onnx(saved, onnx, outputs, folder)
    text = json.dumps(saved.labels, ensure_ascii=False, indent=1)
    (folder / TAGS_FILE).write_text(text + "\n", encoding="utf-8", newline="\n")
    network = replace(network, max_tokens=min(network.max_tokens, LONGEST_WINDOW))
    calibration = {"method": NOT_CALIBRATED}
    return write_artefact(
        folder, uncalibrated_card(provenance, task, types, network, calibration, (NOT_CALIBRATED_LIMIT,))
    )


def _write_converted(saved: SavedModel, folder: Path, quantization: Quantization) -> WrittenNetwork:
    weights = saved.weights()
    encoder = encoder_of(saved, weights)
    (layer,) = family_of(saved).tagger.layers
    last, bias = last_layer_of(saved, weights, layer, encoder.width)
    write_bert(encoder.weights, encoder.shape, saved.folder / "tokenizer.json", folder, quantization)
    TokenHead(np.ascontiguousarray(last.T), bias).save(folder)
    used_for = f"encoder and head ({saved.architecture}), converted to CTranslate2 in {quantization}"
    return WrittenNetwork(TOKEN_CLASSIFIER_READER, saved.longest_input(encoder.positions), used_for)
