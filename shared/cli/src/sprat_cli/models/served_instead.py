"""A version of a model of one's own takes the place of another one, and which `keep_at` is to be written for it."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sprat.errors import UserError
from sprat.model import DEFAULT_MODEL
from sprat_cli.chosen_policy import chosen_policy, chosen_tasks, remark_unread
from sprat_cli.keep_at_in_force import KeepAtPlace, NextKeepAt, NextSteps, advice_for_next, check_may_write
from sprat_cli.options import check_asked_name
from sprat_cli.terminal import remark, say, say_json
from sprat_cli.which_keep_at import CardKeepAt, keep_at_advice
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_inference.card import Card
from sprat_inference.label_sets import MULTI_LABEL
from sprat_operations import local_run
from sprat_policy import TaskFiles, load_policy
from sprat_training.exchange import check_may_replace, exchange, replace_by, versions_to_exchange
from sprat_training.model_card import aside_folder, previous_folder


@dataclass(frozen=True, slots=True)
class ServedInstead:
    """A version that is in the folder of a model now, in place of another one, which is kept as the one before."""

    how: Literal["rolled_back", "replaced"]
    folder: Path
    card: Card
    """Of the version that is in the folder now."""
    replaced: Card
    """Of the one that is kept as the version before."""
    back: str
    """How the version before comes back."""
    name: str | None = None
    """By which texts ask for the model, as the user gave it."""
    finished: bool = False
    """Whether an exchange that was interrupted was finished."""

    def show(self, *, write: bool, as_json: bool) -> None:
        """Print what was done, and what to do about the keep_at; write that where it is asked for.

        Where the policy or a task's file cannot be read, a remark says so: the versions are exchanged already.

        Raises:
            UserError: the keep_at was to be written, and cannot be.
        """
        advised = _advised(self.folder, self.replaced, self.card, self.name, served_before=self.how == "rolled_back")
        steps = NextSteps.of(advised, write=write)
        if self.finished:
            remark("finished an exchange that was interrupted")
        if as_json:
            say_json(
                {
                    "type": self.how,
                    **_fields(self.folder, self.card),
                    "previous": _fields(previous_folder(self.folder), self.replaced),
                    "finished": self.finished,
                    "policy": [each.advice.said for each in advised if each.advice is not None],
                    "written": [change.as_json for change in steps.written],
                }
            )
            steps.check()
            return
        now, before = (f"version {card.version}, keep_at {card.keep_at:.2f}" for card in (self.card, self.replaced))
        say(f"{self.folder}: {now}    (a running `sprat up` of that folder notices by itself)")
        say(f"{previous_folder(self.folder)}: {before}; {self.back}")
        for step in steps.lines:
            say(step)
        steps.check()


def roll_back(folder: Path, *, name: str | None, write: bool) -> ServedInstead:
    """Exchange the versions in a folder and in that of the version before, or finish an exchange that was interrupted.

    Args:
        folder: of the model.
        name: by which texts ask for the model; None: it is looked for.
        write: whether the keep_at is written afterwards.

    Raises:
        UserError: there are not two versions that can be read and moved; or no file is known in which to write.
    """
    check_asked_name(name)
    card, replaced = (_card(place) for place in versions_to_exchange(folder))
    if write:
        _check_may_write(folder, replaced, card, name)
    with _moving(folder):
        finished = exchange(folder)
    return ServedInstead("rolled_back", folder, card, replaced, "the same command puts it back", name, finished)


def replace_served(folder: Path, new: Path, *, name: str | None, write: bool) -> ServedInstead:
    """Put the version of another folder in the place of the served one, which is kept as the version before.

    Args:
        folder: of the served version.
        new: of the other one; it is gone afterwards.
        name: by which texts ask for the model; None: it is looked for.
        write: whether the keep_at is written afterwards.

    Raises:
        UserError: one cannot be read or moved, they are no versions of one model, or `sprat up` serves the other one;
            or no file is known in which to write.
    """
    check_asked_name(name)
    check_may_replace(folder, new)
    replaced, card = _card(folder), _card(new)
    if (card.task, card.kind) != (replaced.task, replaced.kind):
        raise UserError(f"{new} is no version of {folder}: a model of another task or kind; nothing was moved")
    if card.version == replaced.version:
        raise UserError(f"{folder} and {new} hold the same version, {card.version}: there is nothing to replace")
    if served := served_as(new, chosen_tasks()):
        names = ", ".join("/".join(each) for each in served)
        raise UserError(f"{new} is served itself, as {names}; end that first, for the folder is moved")
    if write:
        _check_may_write(folder, replaced, card, name)
    thrown_away = previous_folder(folder).exists()
    with _moving(folder):
        replace_by(folder, new)
    back = f"back to it: sprat models rollback {shlex.quote(str(folder))}"
    gone = "; the version before that is thrown away" if thrown_away else ""
    return ServedInstead("replaced", folder, card, replaced, f"{back}{gone}", name)


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
        finish = f"; this finishes it: sprat models rollback {shlex.quote(str(folder))}" if left else ""
        raise UserError(f"{folder}: cannot be exchanged: {error.strerror}{finish}") from None


def _fields(folder: Path, card: Card) -> dict[str, Any]:
    return {"folder": str(folder), "version": card.version, "keep_at": card.keep_at}


def _card(folder: Path) -> Card:
    try:
        return load_artefact(folder).card
    except BrokenArtefact as error:
        raise UserError(f"{error}; nothing was moved") from None


def _check_may_write(folder: Path, served: Card, card: Card, name: str | None) -> None:
    """Check, before anything is moved, that it is known under which name the keep_at is written, and in which file.

    Raises:
        UserError: it is not known.
    """
    files = chosen_tasks()
    names = _names(folder, served, card, name, files)
    if not names:
        raise UserError(f"--write: {_not_known(folder, served)}; nothing was moved")
    if name is not None and (found := [model for _, model in served_as(folder, files)]) and name not in found:
        remark(f"--as {name}: {folder} is served as {', '.join(found)}")
    for task, model in names:
        check_may_write(task, model, files)


def _advised(folder: Path, served: Card, card: Card, name: str | None, *, served_before: bool) -> Sequence[NextKeepAt]:
    """Return what to do about the keep_at, for each name by which texts ask for the model."""
    try:
        files = chosen_tasks()
        remark_unread(chosen_policy(None))
        names = _names(folder, served, card, name, files)
        if not names and card.kind != MULTI_LABEL:
            remark(f"which keep_at to write for version {card.version} is not said: {_not_known(folder, served)}")
            return []
        if not names:
            place = KeepAtPlace("keep_at in the file of its task", None, None, of_task=True)
            return [NextKeepAt(place, keep_at_advice(None, CardKeepAt.of(card, folder=folder), str(place)))]
        return [advice_for_next(task, model, files, card, folder, served_before=served_before) for task, model in names]
    except UserError as error:
        remark(f"which keep_at to write for version {card.version} cannot be said: {error}")
        return []


def _not_known(folder: Path, served: Card) -> str:
    """Return that it is not known by which name texts ask for the model of a folder, and what to do."""
    if served.kind == MULTI_LABEL:
        return f"no file of a task names {folder} as its artefact, so it is not known where its keep_at stands"
    return (
        f"no `sprat up` of yours serves {folder}, and the name by which texts ask for it is not sure: name it with --as"
    )


def _names(folder: Path, served: Card, card: Card, name: str | None, files: TaskFiles) -> list[tuple[str, str]]:
    """Return the tasks and the names by which texts ask for the model of a folder; nothing where they are not known.

    Where nothing serves it, the name is that of the folder if a policy has an entry for it, or if it is that of both
    versions and no model has an entry.

    Args:
        folder: of the model.
        served: the card of the version that was in it so far.
        card: of the one that takes its place.
        name: as the user gives it.
        files: the tasks that have a file.
    """
    found = served_as(folder, files)
    if name is not None:
        return [(found[0][0] if found else served.task, name)]
    if found or served.kind == MULTI_LABEL:
        return found
    policy, own = chosen_policy(None), folder.resolve().name
    if served.task in files:
        entries = set(files[served.task].models)
    else:
        entries = set() if policy is None else set(load_policy(policy).task(served.task, "").models)
    is_sure = own in entries or (not entries and own == served.name == card.name)
    return [(served.task, own)] if is_sure else []


def served_as(folder: Path, files: TaskFiles) -> list[tuple[str, str]]:
    """Return the tasks and the names by which texts ask for the model of a folder.

    They are those of this user's `sprat up` and of task files.
    """
    here = folder.resolve()
    named = [
        (task, model)
        for run in local_run.for_commands()
        for (task, _, model), place in ((name.partition("/"), place) for name, place in run.models.items())
        if Path(place).resolve() == here
    ]
    own = [(task, files.artefact(task)) for task in files]
    named += [(task, DEFAULT_MODEL) for task, place in own if place is not None and place.resolve() == here]
    return list(dict.fromkeys(named))
