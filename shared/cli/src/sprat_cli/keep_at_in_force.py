"""The `keep_at` in force for a model of labels, and what becomes of it once another version of the model is served."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from sprat.errors import UserError
from sprat.model import DEFAULT_MODEL
from sprat_cli.assess.policy_file import KeepAtChange, write_keep_at, write_task_keep_at
from sprat_cli.chosen_policy import changed_since, chosen_policy
from sprat_cli.installation import how_to_restart
from sprat_cli.which_keep_at import OF_CARD, CardKeepAt, KeepAtAdvice, KeepAtInForce, keep_at_advice, place_of_keep_at
from sprat_contracts import TASKS
from sprat_inference.card import Card
from sprat_operations import local_run
from sprat_policy import NotedKeepAt, TaskFiles, load_policy


@dataclass(frozen=True, slots=True)
class KeepAtPlace:
    """Where the `keep_at` of a model is written."""

    said: str
    """The place and its file, as "tasks.intent.models.hr.keep_at in policy.yaml"."""
    name: str | None
    """Of the model, as it is written there; None: the place is that of the task."""
    file: Path | None
    """A policy, or the file of the task; None where neither is known."""
    of_task: bool
    """Whether it is the file of the task."""

    def __str__(self) -> str:
        return self.said

    def write(self, number: NotedKeepAt) -> KeepAtChange | None:
        """Write a number and where it comes from; None where no file is known.

        Raises:
            UserError: see :func:`sprat_policy.set_keep_at`.
        """
        if self.file is None:
            return None
        write = write_task_keep_at if self.of_task else write_keep_at
        return write(self.file, number.value, self.name, number.source)


def in_force(task: str, name: str, files: TaskFiles) -> tuple[KeepAtInForce | None, KeepAtPlace]:
    """Return the `keep_at` in force, None where no policy is known, and the place where one for the model is written.

    It is that of the task's file, or of the policy of SPRAT_POLICY, which has those of Sprat's own tasks.

    Args:
        task: name of the task.
        name: of the model, as texts ask for it.
        files: the tasks that have a file.

    Raises:
        UserError: the policy cannot be read.
    """
    named = None if name == DEFAULT_MODEL else name
    if task in files:
        rules = files[task] if named is None else files[task].of(named)
        path = (files.folder or Path()) / f"{task}.yaml"
        place = KeepAtPlace(place_of_keep_at(task, named, files), named, path, of_task=True)
        return KeepAtInForce.of_rules(rules, name, named), place
    policy = chosen_policy(None)
    if policy is None or task not in TASKS:
        said = f"{place_of_keep_at(task, named, files)} in {policy or 'your policy file'}"
        return None, KeepAtPlace(said, named, None, of_task=False)
    held = KeepAtInForce.of(load_policy(policy), task, name)
    said = f"{place_of_keep_at(task, held.name, files)} in {policy}"
    return held, KeepAtPlace(said, held.name, policy, of_task=False)


@dataclass(frozen=True, slots=True)
class NextKeepAt:
    """What to do about the `keep_at` of a model once a version of it is served."""

    place: KeepAtPlace
    advice: KeepAtAdvice | None
    """None where what is in force holds for it."""
    by_language: Mapping[str, float] = field(default_factory=dict)
    """Numbers of languages that have one of their own, of which the advice says nothing."""

    def lines(self) -> list[str]:
        """Return what to do, and when it holds."""
        if self.advice is None:
            holds = "the keep_at in force holds for this version: nothing is to be written"
            return [holds, *self._language_lines(), *self._restart_where_unread()]
        restart = [] if self.advice.number is None else [how_to_restart("router")]
        return [f"keep_at: {self.advice.said}", *self._language_lines(), *restart]

    def _language_lines(self) -> list[str]:
        """Return which languages have a number of their own: it may have been found for another version."""
        if not self.by_language:
            return []
        own = ", ".join(f"{language} {value:.2f}" for language, value in sorted(self.by_language.items()))
        return [f"texts in some languages have their own, keep_at_by_language, which nothing here changes: {own}"]

    def _restart_where_unread(self) -> list[str]:
        """Return how to start the router again, where a `sprat up` has not read what its file says now."""
        file = self.place.file
        changed = [path.resolve() for run in local_run.for_commands() for path in changed_since(run)]
        return [how_to_restart("router", file)] if file is not None and file.resolve() in changed else []

    def write(self) -> KeepAtChange | None:
        """Write what is to be written, if anything is and its file is known; return what was written.

        Raises:
            UserError: see :func:`sprat_policy.set_keep_at`.
        """
        number = None if self.advice is None else self.advice.to_write
        return None if number is None else self.place.write(number)


def advice_for_next(
    task: str, name: str, files: TaskFiles, card: Card, folder: Path, *, served_before: bool = False
) -> NextKeepAt:
    """Return what to do about the `keep_at` once a version is served.

    Args:
        task: name of the task.
        name: of the model, as texts ask for it.
        files: the tasks that have a file.
        card: of the version.
        folder: in which it is served.
        served_before: whether it was served before another version, and is served again: `sprat assess` may have shown
            for it what is in force.

    Raises:
        UserError: the policy cannot be read.
    """
    held, place = in_force(task, name, files)
    if held is not None:
        held = replace(held, is_own=held.is_own and served_before)
    advice = keep_at_advice(held, CardKeepAt.of(card, folder=folder), str(place), is_back=served_before)
    return NextKeepAt(place, advice, {} if held is None else held.by_language)


def check_may_write(task: str, name: str, files: TaskFiles) -> None:
    """Check, before anything is replaced, that it is known where the `keep_at` of a model is written.

    Args:
        task: name of the task.
        name: of the model, as texts ask for it.
        files: the tasks that have a file.

    Raises:
        UserError: it is not known, or the policy cannot be read.
    """
    if in_force(task, name, files)[1].file is None:
        raise UserError(
            "--write: no policy is known, so nothing is replaced; name yours with SPRAT_POLICY, or leave --write out"
        )


@dataclass(frozen=True, slots=True)
class NextSteps:
    """What is to be done about each `keep_at` once a version is served, or was done."""

    lines: Sequence[str]
    written: Sequence[KeepAtChange]
    refused: UserError | None
    """Why one could not be written, the first of them; its line says what to write."""

    @classmethod
    def of(cls, advised: Sequence[NextKeepAt], *, write: bool) -> Self:
        """Write what is to be written, if that is asked for.

        Args:
            advised: for each name by which texts ask for the model.
            write: whether it is written.
        """
        lines, written, refused = list[str](), list[KeepAtChange](), None
        for each in advised:
            change = None
            try:
                change = each.write() if write else None
            except UserError as error:
                refused = refused or error
            if change is None or each.advice is None:
                lines += each.lines()
            else:
                written.append(change)
                lines.append(str(replace(change, why=_why(each.advice))))
        return cls(list(dict.fromkeys(lines)), written, refused)

    def check(self) -> None:
        """Check that all was written that was to be.

        Raises:
            UserError: one could not be.
        """
        if self.refused is not None:
            raise UserError(f"the other version is served, but its keep_at is not written: {self.refused}")


def _why(advice: KeepAtAdvice) -> str:
    """Return where the number that was written comes from."""
    source = None if advice.number is None else advice.number.source
    if source is None or source.but == OF_CARD:
        return "the card's"
    if source.shows(source.version):
        return f"`sprat assess` showed it for version {source.version}"
    return f"in force with version {source.version} before: {source.asked}"
