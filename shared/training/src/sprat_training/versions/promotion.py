"""A version takes the place of the one that is served, or the previous one comes back: what changes, and may it."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sprat.base import plugins
from sprat.base.errors import SpratError, UserError
from sprat.base.thresholds import find_thresholds
from sprat_contracts.thresholds import Thresholds, recommended_goal
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_inference.card import Card
from sprat_training.evaluation.decision import Decision, Goal, VersionAtGoal
from sprat_training.versions.exchange import check_may_replace, exchange, replace_by, versions_to_exchange
from sprat_training.versions.model_card import aside_folder, service_of


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a model, as it lies in a folder."""

    folder: Path
    card: Card
    thresholds: Thresholds | None
    why_none: str = ""
    """Why its thresholds cannot be read."""

    @classmethod
    def of(cls, folder: Path, *, needs_thresholds: bool = False) -> "Version":
        """Read the version in a folder.

        Raises:
            UserError: it is no artefact; or its thresholds are needed, are there, and cannot be read.
        """
        try:
            card = load_artefact(folder).card
        except BrokenArtefact as error:
            raise UserError(f"{error}; nothing was moved") from None
        try:
            return cls(folder, card, find_thresholds(folder, model_version=card.version, label_set=card.label_set))
        except UserError as error:
            if needs_thresholds:
                raise UserError(f"{error}; nothing was moved") from None
            return cls(folder, card, None, str(error))

    @property
    def recommended_goal(self) -> float:
        """Return the goal where the policy names none."""
        return recommended_goal(self.card.task) if self.thresholds is None else self.thresholds.recommended_goal


@dataclass(frozen=True, slots=True)
class Promotion:
    """A version that takes the place of another one in a folder."""

    folder: Path
    """The one that is served."""
    before: Version
    after: Version
    back: bool
    """Whether the previous version comes back."""

    @property
    def labels_gone(self) -> tuple[str, ...]:
        """Return the labels that only the version before knows."""
        return _without(self.before.card.labels, self.after.card.labels)

    @property
    def labels_new(self) -> tuple[str, ...]:
        """Return the labels that only the version after knows."""
        return _without(self.after.card.labels, self.before.card.labels)

    def decision(self, goal: Goal) -> Decision:
        """Return what both versions keep at a goal, as their thresholds state it."""
        before, after = (
            VersionAtGoal.stated(name, each.card.version, each.thresholds, goal)
            for name, each in (("before", self.before), ("after", self.after))
        )
        notes = [f"thresholds that cannot be read: {each.why_none}" for each in (self.before,) if each.why_none]
        if self.labels_gone:
            notes.append(f"labels that it no longer knows: {', '.join(self.labels_gone)}")
        if self.labels_new:
            notes.append(f"labels that are new: {', '.join(self.labels_new)}")
        return Decision(self.after.card.task, goal, before, after, notes=tuple(notes))

    def check_certificate(self, goal: Goal) -> None:
        """Check that the version after has the certificate that the policy asks for.

        Raises:
            SpratError: it has none, so that nothing of it would be kept.
        """
        found = VersionAtGoal.stated("after", self.after.card.version, self.after.thresholds, goal)
        if goal.evidence != "certified" or goal.keep_at is not None or found.all.kept:
            return
        new = shlex.quote(str(self.after.folder))
        raise SpratError(
            f"the policy asks for {100 * goal.accuracy:.3g} % certified, and {self.after.folder} has no certificate of "
            "it, so nothing that it says would be kept; nothing was moved. Certify it with rows that it was not "
            "trained on: "
            f"sprat evaluate FILE --model {new} --goal {goal.accuracy:g} --write; or promote it all the same with "
            "--force"
        )

    def carry_out(self) -> bool:
        """Move the folders, each step a rename; return whether an exchange that was interrupted was finished.

        Raises:
            UserError: a folder cannot be moved.
        """
        with _moving(self.folder):
            if self.back:
                return exchange(self.folder)
            replace_by(self.folder, self.after.folder)
        return False


def promotion_of(folder: Path, new: Path) -> Promotion:
    """Return the promotion of the version in `new` into the place of the served one.

    Raises:
        UserError: one cannot be read, loaded or moved, or they are no versions of one model.
    """
    check_may_replace(folder, new)
    before, after = Version.of(folder), Version.of(new, needs_thresholds=True)
    if (before.card.task, before.card.kind) != (after.card.task, after.card.kind):
        raise UserError(f"{new} is no version of {folder}: a model of another task or kind; nothing was moved")
    if before.card.version == after.card.version:
        raise UserError(f"{folder} and {new} hold the same version, {after.card.version}: there is nothing to promote")
    _check_answers(after)
    return Promotion(folder, before, after, back=False)


def return_of(folder: Path) -> Promotion:
    """Return the way back to the previous version of a folder.

    Raises:
        UserError: there are not two versions that can be read and moved.
    """
    after, before = (Version.of(place) for place in versions_to_exchange(folder))
    return Promotion(folder, before, after, back=True)


def _without(labels: tuple[str, ...] | None, others: tuple[str, ...] | None) -> tuple[str, ...]:
    return tuple(each for each in labels or () if each not in (others or ()))


def _check_answers(version: Version) -> None:
    """Load a version as its service does, and let it answer a text.

    Raises:
        UserError: it cannot be served.
    """
    service = service_of(version.card)
    if plugins.find(plugins.SERVICES, service) is None:
        return  # a language model, or a service that is not installed here: that one says so when it starts
    load: Callable[..., Any] = plugins.load_specialist(service).load
    try:
        load(version.folder).probe()
    except SpratError as error:
        raise UserError(f"{version.folder}: cannot be served: {error}; nothing was moved") from None


@contextmanager
def _moving(folder: Path) -> Iterator[None]:
    """Explain why a folder cannot be moved.

    Raises:
        UserError: one cannot be.
    """
    try:
        yield
    except OSError as error:
        left = aside_folder(folder).exists()
        finish = f"; this finishes it: sprat promote {shlex.quote(str(folder))} --back" if left else ""
        raise UserError(f"{folder}: cannot be exchanged: {error.strerror}{finish}") from None
