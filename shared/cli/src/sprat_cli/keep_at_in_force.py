"""The `keep_at` in force for a model of labels, and what becomes of it once another version of the model is served."""

from dataclasses import replace
from pathlib import Path

from sprat.model import DEFAULT_MODEL
from sprat_cli.chosen_policy import chosen_policy
from sprat_cli.installation import how_to_restart
from sprat_cli.which_keep_at import CardKeepAt, KeepAtAdvice, KeepAtInForce, keep_at_advice
from sprat_contracts import TASKS
from sprat_inference.card import Card
from sprat_policy import TaskFile, keep_at_location, load_policy


def in_force(task: str, name: str, file: TaskFile | None) -> tuple[KeepAtInForce | None, str]:
    """Return the `keep_at` in force, None where no policy is known, and the place where one for the model is written.

    It is that of the task's file, or of the policy of SPRAT_POLICY, which has those of Sprat's own tasks.

    Args:
        task: name of the task.
        name: of the model, as texts ask for it.
        file: of the task; None for the task `intent`, and where none is known.

    Raises:
        UserError: the policy cannot be read.
    """
    named = None if name == DEFAULT_MODEL else name
    if file is not None:
        rules = file if named is None else file.of(named)
        held = KeepAtInForce.of_rules(rules, name, named)
        return held, f"{'.'.join(keep_at_location(None, named))} in the file of the task {task}"
    path = chosen_policy(None)
    if path is None or task not in TASKS:
        return None, f"{'.'.join(keep_at_location(task, named))} in {path or 'your policy file'}"
    held = KeepAtInForce.of(load_policy(path), task, name)
    return held, f"{'.'.join(keep_at_location(task, held.name))} in {path}"


def advice_for_next(
    task: str, name: str, file: TaskFile | None, card: Card, folder: Path, *, served_before: bool = False
) -> KeepAtAdvice | None:
    """Return what to do about the `keep_at` once a version is served; None where what is in force holds for it.

    Args:
        task: name of the task.
        name: of the model, as texts ask for it.
        file: of the task; None for the task `intent`.
        card: of the version.
        folder: in which it is served.
        served_before: whether it was served before another version, and is served again: `sprat assess` may have shown
            for it what is in force.

    Raises:
        UserError: the policy cannot be read.
    """
    held, place = in_force(task, name, file)
    if held is not None:
        held = replace(held, is_own=held.is_own and served_before)
    return keep_at_advice(held, CardKeepAt.of(card, folder=folder), place, is_back=served_before)


def keep_at_lines(advice: KeepAtAdvice | None) -> list[str]:
    """Return what to do about the `keep_at` of a version that is served now, and when it holds.

    Args:
        advice: as :func:`advice_for_next` returns it.
    """
    if advice is None:
        return ["the keep_at in force holds for this version: nothing is to be written"]
    return [f"keep_at: {advice.said}", *([how_to_restart("router")] if advice.writes else [])]
