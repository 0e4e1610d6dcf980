"""`sprat promote`: a trained version takes the place of the one that is served, or the previous one comes back."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from sprat.base.errors import UserError
from sprat_cli.decision_report import decision_lines
from sprat_cli.options import Json, argument, check_asked_name, option
from sprat_cli.terminal import remark, say, say_json
from sprat_inference.label_sets import MULTI_LABEL
from sprat_operations.chosen_policy import chosen_tasks
from sprat_operations.named_models import ServedFolder, goals_of, served_folders
from sprat_policy import TaskFiles, check_model_fits
from sprat_training.versions.model_card import previous_folder
from sprat_training.versions.promotion import Promotion, Version, promotion_of, return_of

EPILOG = """\b
Examples:
  sprat promote hr-2
  sprat promote hr-2 --as hr --dry-run
  sprat promote hr --back

\b
DIR, as `sprat retrain` or `sprat train --output` wrote it, is moved in the place of the folder that serves the model,
with its thresholds and its report. The version that was there becomes NAME.previous, in place of an earlier one. Each
step is a rename: a running `sprat up` tries the new version in a process of its own, and takes it over.
The folder is that of your `sprat up` or of the task's file; --served names another. The policy is that of SPRAT_POLICY,
else of your `sprat up`. It prints what both versions keep at its goal, as their thresholds state it. Which one is
better on your texts, `sprat evaluate FILE --model NEW --against OLD` says.
With --back, DIR is the served folder. The previous version comes back; the same command undoes it, and finishes an
exchange that was interrupted.

\b
Exit codes:
  0  the other version is in place
  1  the policy asks for a certificate that the version does not have; --force promotes it all the same
  2  a folder is no version of the model, or cannot be moved; the message says what to do"""


def promote(
    folder: Annotated[Path | None, argument("DIR", "The new version; with --back, the served.")] = None,
    *,
    back: Annotated[bool, typer.Option("--back", help="Take the previous version back.")] = False,
    name: Annotated[
        str | None, option("NAME", "By which texts ask for it, as hr. [default: its card's]", "--as")
    ] = None,
    served: Annotated[Path | None, option("DIR", "The folder that serves. [default: found by the name]")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and show all of it, and move nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Without the certificate that the policy asks for, too.")] = (
        False
    ),
    as_json: Json = False,
) -> None:
    """Serve another version of a model of yours, or take the previous one back."""
    if folder is None and not back:
        raise UserError("name the folder of the version to promote, as in: sprat promote hr-2; or --back")
    check_asked_name(name)
    files = chosen_tasks()
    found = _served(folder, served, name, files, back=back)
    if back or folder is None:
        promotion = return_of(found.folder)
    else:
        _check_not_served(folder, files)
        promotion = promotion_of(found.folder, folder)
    goals = goals_of(found, promotion.after.recommended_goal)
    if not back:
        _check_labels(promotion, found, files)
        for each in () if force else goals:
            promotion.check_certificate(each)
    finished = not dry_run and promotion.carry_out()
    decision = promotion.decision(goals[0])
    if finished:
        remark("finished an exchange that was interrupted")
    place, previous = shlex.quote(str(found.folder)), previous_folder(found.folder)
    if as_json:
        say_json(
            {
                "type": "promotion",
                "back": back,
                "done": not dry_run,
                "model": found.name,
                "folder": str(found.folder),
                "previous": str(previous),
                "labels_gone": list(promotion.labels_gone),
                "labels_new": list(promotion.labels_new),
                **decision.as_json,
            }
        )
        return
    for line in decision_lines(decision):
        say(line)
    version, before = promotion.after.card.version, promotion.before.card.version
    if dry_run:
        say(f"{found.folder}: would hold version {version}, {previous} the one of now, {before}; nothing was moved")
        return
    say(f"{found.folder}: {found.name} has version {version} now; a running `sprat up` takes it over by itself")
    say(f"{previous}: version {before}; back to it: sprat promote {place} --back")


def _served(folder: Path | None, named: Path | None, name: str | None, files: TaskFiles, *, back: bool) -> ServedFolder:
    """Return the folder that serves the model, and under which name.

    Raises:
        UserError: it is not known.
    """
    known = served_folders(files)
    place = folder if back else named
    if place is not None:
        there = folder if folder is not None and not back else place if place.is_dir() else previous_folder(place)
        card = Version.of(there).card
        names = [each for each in known if each.folder.resolve() == place.resolve()]
        if name is None and names:
            return ServedFolder(names[0].task, names[0].model, place, names[0].policy)
        task = names[0].task if names else card.task
        return ServedFolder(task, name or card.name, place)
    if folder is None:
        return _one([each for each in known if name in {None, each.model, each.task}], "--as NAME or DIR")
    card = Version.of(folder).card
    asked = name or card.name
    tasks = {task for task in files if card.kind == MULTI_LABEL or card.task == "intent"} | {card.task}
    found = [each for each in known if each.task in tasks and asked in {each.model, each.task}]
    if not found and name is None:  # served by another name than that of its card: known by the card in the folder
        found = [each for each in known if each.task in tasks and _card_name(each.folder) == card.name]
    # Another `sprat up` may serve a model of the same name from another place.
    found = [each for each in found if each.folder.resolve().parent == folder.resolve().parent] or found
    beside = folder.resolve().parent / asked
    if not found and beside.is_dir() and beside.resolve() != folder.resolve():
        return ServedFolder(card.task, asked, Path(asked) if beside == Path(asked).resolve() else beside)
    return _one(found, "--as NAME or --served DIR")


def _check_not_served(folder: Path, files: TaskFiles) -> None:
    """Check that nothing serves the folder that is moved.

    Raises:
        UserError: something does.
    """
    names = [each.name for each in served_folders(files) if each.folder.resolve() == folder.resolve()]
    if names:
        raise UserError(f"{folder} is served itself, as {', '.join(names)}; end that first, for the folder is moved")


def _one(found: Sequence[ServedFolder], how: str) -> ServedFolder:
    places = {each.folder.resolve(): each for each in reversed(found)}
    if len(places) == 1:
        return next(iter(places.values()))
    if not places:
        raise UserError(
            f"no folder is known that serves this model: no `sprat up` of yours and no task's file names it; name it "
            f"with {how}. A first version is served by sprat up --model TASK/NAME=DIR"
        )
    raise UserError(f"several folders serve it: {', '.join(map(str, places))}; name one with {how}")


def _card_name(folder: Path) -> str | None:
    try:
        return Version.of(folder).card.name
    except UserError:
        return None


def _check_labels(promotion: Promotion, found: ServedFolder, files: TaskFiles) -> None:
    """Check that the labels are those of the task's file, where the model is that of one.

    Raises:
        UserError: they are not.
    """
    if found.task in files and files[found.task].has_labels:
        card = promotion.after.card
        check_model_fits(found.task, files[found.task], card.labels or (), several=card.kind == MULTI_LABEL)
