"""A label model that needs no examples: the nearest label, by its name and by what it means.

The vectors of the labels take the place of a fitted head. What all texts share, and what all names of labels share, is
subtracted first: else a text is near to every label.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat.base.thresholds import find_thresholds
from sprat_contracts.thresholds import Thresholds
from sprat_encoder import identify, load
from sprat_encoder.label_model import LabellingModel
from sprat_encoder.networks import EncoderWithHead
from sprat_inference.artefact import BrokenArtefact, load_part, reading
from sprat_inference.card import Calibration, Card, PartCard, label_set_hash
from sprat_inference.encoder import SentenceEncoder, unit
from sprat_inference.heads import LABEL_READER, LabelHead
from sprat_inference.label_calibration import METHOD, OUTCOMES, CalibratorsByLanguage, LabelCalibrator

Floats = NDArray[np.float32]

READER: Final = "sprat-zero-shot/1"
"""Revision of the way from names and meanings to a head. Raise it with every change that changes an answer."""

ARTEFACT: Final = Path(__file__).parent / "artefacts" / "zero-shot"
"""The folder of the two means and the calibration."""

ARRAYS: Final = "zero-shot.npz"

NAME: Final = "zero-shot"
"""The name of such a model in its card and in Results."""

SCALE: Final = 20.0
"""A logit is so many times the cosine between text and label."""

OUTSIDE_SHARE: Final = 0.1
KEEP_AT: Final = 0.9
KEEP_AT_RULE: Final = (
    "the least of 0.5, 0.6, … at which 95 % of what is kept is right on BANKING77, whose labels and texts it has not "
    "seen; see the scores"
)


def label_vectors(encoder: SentenceEncoder, labels: Mapping[str, str]) -> Floats:
    """Return the vector of each label, labels × width: of its name, or the mean of that and of what it means.

    Args:
        encoder: the shared one.
        labels: name → what it means, "" where that is not said.
    """
    names = [f"query: {words(name)}" for name in labels]
    vectors = encoder.encode(names).vectors
    meanings = [f"query: {words(name)}: {meaning}" for name, meaning in labels.items() if meaning]
    if not meanings:
        return vectors
    described = np.array([bool(meaning) for meaning in labels.values()])
    vectors = vectors.copy()
    vectors[described] = unit(vectors[described] + encoder.encode(meanings).vectors)
    return vectors


def words(label: str) -> str:
    """Return the words of a label's name: `card_arrival` → `card arrival`."""
    return " ".join(label.replace("_", " ").replace("-", " ").split()).lower()


def head_of(vectors: Floats, text_mean: Floats, label_mean: Floats) -> LabelHead:
    """Return the head whose logits are the scaled cosines between a text and each label."""
    weights = (SCALE * unit(vectors - label_mean)).T.astype(np.float32)
    return LabelHead(text_mean, np.ascontiguousarray(weights), np.zeros(len(vectors), np.float32))


def languages(folder: Path = ARTEFACT) -> tuple[str, ...]:
    """Return the languages that such a model reads where its task names none, as its card states them: BCP 47.

    Raises:
        BrokenArtefact: the folder cannot be used.
    """
    return load_part(folder, reader=READER).languages


def default_thresholds(folder: Path = ARTEFACT) -> Thresholds | None:
    """Return the thresholds of such a model where its task was not measured; None where its folder has none.

    Raises:
        BrokenArtefact: the folder cannot be used.
        UserError: its file is refused.
    """
    return find_thresholds(folder, model_version=load_part(folder, reader=READER).version)


def load_zero_shot(
    task: str, labels: Mapping[str, str], languages: Sequence[str] = (), *, threads: int = 1, folder: Path = ARTEFACT
) -> LabellingModel:
    """Make the model of a task from the names of its labels and what they mean.

    Args:
        task: for its card.
        labels: name → what it means, "" where that is not said.
        languages: of the texts; none: those of the encoder.
        threads: that run the encoder.
        folder: of the means and the calibration.

    Raises:
        BrokenArtefact: when folder or encoder cannot be used, or a name has no word that the encoder reads.
    """
    part = load_part(folder, reader=READER)
    built_on = identify()
    encoder = load(built_on, max_tokens=part.max_tokens, threads=threads)
    text_mean, label_mean, calibrator = _read(folder)
    unread = encoder.encode([words(name) for name in labels]).empty
    if unread.any():
        raise BrokenArtefact(f"the label {list(labels)[int(unread.argmax())]!r} has no word that the encoder reads")
    head = head_of(label_vectors(encoder, labels), text_mean, label_mean)
    calibrators = CalibratorsByLanguage({"en": calibrator})
    made_from = [part.version, built_on.version, list(labels.items())]
    version = hashlib.sha256(json.dumps(made_from, ensure_ascii=False).encode()).hexdigest()[:16]
    card = Card(
        name=NAME,
        version=version,
        reader=LABEL_READER,
        languages=tuple(languages) or part.languages,
        max_tokens=part.max_tokens,
        licence=part.licence,
        made_of=part.made_of,
        scores=part.scores,
        limits=part.limits,
        files={},
        task=task,
        built_on=built_on,
        labels=tuple(labels),
        label_set=label_set_hash(labels),
        calibration=calibration_of(part, calibrators),
        keep_at=KEEP_AT,
        keep_at_rule=KEEP_AT_RULE,
    )
    return LabellingModel(card, EncoderWithHead(encoder, head), calibrators)


def calibration_of(part: PartCard, calibrators: CalibratorsByLanguage) -> Calibration:
    """Return what a card says of the calibration."""
    return Calibration(
        method=METHOD,
        fitted_on=next(work.used_for for work in part.made_of if work.name == "CLINC150"),
        outside_share=OUTSIDE_SHARE,
        longest_code_points=LONGEST_CODE_POINTS,
        parameters=dict(calibrators.parameters()),
    )


LONGEST_CODE_POINTS: Final = 136
"""Of the texts that the calibration was fitted on."""


def _read(folder: Path) -> tuple[Floats, Floats, LabelCalibrator]:
    """Return the mean of texts, that of names of labels, and the calibration: rows of outcome, bias and weights."""
    path = folder / ARRAYS
    with reading(path, "run the recipe again"), np.load(path, allow_pickle=False) as file:
        text_mean, label_mean = (np.asarray(file[name], np.float32) for name in ("text_mean", "label_mean"))
        rows = np.asarray(file["calibration"], np.float64)
    parameters = {outcome: tuple(map(float, row)) for outcome, row in zip(OUTCOMES, rows, strict=True)}
    return text_mean, label_mean, LabelCalibrator.of(parameters)
