"""Going back to the version before of a model of one's own, and which `keep_at` to write for it."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sprat.errors import UserError
from sprat.model import DEFAULT_MODEL
from sprat_cli.chosen_policy import chosen_policy, chosen_tasks, remark_unread
from sprat_cli.keep_at_in_force import advice_for_next, keep_at_lines
from sprat_cli.terminal import remark
from sprat_cli.which_keep_at import CardKeepAt, KeepAtAdvice, keep_at_advice
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_inference.card import Card
from sprat_inference.label_sets import MULTI_LABEL
from sprat_operations import local_run
from sprat_policy import TaskFiles
from sprat_training.exchange import exchange, versions_to_exchange
from sprat_training.model_card import aside_folder, previous_folder


@dataclass(frozen=True, slots=True)
class RolledBack:
    """Two versions that were exchanged."""

    folder: Path
    card: Card
    """Of the version that is in the folder now."""
    replaced: Card
    """Of the one that is kept as the version before."""
    finished: bool
    """Whether an exchange that was interrupted was finished."""
    advised: Sequence[KeepAtAdvice | None]
    """What to do about the keep_at, for each name by which texts ask for the model."""

    def lines(self) -> list[str]:
        """Return what was done, and what to do next, for a terminal."""
        now, before = (f"version {card.version}, keep_at {card.keep_at:.2f}" for card in (self.card, self.replaced))
        next_steps = (line for advice in self.advised for line in keep_at_lines(advice))
        return [
            f"{self.folder}: {now}    (a running `sprat up` of that folder notices by itself)",
            f"{previous_folder(self.folder)}: {before}; the same command puts it back",
            *dict.fromkeys(next_steps),
        ]

    def as_json(self) -> dict[str, Any]:
        """Return the fields of `--json`."""
        return {
            "type": "rolled_back",
            **_fields(self.folder, self.card),
            "previous": _fields(previous_folder(self.folder), self.replaced),
            "finished": self.finished,
            "policy": [advice.said for advice in self.advised if advice is not None],
        }


def roll_back(folder: Path) -> RolledBack:
    """Exchange the versions in a folder and in that of the version before, or finish an exchange that was interrupted.

    Raises:
        UserError: there are not two versions that can be read and moved.
    """
    card, replaced = (_card(place) for place in versions_to_exchange(folder))
    try:
        finished = exchange(folder)
    except OSError as error:
        left = aside_folder(folder).exists()
        finish = f"; the same command finishes it: sprat models rollback {shlex.quote(str(folder))}" if left else ""
        raise UserError(f"{folder}: cannot be exchanged: {error.strerror}{finish}") from None
    return RolledBack(folder, card, replaced, finished, _advised(folder, card))


def _fields(folder: Path, card: Card) -> dict[str, Any]:
    return {"folder": str(folder), "version": card.version, "keep_at": card.keep_at}


def _card(folder: Path) -> Card:
    try:
        return load_artefact(folder).card
    except BrokenArtefact as error:
        raise UserError(f"{error}; nothing was moved") from None


def _advised(folder: Path, card: Card) -> Sequence[KeepAtAdvice | None]:
    """Return what to do about the keep_at, for each name by which texts ask for the model.

    Where the policy or a task's file cannot be read, a remark says so: the versions are exchanged already.
    """
    try:
        files = chosen_tasks()
        remark_unread(chosen_policy(None))
        served = served_as(folder, files)
        if not served and card.kind != MULTI_LABEL:
            served = [(card.task, card.name)]
        if not served:
            return [keep_at_advice(None, CardKeepAt.of(card, folder=folder), "keep_at in the file of its task")]
        return [
            advice_for_next(task, model, files.get(task), card, folder, served_before=True) for task, model in served
        ]
    except UserError as error:
        remark(f"which keep_at to write for version {card.version} cannot be said: {error}")
        return []


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
