"""The outcome of `sprat retrain` for a terminal, and as JSON."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sprat_cli.comparison import (
    change_once_served,
    comparison_json,
    comparison_sentence,
    comparison_table,
    difference,
    judged,
)
from sprat_cli.feedback.labels import identities_json
from sprat_cli.retrain.compared import NewVersion
from sprat_cli.retrain.corrections import Added, AskedModel
from sprat_cli.retrain.trained import Trained
from sprat_cli.terminal import counted, faint, paint, printable, table
from sprat_cli.train.summary import issue_json, label_issue_lines
from sprat_cli.which_keep_at import KeepAtAdvice, is_provisional
from sprat_inference.card import Card
from sprat_operations.dead_letters import Identity
from sprat_training.config import TrainingConfig
from sprat_training.evaluation.comparison import Comparison

_ON_NEW_TEXTS: Final = (
    "write it with --output DIR, and compare both by `sprat models compare SERVED DIR FILE` on texts of your traffic "
    "that neither was trained on: what that shows goes before this comparison; or try again with more corrections"
)


@dataclass(frozen=True, slots=True)
class Retrained:
    """What was trained, and how it compares."""

    model: AskedModel
    served: Card
    version: NewVersion
    learnt: int
    """How many of the corrections the served version has learnt."""
    config: TrainingConfig
    """Of the new version; the last of its files is that of the corrections."""
    corrections: Added
    """In it."""
    left_out: Counter[str]
    """Corrections that this run could not use, by the reason."""
    not_found: Sequence[Identity] = ()
    """Source and id of each corrected text that is not there."""

    @property
    def new_corrections(self) -> int:
        """Return how many corrections of the file the served version has not learnt."""
        return self.corrections.total - self.learnt


@dataclass(frozen=True, slots=True)
class Advice:
    """Whether to replace the served version."""

    replace: bool
    because: str
    keep_at: KeepAtAdvice | None
    """What to do about its keep_at then; None where what is in force holds for the new version."""
    next_steps: tuple[str, ...] = ()
    """What to do where the comparison shows nothing, or not all."""
    expected: str | None = None
    """What the new version keeps at the keep_at to write, and at that of the comparison; None where they are one."""

    @property
    def verdict_lines(self) -> list[str]:
        """Return whether to replace it, and what to do where that is not shown, for a terminal."""
        line = f"replace: {'yes' if self.replace else 'no'}, because {self.because}"
        return [line, *(f"  next: {each}" for each in self.next_steps)]

    @property
    def lines(self) -> list[str]:
        """Return all lines for a terminal."""
        then = [f"  then {self.keep_at.said}"] if self.replace and self.keep_at is not None else []
        return [*self.verdict_lines, *then, *([] if self.expected is None else [f"  {self.expected}"])]


def advise(version: NewVersion, keep_at: KeepAtAdvice | None) -> Advice:
    """Return whether to replace the served version: only where the corrections are shown to make it better.

    Args:
        version: the new one, and what its corrections bring.
        keep_at: what to do about the keep_at for the new version; None for nothing.
    """
    comparison, at, new = version.compared.comparison, version.at, version.trained.card
    if version.trained.verdict.grade == "poor":
        return Advice(replace=False, because="the new version keeps nothing", keep_at=None)
    own = "" if at.is_of(new) else f"; its own keep_at would be {new.keep_at:.2f}"
    texts = counted(comparison.texts, "text")
    if comparison.neither_keeps:
        because = f"at {at} none of {texts} is kept, with the corrections or without, so they show nothing at it{own}"
        return Advice(replace=False, because=because, keep_at=None, next_steps=_next_steps(comparison))
    if comparison.keeps_nothing:
        because = f"at {at} none of {texts} is kept with the corrections{own}"
        return Advice(replace=False, because=because, keep_at=None)
    yes, because = judged(comparison, version.compared.once_served, at, new, "with the corrections")
    if yes:
        return Advice(replace=True, because=because, keep_at=keep_at, expected=_expected(version, keep_at))
    return Advice(replace=False, because=because, keep_at=None, next_steps=(_ON_NEW_TEXTS,))


def _expected(version: NewVersion, keep_at: KeepAtAdvice | None) -> str | None:
    """Return what to expect of the new version at both keep_ats, as the reason to replace holds at the compared one."""
    figures, card, at = version.trained.figures, version.trained.card, version.at
    if keep_at is None or keep_at.number is None or at.is_of(card):
        return None
    own, compared = figures.at(card.keep_at), figures.at(at.keep_at)
    once_served = version.compared.once_served
    change = "" if once_served is None else f"; {change_once_served(once_served, at, card)}"
    return (
        f"at {card.keep_at:.2f} expect it to keep {own.share:.1%} of such texts, {own.right.value:.1%} of these right; "
        f"at {at.keep_at:.2f}, as compared, {compared.share:.1%}, {compared.right.value:.1%} right{change}"
    )


def _next_steps(comparison: Comparison) -> tuple[str, ...]:
    """Return what to do where none of the texts is kept."""
    right = comparison.right
    shares = f"{right.served.value:.1%} without, {right.new.value:.1%} with the corrections, {difference(right)}"
    return (
        f"compare what is right, whatever is kept: {shares}; {_shows(comparison)}",
        _ON_NEW_TEXTS,
    )


def _shows(comparison: Comparison) -> str:
    """Return what the interval of what is right shows."""
    if comparison.better == "neither":
        return "the interval holds 0, so no difference is shown"
    more = "more" if comparison.better == "new" else "fewer"
    return f"the interval leaves out 0, so {more} are shown to be right with them"


def summary_lines(retrained: Retrained) -> list[str]:
    """Return the lines for a terminal."""
    version = retrained.version
    new, comparison, at = version.trained, version.compared.comparison, version.at
    kept_head, *kept = table([("", "KEEP_AT", "KEPT", "RIGHT OF THOSE KEPT"), *_kept_rows(retrained)])
    return [
        f"{printable(str(retrained.config.files[-1]))}: {_corrections(retrained.corrections)}",
        *(f"  {paint('!', 'yellow')} {printable(line)}" for line in new.findings),
        *label_issue_lines(new.doubted),
        *_how_to_correct(retrained),
        "",
        printable(_what_is_compared(retrained)),
        printable(f"{_which_texts(version)}, at {at}, {at.said}"),
        "",
        *comparison_table(comparison, "WITHOUT", "WITH"),
        "",
        comparison_sentence(f"With the corrections {retrained.model}", comparison, str(at)),
        "",
        _trained_on(new),
        faint(kept_head),
        *map(printable, kept),
        *([printable(f"Why: {new.verdict.reason}.")] if new.verdict.reason else []),
        "",
    ]


def _trained_on(new: Trained) -> str:
    traffic = f", {new.outside_share:.0%} of them outside every label" if new.outside_share else ""
    outside = ", and counted the texts outside as they are in the files" if new.outside_share else ""
    return (
        f"The new version is trained on all {counted(new.texts, 'text')}{_outside(new)}. What to expect of texts like "
        f"these{traffic} (whether the corrections help, the table above says: each training there lacked a fifth of "
        f"the texts{outside}; a difference here may be chance):"
    )


def _what_is_compared(retrained: Retrained) -> str:
    new, learnt = retrained.new_corrections, ""
    if retrained.learnt:
        learnt = f"; both have the {counted(retrained.learnt, 'correction')} learnt before"
    bring, them = ("brings", "it") if new == 1 else ("bring", "them")
    return (
        f"What the {counted(new, 'correction')} {bring} that the served version, {retrained.served.version}, has not "
        f"learnt: two trainings like it, one without and one with {them}{learnt}."
    )


def _which_texts(version: NewVersion) -> str:
    compared = version.compared
    texts = counted(compared.comparison.texts, "text")
    held_out = "each fifth of the texts in turn is" if compared.fifths > 1 else "a fifth of the texts is"
    if compared.left_out:
        held_out = f"{compared.fifths} of {compared.fifths + compared.left_out} fifths of the texts, one at a time, are"
    without = "without a label" if version.trained.several else "outside every label"
    return f"Compared on {texts}, {compared.outside:,} of them {without}: {held_out} held out from both"


def _kept_rows(retrained: Retrained) -> list[tuple[str, ...]]:
    """Return what is kept by the new version at both keep_ats, and by the served one, where its card's is in force."""
    new, at, served = retrained.version.trained, retrained.version.at, retrained.served
    scores = {each.name: each.value for each in served.scores}
    rows: list[tuple[str, ...]] = []
    if at.is_of(served) and (share := scores.get("cross_validated_kept_share")) is not None:
        right, low = (scores.get(f"cross_validated_{name}") for name in ("kept_right", "kept_right_low"))
        shown = "–" if right is None or low is None else f"{right:.1%} (from {low:.1%})"
        rows.append(("  served, by its own training", _of_card(served), f"{share:.1%}", shown))
    kept = new.figures.at(new.card.keep_at)
    rows.append(("  new, by its card", _of_card(new.card), f"{kept.share:.1%}", kept.shown_right))
    if not at.is_of(new.card):
        kept = new.figures.at(at.keep_at)
        named = "in force" if at.origin == "in_force" else "as compared"
        rows.append((f"  new, {named}", f"{at.keep_at:.2f}", f"{kept.share:.1%}", kept.shown_right))
    return rows


def _of_card(card: Card) -> str:
    return f"{card.keep_at:.2f}{' provisional' if is_provisional(card.keep_at_rule) else ''}"


def summary_json(retrained: Retrained, advice: Advice) -> dict[str, Any]:
    """Return the fields of `--json`; `served` of a share is that without the new corrections, `new` that with them."""
    version = retrained.version
    new, compared, comparison = version.trained, version.compared, version.compared.comparison
    return {
        "type": "retrained",
        "task": retrained.model.task,
        "model": retrained.model.name,
        "served_version": retrained.served.version,
        "corrections": retrained.corrections.total,
        "new_corrections": retrained.corrections.read,
        "added_corrections": retrained.corrections.new,
        "learnt_corrections": retrained.learnt,
        "left_out": {code: count for code, count in retrained.left_out.items() if count},
        "texts_not_found": identities_json(retrained.not_found),
        "likely_wrong": [issue_json(each) for each in new.doubted],
        "trained_on": new.texts,
        "trained_outside": new.outside,
        "tested_on": comparison.texts,
        "tested_outside": compared.outside,
        "fifths": compared.fifths,
        "compared_at": version.at.as_json,
        "kept_at_compared": round(new.figures.at(version.at.keep_at).share, 4),
        "kept_at_own_keep_at": round(new.figures.at(new.card.keep_at).share, 4),
        "replace": {
            "advised": advice.replace,
            "because": advice.because,
            "policy": None if advice.keep_at is None else advice.keep_at.said,
        },
        "keep_at": new.card.keep_at,
        "verdict": {
            "grade": new.verdict.grade,
            "sentence": new.verdict.sentence,
            "reason": new.verdict.reason,
        },
        **comparison_json(comparison),
        "once_served": None if compared.once_served is None else comparison_json(compared.once_served),
    }


def _corrections(added: Added) -> str:
    """Return how many corrections the file holds, and how many of them this run put there."""
    read = f"{added.read:,} read from Kafka, {added.new:,} of them added or with another label"
    return f"{counted(added.total, 'correction')}; {read}"


def _how_to_correct(retrained: Retrained) -> list[str]:
    """Return how to correct doubted rows of the file of corrections; nothing where none of them is doubted."""
    path = retrained.config.files[-1]
    if all(each.path != path for each in retrained.version.trained.doubted):
        return []
    said = f"a wrong label in {path}: change it there, which stays; or, so that others get it, too, run"
    command = "sprat feedback --text-id ID --source SOURCE"
    line = f"{said} `{command}` with text_id and text_source of its row"
    return [faint(f"      {printable(line)}")]


def _outside(result: Trained) -> str:
    """Return how many texts without a label were trained on: they are texts of their own, or some of all."""
    if result.several:
        return f", {result.outside:,} of them without a label"
    return f" and {result.outside:,} outside every label"
