"""Two trainings compared on texts that were held out from both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from sprat_inference.card import Card
from sprat_inference.label_sets import APPLIES_FROM, MULTI_LABEL
from sprat_training.datasets.config import OnTrainingProgress, TrainingConfig
from sprat_training.datasets.distinct import TooFewToHoldOutError
from sprat_training.datasets.doubles import core_numbers, cores_of
from sprat_training.datasets.label_sets import LabelSetData, read_label_sets
from sprat_training.datasets.rows import normalised_text
from sprat_training.datasets.sources import read_sources
from sprat_training.evaluation.decision import CellAtGoal, Decision, Goal, VersionAtGoal, compare
from sprat_training.fitting.encoding import BaseEncoder, RememberingEncoder, load_base_of
from sprat_training.fitting.label_fit import fit_labels
from sprat_training.fitting.label_set_fit import FittedSets, fit_label_sets, read_sets
from sprat_training.thresholds import Kept, Rows
from sprat_training.thresholds.levels import measure_levels
from sprat_training.thresholds.rows import Doubles, Flags, Integers

FIFTHS: Final = 5
MANY_TEXTS: Final = 500
"""From so many texts on, one fifth shows a difference of some 6 points where the trainings differ in one text of ten:
1.96 times the root of 0.1 / 100. With fewer, each fifth in turn is held out, so that all texts are compared."""


@dataclass(frozen=True, slots=True)
class _Fifth:
    rows: Rows
    """Held out from both trainings, those outside every label at the end; right and confidence are of the new one."""
    served: VersionAtGoal
    new: VersionAtGoal


def compare_trainings(
    served: TrainingConfig,
    new: TrainingConfig,
    goal: Goal,
    cards: tuple[Card, Card],
    progress: OnTrainingProgress,
) -> Decision:
    """Compare two trainings on the texts of the second, of which neither has seen those that it is asked about.

    Each is judged by the thresholds that it finds on the texts that it was trained on, cross-fitted. Which fifth a text
    is in depends on its core alone, so that a text and its double are held out together, and count as one. Nothing is
    written, and each text is encoded once.

    Args:
        served: the one training.
        new: the other one, on the same encoder.
        goal: what the policy asks of the answers that are kept.
        cards: of the served version, and of the new one, which was trained on all texts.
        progress: is called after each step.

    Raises:
        UserError: the files or the encoder cannot be used.
        TooFewToHoldOutError: no fifth can be held out; one that cannot, beside others that can, is not compared.
    """
    several = cards[1].kind == MULTI_LABEL
    goal = replace(goal, evidence="estimated")  # cross-fitted scores certify nothing
    texts = _texts_of(new, several=several)
    cores = dict(zip(map(normalised_text, texts), cores_of(texts), strict=True))
    few = len(cores) < MANY_TEXTS
    # So few texts cannot show that a lexical stage pays, see `lexical_gate`: none is looked for.
    both = [replace(each, lexical=each.lexical and not few) for each in (served, new)]
    judge = _judge_sets if several else _judge_labels
    numbers = {core: number for number, core in enumerate(dict.fromkeys(cores.values()))}

    def groups_of(texts: Sequence[str]) -> Integers:
        return np.array([numbers[cores[normalised_text(text)]] for text in texts], dtype=np.int64)

    found: list[_Fifth] = []
    too_few: TooFewToHoldOutError | None = None
    with TemporaryDirectory(prefix="sprat-encoder-") as scratch:
        base = load_base_of(new, Path(scratch))
        base = replace(base, encoder=RememberingEncoder(base.encoder))
        for fifth in range(FIFTHS):
            if found and not few:
                break  # one is enough
            shown = partial(_show, progress, f"comparing {fifth + 1} of {FIFTHS}" if few else "comparing")
            held_out = frozenset(text for text, core in cores.items() if fifth_of(core) == fifth)
            try:
                answers = judge(base, [replace(each, hold_out=held_out) for each in both], groups_of, shown)
            except TooFewToHoldOutError as error:
                too_few = too_few or error
                continue
            names = zip(("as served", "with the corrections"), cards, answers, strict=True)
            judged = [
                VersionAtGoal.measured(name, card.version, rows, measure_levels(card, fitted), goal, "cross-fitted")
                for name, card, (rows, fitted) in names
            ]
            found.append(_Fifth(answers[1][0], *judged))
    if too_few is not None and not found:
        raise too_few
    rows = Rows.concat([each.rows for each in found])
    old, young = (_joined([getattr(each, name) for each in found]) for name in ("served", "new"))
    parts = f"{len(found)} of {FIFTHS} fifths of the texts, one at a time" if few else "a fifth of the texts"
    return Decision(
        cards[1].task,
        goal,
        old,
        young,
        compare(old, young, goal, rows),
        len(rows),
        int(rows.outside.sum()),
        new.source,
        notes=(f"held out from both trainings: {parts}",),
    )


def fifth_of(core: str) -> int:
    """Return to which fifth of all texts those with a core belong, 0 to 4."""
    return sha256(core.encode()).digest()[0] % FIFTHS


def _joined(parts: Sequence[VersionAtGoal]) -> VersionAtGoal:
    """Return what a training keeps of the rows of all parts, each by the thresholds of that part."""
    cells: dict[tuple[str | None, str | None], CellAtGoal] = {}
    for cell in (cell for part in parts for cell in part.cells):
        sums = cells.get((cell.language, cell.says), replace(cell, rows=0.0, kept=0.0, right=0.0))
        added = {name: getattr(sums, name) + getattr(cell, name) for name in ("rows", "kept", "right")}
        cells[cell.language, cell.says] = replace(sums, **added, threshold=None)
    answers = [each.kept for each in parts if each.kept is not None]
    kept = Kept(*(np.concatenate([getattr(each, name) for each in answers]) for name in ("kept", "right")))
    return replace(parts[0], thresholds=None, cells=tuple(cells.values()), kept=kept)


def _texts_of(config: TrainingConfig, *, several: bool) -> tuple[str, ...]:
    """Return all texts of a training."""
    if several:
        return tuple(read_label_sets(config).data.texts)
    sources = read_sources(config)
    return (*sources.data.texts, *sources.outside)


def _show(progress: OnTrainingProgress, what: str, step: str, done: int, total: int) -> None:
    progress(f"{what}: {step}", done, total)


_Answers = tuple[Rows, Rows]
"""To the texts held out, and cross-fitted to those of the training."""
_GroupsOf = Callable[[Sequence[str]], Integers]
"""Returns the numbers of the cores of texts."""


def _judge_labels(
    base: BaseEncoder, trainings: Sequence[TrainingConfig], groups_of: _GroupsOf, progress: OnTrainingProgress
) -> list[_Answers]:
    sources = [read_sources(config) for config in trainings]
    test, outside = sources[-1].test, sources[-1].outside_test
    if test is None:
        raise ValueError("a training that holds nothing out")
    groups = groups_of((*test.texts, *outside))
    answers = []
    for config, each in zip(trainings, sources, strict=True):
        fitted = fit_labels(base, each, config, progress)
        readings, _ = fitted.read(test.texts, test.labels, outside, progress)
        rows = Rows.of(
            readings.confidence,
            readings.right,
            says_none=readings.is_rejected,
            outside=~readings.in_scope,
            group=groups,
        )
        answers.append((rows, fitted.held_out().rows))
    return answers


def _judge_sets(
    base: BaseEncoder, trainings: Sequence[TrainingConfig], groups_of: _GroupsOf, progress: OnTrainingProgress
) -> list[_Answers]:
    sources = [read_label_sets(config) for config in trainings]
    test = sources[-1].test
    if test is None:
        raise ValueError("a training that holds nothing out")
    labels = sorted({label for each in sources for label in each.data.labels})
    gold, groups = _in_columns(test.gold, test, labels), groups_of(test.texts)
    answers = []
    for each in sources:
        fitted, _ = fit_label_sets(base, each.data, progress)
        chances, confidence = read_sets(fitted, base, test.texts, progress)
        said = _in_columns(chances >= APPLIES_FROM, each.data, labels)
        answers.append((_set_rows(said, gold, confidence, groups), _rows_of_sets(fitted, each.data)))
    return answers


def _rows_of_sets(fitted: FittedSets, data: LabelSetData) -> Rows:
    return _set_rows(fitted.chances >= APPLIES_FROM, data.gold, fitted.confidence, core_numbers(data.texts))


def _set_rows(said: Flags, gold: Flags, confidence: Doubles, groups: Integers) -> Rows:
    right = (said == gold).all(axis=1)
    return Rows.of(confidence, right, says_none=~said.any(axis=1), outside=~gold.any(axis=1), group=groups)


def _in_columns(flags: Flags, data: LabelSetData, labels: Sequence[str]) -> Flags:
    """Return flags of the labels of some data in the columns of all labels."""
    found = np.zeros((len(flags), len(labels)), bool)
    found[:, [labels.index(label) for label in data.labels]] = flags
    return found
