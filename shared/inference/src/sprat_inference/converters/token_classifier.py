"""Convert a fine-tuned model that labels tokens to an artefact of a task of spans, without torch."""

import json
from pathlib import Path
from typing import Final

import numpy as np

from sprat.errors import UserError
from sprat_inference.artefact import write_artefact
from sprat_inference.card import Card
from sprat_inference.converters.bert import Quantization, write_bert
from sprat_inference.converters.families import encoder_of, family_of
from sprat_inference.converters.saved_model import SavedModel
from sprat_inference.converters.sequence_classifier import (
    NOT_MEASURED_LIMIT,
    Provenance,
    array_of,
    uncalibrated_card,
)
from sprat_inference.heads import TokenHead
from sprat_inference.token_classifier import TAGS_FILE, TOKEN_CLASSIFIER_READER, parse_tags, types_of

LONGEST_WINDOW: Final = 256
"""Most tokens that are read at once. A text is read to its end, in windows; attention costs their square."""

NOT_CALIBRATED: Final = "none: the product of the probabilities of the labels of all words, fitted to nothing"
NOT_CALIBRATED_LIMIT: Final = (
    "Not calibrated: its confidence falls with the doubts and the length of a text, and is no chance of anything."
)
_SUFFIX: Final = "ForTokenClassification"


def convert_token_classifier(
    saved: SavedModel, provenance: Provenance, task: str, folder: Path, *, quantization: Quantization = "int8"
) -> Card:
    """Write the artefact into `folder`, which must exist and be empty, and return its card.

    Raises:
        UserError: the model is of another kind, or cannot be converted; the message says what to do.
    """
    with saved.refused():
        family = family_of(saved)
        if not saved.architecture.endswith(_SUFFIX):
            named = saved.architecture or "no architecture"
            raise UserError(f"{saved.folder}: config.json names {named}; a model that labels tokens is a …{_SUFFIX}")
        tags = parse_tags(saved.labels)
        if not (types := types_of(tags)):
            raise UserError(f"{saved.folder}: id2label names no type beside O")
        weights = saved.weights()
        encoder = encoder_of(saved, weights)
        (layer,) = family.tagger.layers
        last, bias = (array_of(saved, weights, f"{layer}.{kind}") for kind in ("weight", "bias"))
        if last.shape[0] != len(tags):
            raise UserError(f"{saved.folder}: has {last.shape[0]} outputs and {len(tags)} labels in id2label")
        write_bert(encoder.weights, encoder.shape, saved.folder / "tokenizer.json", folder, quantization)
    TokenHead(np.ascontiguousarray(last.T), bias).save(folder)
    text = json.dumps(saved.labels, ensure_ascii=False, indent=1)
    (folder / TAGS_FILE).write_text(text + "\n", encoding="utf-8", newline="\n")
    max_tokens = min(saved.longest_input(encoder.positions), LONGEST_WINDOW)
    card = uncalibrated_card(saved, provenance, task, types, max_tokens, quantization)
    calibration = {**card["calibration"], "method": NOT_CALIBRATED}
    limits = (NOT_CALIBRATED_LIMIT, NOT_MEASURED_LIMIT)
    return write_artefact(
        folder, card | {"reader": TOKEN_CLASSIFIER_READER, "calibration": calibration, "limits": limits}
    )
