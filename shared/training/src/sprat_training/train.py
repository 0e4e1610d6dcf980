"""A whole training: read, prepare, encode, fit, calibrate, measure, write."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from sprat.base.errors import UserError
from sprat.base.thresholds import find_thresholds
from sprat_contracts.languages import is_served
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_inference.card import Card
from sprat_training.datasets.config import OnTrainingProgress, TrainingConfig
from sprat_training.datasets.distinct import DistinctTexts
from sprat_training.datasets.doubles import core_numbers, doubles_of, find_doubles
from sprat_training.datasets.label_sets import LabelSetData, LabelSetSources, read_label_sets
from sprat_training.datasets.languages import languages_read
from sprat_training.datasets.sources import Sources, read_sources
from sprat_training.evaluation.decision import Decision, Goal, VersionAtGoal
from sprat_training.evaluation.evaluate import why_nothing_certified
from sprat_training.findings import label_findings, label_steps, set_findings, set_steps
from sprat_training.fitting.encoding import BaseEncoder, load_base_of
from sprat_training.fitting.figures import Figures, figures_of_sets
from sprat_training.fitting.heads import CrossValidation
from sprat_training.fitting.label_fit import FittedLabels, fit_labels, goal_of
from sprat_training.fitting.label_issues import LabelIssue
from sprat_training.fitting.label_set_fit import FittedSets, fit_label_sets, read_sets
from sprat_training.fitting.lexical_gate import LexicalFit, LexicalGate
from sprat_training.thresholds import Purpose, Rows
from sprat_training.thresholds.levels import keep_at_fields, measure_levels
from sprat_training.thresholds.rows import Doubles, Flags
from sprat_training.versions.model_card import describe_labels, describe_sets, scores_of, with_stage, write_model


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training found and wrote: the terminal, `--json` and the report render it."""

    config: TrainingConfig
    card: Card
    decision: Decision
    """What is kept at the goal, of texts that were held out."""
    held_out: Figures
    """By heads that were not fitted on the texts."""
    test: Figures | None
    """On the test file."""
    sources: Sources | LabelSetSources
    data: DistinctTexts
    """What was fitted."""
    findings: tuple[str, ...]
    """In the files, a sentence each."""
    steps: tuple[str, ...]
    """What to do next, the most useful first."""
    label_issues: tuple[LabelIssue, ...] = ()
    """Their `index`, like that of `dropped`, is into the data of the sources."""
    dropped: tuple[LabelIssue, ...] = ()
    """Rows that were left out because their labels are doubted, as the user asked."""
    stage: LexicalGate | None = None
    """What the lexical stage does; None where the model has none."""

    @property
    def keeps(self) -> bool:
        """Return whether anything is kept at the goal."""
        return self.decision.new.all.kept > 0

    @property
    def test_at_goal(self) -> VersionAtGoal | None:
        """Return what is kept of the test; None where there is none."""
        if self.test is None:
            return None
        version = self.decision.new
        return VersionAtGoal.measured(
            "test file", version.version, self.test.rows, version.thresholds, self.decision.goal
        )


def train(config: TrainingConfig, progress: OnTrainingProgress, *, several: bool = False) -> Trained:
    """Train a model and write its artefact.

    Args:
        config: what the user asked for.
        progress: is called after each step.
        several: whether a text may have several labels.

    Raises:
        UserError: the files or the output folder cannot be used.
    """
    sources = read_label_sets(config) if several else read_sources(config)
    with TemporaryDirectory(prefix="sprat-encoder-") as scratch:
        base = load_base_of(config, Path(scratch))
        checklanguages_of(config, base)
        if isinstance(sources, LabelSetSources):
            return _train_sets(base, sources, config, progress)
        return write_training(fit_labels(base, sources, config, progress), progress)


def write_training(fitted: FittedLabels, progress: OnTrainingProgress) -> Trained:
    """Measure what was fitted, and write its artefact.

    Raises:
        UserError: the folder cannot be written.
    """
    config, sources, data, stage = fitted.config, fitted.sources, fitted.data, fitted.stage
    doubles = find_doubles(data, fitted.cores, () if sources.test is None else sources.test.texts)
    held_out, test = fitted.held_out(), fitted.tested(doubles, progress)
    card = describe_labels(
        config, fitted.base, data, fitted.validation, fitted.calibrator, sources.outside, dropped=len(fitted.dropped)
    ).model_copy(update={"doubts": fitted.doubts(progress)})
    card, decision = _written(
        config,
        fitted.base,
        fitted.validation,
        card if stage is None else with_stage(card, stage),
        (*data.texts, *sources.outside),
        held_out,
        test,
        stage,
    )
    issues = tuple(replace(each, index=int(fitted.places[each.index])) for each in fitted.label_issues)
    return Trained(
        config,
        card,
        decision,
        held_out,
        test,
        sources,
        data,
        findings=tuple(label_findings(fitted, doubles, test)),
        steps=tuple(label_steps(fitted, held_out, doubles)),
        label_issues=issues,
        dropped=fitted.dropped,
        stage=None if stage is None else stage.gate,
    )


def _train_sets(
    base: BaseEncoder, sources: LabelSetSources, config: TrainingConfig, progress: OnTrainingProgress
) -> Trained:
    data, test = sources.data, sources.test
    fitted, truncated = fit_label_sets(base, data, progress)
    held_out = _set_figures(config, data, fitted.chances, fitted.confidence)
    tested = None
    if test is not None:
        chances, confidence = read_sets(fitted, base, test.texts, progress)
        tested = _set_figures(config, test, chances, confidence, certifies=~doubles_of(test.texts, data.texts))
    card = describe_sets(config, base, data, fitted)
    card, decision = _written(config, base, fitted, card, data.texts, held_out, tested)
    return Trained(
        config,
        card,
        decision,
        held_out,
        tested,
        sources,
        data,
        findings=tuple(set_findings(sources, truncated)),
        steps=tuple(set_steps(tested or held_out)),
    )


def _set_figures(
    config: TrainingConfig, data: LabelSetData, chances: Doubles, confidence: Doubles, certifies: Flags | None = None
) -> Figures:
    return figures_of_sets(
        data.gold,
        chances,
        confidence,
        data.labels,
        languages=languages_read(data.texts, config.languages),
        group=core_numbers(data.texts),
        certifies=certifies,
    )


def _written(
    config: TrainingConfig,
    base: BaseEncoder,
    fitted: CrossValidation | FittedSets,
    draft: Card,
    texts: Sequence[str],
    held_out: Figures,
    test: Figures | None,
    stage: LexicalFit | None = None,
) -> tuple[Card, Decision]:
    """Write the artefact with its levels; return its card, and what it keeps at the goal."""
    goal = Goal(goal_of(config, draft.task))
    rows, purpose = held_out.rows, None
    if test is not None:
        rows, purpose = Rows.concat([rows, test.rows]), Purpose((goal.accuracy,), "file")
    found = measure_levels(draft, rows, purpose=purpose)
    protocol = f"{held_out.texts:,} texts, each by a head that had not seen it ({fitted.folds} folds)"
    scores = scores_of("cross_validated", protocol, held_out, found, goal)
    if test is not None:
        scores += scores_of("test", f"{test.texts:,} texts of the test file", test, found, goal)
    update = {"scores": (*scores, *draft.scores), **keep_at_fields(found, goal.accuracy)}
    before = _before(config.output, goal)
    card, thresholds = write_model(
        config,
        base,
        fitted.head,
        draft.model_copy(update=update),
        texts,
        None if stage is None else stage.model,
        lambda card, previous: measure_levels(card, rows, purpose=purpose, previous=previous),
    )
    new = VersionAtGoal.measured(card.name, card.version, held_out.rows, thresholds, goal, "cross-fitted")
    notes = [] if purpose is None else why_nothing_certified(rows, purpose, thresholds)
    counted = held_out.rows.real
    return card, Decision(
        card.task,
        goal,
        None if before is None or before.version == card.version else before,
        new,
        rows=int(counted.sum()),
        outside=int((counted & held_out.rows.outside).sum()),
        file=config.source,
        notes=tuple(notes),
    )


def _before(folder: Path, goal: Goal) -> VersionAtGoal | None:
    """Return what the version in a folder states; None where there is none that can be read."""
    try:
        card = load_artefact(folder).card
        thresholds = find_thresholds(folder, model_version=card.version, label_set=card.label_set)
    except (BrokenArtefact, UserError):
        return None
    return VersionAtGoal.stated("before", card.version, thresholds, goal)


def checklanguages_of(config: TrainingConfig, base: BaseEncoder) -> None:
    """Check that the encoder reads the languages of the texts.

    Raises:
        UserError: it does not read one.
    """
    unknown = [language for language in config.languages if not is_served(language, base.card.languages)]
    if unknown and base.card.languages:  # none are named where they are not known
        raise UserError(
            f"--language {unknown[0]}: the encoder {base.card.name} reads {', '.join(base.card.languages)}; "
            "name one of these, or another --encoder"
        )
