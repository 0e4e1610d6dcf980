"""Measure from which probability on the labels of a tier of the policy are how often right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sprat.base import plugins
from sprat.base.errors import UserError
from sprat_contracts.thresholds import Thresholds, recommended_goal
from sprat_inference.card import label_set_hash
from sprat_policy import Policy, TaskFiles, tier_thresholds
from sprat_training.datasets.doubles import core_numbers
from sprat_training.evaluation.cases import RIGHT, Asked, FileReading, read_cases
from sprat_training.evaluation.decision import Decision, Goal, VersionAtGoal
from sprat_training.evaluation.evaluate import (
    Drawn,
    check_certificate,
    check_unchanged,
    measure_on,
    so_far,
    store,
    why_nothing_certified,
)
from sprat_training.evaluation.frontier import NO_ANSWER, ask_frontier, step_said
from sprat_training.thresholds import Purpose, Rows
from sprat_training.thresholds.levels import MeasuredOf


@dataclass(frozen=True, slots=True)
class TierEvaluation:
    """What was found of a tier, and what `write` writes."""

    path: Path
    decision: Decision
    thresholds: Thresholds
    before: Thresholds | None
    of: MeasuredOf

    def write(self, *, force: bool) -> Path:
        """Replace the thresholds of the tier; return their file.

        Raises:
            UserError: it cannot be written, a certificate would be lost, or another measurement ended meanwhile.
        """
        check_unchanged(self.path, so_far(self.path, self.of)[0], self.before)
        if not force:
            check_certificate(self.path, self.before, self.thresholds)
        return store(self.path, self.thresholds)


def evaluate_tier(
    files: Sequence[Path],
    tier: str,
    asked: Asked,
    policy: Policy,
    policy_file: Path,
    goal: float | None,
    progress: Callable[[int, int], None],
    *,
    tenant: str,
    broker: tuple[Any, Any] | None,
    tasks: TaskFiles,
    reading: FileReading,
    drawn: Drawn,
    no_outside_texts: bool,
) -> TierEvaluation:
    """Ask one tier about labelled rows, and measure its probabilities.

    Args:
        files: with the rows.
        tier: its name in the policy.
        asked: the task and its labels.
        policy: that has the tier.
        policy_file: its file; the thresholds stand beside it.
        goal: named before the labels are read; None: the tier's, else the recommended one.
        progress: is called with the rows done, and all.
        tenant: whose rules of the policy hold for what is sent.
        broker: settings of Kafka and the secret, for egress records; None: there are none.
        tasks: those from files.
        reading: how the files are read.
        drawn: `traffic` where the rows are a random share of what the tier got.
        no_outside_texts: the owner states that no text is outside every label.

    Raises:
        UserError: a file or the policy cannot be used, or no answer has a probability.
    """
    found = next((each for each in policy.tiers if each.label == tier), None)
    if found is None:
        names = ", ".join(each.label for each in policy.tiers) or "none"
        raise UserError(f"{policy_file} has no tier {tier}; it has: {names}")
    model = found.model_name or plugins.load(plugins.PROVIDERS, "frontier").model_of_settings()
    of = MeasuredOf(asked.task, model, model, label_set_hash(asked.labels), recommended_goal(asked.task))
    path = tier_thresholds(policy_file, tier, asked.task)
    before, problem = so_far(path, of)
    wanted = Goal(goal or found.goal or of.recommended_goal, found.evidence or "estimated")
    cases = read_cases(files, asked, (), reading)
    answers = ask_frontier(cases, asked, policy_file, tenant, broker, tasks, progress, tier=tier)
    several = cases.kind == "sets"
    steps = [next(iter(climb), None) for climb in answers.steps]
    said = [NO_ANSWER if step is None else step_said(step, several=several) for step in steps]
    stated = [
        None if step is None or one is NO_ANSWER else step.confidence for step, one in zip(steps, said, strict=True)
    ]
    usable = np.array([each is not None for each in stated], dtype=bool)
    if not usable.any():
        raise UserError(f"tier {tier}: no answer has a probability, so nothing can be measured")
    rows = Rows.of(
        [each or 0.0 for each in stated],
        [one == gold for one, gold in zip(said, cases.gold, strict=True)],
        says_none=[not one for one in said],
        languages=[each.language for each in cases.questions],
        outside=cases.outside,
        certifies=~cases.picked,
        group=core_numbers(cases.texts.texts),
    ).where(usable)
    purpose = Purpose((wanted.accuracy,), drawn, no_outside_texts)
    thresholds = measure_on(rows, of, RIGHT[cases.kind], purpose, before)
    notes = [*([problem] if problem else []), *why_nothing_certified(rows, purpose, thresholds)]
    if missing := int((~usable).sum()):
        notes.append(f"{missing:,} rows got no answer with a probability, and are left out")
    served = None if before is None else VersionAtGoal.measured("so far", model, rows, before, wanted)
    new = VersionAtGoal.measured(tier, model, rows, thresholds, wanted, "rows")
    decision = Decision(
        asked.task,
        wanted,
        served,
        new,
        rows=len(rows),
        outside=int(rows.outside.sum()),
        file=cases.texts.name,
        notes=tuple(notes),
    )
    return TierEvaluation(path, decision, thresholds, before, of)
