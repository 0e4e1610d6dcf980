"""Evaluate one version of a model on labelled rows, or two: what is kept at the goal, and the thresholds found."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np

from sprat.base.errors import UserError
from sprat.base.thresholds import read_thresholds, write_thresholds
from sprat_contracts.thresholds import ZERO_SHOT_GOAL, Certificate, Thresholds, recommended_goal
from sprat_encoder.zero_shot import default_thresholds
from sprat_training.datasets.doubles import core_numbers
from sprat_training.datasets.record import FILE, TrainingRecord
from sprat_training.evaluation.cases import RIGHT, Asked, Cases, FileReading, Progress, ask, kind_of, read_cases
from sprat_training.evaluation.decision import Decision, Doubted, Goal, VersionAtGoal, compare
from sprat_training.evaluation.frontier import FrontierAnswers, route
from sprat_training.evaluation.models import SmallModel
from sprat_training.thresholds import PairedComparison, Purpose, Rows, walks_of
from sprat_training.thresholds.certified import least_rows, rows_that_certify, spend_of
from sprat_training.thresholds.levels import MeasuredOf, measure_now

Drawn = Literal["traffic", "file"]
_CAN_BE_OUTSIDE: Final = {"label", "sets"}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was found, and what `write` writes."""

    model: SmallModel
    cases: Cases
    decision: Decision
    thresholds: Thresholds
    """Measured on these rows; those so far, where these rows were measured before."""
    before: Thresholds | None

    def routed(self, answers: FrontierAnswers) -> "Evaluation":
        """Return it with what the routing of what the model does not keep gives."""
        kept = self.decision.new.kept
        if kept is None:
            raise ValueError("no rows were asked")
        return replace(self, decision=replace(self.decision, routed=route(answers, kept.kept, kept.right, self.cases)))

    def write(self, *, force: bool) -> Path:
        """Replace the thresholds beside the model; return their file.

        Args:
            force: also where a certificate is lost, or rests on fewer rows.

        Raises:
            UserError: the file cannot be written, a certificate would be lost, or since the rows were read another
                version came into the folder or another measurement into the file.
        """
        path = self.model.thresholds
        self.model.check_version()
        check_unchanged(path, thresholds_before(self.model)[0], self.before)
        if not force:
            check_certificate(path, self.before, self.thresholds)
        return store(path, self.thresholds)


def measured_of(model: SmallModel) -> MeasuredOf:
    """Return the model for its thresholds; without examples, less is asked of it."""
    goal = ZERO_SHOT_GOAL if model.folder is None else recommended_goal(model.task)
    card = model.card
    return MeasuredOf(model.task, card.name, card.version, card.label_set, goal)


def so_far(path: Path, of: MeasuredOf) -> tuple[Thresholds | None, str]:
    """Return the thresholds of a file, None where there are none, and why they cannot be used, if they cannot."""
    if not path.exists():
        return None, ""
    try:
        return read_thresholds(path, model_version=of.version, label_set=of.label_set), ""
    except UserError as error:
        return None, str(error)


def evaluate(
    files: Sequence[Path],
    model: SmallModel,
    goal: Goal,
    progress: Progress,
    *,
    against: SmallModel | None = None,
    reading: FileReading = FileReading(),  # noqa: B008 - frozen
    drawn: Drawn = "file",
    no_outside_texts: bool = False,
    certify: bool = True,
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
        certify: whether the rows certify. Each certificate that somebody sees is an attempt, so it is to be written.

    Raises:
        UserError: a file or a model cannot be used, or two models cannot be compared.
    """
    models = [model, *([] if against is None else [against])]
    asked = Asked.of(model.task, *(each.card for each in models))
    if against is not None:
        _check_pair(model, against)
    records = [each.record() for each in models]
    cases = read_cases(files, asked, records, reading)
    rows, doubts = _ask(models, cases, progress)
    goals = {each for each in (goal.accuracy, goal.of_none) if each is not None and each <= 1}
    can_be_outside = asked.kind in _CAN_BE_OUTSIDE
    purpose = Purpose(tuple(sorted(goals)), drawn, no_outside_texts, against is not None, can_be_outside)
    found = [
        _found(each, of, RIGHT[cases.kind], purpose if certify else None) for each, of in zip(models, rows, strict=True)
    ]
    before, thresholds = found[0].before, found[0].thresholds
    measured = ["these rows were measured before, so nothing changes: a goal that is named later needs new rows"]
    if thresholds is not before:
        measured = why_nothing_certified(rows[0], purpose, thresholds, certify=certify)
    notes = [*measured, fewer_rows(before, thresholds), found[0].problem, *_notes(cases, models, records)]
    decision = Decision(
        model.task,
        goal,
        *(versions := _versions(found, rows, goal)),
        doubted=doubted_of(doubts, versions[1]),
        rows=len(rows[0]),
        outside=int(rows[0].outside.sum()),
        file=cases.texts.name,
        notes=tuple(filter(None, notes)),
    )
    return Evaluation(model, cases, decision, thresholds, before)


@dataclass(frozen=True, slots=True)
class _MeasuredModel:
    model: SmallModel
    before: Thresholds | None
    thresholds: Thresholds
    problem: str


def doubted_of(doubts: Sequence[str | None], version: VersionAtGoal) -> Doubted:
    """Return how many rows a version doubts, and how many of these it would keep.

    Args:
        doubts: of each row.
        version: that was asked the rows.
    """
    kept = () if version.kept is None else version.kept.kept.tolist()
    of_kept = sum(is_kept and doubt is not None for is_kept, doubt in zip(kept, doubts, strict=True))
    return Doubted(dict(sorted(Counter(filter(None, doubts)).items())), of_kept)


def _ask(models: Sequence[SmallModel], cases: Cases, progress: Progress) -> tuple[list[Rows], list[str | None]]:
    """Return what each model says of the rows, and what the first doubts of each; of translations, of those judged.

    Raises:
        UserError: a model cannot be loaded, or nobody has judged what the models say.
    """
    answers = [ask(each.load(), cases, progress) for each in models]
    counted = np.all([each.counted for each in answers], axis=0)
    if not counted.any():
        raise UserError(f"{cases.texts.name}: in no row stands what the model says: judge its own translations")
    groups, has_languages = core_numbers(cases.texts.texts), bool(models[0].card.languages)
    doubts = [doubt for doubt, of in zip(answers[0].doubts, counted.tolist(), strict=True) if of]
    return [
        Rows.of(
            each.confidence,
            each.right,
            says_none=each.says_none,
            languages=[question.language for question in cases.questions] if has_languages else None,
            outside=cases.outside,
            certifies=~cases.picked & (cases.kind != "reference"),
            group=groups,
        ).where(counted)
        for each in answers
    ], doubts


def _notes(cases: Cases, models: Sequence[SmallModel], records: Sequence[TrainingRecord | None]) -> Iterator[str]:
    if cases.seen is not None:
        yield f"left out: {cases.seen.named}"
    for model, record in zip(models, records, strict=True):
        if record is None and model.folder is not None:
            yield f"{model.name} has no {FILE}: nobody can say whether it was trained on these rows"
    if picked := int(cases.picked.sum()):
        yield f"corrections or escalated rows, which certify nothing: {picked:,}"


def _versions(
    found: Sequence[_MeasuredModel], rows: Sequence[Rows], goal: Goal
) -> tuple[VersionAtGoal | None, VersionAtGoal, PairedComparison | None]:
    """Return the version so far or the other one, the one evaluated, and their comparison."""
    (own, *_), (asked, *_) = found, rows
    version = own.model.card.version
    if len(found) == 1:
        new = VersionAtGoal.measured(own.model.name, version, asked, own.thresholds, goal, "rows")
        if own.before is None or own.before is own.thresholds:
            return None, new, None
        return VersionAtGoal.measured("so far", version, asked, own.before, goal), new, None
    beside = all(each.before is not None for each in found)
    alike = len({each.model.name for each in found}) == 1
    new, served = (
        VersionAtGoal.measured(
            str(each.model.folder) if alike else each.model.name,
            each.model.card.version,
            of,
            each.before if beside else each.thresholds,
            goal,
            "file" if beside else "rows",
        )
        for each, of in zip(found, rows, strict=True)
    )
    return served, new, compare(served, new, goal, asked)


def why_nothing_certified(rows: Rows, purpose: Purpose, found: Thresholds, *, certify: bool = True) -> list[str]:
    """Return the sentence that says why nothing is certified; none where something is.

    Args:
        rows: that were measured.
        purpose: what they were to certify.
        found: by them.
        certify: whether certificates were asked for.
    """
    if found.certificate is not None:
        return []
    certifying = rows_that_certify(rows)
    if not len(certifying):
        return ["nothing is certified: no row may certify"]
    if purpose.can_be_outside and not purpose.no_outside_texts and not certifying.outside.any():
        return ["nothing is certified: no row is outside every label; add such rows, or state --no-outside-texts"]
    attempt = found.measurements[-1].attempt or 1 + max(each.attempt for each in found.measurements)
    walks = walks_of(certifying, purpose, attempt)
    if any(each.can_certify for each in walks):
        if not certify:
            return ["nothing is certified without --write: each certificate that is looked at is an attempt"]
        return ["nothing is certified: too many of the surest answers are wrong for so few rows"]
    goal, there = min(purpose.goals), max(each.rows for each in walks)
    least = least_rows(goal, spend_of(attempt, also_chose=purpose.also_chose))
    needed = f"{least:,} rows of one kind that certify, with a confidence of 0.5 or more"
    return [f"nothing is certified: {100 * goal:.3g} % needs {needed}; there are {there:,}"]


def fewer_rows(before: Thresholds | None, found: Thresholds) -> str:
    """Return the sentence that says that the levels so far rest on more rows; "" where they do not."""
    if before is None or found is before:
        return ""
    had, have = (round(sum(cell.rows for cell in each.cells if cell.language is None)) for each in (before, found))
    if have >= had:
        return ""
    return f"the levels so far rest on {had:,} rows, these on {have:,}: fewer rows reach fewer levels"


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


def measure_on(
    rows: Rows, of: MeasuredOf, right: str, purpose: Purpose | None, previous: Thresholds | None
) -> Thresholds:
    """Measure thresholds today; the goal that is recommended stays that of the thresholds until now."""
    if previous is not None:
        of = replace(of, recommended_goal=previous.recommended_goal)
    return measure_now(rows, of, right, purpose, previous, by="evaluate")


def _found(model: SmallModel, rows: Rows, right: str, purpose: Purpose | None) -> _MeasuredModel:
    before, problem = thresholds_before(model)
    return _MeasuredModel(model, before, measure_on(rows, measured_of(model), right, purpose, before), problem)


def thresholds_before(model: SmallModel) -> tuple[Thresholds | None, str]:
    """Return the thresholds that hold now, and why those of the file cannot be used, if they cannot."""
    before, problem = so_far(model.thresholds_now, measured_of(model))
    if before is None and model.folder is None:
        before = default_thresholds()
    return before, problem


def _check_pair(model: SmallModel, other: SmallModel) -> None:
    if kind_of(model.card) != kind_of(other.card):
        raise UserError(f"{model.name} and {other.name} are models of different kinds: they cannot be compared")
    if model.card.version == other.card.version:
        raise UserError(f"{model.name} and {other.name} are one version, {model.card.version}: nothing to compare")


def check_unchanged(path: Path, now: Thresholds | None, before: Thresholds | None) -> None:
    """Check that a file holds what it held before the measurement: else an attempt would be forgotten.

    Raises:
        UserError: it holds something else.
    """
    if (now and now.thresholds_version) != (before and before.thresholds_version):
        raise UserError(f"{path}: was measured anew meanwhile; nothing was written: evaluate again")


def check_certificate(path: Path, before: Thresholds | None, after: Thresholds) -> None:
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
