"""Make an artefact of a model of others: convert it, compare it with the original, calibrate it on own rows."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from sprat.base import plugins
from sprat.base.errors import UserError
from sprat_contracts.languages import is_served
from sprat_contracts.thresholds import recommended_goal
from sprat_inference.artefact import write_artefact
from sprat_inference.card import Card, Score
from sprat_inference.classifier import Classifier
from sprat_inference.converters.agreement import (
    AGREEMENT,
    Agreement,
    Translatable,
    TranslationAgreement,
    check_agreement,
    check_translations,
    compare,
    compare_translations,
    converted_translations,
    original_logits,
    original_translations,
    sample_texts,
)
from sprat_inference.converters.bert import Quantization
from sprat_inference.converters.cards import Provenance
from sprat_inference.converters.classifiers import (
    NOT_CALIBRATED_LIMIT,
    SPANS_NOT_CALIBRATED_LIMIT,
    convert_classifier,
    convert_token_classifier,
    gives_several,
)
from sprat_inference.converters.families import family_of, is_convertible
from sprat_inference.converters.hard_texts import check_hard_texts, panics_refused
from sprat_inference.converters.hub import Source
from sprat_inference.converters.onnx_export import export_onnx
from sprat_inference.converters.onnx_model import OnnxFile, find_onnx
from sprat_inference.converters.opus_mt import NOT_CALIBRATED_LIMIT as TRANSLATION_NOT_CALIBRATED_LIMIT
from sprat_inference.converters.saved_model import SavedModel
from sprat_inference.converters.seq2seq import starts_with_padding
from sprat_inference.converters.text_to_text import TOKENIZERS, convert_text_to_text
from sprat_inference.heads import Floats
from sprat_inference.onnx_network import HOW_TO_INSTALL
from sprat_inference.text_to_text import CALIBRATED_READER, LanguageMarks, load_pieces, served_tag
from sprat_inference.token_classifier import TokenClassifier
from sprat_langid import detect
from sprat_training.calibration import (
    Calibrated,
    calibrate_classes,
    calibrate_sets,
    calibrate_spans,
    calibrate_translations,
)
from sprat_training.calibration_rows import ClassRows, SetRows, read_logits, read_span_rows, read_translation_rows
from sprat_training.datasets.config import OnTrainingProgress
from sprat_training.datasets.distinct import OUTSIDE
from sprat_training.datasets.reader import LabelledTexts
from sprat_training.evaluation.decision import Decision, Goal, VersionAtGoal
from sprat_training.fitting.figures import calibration_error
from sprat_training.thresholds.levels import keep_at_fields, measure_levels, write_levels

LEAST_COMPARED: Final = 20
"""Texts whose translations are compared. The shipped ones are in English, German and French."""
_NOT_CALIBRATED: Final = {NOT_CALIBRATED_LIMIT, SPANS_NOT_CALIBRATED_LIMIT, TRANSLATION_NOT_CALIBRATED_LIMIT}
COMPARING: Final = "comparing with the original"
"""What is said of the progress."""
_LONGEST_COMPARED: Final = 100
"""Pieces of a translation that are compared: more only takes longer."""


@dataclass(frozen=True, slots=True)
class AddConfig:
    """What the user asked for."""

    task: str
    name: str
    output: Path
    licence: str
    languages: tuple[str, ...]
    outside_label: str | None
    quantization: Quantization
    compare: bool
    """Whether the converted model is compared with the original."""
    force: bool
    """Whether it is added although it differs from the original."""
    goal: float | None
    """Share right asked of the answers that are kept; None for the recommended one."""
    outside_share: float
    labels: tuple[str, ...] | None = None
    """Of the task, where it has a file: those of the model must be the same."""
    export_onnx: bool = False
    """Whether the network is made as ONNX from the weights."""
    several: bool = False
    """Whether a text of the task may have several labels."""


@dataclass(frozen=True, slots=True)
class AddedModel:
    """The artefact, and what was measured."""

    card: Card
    agreement: Agreement | TranslationAgreement | None
    decision: Decision | None
    """What is kept at the goal of the rows to calibrate on; None where there are none."""
    needs: str | None = None
    """What installs the runtime that a service does not have without; None where CTranslate2 computes the model."""


def add_classifier(
    source: Source,
    config: AddConfig,
    texts: Sequence[str] | None,
    rows: LabelledTexts | None,
    progress: OnTrainingProgress,
) -> AddedModel:
    """Write the artefact into `config.output`, which must be missing or empty.

    Args:
        source: the files of the model.
        config: what the user asked for.
        texts: to compare with the original; None for the shipped ones.
        rows: to calibrate on; None leaves the model as it is.
        progress: is called while texts are read.

    Raises:
        UserError: the model cannot be converted, differs from the original, or the rows do not fit it.
    """
    provenance = provenance_of(source, config)
    with new_folder(config.output) as folder:
        saved, onnx = _open(source, config, folder.parent)
        _check_kind(saved, config)
        quantization = config.quantization if onnx is None else onnx.quantization
        card = convert_classifier(saved, provenance, config.task, folder, quantization=quantization, onnx=onnx)
        _check_labels(card.labels or (), config)
        classifier = Classifier.load(folder, card)
        check_hard_texts(saved.folder, classifier.tokenizer.ids)
        classes = (*(card.labels or ()), *([config.outside_label] if config.outside_label else []))
        agreement, scores = None, []
        if config.compare:
            order = [saved.labels.index(name) for name in classes]
            agreement, versions = _compare(saved, classifier, card, order, texts, progress)
            if not config.force:
                check_agreement(agreement, quantization)
            scores.append(agreement.score(versions))
        calibrated = None
        if rows is not None and config.several:
            calibrated = calibrate_sets(classifier, SetRows.of(rows, card.labels or ()), progress)
        elif rows is not None:
            known = ClassRows.of(rows, card.labels or (), config.outside_label or OUTSIDE)
            calibrated = calibrate_classes(classifier, card, known, config.outside_share, progress)
        return finish(folder, card, scores, config, agreement, calibrated, onnx=onnx)


def add_token_classifier(
    source: Source, config: AddConfig, texts: Sequence[str] | None, rows: Path | None, progress: OnTrainingProgress
) -> AddedModel:
    """Write the artefact of a model that labels tokens into `config.output`, which must be missing or empty.

    Args:
        source: the files of the model.
        config: what the user asked for.
        texts: to compare with the original; None for the shipped ones.
        rows: the file of texts with spans to calibrate on; None leaves the model as it is.
        progress: is called while texts are read.

    Raises:
        UserError: the model cannot be converted, differs from the original, or the rows do not fit it.
    """
    with new_folder(config.output) as folder:
        saved, onnx = _open(source, config, folder.parent)
        quantization = config.quantization if onnx is None else onnx.quantization
        card = convert_token_classifier(
            saved, provenance_of(source, config), config.task, folder, quantization=quantization, onnx=onnx
        )
        classifier = TokenClassifier.load(folder, card)
        check_hard_texts(saved.folder, classifier.windows.cut)
        agreement, scores = None, []
        if config.compare:
            compared = sample_texts() if texts is None else list(texts)
            progress(COMPARING, 0, len(compared))
            original, versions = original_logits(saved.folder, compared, card.max_tokens, of_tokens=True)
            agreement = compare(
                np.concatenate(classifier.token_logits(compared)), np.concatenate(original), unit="tokens"
            )
            progress(COMPARING, len(compared), len(compared))
            if not config.force:
                check_agreement(agreement, quantization)
            scores.append(agreement.score(versions))
        calibrated = None
        if rows is not None:
            calibrated = calibrate_spans(classifier, read_span_rows(rows, card.labels or ()))
        return finish(folder, card, scores, config, agreement, calibrated, onnx=onnx)


def add_translator(
    source: Source,
    config: AddConfig,
    pairs: Sequence[tuple[str, str]],
    prefix: str | None,
    texts: Sequence[str] | None,
    rows: Path | None,
    progress: OnTrainingProgress,
) -> AddedModel:
    """Write the artefact of a translation model into `config.output`, which must be missing or empty.

    Args:
        source: the files of the model.
        config: what the user asked for; its languages are not read.
        pairs: source and target, BCP 47; see :func:`convert_text_to_text`.
        prefix: words before every text; see there.
        texts: to compare with the original; None for the shipped ones in a language that it reads.
        rows: the file of texts with their translations by people to calibrate on; None leaves the model as it is.
        progress: is called while texts are translated.

    Raises:
        UserError: the model cannot be converted, differs from the original, or the rows do not fit it.
    """
    saved = SavedModel.open(source.folder, TOKENIZERS)
    with new_folder(config.output) as folder:
        card = convert_text_to_text(
            saved, provenance_of(source, config), pairs, folder, quantization=config.quantization, prefix=prefix
        )
        check_hard_texts(saved.folder, load_pieces(folder).encode)
        agreement, scores = None, []
        if config.compare:
            compared = _translatable(folder, card, texts)
            progress(COMPARING, 0, len(compared))
            original, versions = original_translations(
                saved.folder, compared, _LONGEST_COMPARED, not_written="<pad>" if starts_with_padding(saved) else None
            )
            ours = converted_translations(folder, compared, _LONGEST_COMPARED)
            progress(COMPARING, len(compared), len(compared))
            agreement = compare_translations(ours, original)
            if not config.force:
                check_translations(agreement)
            scores.append(agreement.score(versions))
        calibrated = None
        if rows is not None:
            model = plugins.load_specialist("translation").load(folder)
            translated = read_translation_rows(rows, card).translated_by(model, progress)
            calibrated = calibrate_translations(translated, card.calibration.longest_code_points)
            card = card.model_copy(update={"reader": CALIBRATED_READER})
        return finish(folder, card, scores, config, agreement, calibrated)


def _open(source: Source, config: AddConfig, scratch: Path) -> tuple[SavedModel, OnnxFile | None]:
    """Return the model, and where its architecture cannot be converted the network as ONNX that is taken instead.

    Raises:
        UserError: neither can be taken, or the model has no weights to compare with.
    """
    saved = SavedModel.open(source.folder, weights=False)
    if is_convertible(saved):
        if config.export_onnx:
            raise UserError(
                f"{saved.folder}: --export-onnx is not needed; CTranslate2 has the architecture of the model"
            )
        saved.check_weights()
        return saved, None
    if config.export_onnx:
        saved.check_weights()
        return saved, export_onnx(saved, config.quantization, scratch)
    if (onnx := find_onnx(source, config.quantization)) is None:
        try:
            family_of(saved)
        except UserError as error:
            raise UserError(
                f"{error}; it has no onnx/model.onnx, which would be taken instead. --export-onnx makes one of its "
                "weights, which needs torch"
            ) from None
    if config.compare and not saved.has_weights:
        raise UserError(
            f"{saved.folder}: has no model.safetensors, with which its network in ONNX could be compared; --no-compare "
            "adds it without"
        )
    return saved, onnx


def provenance_of(source: Source, config: AddConfig) -> Provenance:
    """Return whom a model comes from, for its card."""
    return Provenance(
        name=config.name,
        source=source.where,
        authors=f"the authors of {source.where}; see its README",
        licence=config.licence,
        languages=config.languages,
        outside_label=config.outside_label,
    )


def _check_kind(saved: SavedModel, config: AddConfig) -> None:
    """Check that a model gives a text as many labels as the task wants.

    Raises:
        UserError: it gives several and the task wants one, or the other way round.
    """
    if gives_several(saved) and not config.several:
        raise UserError(
            f"{saved.folder}: gives a text several labels (multi_label_classification); add it for a task whose file "
            "says kind: multi_label, which sprat task init NAME --kind multi_label --labels … writes"
        )
    if config.several and not gives_several(saved):
        raise UserError(
            f"{saved.folder}: gives a text one label, and the task {config.task} is of the kind multi_label; if it was "
            'trained for several, write "problem_type": "multi_label_classification" into its config.json'
        )


def _check_labels(labels: Sequence[str], config: AddConfig) -> None:
    """Check that a model has the labels of the task's file.

    Raises:
        UserError: it has others; the message shows all of the model's.
    """
    wanted = labels if config.labels is None else config.labels
    if set(wanted) != set(labels):
        lacking = ", ".join(label for label in labels if label not in wanted) or "none more"
        surplus = ", ".join(label for label in wanted if label not in labels) or "none more"
        raise UserError(
            f"the labels of the task {config.task} must be those of the model. The model alone has {lacking}; the file "
            f"alone has {surplus}. Write the model's into the file, and name one that means none of the others with "
            "--outside-label"
        )


@contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """Yield a folder to write the artefact into; it becomes `output` where nothing is raised."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(
            f"{output}: exists already; name another --output, or move that folder away first (--force is for a model "
            "that differs from the original)"
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".sprat-add-") as temporary:
        folder = Path(temporary) / "artefact"
        folder.mkdir()  # the temporary folder itself is readable by its owner only
        with panics_refused(f"{output}: a native library failed while the model was added; take another model"):
            yield folder
        if output.exists():
            output.rmdir()
        folder.rename(output)


def finish(
    folder: Path,
    card: Card,
    scores: Sequence[Score],
    config: AddConfig,
    agreement: Agreement | TranslationAgreement | None,
    calibrated: Calibrated | None = None,
    *,
    onnx: OnnxFile | None = None,
) -> AddedModel:
    """Write the card with the scores, and the levels of a calibrated model.

    Args:
        folder: of the artefact.
        card: without scores.
        scores: of the comparison with the original.
        config: what the user asked for.
        agreement: with the original; None: the card says that it was not compared.
        calibrated: what the rows say of it; None: the card says that it is not calibrated.
        onnx: the network that is taken instead of CTranslate2's.
    """
    limits = [each for each in card.limits if calibrated is None or each not in _NOT_CALIBRATED]
    if not any(score.name == AGREEMENT for score in scores):
        limits.append("Not compared with the original model after the conversion.")
    goal = Goal(recommended_goal(config.task) if config.goal is None else config.goal)
    update: dict[str, Any] = {"scores": tuple(scores), "limits": tuple(limits)}
    if calibrated is not None:
        found = measure_levels(card, calibrated.rows)
        kept = VersionAtGoal.measured(card.name, card.version, calibrated.rows, found, goal).all
        protocol = f"{len(calibrated.rows):,} rows to calibrate on, each with a calibration that was fitted without it"
        measured = {
            "right": float(np.average(calibrated.rows.right, weights=calibrated.rows.weight)),
            "calibration_error": calibration_error(calibrated.rows),
            "kept_share": kept.kept_share,
            "kept_right": kept.right_of_kept,
        }
        update |= {"calibration": calibrated.calibration, **keep_at_fields(found, goal.accuracy)}
        update["scores"] += tuple(
            Score(name=f"calibrated_{name}", value=value, protocol=protocol)
            for name, value in measured.items()
            if value is not None
        )
    written = write_artefact(folder, card.model_copy(update=update).model_dump(mode="json"))
    decision = None
    if calibrated is not None:
        thresholds = write_levels(folder, written, calibrated.rows)
        new = VersionAtGoal.measured(written.name, written.version, calibrated.rows, thresholds, goal, "cross-fitted")
        rows, outside = len(calibrated.rows), int(calibrated.rows.outside.sum())
        decision = Decision(written.task, goal, None, new, rows=rows, outside=outside, file="the rows to calibrate on")
    return AddedModel(written, agreement, decision, needs=None if onnx is None else HOW_TO_INSTALL)


def _translatable(folder: Path, card: Card, texts: Sequence[str] | None) -> list[Translatable]:
    """Return texts to translate, each from its language into the first target that is another.

    Where the model reads several languages, that of a text is detected; one that the model does not read is left out.
    """
    marks, chosen = LanguageMarks.load(folder), []
    for text in sample_texts() if texts is None else texts:
        only = card.languages[0] if len(card.languages) == 1 and texts is not None else None
        language = only or detect(text).language
        if language is None or not is_served(language, card.languages):
            continue
        tag = served_tag(language, card.languages)
        if target := next((each for each in card.targets if each != tag), None):
            chosen.append(Translatable(text, marks.of(tag, target)))
    pieces = load_pieces(folder).encode([each.text for each in chosen])
    short = [each for each, read in zip(chosen, pieces, strict=True) if 0 < len(read) <= card.max_tokens]
    if len(short) < LEAST_COMPARED:
        raise UserError(
            f"{len(short)} texts can be compared, {LEAST_COMPARED} are needed; name more with --test, in a language "
            f"that the model reads ({', '.join(card.languages[:8])}), or add it with --no-compare"
        )
    return short


def _compare(
    saved: SavedModel,
    classifier: Classifier,
    card: Card,
    order: Sequence[int],
    texts: Sequence[str] | None,
    progress: OnTrainingProgress,
) -> tuple[Agreement, str]:
    compared = sample_texts() if texts is None else list(texts)
    original, versions = original_logits(saved.folder, compared, card.max_tokens)
    ours, wanted = read_logits(classifier, compared, progress, COMPARING), np.concatenate(original)[:, order]
    if gives_several(saved):
        return compare(_as_decisions(ours), _as_decisions(wanted), "pairs of a text and a label"), versions
    return compare(ours, wanted), versions


def _as_decisions(logits: Floats) -> Floats:
    """Return the decisions about each label of each text as logits of no and yes, (texts × labels) × 2."""
    return np.stack([-logits, logits], axis=-1).reshape(-1, 2)
