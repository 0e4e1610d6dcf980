"""The outcome of `sprat retrain` for a terminal, and as JSON."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from sprat_cli.retrain.compared import VersionsCompared
from sprat_cli.retrain.corrections import Added, AskedModel
from sprat_cli.retrain.keep_at import ComparedAt
from sprat_cli.retrain.learnt import Learnt
from sprat_cli.retrain.trained import Trained
from sprat_cli.terminal import counted, faint, paint, printable, table
from sprat_cli.train.options import training_command
from sprat_cli.train.summary import issue_json, label_issue_lines
from sprat_cli.which_keep_at import KeepAtAdvice
from sprat_inference.card import Card
from sprat_training.config import TrainingConfig
from sprat_training.evaluation.comparison import Comparison, Measured

_FEW: Final = 100
"""Texts held out, of 500: a paired difference must be some 6 points for its 95 % interval to leave out 0, where the
versions differ in one text of ten (1.96 times the root of 0.1 / 100)."""


_ITSELF: Final = (
    "with so few texts, compare it with the served version itself before you replace that: `sprat assess FILE --model "
    "DIR` of both, on texts that neither was trained on"
)


@dataclass(frozen=True, slots=True)
class Retrained:
    """What was trained, and how it compares."""

    model: AskedModel
    served: Card
    compared: VersionsCompared
    learnt: Learnt | None
    """The corrections that the served version has learnt, and what stands for it; None where nothing stands for it."""
    config: TrainingConfig
    """Of the new version; the last of its files is that of the corrections."""
    corrections: Added
    """In it."""
    left_out: Counter[str]
    """Corrections that this run could not use, by the reason."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Whether to replace the served version."""

    replace: bool
    because: str
    keep_at: KeepAtAdvice | None
    """What to do about its keep_at then; None where what is in force holds for the new version."""
    next_steps: tuple[str, ...] = ()
    """What to do where the comparison shows nothing, or not all."""

    @property
    def verdict_lines(self) -> list[str]:
        """Return whether to replace it, and what to do where that is not shown, for a terminal."""
        line = f"replace: {'yes' if self.replace else 'no'}, because {self.because}"
        return [line, *(f"  next: {each}" for each in self.next_steps)]

    @property
    def lines(self) -> list[str]:
        """Return all lines for a terminal."""
        then = [f"  then {self.keep_at.said}"] if self.replace and self.keep_at is not None else []
        return [*self.verdict_lines, *then]


def advise(compared: VersionsCompared, keep_at: KeepAtAdvice | None, accuracy: float) -> Advice:
    """Return whether to replace the served version: only where the new one is shown to be better.

    Args:
        compared: both versions.
        keep_at: what to do about the keep_at for the new version; None for nothing.
        accuracy: the share right that was asked of the new version.
    """
    comparison, at, new = compared.comparison, compared.at, compared.result.card
    if compared.result.verdict.grade == "poor":
        return Advice(replace=False, because="the new version keeps nothing", keep_at=None)
    own = "" if at.is_of(new) else f"; its own keep_at would be {new.keep_at:.2f}"
    if comparison.neither_keeps:
        served = "the served one" if compared.stand_in is None else "the stand-in of the served one"
        because = (
            f"at {at} neither the new version nor {served} keeps any of {counted(comparison.texts, 'text')}, so these "
            f"texts show nothing at it{own}"
        )
        return Advice(replace=False, because=because, keep_at=None, next_steps=_next_steps(comparison, accuracy))
    if comparison.keeps_nothing:
        because = f"at {at} the new version keeps none of {counted(comparison.texts, 'text')}{own}"
        return Advice(replace=False, because=because, keep_at=None)
    yes, because = _judged(comparison, at)
    if compared.stand_in is None:
        return Advice(replace=yes, because=because, keep_at=keep_at if yes else None)
    because += ". That is beside the stand-in; both learnt from less than the served version"
    steps = (_ITSELF,) if yes and comparison.texts < _FEW else ()
    return Advice(replace=yes, because=because, keep_at=keep_at if yes else None, next_steps=steps)


def _next_steps(comparison: Comparison, accuracy: float) -> tuple[str, ...]:
    """Return what to do where no version keeps any of the texts."""
    right = comparison.right
    shares = f"{right.served.value:.1%} served, {right.new.value:.1%} new, {_difference(right)}"
    assess = f"`sprat assess FILE --model DIR --accuracy {accuracy:g}`"
    return (
        f"compare what both get right, whatever is kept: {shares}; {_shows(comparison)}",
        f"write the new version with --output DIR, and find its keep_at on texts that it was not trained on: {assess}",
        "more rows with labels make the model surer, and narrow the intervals",
    )


def _shows(comparison: Comparison) -> str:
    """Return which version the interval of what is right shows to be better."""
    if comparison.better == "neither":
        return "the interval holds 0, so no difference is shown"
    return f"the interval leaves out 0, so the {comparison.better} version is shown to be better in that"


def _judged(comparison: Comparison, at: ComparedAt) -> tuple[bool, str]:
    """Return whether the new version is shown to be better, and why."""
    right, kept = _difference(comparison.right), _difference(comparison.kept_right)
    less = f"it keeps clearly less that is right at {at}: {kept}"
    match comparison.better, comparison.keeps:
        case "served", _:
            return False, f"the new version gets clearly fewer texts right: {right}"
        case "new", keeps:
            but = f"; but {less}" if keeps == "less" else ""
            return True, f"the new version gets clearly more texts right: {right}{but}"
        case _, "more":
            return True, f"it keeps clearly more that is right at {at}: {kept}, and gets no fewer texts right"
        case _, "less":
            return False, f"{less}, and gets no more texts right"
        case _:
            return False, f"no difference is shown on {counted(comparison.texts, 'text')} at {at}"


def summary_lines(retrained: Retrained) -> list[str]:
    """Return the lines for a terminal."""
    compared = retrained.compared
    result, comparison, at = compared.result, compared.comparison, compared.at
    version, outside = retrained.served.version, result.held_out_outside
    stand_in, keep_ats = compared.stand_in, f"{retrained.served.keep_at:.2f} served"
    served = [f"served: version {version}, which was not trained on these texts"]
    if stand_in is not None:
        keep_ats += f", {stand_in.keep_at:.2f} its stand-in"
        alike = f"one trained alike, without them{_with_learnt(retrained)}, stands for it"
        served = [
            f"served: version {version} was trained on these texts; {alike}",
            "both learn from less than the served version, as a fifth of the texts is held out: they may keep less",
        ]
    head, *rest = table(
        [
            ("", "SERVED" if stand_in is None else "STAND-IN", "NEW", "DIFFERENCE (95 %)", "TEXTS THAT DIFFER"),
            *(
                (each.name, str(each.served), str(each.new), _difference(each), f"{each.differing:,}")
                for each in comparison.all
            ),
        ]
    )
    fitted = counted(result.texts, "text")
    counting = "; what is said of labels above counts those held out, too" if result.findings else ""
    colour = "red" if comparison.is_worse else "green" if comparison.better == "new" else "yellow"
    return [
        f"{printable(str(retrained.config.files[-1]))}: {_corrections(retrained.corrections)}",
        *(f"  {paint('!', 'yellow')} {printable(line)}" for line in result.findings),
        *label_issue_lines(result.doubted),
        *_how_to_correct(retrained),
        f"trained on {fitted}{_outside(result)}{counting}",
        f"compared on {_held_out(comparison)}, {outside:,} of them {_none(result)}",
        *map(printable, served),
        printable(f"both at {at}, {at.said}"),
        "",
        faint(head),
        *rest,
        "",
        f"keep_at of the cards: {keep_ats}, {result.card.keep_at:.2f} new, chosen by heads that had not seen the texts",
        paint(comparison_sentence(retrained.model, comparison, at), colour),
        *_other_way(retrained),
        *_new_version(compared),
        _why_figures_differ(compared),
        *_served_keeps(retrained.served),
    ]


def summary_json(retrained: Retrained, advice: Advice) -> dict[str, Any]:
    """Return the fields of `--json`."""
    compared = retrained.compared
    result, comparison = compared.result, compared.comparison
    return {
        "type": "retrained",
        "task": retrained.model.task,
        "model": retrained.model.name,
        "served_version": retrained.served.version,
        "served_saw_the_test": compared.stand_in is not None,
        "stand_in_keep_at": None if compared.stand_in is None else compared.stand_in.keep_at,
        "corrections": retrained.corrections.total,
        "new_corrections": retrained.corrections.read,
        "added_corrections": retrained.corrections.new,
        "learnt_corrections": None if retrained.learnt is None else len(retrained.learnt.lines),
        "left_out": {code: count for code, count in retrained.left_out.items() if count},
        "likely_wrong": [issue_json(each) for each in result.doubted],
        "trained_on": result.texts,
        "trained_outside": result.outside,
        "tested_on": comparison.texts,
        "tested_outside": result.held_out_outside,
        "compared_at": {"keep_at": compared.at.keep_at, "origin": compared.at.origin},
        "kept_at_own_keep_at": round(compared.kept_at_own, 4),
        "better": comparison.better,
        "keeps": comparison.keeps,
        "worse": comparison.is_worse,
        "replace": {
            "advised": advice.replace,
            "because": advice.because,
            "policy": None if advice.keep_at is None else advice.keep_at.said,
        },
        "keep_at": result.card.keep_at,
        "verdict": {
            "grade": result.verdict.grade,
            "sentence": result.verdict.sentence,
            "reason": result.verdict.reason,
        },
        **{
            each.name.lower().replace(" ", "_").replace("-", "_"): {
                "served": [round(share, 4) for share in (each.served.value, each.served.low, each.served.high)],
                "new": [round(share, 4) for share in (each.new.value, each.new.low, each.new.high)],
                "difference": [
                    round(share, 4) for share in (each.difference.value, each.difference.low, each.difference.high)
                ],
                "differing": each.differing,
            }
            for each in comparison.all
        },
    }


def comparison_sentence(model: AskedModel, comparison: Comparison, at: ComparedAt) -> str:
    """Return which version is better, in what is right and in what is kept."""
    kept, escalated = _difference(comparison.kept_right), _difference(comparison.escalated)
    keeps = {
        "alike": f"kept and right at {at}: no difference shown ({kept})",
        "more": f"the new one keeps clearly more at {at}: {kept} kept and right, {escalated} escalated",
        "less": f"the new one keeps clearly less at {at}: {kept} kept and right, {escalated} escalated",
    }[comparison.keeps]
    if comparison.neither_keeps:
        keeps = f"no version keeps any at {at}"
    if comparison.better == "new" and not comparison.is_worse:
        return f"The new version of {model} is better: right: {_difference(comparison.right)}; {keeps}."
    if comparison.better == "served":
        right = _difference(comparison.right)
        return f"The served version of {model} is better: keep it. Right: {right}; {keeps}."
    right = _difference(comparison.right)
    shown = f"right: {right if comparison.better == 'new' else f'no difference shown ({right})'}; {keeps}"
    if comparison.is_worse:
        return f"The new version of {model} is worse on {counted(comparison.texts, 'text')}: {shown}."
    more = "more corrections and more texts narrow the intervals"
    return f"On {counted(comparison.texts, 'text')}, {shown}; {more}."


def _other_way(retrained: Retrained) -> list[str]:
    """Return how to learn from every text, where those held out are few: they rarely show a difference.

    What they show is of versions that learnt from less than the served one, where a stand-in was compared.
    """
    compared = retrained.compared
    comparison, result = compared.comparison, compared.result
    is_alike = (comparison.better, comparison.keeps) == ("neither", "alike")
    if comparison.texts >= _FEW or not (is_alike or compared.stand_in is not None):
        return []
    why = (
        "A comparison on so few texts rarely shows a difference."
        if is_alike
        else "Both learnt from less than the served version, which may cost more than corrections bring."
    )
    instead = training_command(retrained.config, several=result.several, drop_small=bool(result.dropped_labels))
    return [
        f"{why} To learn from all of them instead:",
        printable(f"  {instead}"),
        '  docs/own-models.md, "With few texts", says how to go on',
    ]


def _corrections(added: Added) -> str:
    """Return how many corrections the file holds, and how many of them this run put there."""
    total = counted(added.total, "correction")
    return f"{total}, {added.new:,} of them new in it or with another label; {added.read:,} were read from Kafka"


def _how_to_correct(retrained: Retrained) -> list[str]:
    """Return how to correct doubted rows of the file of corrections; nothing where none of them is doubted."""
    path = retrained.config.files[-1]
    if all(each.path != path for each in retrained.compared.result.doubted):
        return []
    said = f"a wrong label in {path}: change it there, which stays; or, so that others get it, too, run"
    command = "sprat feedback --text-id ID --source SOURCE"
    line = f"{said} `{command}` with text_id and text_source of its row"
    return [faint(f"      {printable(line)}")]


def _with_learnt(retrained: Retrained) -> str:
    """Return which corrections the version has that stands for the served one."""
    learnt = 0 if retrained.learnt is None else len(retrained.learnt.lines)
    if not learnt:
        return ""
    return f" but with the {counted(learnt, 'correction')} that {'is' if learnt == 1 else 'are'} learnt already"


def _held_out(comparison: Comparison) -> str:
    return f"{counted(comparison.texts, 'text')} held out for it"


def _none(result: Trained) -> str:
    return "without a label" if result.several else "outside every label"


def _outside(result: Trained) -> str:
    """Return how many texts without a label were trained on: they are texts of their own, or some of all."""
    if result.several:
        return f", {result.outside:,} of them without a label"
    return f" and {result.outside:,} outside every label"


def _why_figures_differ(compared: VersionsCompared) -> str:
    """Return why what the new version keeps by its own training is another share than that of the table."""
    result = compared.result
    outside = result.outside_share
    weighed = f", of which {outside:.0%} is outside every label" if outside else ""
    figures = (_kept_by_training(result.card), compared.kept_at_own)
    lower = min(each for each in figures if each is not None)
    both = f" Kept at its own keep_at, {result.card.keep_at:.2f}: "
    both += "" if figures[0] is None else f"{figures[0]:.1%} here, "
    both += f"{figures[1]:.1%} of those held out."
    expected = f"Expect {lower:.1%}, and less of" if compared.at.is_of(result.card) else "Less is kept of"
    return faint(
        f"These figures are of the {counted(result.texts, 'text')} that it was trained on, by heads that had "
        f"not seen them, as traffic{weighed}; the table is of the texts held out, as they are, at {compared.at}.{both} "
        f"{expected} texts that are unlike your files: `sprat assess` measures a file of new ones."
    )


def _new_version(compared: VersionsCompared) -> list[str]:
    """Return what the new version keeps at the keep_at of the comparison, and what a training would say of it.

    A training judges it at the keep_at of its own card; where the comparison is at another, the lines say so.
    """
    verdict, at, card = compared.result.verdict, compared.at, compared.result.card
    colour = {"good": "green", "fair": "yellow", "poor": "red"}[verdict.grade]
    first, of = [], "The new version"
    if not at.is_of(card):
        kept = 1 - compared.comparison.escalated.new.value
        served = "would be served while that is in force" if at.origin == "in_force" else "is compared here"
        first = [f"The new version keeps {kept:.1%} of the texts held out at {at}."]
        of += (
            f" at the keep_at of its own card alone, {card.keep_at:.2f}, not at {at.keep_at:.2f}, at which it {served}"
        )
    said = f"{of}: {verdict.sentence[0].lower()}{verdict.sentence[1:]}"
    why = [f"Why: {verdict.reason}."] if verdict.reason else []
    return [*first, *(paint(printable(each), colour) for each in (said, *why))]


def _served_keeps(card: Card) -> list[str]:
    """Return what the served version keeps by its own training, as is said of the new one; nothing where unknown."""
    share = _kept_by_training(card)
    if share is None:
        return []
    measured = "The served version, measured in this way at its own training"
    return [faint(f"{measured}: at keep_at {card.keep_at:.2f} it keeps {share:.1%} of the traffic.")]


def _kept_by_training(card: Card) -> float | None:
    """Return the share of the traffic that a version keeps by its own training; None where its card has none."""
    return next((each.value for each in card.scores if each.name == "cross_validated_kept_share"), None)


def _difference(measured: Measured) -> str:
    value = measured.difference
    return f"{100 * value.value:+.1f} points ({100 * value.low:+.1f} to {100 * value.high:+.1f})"
