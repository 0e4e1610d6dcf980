"""Which `keep_at` to write for the served version of a model: the one rule, in the same words for every command.

What is in force is compared with the `keep_at` of the card. The card's is written where it is higher; where it is
lower and shown, it may be; where it is lower and provisional, what is in force stays. What `sprat assess --write` wrote
for the served version, shown or not, goes before the card's, and so it does again once that version is back; it is
known by the comment behind the number. One that rests on an assumed accuracy of the frontier and is not written yet is
a plan, before which the card's goes.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sprat.model import DEFAULT_MODEL
from sprat_inference.card import Card
from sprat_policy import (
    KeepAtComment,
    KeepAtSource,
    NotedKeepAt,
    Policy,
    TaskFiles,
    TaskPolicy,
    keep_at_location,
)
from sprat_training.keep_at import PROVISIONAL, lowers_unshown

_INTENT: Final = "intent"
OF_CARD: Final = "that of its card"
"""Of a `keep_at`, in the comment behind it: where it comes from."""


@dataclass(frozen=True, slots=True)
class CardKeepAt:
    """The `keep_at` that a card recommends."""

    value: float
    is_provisional: bool
    """Whether the texts of the training do not show it."""
    version: str
    """Of the model."""
    folder: str = "DIR"
    """Of the model, as a command names it."""

    @property
    def noted(self) -> NotedKeepAt:
        """Return it as the comment says it that stands behind it once it is written."""
        return NotedKeepAt(f"{self.value:.2f}", KeepAtSource(self.version, but=OF_CARD))

    @classmethod
    def of(cls, card: Card, language: str | None = None, folder: Path | None = None) -> "CardKeepAt":
        """Return that of a card, for a language where one is given; `folder` is that of the model."""
        return cls(
            card.keep_at if language is None else card.keep_at_of(language),
            is_provisional(card.keep_at_rule),
            card.version,
            "DIR" if folder is None else shlex.quote(str(folder)),
        )


def is_provisional(rule: str) -> bool:
    """Return whether a card says of its `keep_at` that the texts do not show it; `rule` is its `keep_at_rule`."""
    return PROVISIONAL in rule


@dataclass(frozen=True, slots=True)
class KeepAtAdvice:
    """What to do about the `keep_at` of a served version."""

    said: str
    """As "write 0.90 under PLACE: …", or "leave 0.90, which is in force: …"."""
    number: NotedKeepAt | None = None
    """What is to be written, or may be, and where it comes from; None: what is in force stays."""
    raises: bool = False
    """Whether that is higher than what is in force."""
    may_be_shown: bool = False
    """Whether what is in force may have been shown for this version: its owner wrote it and alone knows."""

    @property
    def to_write(self) -> NotedKeepAt | None:
        """Return what a command writes that is asked to: not a lower one in place of one that may have been shown."""
        return self.number if self.raises or not self.may_be_shown else None


@dataclass(frozen=True, slots=True)
class KeepAtInForce:
    """The `keep_at` that the policy or the task's file says for a model."""

    value: float
    """Where nothing is chosen for the model, that of its task."""
    is_own: bool = False
    """Whether it was written for this model, so that it may have been shown for the version that is served."""
    name: str | None = None
    """The name under which it is written; None: it is that of the task."""
    comment: KeepAtComment = field(default_factory=KeepAtComment)
    """Behind it."""
    by_language: Mapping[str, float] = field(default_factory=dict)
    """Those of languages that have one of their own."""

    @classmethod
    def of(cls, policy: Policy, task: str, model: str) -> "KeepAtInForce":
        """Return that of a model, by the policy with the tasks from files."""
        return cls.of_rules(policy.task(task, model), model, written_name(policy, task, model))

    @classmethod
    def of_rules(cls, rules: TaskPolicy, model: str, name: str | None) -> "KeepAtInForce":
        """Return that of a model, by the rules of its task; `name` is that under which it is written."""
        return cls(
            rules.keep_at, rules.sets_keep_at(model), name, rules.keep_at_comment(model), rules.keep_at_by_language
        )

    @property
    def source(self) -> KeepAtSource | None:
        """Return where it comes from, if it was written for this model."""
        return self.comment.source

    def source_for(self, version: str) -> KeepAtSource | None:
        """Return where it comes from; as found for a version, where the same number was in force with that before."""
        return self.comment.source_of(self.value, version)

    @property
    def is_by_hand(self) -> bool:
        """Whether the owner alone knows where it comes from."""
        return self.is_own and self.source is None


def keep_at_advice(
    in_force: KeepAtInForce | None, card: CardKeepAt, place: str, *, assessed: bool = True, is_back: bool = False
) -> KeepAtAdvice | None:
    """Return what to do; None for nothing, as what is in force is the card's, or was written for the served version.

    What `sprat assess` wrote for a version was its owner's decision, shown or not: it holds while that is served, and
    again once it is back.

    Args:
        in_force: what the policy or the task's file says; None where it is not known.
        card: of the version that is served.
        place: where one for this model is written.
        assessed: whether `sprat assess` takes models of this task.
        is_back: whether the version was served before another one, and is served again.
    """
    its = f"{card.value:.2f}"
    if in_force is None:
        unless = f", unless a higher one is in force: {its} is provisional" if card.is_provisional else ""
        return KeepAtAdvice(f"write {its}, the card's keep_at, under {place}{unless}", card.noted)
    now, source = f"{in_force.value:.2f}", in_force.source_for(card.version)
    before = in_force.comment.found_for(card.version)
    # A number that somebody changed by hand is theirs, unless the version was away: then it was for the other one.
    if before is not None and f"{before.value:.2f}" != now and (source is not None or is_back):
        return _as_before(before, in_force, place)
    if now == its or (source is not None and source.version == card.version):
        return None
    if source is None or source.accuracy is None:
        return _by_card(in_force, card, place, assessed=assessed, is_back=is_back)
    name = "" if in_force.name is None else f" --as {in_force.name}"
    answers = ", with the large model's answers (`--frontier-answers` or another), as then," if source.of_all else ""
    advice = _by_card(in_force, card, place, assessed=False, is_back=is_back)
    return KeepAtAdvice(
        f"{now}, which is in force, was found for version {source.version}, not for {card.version}: `sprat assess FILE "
        f"--model {card.folder} {source.options} --write{name}`{answers} finds its own; until then, {advice.said}",
        advice.number,
        advice.raises,
    )


def _as_before(before: NotedKeepAt, in_force: KeepAtInForce, place: str) -> KeepAtAdvice:
    """Return that a number may be written again, or is to be where it is higher than what is in force."""
    number, now = f"{before.value:.2f}", f"{in_force.value:.2f}"
    if number > now:
        said, but = f"write {number} again under {place}", ""
    else:
        said, but = f"{number} may be written again under {place}", f"; {now}, which is in force, keeps less"
    version, asked = before.source.version, before.source.asked
    was = f"it was in force with version {version} ({asked})"
    if before.source.shows(version):
        was = f"`sprat assess` showed it for version {version}"
    why = f"{was}, as the comment behind {now} says{but}"
    return KeepAtAdvice(f"{said}: {why}", before, raises=number > now, may_be_shown=in_force.is_by_hand)


def _by_card(in_force: KeepAtInForce, card: CardKeepAt, place: str, *, assessed: bool, is_back: bool) -> KeepAtAdvice:
    """Return what to do where the card's is another one than that in force."""
    now, its = f"{in_force.value:.2f}", f"{card.value:.2f}"
    if lowers_unshown(card.value, in_force.value, is_shown=not card.is_provisional):
        later = "; `sprat assess` on new texts may show a lower one" if assessed else ""
        if is_back:
            later = f"; where {its} was in force with this version before, it may be written again under {place}"
        said = f"leave {now}, which is in force: the card's keep_at, {its}, is lower and provisional"
        return KeepAtAdvice(f"{said}; {now} keeps less{later}")
    where = f"under {place}"
    if in_force.is_by_hand and assessed:
        where += f", unless `sprat assess` showed {now} for this version"
    if card.value > in_force.value:
        said = f"write {its} {where}: the card's keep_at is higher than {now}, which is in force"
    else:
        why = f"the card's keep_at is lower than {now}, which is in force, and not provisional, so it keeps more"
        said = f"{its} may be written {where}: {why}"
    return KeepAtAdvice(said, card.noted, raises=card.value > in_force.value, may_be_shown=in_force.is_by_hand)


@dataclass(frozen=True, slots=True)
class FoundKeepAt:
    """A `keep_at` that `sprat assess` found, and that is no lower than the card's, or shown."""

    value: float
    not_shown: str | None
    """Why its texts do not show the accuracy that was asked for; None where they do."""
    assumed: float | None
    """The accuracy of the frontier on which it rests, where that was assumed and not measured."""
    accuracy: float | None = None
    """The share right that was asked for, of what the small model keeps; None where it was of all answers, or none."""


def found_advice(
    found: FoundKeepAt,
    in_force: float | None,
    card: CardKeepAt,
    place: str,
    how: str,
    source: KeepAtSource | None = None,
) -> str:
    """Return where a `keep_at` goes that `sprat assess` found, and how it gets there.

    Args:
        found: what was found.
        in_force: of the policy or the task's file; None where it is not known.
        card: of the version that was assessed.
        place: where one for this model is written, with its file.
        how: what writes it there, as "add `--write` to this command".
        source: what stands behind the one in force.
    """
    its = f"{found.value:.2f}"
    if found.assumed is not None:
        return _plan_advice(found, found.assumed, in_force, card, place, how, source)
    if in_force is not None and f"{in_force:.2f}" == its:
        if source is not None and source.version != card.version:
            return f"keep_at {its} is in force already, for version {source.version}; to note it for this one, {how}"
        return f"keep_at {its} is in force already: nothing is to be written under {place}"
    other = _shown_elsewhere(found, in_force, source, card.version)
    if found.not_shown is not None:
        return (
            f"{its} may be written under {place}: {found.not_shown}, and it is no lower than the card's, "
            f"{card.value:.2f}, so it keeps no more; {how}{other}"
        )
    if f"{card.value:.2f}" == its:
        return f"write {its} under {place}: it is shown here, and is the card's, too; {how}{other}"
    return f"write {its} under {place}: it is shown here, so it goes before the card's, {card.value:.2f}; {how}{other}"


def _plan_advice(
    found: FoundKeepAt,
    assumed: float,
    in_force: float | None,
    card: CardKeepAt,
    place: str,
    how: str,
    source: KeepAtSource | None,
) -> str:
    """Return where a `keep_at` goes that rests on an assumed accuracy of the frontier."""
    its = f"{found.value:.2f}"
    if in_force is not None and source is not None and source.shows(card.version):
        return (
            f"keep_at {its} is a plan, not a measurement: it rests on --frontier-accuracy {assumed:g}. Until the "
            f"frontier is measured, {in_force:.2f}, which is in force, stands: it was shown for this version "
            f"({source.asked}). To write {its} under {place} all the same, {how}"
        )
    now = None if in_force is None else KeepAtInForce(in_force)
    advice = keep_at_advice(now, card, place, assessed=False)
    if advice is not None and advice.number is not None and its == f"{card.value:.2f}":
        return (
            f"write {its} under {place}: it is the card's keep_at, and what --frontier-accuracy {assumed:g} "
            f"gives, a plan until the frontier is measured; {how}"
        )
    stands = f"{card.value:.2f}, which is in force" if advice is None else advice.said
    return (
        f"keep_at {its} is a plan, not a measurement: it rests on --frontier-accuracy {assumed:g}. Until "
        f"the frontier is measured, the card's goes before it: {stands}. To write {its} under {place} all the "
        f"same, {how}"
    )


def _shown_elsewhere(found: FoundKeepAt, in_force: float | None, source: KeepAtSource | None, version: str) -> str:
    """Return what to do where another number was shown for the same version and accuracy: that was on other texts."""
    if in_force is None or found.accuracy is None or source is None or not source.shows(version):
        return ""
    if source.of_all or source.accuracy != found.accuracy:
        return ""
    return (
        f". {in_force:.2f}, which is in force, was shown for this version before: where that was on other texts, "
        "assess both files at once, which shows more than either"
    )


def written_name(policy: Policy, task: str, model: str) -> str | None:
    """Return the name under which the `keep_at` of a model is written; None: it is that of the task."""
    return None if model == DEFAULT_MODEL and model not in policy.task(task, "").models else model


def place_of_keep_at(task: str, name: str | None, files: TaskFiles, language: str | None = None) -> str:
    """Return where the `keep_at` is written of the model that texts ask for as `name`; None: of the task itself.

    Args:
        task: name of the task.
        name: of the model.
        files: the tasks that have a file; the place names it.
        language: for texts in this language alone.
    """
    field = ".".join(keep_at_location(None if task in files else task, name))
    if language is not None:
        field += f"_by_language.{language}"
    return f"{field} in {(files.folder or Path()) / task}.yaml" if task in files else field


def is_assessed(task: str, files: TaskFiles) -> bool:
    """Return whether `sprat assess` takes models of a task: those with labels of texts."""
    return task == _INTENT if task not in files else files[task].has_labels
