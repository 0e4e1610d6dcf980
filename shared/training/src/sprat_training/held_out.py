"""Two trainings compared on texts that were held out from both."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat_inference.label_sets import APPLIES_FROM
from sprat_training.config import OnTrainingProgress, TrainingConfig
from sprat_training.data import TooFewToHoldOutError
from sprat_training.datasets.rows import normalised_text
from sprat_training.doubles import cores_of
from sprat_training.encoding import BaseEncoder, RememberingEncoder, load_base_of
from sprat_training.evaluation.comparison import Comparison, VersionAnswers, answers_of, compare, set_answers_of
from sprat_training.label_set_data import LabelSetData, read_label_sets
from sprat_training.label_set_train import fit_label_sets, read_sets
from sprat_training.sources import read_sources
from sprat_training.train import fit_labels

FIFTHS: Final = 5
MANY_TEXTS: Final = 500
"""From so many texts on, one fifth shows a difference of some 6 points where the trainings differ in one text of ten:
1.96 times the root of 0.1 / 100. With fewer, each fifth in turn is held out, so that all texts are compared."""


@dataclass(frozen=True, slots=True)
class ComparedTrainings:
    """What two trainings say of texts that were held out from both."""

    comparison: Comparison
    """The first training is called the served one, the other the new one."""
    outside: int
    """Texts that were compared and have no label."""
    fifths: int
    """How many fifths of the texts were held out, one at a time."""
    left_out: int = 0
    """How many further fifths were not: without them, a label would have no text to train on."""
    once_served: Comparison | None = None
    """The same with the second training at the `keep_at` that it would be served with; None where that is the same."""


@dataclass(frozen=True, slots=True)
class _Fifth:
    answers: tuple[tuple[VersionAnswers, ...], ...]
    """Of each training, at each keep_at."""
    texts: tuple[str, ...]
    """That they answer, those outside every label at the end."""
    outside: int


def compare_trainings(
    served: TrainingConfig,
    new: TrainingConfig,
    keep_at: float,
    progress: OnTrainingProgress,
    *,
    several: bool = False,
    served_with: float | None = None,
) -> ComparedTrainings:
    """Compare two trainings on the texts of the second, of which neither has seen those that it is asked about.

    Which fifth a text is in depends on its core alone, so that a text and its double are held out together; where the
    difference is drawn anew, they count as one. Nothing is written, and each text is encoded once.

    Args:
        served: the one training.
        new: the other one, on the same encoder.
        keep_at: the threshold of the comparison.
        progress: is called after each step.
        several: whether a text may have several labels.
        served_with: the `keep_at` that the second training would be served with; None: the same.

    Raises:
        UserError: the files or the encoder cannot be used.
        TooFewToHoldOutError: no fifth can be held out; one that cannot, beside others that can, is not compared.
    """
    texts = _texts_of(new, several=several)
    cores = dict(zip(map(normalised_text, texts), cores_of(texts), strict=True))
    few = len(cores) < MANY_TEXTS
    # So few texts cannot show that a lexical stage pays, see `lexical_gate`: none is looked for.
    both = [replace(each, lexical=each.lexical and not few) for each in (served, new)]
    judge = _judge_sets if several else _judge_labels
    keep_ats = (keep_at,) if served_with is None else (keep_at, served_with)
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
                found.append(judge(base, [replace(each, hold_out=held_out) for each in both], keep_ats, shown))
            except TooFewToHoldOutError as error:
                too_few = too_few or error
    if too_few is not None and not found:
        raise too_few
    numbers: dict[str, int] = {}
    groups = [numbers.setdefault(cores[normalised_text(text)], len(numbers)) for each in found for text in each.texts]

    def compared(at: int) -> Comparison:
        first = VersionAnswers.of_all([each.answers[0][0] for each in found])
        second = VersionAnswers.of_all([each.answers[1][at] for each in found])
        return compare(first, second, groups=np.array(groups, dtype=np.int64))

    return ComparedTrainings(
        compared(0),
        sum(each.outside for each in found),
        len(found),
        FIFTHS - len(found) if few else 0,
        None if served_with is None else compared(1),
    )


def fifth_of(core: str) -> int:
    """Return to which fifth of all texts those with a core belong, 0 to 4."""
    return sha256(core.encode()).digest()[0] % FIFTHS


def _texts_of(config: TrainingConfig, *, several: bool) -> tuple[str, ...]:
    """Return all texts of a training."""
    if several:
        return tuple(read_label_sets(config).data.texts)
    sources = read_sources(config)
    return (*sources.data.texts, *sources.outside)


def _show(progress: OnTrainingProgress, what: str, step: str, done: int, total: int) -> None:
    progress(f"{what}: {step}", done, total)


def _judge_labels(
    base: BaseEncoder, trainings: Sequence[TrainingConfig], keep_ats: Sequence[float], progress: OnTrainingProgress
) -> _Fifth:
    sources = [read_sources(config) for config in trainings]
    test, outside = sources[-1].test, sources[-1].outside_test
    if test is None:
        raise ValueError("a training that holds nothing out")
    answers = []
    for config, each in zip(trainings, sources, strict=True):
        fitted = fit_labels(base, each, config, progress)
        readings, _ = fitted.read(test.texts, test.labels, outside, progress)
        answers.append(tuple(answers_of(readings, keep_at) for keep_at in keep_ats))
    return _Fifth(tuple(answers), (*test.texts, *outside), len(outside))


def _judge_sets(
    base: BaseEncoder, trainings: Sequence[TrainingConfig], keep_ats: Sequence[float], progress: OnTrainingProgress
) -> _Fifth:
    sources = [read_label_sets(config) for config in trainings]
    test = sources[-1].test
    if test is None:
        raise ValueError("a training that holds nothing out")
    labels = sorted({label for each in sources for label in each.data.labels})
    answers = []
    for each in sources:
        fitted, _ = fit_label_sets(base, each.data, progress)
        chances, confidence = read_sets(fitted, base, test.texts, progress)
        said, gold = _in_columns(chances >= APPLIES_FROM, each.data, labels), _in_columns(test.gold, test, labels)
        answers.append(tuple(set_answers_of(said, gold, confidence, keep_at) for keep_at in keep_ats))
    return _Fifth(tuple(answers), tuple(test.texts), int((~test.gold.any(axis=1)).sum()))


def _in_columns(flags: NDArray[np.bool_], data: LabelSetData, labels: Sequence[str]) -> NDArray[np.bool_]:
    """Return flags of the labels of some data in the columns of all labels."""
    found = np.zeros((len(flags), len(labels)), bool)
    found[:, [labels.index(label) for label in data.labels]] = flags
    return found
