"""The card of a trained model, and writing both as an artefact that the service reads."""

import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np

from sprat.base import plugins
from sprat.base.errors import UserError
from sprat.base.thresholds import THRESHOLDS, find_thresholds, write_thresholds
from sprat_contracts.thresholds import Thresholds
from sprat_inference.artefact import CARD, BrokenArtefact, load_artefact, write_artefact
from sprat_inference.card import Calibration, Card, Score, SpecialistModel, Work, label_set_hash
from sprat_inference.heads import LabelHead
from sprat_inference.label_calibration import BASE_LANGUAGE, METHOD, CalibratorsByLanguage, LabelCalibrator
from sprat_inference.label_sets import CALIBRATED as SETS_CALIBRATED
from sprat_inference.label_sets import MULTI_LABEL
from sprat_inference.lexical import LexicalModel
from sprat_training.datasets.config import TrainingConfig
from sprat_training.datasets.distinct import FEW_TEXTS, TrainingData
from sprat_training.datasets.label_sets import LabelSetData
from sprat_training.datasets.record import write_record
from sprat_training.evaluation.decision import Goal, VersionAtGoal
from sprat_training.fitting.encoding import BaseEncoder
from sprat_training.fitting.figures import Figures, near_outside
from sprat_training.fitting.heads import CrossValidation
from sprat_training.fitting.label_set_fit import FittedSets
from sprat_training.fitting.lexical_gate import LexicalFit

OWN_FILE: Final = "a file of the owner's"
"""The source of the files that a model was trained on, in its card; the two below say what for."""
FITTED: Final = "head, calibration, scores"
TESTED: Final = "scores"
OUTSIDE_TEXTS: Final = "calibration: texts outside every label"
NO_VERSION: Final = "0" * 16
"""Until the artefact is written and hashed."""
_ON_TRAFFIC: Final = "Its figures hold for traffic like the file that it was trained on, and for no other."
CLASSIFY: Final = "classify"
"""The service that answers tasks from files."""


def describe_labels(
    config: TrainingConfig,
    base: BaseEncoder,
    data: TrainingData,
    validation: CrossValidation,
    calibrator: LabelCalibrator,
    outside: Sequence[str],
    *,
    dropped: int = 0,
) -> Card:
    """Return the card of a model that gives a text one label, without scores, keep_at, version and files.

    Args:
        config: what the user asked for.
        base: the encoder.
        data: what was fitted.
        validation: the cross-validation.
        calibrator: the calibration.
        outside: texts outside every label.
        dropped: number of rows left out because their labels are doubted.
    """
    calibration = Calibration(
        method=METHOD,
        fitted_on=_fitted_on(config, data, validation, len(outside)),
        outside_share=config.outside_share if len(validation.outside) else 0.0,
        longest_code_points=max(len(text) for text in (*data.texts, *outside)),
        parameters=dict(CalibratorsByLanguage({BASE_LANGUAGE: calibrator}).parameters()),
    )
    limits = _limits(data, validation, base.card.max_tokens, dropped)
    return _card(config, base, data.labels, calibration, limits, task="intent")


def describe_sets(config: TrainingConfig, base: BaseEncoder, data: LabelSetData, fitted: FittedSets) -> Card:
    """Return the card of a model that gives a text several labels; see :func:`describe_labels`."""
    calibration = Calibration(
        method=SETS_CALIBRATED,
        fitted_on=f"{len(data.texts):,} texts of {config.source}, each by a head that had not seen it",
        outside_share=float((~data.gold.any(axis=1)).mean()),
        longest_code_points=max(map(len, data.texts)),
        parameters=dict(fitted.calibration.parameters()),
    )
    limits = (f"Reads the first {base.card.max_tokens} tokens of a text.", _ON_TRAFFIC)
    return _card(config, base, data.labels, calibration, limits, task=MULTI_LABEL, kind=MULTI_LABEL)


def _card(
    config: TrainingConfig,
    base: BaseEncoder,
    labels: tuple[str, ...],
    calibration: Calibration,
    limits: tuple[str, ...],
    **of_kind: Any,
) -> Card:
    return Card(
        name=config.name,
        version=NO_VERSION,
        reader=base.reader,
        built_on=base.built_on,
        labels=labels,
        label_set=label_set_hash(labels),
        languages=config.languages,
        max_tokens=base.card.max_tokens,
        licence=" AND ".join(dict.fromkeys((*base.licences, config.licence))),
        made_of=(*base.made_of, *works_of(config)),
        scores=(),
        calibration=calibration,
        keep_at=1.0,
        keep_at_rule="not yet found",
        limits=limits,
        files={},
        **of_kind,
    )


def scores_of(prefix: str, protocol: str, figures: Figures, found: Thresholds, goal: Goal) -> list[Score]:
    """Return the figures for a card, by names with the prefix.

    Args:
        prefix: of the names.
        protocol: on which data, by which rule.
        figures: that were measured.
        found: the thresholds, for what is kept.
        goal: at which it is.
    """
    version = VersionAtGoal.measured("", NO_VERSION, figures.rows, found, goal)
    kept, hidden = version.all, figures.hidden_kept(version.kept)
    at = f"{protocol}, weighted as traffic"
    rows = [
        ("accuracy", figures.accuracy.value, f"{protocol}: all labels of the text are right, nothing sent out"),
        ("accuracy_low", figures.accuracy.low, f"lower end of the 95 % interval of {prefix}_accuracy (Wilson)"),
        ("accuracy_high", figures.accuracy.high, f"upper end of the 95 % interval of {prefix}_accuracy (Wilson)"),
        ("macro_f1", figures.macro_f1, f"{protocol}: mean over the labels, each counting the same"),
        ("ece", figures.calibration_error, f"{at}: expected calibration error, 15 equal bins"),
        ("kept_share", kept.kept_share, f"{at}: answers whose level is {goal.accuracy:.1%} or more"),
        ("kept_right", kept.right_of_kept, f"{at}: of those kept, right as published"),
        ("outside_recall", figures.outside_recall, f"{protocol}: of texts outside, the share without a label"),
    ]
    if hidden is not None:
        what = (
            f"of {hidden.texts:,} texts of {hidden.labels} labels, each read by a head that does not know its label, "
            f"those kept with another label at the level of {goal.accuracy:.1%}"
        )
        of_parts = f"{prefix}_hidden_kept of {hidden.parts} random parts of the labels"
        rows += [
            ("hidden_kept", hidden.share, what),
            ("hidden_kept_least", hidden.least, f"the lowest {of_parts}"),
            ("hidden_kept_most", hidden.most, f"the highest {of_parts}; of texts near to the labels it may be higher"),
        ]
    return [
        Score(name=f"{prefix}_{name}", value=round(value, 6), protocol=rule)
        for name, value, rule in rows
        if value is not None
    ]


def with_stage(card: Card, stage: LexicalFit) -> Card:
    """Return the card with the lexical stage, and what it answers of texts that it was not fitted on."""
    gate = stage.gate
    rows = (
        ("lexical_share", gate.share, "texts with a label that the lexical stage answers, held out from it"),
        ("lexical_error", gate.error, "of these, the label is wrong"),
        ("lexical_encoder_error", gate.encoder_error, "of the same texts, the label of a held-out head is wrong"),
        ("lexical_outside_share", gate.outside_share, "texts outside every label that the stage answers with one"),
    )
    scores = tuple(Score(name=name, value=round(value, 6), protocol=rule) for name, value, rule in rows)
    return card.model_copy(update={"lexical": stage.card, "scores": (*card.scores, *scores)})


PREVIOUS: Final = ".previous"
"""At the end of the folder of a version that was replaced."""


def check_output(output: Path, *, force: bool, may_force: bool = True) -> None:
    """Check, before anything is computed, that the folder can be written.

    Args:
        output: the folder.
        force: whether it may replace an artefact.
        may_force: whether the command has an option for that.

    Raises:
        UserError: it exists already, or its parent folder does not; what stands in the place of the version before is
            no artefact; or an exchange of both was interrupted.
    """
    if aside_folder(output).exists():
        raise UserError(
            f"{aside_folder(output)}: left by an exchange with the version before that was interrupted; finish it "
            f"first: sprat promote {shlex.quote(str(output))} --back"
        )
    if output.exists() and not force:
        replace = ", or replace it with --force" if may_force else ""
        raise UserError(f"{output}: exists already; name another --output{replace}")
    if output.is_symlink():
        raise UserError(
            f"{output}: a link, beside which no version before can be kept; name the folder that it leads to"
        )
    if output.exists() and not (output / CARD).is_file():
        raise UserError(f"{output}: not an artefact, so --force does not replace it; name another --output")
    before = previous_folder(output)
    if output.exists() and before.exists() and not (before / CARD).is_file():
        raise UserError(f"{before}: not an artefact, and the version before would be kept there; move it away")
    if not os.access(output.resolve().parent, os.W_OK):
        raise UserError(f"{output}: its parent folder does not exist or is not writable; name another --output")


def report_file(folder: Path) -> Path:
    """Return the report of the artefact in a folder."""
    return folder.with_name(f"{folder.resolve().name}-report.html")


def previous_folder(folder: Path) -> Path:
    """Return where the version is kept that an artefact replaced."""
    return folder.with_name(f"{folder.resolve().name}{PREVIOUS}")


def current_folder(previous: Path) -> Path:
    """Return the folder whose version before is kept in another one."""
    return previous.with_name(previous.resolve().name.removesuffix(PREVIOUS))


def aside_folder(folder: Path) -> Path:
    """Return where an artefact is while it is exchanged with the version before."""
    return folder.with_name(f"{folder.resolve().name}.previous.aside")


def write_model(
    config: TrainingConfig,
    base: BaseEncoder,
    head: LabelHead,
    card: Card,
    texts: Iterable[str],
    lexical: LexicalModel | None,
    levels: Callable[[Card, Thresholds | None], Thresholds],
) -> tuple[Card, Thresholds]:
    """Write the artefact and its levels whole or not at all, and return its final card and the levels.

    It has the head, the card, what it remembers of its training and, where there are any, the lexical stage and the
    files of an encoder of its own. It is loaded once as the service loads it before it replaces the output. The version
    that it replaces is kept beside it, with its report, in place of an earlier one.

    Args:
        config: what the user asked for; names the output.
        base: the encoder.
        head: what was fitted.
        card: the card without version and files.
        texts: those that were fitted, those outside every label among them.
        lexical: the stage before the encoder.
        levels: measures them, of the final card and the levels so far.

    Raises:
        UserError: the folder cannot be written.
    """
    output = config.output
    try:
        with tempfile.TemporaryDirectory(dir=output.resolve().parent, prefix=".sprat-train-") as name:
            folder = Path(name) / "artefact"
            folder.mkdir()
            for path in base.files:
                shutil.copyfile(path, folder / path.name)
            head.save(folder)
            if lexical is not None:
                lexical.save(folder)
            own_files = (work.sha256 for work in card.made_of if work.source == OWN_FILE)
            write_record(folder, config, texts, filter(None, own_files))
            write_artefact(folder, card.model_dump(mode="json"))
            model: SpecialistModel = plugins.load_specialist(service_of(card)).load(folder)
            model.probe()
            if version_in(output) == model.card.version:  # what is kept as the previous version stays
                found = levels(model.card, find_thresholds(output, model_version=model.card.version))
                write_thresholds(output / THRESHOLDS, found)
            else:
                found = levels(model.card, None)
                write_thresholds(folder / THRESHOLDS, found)
                put_in_place(output, folder)
    except OSError as error:
        raise UserError(f"{output}: cannot be written: {error.strerror or error}") from None
    return model.card, found


def service_of(card: Card) -> str:
    """Return the service that reads a model."""
    return CLASSIFY if card.kind == MULTI_LABEL else card.task


def version_in(folder: Path) -> str | None:
    """Return the version of the artefact in a folder; None where there is none that can be read."""
    try:
        return load_artefact(folder).card.version
    except BrokenArtefact:
        return None


def put_in_place(output: Path, new: Path) -> None:
    """Put a folder in the place of the output, whose version becomes the previous one; each step is a rename.

    Between two of them, the output may be missing for a moment: a service has loaded what it reads, and a running
    `sprat up` looks again a second later. A version that was kept as the previous one is removed at the end.

    Args:
        output: the artefact, if there is one.
        new: the folder that takes its place.

    Raises:
        OSError: a folder cannot be renamed. Each step that was taken is undone, as after an interruption.
    """
    before = previous_folder(output)
    earlier = output.with_name(f".{output.resolve().name}.earlier-{os.getpid()}")
    steps = [(new, output)]
    if output.exists():
        steps = [*([(before, earlier)] if before.exists() else []), (output, before), *steps]
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in steps:
            source.rename(target)
            done.append((source, target))
    except BaseException:  # also Ctrl-C: what was moved so far goes back before it ends the command
        for source, target in reversed(done):
            with suppress(OSError):  # the others are undone all the same
                target.rename(source)
        raise
    shutil.rmtree(earlier, ignore_errors=True)
    if len(steps) == 1:
        return
    with suppress(OSError):  # the version is in its place, whatever became of a report
        if report_file(output).exists():
            report_file(output).replace(report_file(before))
        else:
            report_file(before).unlink(missing_ok=True)


def _nearness(data: TrainingData) -> str:
    """Return what was measured of texts that are outside but near, for a model of about so many labels and rows."""
    rows = int(np.median(np.bincount(data.gold, minlength=len(data.labels))))
    found = near_outside(len(data.labels), rows)
    return (
        f"Of texts about the same subject, but of labels that the head did not know, {found.least:.0%} to "
        f"{found.most:.0%} were kept with a label on CLINC150 and BANKING77, and where 97 % was asked for and a tenth "
        f"of the traffic was such texts, at least {found.right:.1%} of what was kept was right ({found.draws} draws of "
        f"{found.labels} labels with {found.rows} rows each, on which the head was trained; the encoder, "
        "multilingual-e5-small, was used as it is)."
    )


def works_of(config: TrainingConfig) -> list[Work]:
    """Return the files of a training, for the card of its model."""
    files = [(file, FITTED) for file in config.files]
    if config.outside_file is not None:
        files.append((config.outside_file, OUTSIDE_TEXTS))
    if config.test_file is not None:
        files.append((config.test_file, TESTED))
    return [
        Work(
            name=path.name,
            authors="whoever trained the model",
            licence=config.licence,
            source=OWN_FILE,
            used_for=use,
            sha256=sha256(path.read_bytes()).hexdigest(),
        )
        for path, use in files
    ]


def _fitted_on(config: TrainingConfig, data: TrainingData, validation: CrossValidation, outside_texts: int) -> str:
    sentence = f"{len(data.texts):,} texts of {config.source}, each by a head that had not seen it"
    if validation.copies:
        sentence += " and was fitted on an untidy copy of each of its texts, too"
    if validation.labels_held_out:
        sentence += "; as texts outside every label, the texts of labels that the head did not know"
    elif len(validation.outside):
        sentence += f"; as texts outside every label, {outside_texts:,} that are given as such"
    else:
        return f"{sentence}; no texts outside every label"
    return f"{sentence}; weighted so that {config.outside_share:.0%} is outside"


def _limits(data: TrainingData, validation: CrossValidation, max_tokens: int, dropped: int) -> tuple[str, ...]:
    limits = [
        "One intent a text. A request within a longer letter is often read as outside every intent.",
        f"Reads the first {max_tokens} tokens of a text.",
        _ON_TRAFFIC,
    ]
    if validation.labels_held_out:
        limits.append(
            "No text outside every label was at hand: labels held out in turn stood in for them. " + _nearness(data)
        )
    elif not len(validation.outside):
        limits.append("Knows nothing of texts outside its labels: it gives every text a label, however strange it is.")
    if dropped:
        limits.append(
            (
                "1 row whose label was doubted was left out"
                if dropped == 1
                else f"{dropped:,} rows whose labels were doubted were left out"
            )
            + ", and its figures do not count what was left out: it may be hard to label, so they are rather too high."
        )
    fewest = min(int((data.gold == number).sum()) for number in range(len(data.labels)))
    if fewest < FEW_TEXTS:
        limits.append(f"The smallest label has {fewest} texts; what is said of it is uncertain.")
    return tuple(limits)
