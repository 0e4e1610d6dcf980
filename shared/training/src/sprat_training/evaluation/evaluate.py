"""Evaluate one version of a model on labelled rows, or two: what is kept at the goal, and the thresholds found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from sprat.errors import UserError
from sprat.thresholds import read_thresholds, write_thresholds
from sprat_contracts.thresholds import ZERO_SHOT_GOAL, Certificate, Thresholds, recommended_goal
from sprat_training.doubles import core_numbers
from sprat_training.evaluation.cases import RIGHT, Answers, Cases, Progress, Reading, ask, kind_of, read_cases
from sprat_training.evaluation.decision import Decision, Goal, VersionAtGoal, compare
from sprat_training.evaluation.models import SmallModel
from sprat_training.record import FILE
from sprat_training.thresholds import Purpose, Rows, measure

Drawn = Literal["traffic", "file"]
_CAN_BE_OUTSIDE: Final = {"label", "sets"}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was found, and what `write` writes."""

    model: SmallModel
    cases: Cases
    answers: Answers
    """Of the model."""
    decision: Decision
    thresholds: Thresholds
    """Measured on these rows; those so far, where these rows were measured before."""
    before: Thresholds | None

    def write(self, *, force: bool) -> Path:
        """Replace the thresholds beside the model; return their file.

        Args:
            force: also where a certificate is lost, or rests on fewer rows.

        Raises:
            UserError: the file cannot be written, or a certificate would be lost.
        """
        path = self.model.thresholds
        if not force:
            _check_certificate(path, self.before, self.thresholds)
        return store(path, self.thresholds)


def goal_of_model(model: SmallModel, before: Thresholds | None) -> float:
    """Return the goal where neither a policy nor the user names one."""
    if before is not None:
        return before.recommended_goal
    return ZERO_SHOT_GOAL if model.folder is None else recommended_goal(model.task)


def thresholds_so_far(model: SmallModel) -> tuple[Thresholds | None, str]:
    """Return the thresholds beside a model, None where there are none, and why they cannot be used, if they cannot."""
    if not model.thresholds.exists():
        return None, ""
    card = model.card
    try:
        return read_thresholds(model.thresholds, model_version=card.version, label_set=card.label_set), ""
    except UserError as error:
        return None, str(error)


def evaluate(
    files: Sequence[Path],
    model: SmallModel,
    goal: Goal,
    progress: Progress,
    *,
    against: SmallModel | None = None,
    reading: Reading = Reading(),  # noqa: B008 - frozen
    drawn: Drawn = "file",
    no_outside_texts: bool = False,
) -> Evaluation:
    """Ask a model about labelled rows, measure its thresholds, and compare it with another one where one is given.

    Each of two versions is judged by the thresholds beside it; where one has none, both by those of these rows.

    Args:
        files: with the rows.
        model: the version.
        goal: named before the labels are read.
        progress: is called while a model answers.
        against: another version; the rows then choose between both, too.
        reading: how the files are read.
        drawn: `traffic` where the rows are a random share of what services got.
        no_outside_texts: the owner states that no text of the traffic is outside every label.

    Raises:
        UserError: a file or a model cannot be used, or two models cannot be compared.
    """
    models = [model, *([] if against is None else [against])]
    kind = kind_of(model.card)
    if against is not None:
        _check_pair(model, against)
    records = [each.record() for each in models]
    cases = read_cases(files, [each.card for each in models], records, reading)
    groups = core_numbers(cases.texts.texts)
    asked = [ask(each.load(), cases, progress) for each in models]
    counted = asked[0].counted if against is None else asked[0].counted & asked[1].counted
    if not counted.any():
        raise UserError(f"{cases.texts.name}: in no row stands what the model says: judge its own translations")
    certifies = ~cases.picked & (cases.kind != "reference")
    languages = [question.language if model.card.languages else "" for question in cases.questions]
    rows = [
        Rows.of(
            each.confidence,
            each.right,
            says_none=each.says_none,
            languages=languages,
            outside=cases.outside,
            certifies=certifies,
            group=groups,
        ).where(counted)
        for each in asked
    ]
    purpose = Purpose(
        tuple(sorted({each for each in (goal.accuracy, goal.of_none) if each is not None and each <= 1})),
        drawn,
        no_outside_texts,
        against is not None,
        kind in _CAN_BE_OUTSIDE,
    )
    (before, problem), *other = [thresholds_so_far(each) for each in models]
    measured = [
        _measure(each, of, RIGHT[cases.kind], purpose, found)
        for each, of, (found, _) in zip(models, rows, [(before, problem), *other], strict=True)
    ]
    notes = [problem] if problem else []
    if cases.seen is not None:
        notes.append(f"left out: {cases.seen.named}")
    notes += [
        f"{each.folder} has no {FILE}: nobody can say whether it was trained on these rows"
        for each, record in zip(models, records, strict=True)
        if record is None and each.folder is not None
    ]
    if int(cases.picked.sum()):
        notes.append(f"{int(cases.picked.sum()):,} rows are corrections or were escalated: they certify nothing")
    if against is None:
        served = None if before is None else VersionAtGoal.measured("so far", model.card, rows[0], before, goal)
        new = VersionAtGoal.measured(model.name, model.card, rows[0], measured[0], goal, "rows")
        compared = None
    else:
        beside = all(each is not None for each in (before, other[0][0]))
        own = (before, other[0][0]) if beside else measured
        judged: Literal["file", "rows"] = "file" if beside else "rows"
        names = (model.name, against.name)
        if names[0] == names[1]:
            names = (str(model.folder), str(against.folder))
        new, served = (
            VersionAtGoal.measured(name, each.card, of, by, goal, judged)
            for name, each, of, by in zip(names, models, rows, own, strict=True)
        )
        compared = compare(served, new, goal, rows[0])
    decision = Decision(
        model.task,
        goal,
        served,
        new,
        compared,
        len(rows[0]),
        int(rows[0].outside.sum()),
        cases.texts.name,
        tuple(notes),
    )
    return Evaluation(model, cases, asked[0], decision, measured[0], before)


def store(path: Path, thresholds: Thresholds) -> Path:
    """Write a file of thresholds, and its folder where that is not there; return its path.

    Raises:
        UserError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_thresholds(path, thresholds)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    return path


def _measure(model: SmallModel, rows: Rows, right: str, purpose: Purpose, previous: Thresholds | None) -> Thresholds:
    return measure(
        rows,
        task=model.task,
        model=model.card.name,
        model_version=model.card.version,
        label_set=model.card.label_set,
        right=right,
        recommended_goal=goal_of_model(model, previous),
        purpose=purpose,
        previous=previous,
        by="evaluate",
        at=datetime.now(UTC).date(),
    )


def _check_pair(model: SmallModel, other: SmallModel) -> None:
    if kind_of(model.card) != kind_of(other.card):
        raise UserError(f"{model.name} and {other.name} are models of different kinds: they cannot be compared")
    if model.card.version == other.card.version:
        raise UserError(f"{model.name} and {other.name} are one version, {model.card.version}: nothing to compare")


def _check_certificate(path: Path, before: Thresholds | None, after: Thresholds) -> None:
    """Check that no certificate is lost, and that none rests on fewer rows.

    Raises:
        UserError: one would be.
    """
    old: Certificate | None = None if before is None else before.certificate
    if old is None or before is after:
        return
    new = after.certificate
    has = f"{path}: its certificate rests on {old.rows:,} rows"
    if new is None:
        raise UserError(f"{has}, and these rows certify nothing; --force replaces it all the same")
    if new.rows < old.rows:
        raise UserError(f"{has}, this one on {new.rows:,}; --force replaces it all the same")
