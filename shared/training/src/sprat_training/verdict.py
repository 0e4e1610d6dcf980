"""The conclusion of a training: is the model good enough, why not, and what to do next."""

import math
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from sprat_training.config import TrainingConfig
from sprat_training.data import FEW_TEXTS, DataSummary, TrainingData, is_remainder, quoted_group
from sprat_training.doubles import DoublesFound
from sprat_training.figures import KeptAnswers, TrainingFigures, measure, readings_of
from sprat_training.fitting import CrossValidation, fit_calibrator
from sprat_training.keep_at import Recommendation
from sprat_training.label_issues import LabelIssue, has_few_texts

LITTLE: Final = 0.5
"""A model that keeps less of the traffic escalates most of it."""
_GAIN: Final = 0.1
"""A cause explains a small share only if the share would be so much larger without it."""
_OFTEN_CONFUSED: Final = 0.15
_MAX_LABELS: Final = 4
_MOST_TIMES: Final = 20
"""A number of texts is named only up to so many times those at hand: what more of them would show is not known."""

_HARD_OUTSIDE: Final = "texts outside every label are hard to tell from those inside"
_SEVERAL: Final = ("labels", "those rows are", "are", "they are")

Grade = Literal["good", "fair", "poor"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the model can be served, and what to do next."""

    grade: Grade
    sentence: str
    reason: str | None
    """Why it keeps little; None where it keeps enough."""
    steps: tuple[str, ...]
    """What to do next, the most useful first."""
    keep_at_holds: bool
    """False where a test shows that what is kept at the keep_at of the card is not as often right as was asked for."""


@dataclass(frozen=True, slots=True)
class KeptWithout:
    """What would be kept of the traffic without a cause of doubt: the keep_at is chosen anew each time."""

    suspects: float
    """Without the rows whose labels are doubted."""
    outside: float
    """Without texts outside every label."""


def kept_without(
    validation: CrossValidation, data: TrainingData, issues: tuple[LabelIssue, ...], config: TrainingConfig
) -> KeptWithout:
    """Compute what would be kept without each cause of doubt.

    Args:
        validation: what held-out heads say.
        data: what was fitted.
        issues: the rows whose labels are doubted, their `index` into `data`.
        config: what the user asked for.
    """
    everything = np.ones(len(data.gold), bool)
    trusted = everything.copy()
    trusted[[each.index for each in issues]] = False
    return KeptWithout(
        _kept_share(validation, data, config, trusted, outside=True),
        _kept_share(validation, data, config, everything, outside=False),
    )


def conclude(
    config: TrainingConfig,
    data: TrainingData,
    summary: DataSummary,
    issues: tuple[LabelIssue, ...],
    figures: TrainingFigures,
    test: TrainingFigures | None,
    without: KeptWithout | None,
    doubles: DoublesFound,
    *,
    labels_held_out: bool,
) -> Verdict:
    """Return the conclusion; `without` is needed only where less than `LITTLE` is kept."""
    found = figures.recommended(config.accuracy)
    kept = figures.kept_at(found)
    reason = None
    if kept is None or kept.share < LITTLE:
        reason = _reason(data, issues, figures, 0.0 if kept is None else kept.share, without)
    refuted = _refuted(config, kept, test)
    grade, sentence = _judge(config, found, kept, refuted)
    if kept is not None and refuted is None and found is not None and not found.is_shown and doubles.is_most(data):
        sentence = f"{_few_sentences(data, doubles)}: nothing is shown of what people write."
    steps = (
        *_other_words(data, doubles),
        *_steps(config, data, summary, issues, figures, doubles),
        *_of_outside(reason, figures, labels_held_out=labels_held_out),
        *_enough_texts(data, found),
        *_further(config, data, labels_held_out=labels_held_out),
    )
    return Verdict(grade, sentence, reason, steps, keep_at_holds=refuted is None)


def _few_sentences(data: TrainingData, doubles: DoublesFound) -> str:
    """Return how many different sentences there are, and how many a label has."""
    each = doubles.different / len(data.labels)
    return f"{doubles.different:,} different sentences, {'' if each == round(each) else 'about '}{each:.0f} a label"


def _other_words(data: TrainingData, doubles: DoublesFound) -> Iterator[str]:
    if doubles.is_most(data):
        yield (
            f"Add texts that people wrote: the {len(data.texts):,} rows are {doubles.different:,} different sentences, "
            "which are repeated with other numbers, openings, endings or a few other words; further rows of this kind "
            "teach and show nothing"
        )


def _refuted(config: TrainingConfig, kept: KeptAnswers | None, test: TrainingFigures | None) -> KeptAnswers | None:
    """Return what is kept of the test where that is surely not as often right as was asked for."""
    if kept is None or test is None:
        return None
    on_test = test.at(kept.keep_at)
    return on_test if on_test.share and on_test.right.high < config.accuracy else None


def _judge(
    config: TrainingConfig, found: Recommendation | None, kept: KeptAnswers | None, refuted: KeptAnswers | None
) -> tuple[Grade, str]:
    if found is None or kept is None:
        sentence = f"Not good enough to serve: no keep_at reaches {config.accuracy:.1%} right, so nothing is kept."
        return "poor", sentence
    right = f"{kept.right.value:.1%} is right"
    doing = f"at keep_at {kept.keep_at:.2f} it keeps {kept.share:.1%} of the traffic, of which {right}"
    if refuted is not None:
        there = f"{refuted.right} of what is kept is right there, {config.accuracy:.1%} was asked for."
        said = f"Worse on the test file than on held-out texts: {there}"
        return "fair", f"{said} Choose a higher keep_at with `sprat assess`."
    if kept.share < LITTLE:
        sentence = f"It can be served, but most of the traffic is escalated: {doing}."
        return "fair", sentence if found.is_shown else f"{sentence} This keep_at is {found}."
    if not found.is_shown:
        why = "the texts are too few to show" if found.is_within_reach else "the texts do not show"
        sentence = f"It can be served, but {why} {config.accuracy:.1%} right: {doing}."
        return "fair", f"{sentence} This keep_at is {found}."
    return "good", f"Good enough to serve: {doing}, by heads that had not seen the texts."


def _reason(
    data: TrainingData,
    issues: tuple[LabelIssue, ...],
    figures: TrainingFigures,
    share: float,
    without: KeptWithout | None,
) -> str:
    if without is not None:
        of_suspects, of_outside = without.suspects - share, without.outside - share
        if issues and of_suspects >= _GAIN and of_suspects >= of_outside:
            return _of_doubts(data, issues, without)
        if of_outside >= _GAIN:
            return f"{_HARD_OUTSIDE}; without them {without.outside:.0%} would be kept"
    if has_few_texts(data):
        return _few_texts(data)
    return f"only {figures.accuracy.value:.1%} of the texts get their own label"


def _of_doubts(data: TrainingData, issues: tuple[LabelIssue, ...], without: KeptWithout) -> str:
    one = len(issues) == 1
    labels, those, are, they = ("label", "that row is", "is", "it is") if one else _SEVERAL
    of, kept = f"{len(issues):,} of {len(data.texts):,} texts", f"{without.suspects:.0%} would be kept"
    hard = "it is a hard text" if one else "they are hard texts"
    few = f", and the texts to train on are too few: {_few_texts(data)}" if has_few_texts(data) else ""
    return f"the {labels} of {of} {are} doubted; if {those} not counted, {kept}. If {they} right, {hard}{few}"


def _few_texts(data: TrainingData) -> str:
    counts = np.bincount(data.gold)
    most, middle = int(counts.max()), int(np.median(counts))
    return (
        f"no label has more than {most} texts" if most == middle else f"half of the labels have {middle} texts or fewer"
    )


def _steps(
    config: TrainingConfig,
    data: TrainingData,
    summary: DataSummary,
    issues: tuple[LabelIssue, ...],
    figures: TrainingFigures,
    doubles: DoublesFound,
) -> Iterator[str]:
    yield from map(_decide_outside, filter(is_remainder, data.labels))
    if summary.similar_labels:
        yield f"Labels differ by case or white space alone, as {quoted_group(summary.similar_labels[0])}: --merge-case"
    if issues:
        yield _check_rows(config, data, issues)
    if small := summary.small_labels:
        shown = ", ".join(f"{label} ({count})" for label, count in sorted(small.items(), key=_count)[:_MAX_LABELS])
        more = " …" if len(small) > _MAX_LABELS else ""
        yield f"Train on more texts of the labels that have fewer than {FEW_TEXTS}: {shown}{more}"
    # A label of few different sentences is confused because it has few.
    confused = [each for each in figures.confusions if each.label not in doubles.few]
    often = [each for each in confused if each.texts >= 3 and each.texts >= _OFTEN_CONFUSED * each.total]
    if often:
        worst = often[0]
        yield (
            f'"{worst.label}" is often read as "{worst.predicted}" ({worst.texts} of {worst.total} held-out texts): '
            "make them one label, or add texts that show the difference"
        )


def _decide_outside(label: str) -> str:
    option = shlex.join(["--outside-label", label])
    return (
        f'Decide what "{label}" means. If its texts belong to no other label, train with {option}: they then count as '
        "outside every label, and teach what that is. If they have a subject of their own, leave it as it is"
    )


def _check_rows(config: TrainingConfig, data: TrainingData, issues: tuple[LabelIssue, ...]) -> str:
    one = len(issues) == 1
    rows = "the row whose label is" if one else f"the {len(issues):,} rows whose labels are"
    right = "if it is right, leave it" if one else "leave those that are right"
    wrong = "if it is wrong, correct it" if one else "correct those that are wrong"
    without = ". Where most are wrong, --drop-suspects trains without them"
    drop = "" if config.drop_suspects or has_few_texts(data) else without
    return (
        f"Check {rows} doubted, and the confusions of the report, where a wrong row may stand alone "
        f"(--show-texts): {wrong} and train again; {right}, also where listed again: then only more texts help{drop}"
    )


def _of_outside(reason: str | None, figures: TrainingFigures, *, labels_held_out: bool) -> Iterator[str]:
    if reason is not None and reason.startswith(_HARD_OUTSIDE) and not labels_held_out:
        yield (
            f"Add texts outside every label (now {figures.outside_texts:,}); where many of them are of one subject, "
            "give it a label of its own"
        )


def _enough_texts(data: TrainingData, found: Recommendation | None) -> Iterator[str]:
    """Yield how many texts would show the accuracy if as many were kept, and as often right."""
    if found is None or found.is_shown or found.texts_needed is None:
        return
    times = found.texts_needed / found.at.texts
    if times <= _MOST_TIMES:
        texts = math.ceil(len(data.texts) * times / 10) * 10
        yield (
            f"Train on more texts: about {texts:,} with a label (now {len(data.texts):,}) show "
            f"{found.accuracy:.1%} right, if the same share of them is kept and as often right; if more is kept, fewer "
            f"do (a rough number, of the {found.at.texts:,.0f} kept now: another training gives another)"
        )


def _further(config: TrainingConfig, data: TrainingData, *, labels_held_out: bool) -> Iterator[str]:
    if labels_held_out and not any(map(is_remainder, data.labels)):  # else its texts are those of the traffic
        yield "Name texts of your traffic that belong to no label, with --out-of-scope FILE: labels held out stood in"
    if config.test_file is None:
        yield "Measure it on texts that come from elsewhere than the file, with --test FILE"


def _count(item: tuple[str, int]) -> int:
    return item[1]


def _kept_share(
    validation: CrossValidation,
    data: TrainingData,
    config: TrainingConfig,
    counted: NDArray[np.bool_],
    *,
    outside: bool,
) -> float:
    features, groups = validation.outside, validation.outside_groups
    if not outside:
        features, groups = features[:0], groups[:0]
    logits, inside, gold = validation.logits[counted], validation.inside[counted], data.gold[counted]
    best = logits.argmax(axis=1)
    calibrator = fit_calibrator(inside, best == gold, features, config.outside_share)
    readings = readings_of(logits, inside, gold, features, calibrator)
    figures = measure(readings, best, gold, data.labels, config.outside_share, groups)
    kept = figures.kept_at(figures.recommended(config.accuracy))
    return kept.share if kept else 0.0
