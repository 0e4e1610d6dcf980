"""The version in a folder gives way to the one that is kept as `NAME.previous`, or to that of another folder.

Each is moved with its report.

Every step is a rename. In an exchange, each version carries its report inside its folder while it is moved. So wherever
it is interrupted, what lies there says which steps are left, and the same call takes them. In a replacement that is
killed between two steps, the folder is missing, and the commands say how to put back what was in it.
"""

import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Final

from sprat.base.errors import UserError
from sprat_inference.artefact import CARD
from sprat_training.versions.model_card import (
    PREVIOUS,
    aside_folder,
    check_output,
    current_folder,
    previous_folder,
    put_in_place,
    report_file,
)

_CARRIED: Final = "carried-report.html"
"""Name of the report inside a folder that is being moved."""


def versions_to_exchange(folder: Path) -> tuple[Path, Path]:
    """Return where the version is now that is in a folder afterwards, and the one that is kept as the previous one.

    Where an exchange was interrupted, one of them is at the place aside.

    Raises:
        UserError: there are not two versions, or they cannot be moved.
    """
    before, aside = previous_folder(folder), aside_folder(folder)
    if folder.name in {"", ".."} or folder.is_symlink():
        raise UserError(f"{folder}: name the folder itself, from outside of it; no link to it")
    if not aside.exists():
        _check_both(folder, before)
        pair = before, folder
    elif folder.exists() == before.exists():
        held = "so do" if folder.exists() else "but neither"
        raise UserError(
            f"{aside}: left by an exchange that was interrupted, {held} {folder} {'and' if folder.exists() else 'nor'} "
            f"{before} exist: of these three, two are exchanged; move away the one that is not wanted, or move "
            f"{aside} back to where it belongs"
        )
    else:
        pair = (folder if folder.exists() else before), aside
    for place in (folder.resolve().parent, *pair):
        if not os.access(place, os.W_OK | os.X_OK):
            raise UserError(f"{place}: not writable for you, so nothing is exchanged")
    return pair


def exchange(folder: Path) -> bool:
    """Exchange both versions and their reports, or finish an exchange that was interrupted; return whether one was.

    Between two steps the folder is missing for a moment: a service has loaded what it reads, and a running `sprat up`
    looks again a second later.

    Raises:
        OSError: a folder or a report cannot be renamed.
    """
    before, aside = previous_folder(folder), aside_folder(folder)
    finishes = aside.exists()
    if not finishes:
        folder.rename(aside)
    if not folder.exists():
        try:
            _move(report_file(folder), aside / _CARRIED)
            _move(report_file(before), before / _CARRIED)
            before.rename(folder)
        except OSError:
            _move(before / _CARRIED, report_file(before))
            _move(aside / _CARRIED, report_file(folder))
            aside.rename(folder)
            raise
    _move(folder / _CARRIED, report_file(folder))
    _move(aside / _CARRIED, report_file(before))
    aside.rename(before)
    return finishes


def check_may_replace(folder: Path, new: Path) -> None:
    """Check that the version of another folder may take the place of the one in `folder`.

    Raises:
        UserError: one of them is missing, a link or not to be moved; they are a version and the one before it; or one
            lies in the other.
    """
    for each in (folder, new):
        _check_folder(each)
    before = previous_folder(folder)
    if new.resolve() == before.resolve():
        raise UserError(f"{new} is the version before that of {folder}: sprat promote {folder} --back")
    if folder.resolve().name.endswith(PREVIOUS):
        raise UserError(f"{folder}: name the folder that is served, {current_folder(folder)}, not the one before it")
    places = [each.resolve() for each in (folder, new, before)]
    if any(one != other and one.is_relative_to(other) for one in places for other in places):
        raise UserError(
            f"{folder}, {before} and {new}: one lies in another; move the new version beside {folder} first"
        )
    if not (folder / CARD).is_file():
        raise UserError(f"{folder}: no artefact, so no version of it is replaced; name the folder that is served")
    check_output(folder, force=True)
    if not os.access(new.resolve().parent, os.W_OK | os.X_OK) or not os.access(new, os.W_OK | os.X_OK):
        raise UserError(f"{new}: not writable for you, so it cannot be moved")
    if new.stat().st_dev != folder.stat().st_dev:
        raise UserError(f"{new} is on another file system than {folder}: copy it beside {folder} first")


def replace_by(folder: Path, new: Path) -> None:
    """Put the version of another folder in the place of the one in `folder`, which is kept as the one before.

    The reports go along. An earlier one that was kept as the version before is removed.

    Raises:
        OSError: a folder cannot be renamed; see :func:`sprat_training.versions.model_card.put_in_place`.
    """
    report = report_file(new)
    put_in_place(folder, new)
    with suppress(OSError):  # the version is in its place, whatever became of its report
        _move(report, report_file(folder))


def _check_folder(folder: Path) -> None:
    if folder.name in {"", ".."} or folder.is_symlink():
        raise UserError(f"{folder}: name the folder itself, from outside of it; no link to it")
    if folder.is_dir():
        return
    before = previous_folder(folder)
    if before.is_dir():
        back = shlex.join(["mv", str(before), str(folder)])
        raise UserError(
            f"{folder}: no such folder, but {before} is there: a replacement was interrupted; undo it: {back}"
        )
    raise UserError(f"{folder}: no such folder; name that of a model of your own")


def _check_both(folder: Path, before: Path) -> None:
    _check_folder(folder)
    if before.is_dir():
        return
    if folder.name.endswith(PREVIOUS):
        raise UserError(f"{folder}: name the folder that is served, {folder.with_suffix('')}, not the one before it")
    raise UserError(
        f"{before}: no such folder, so no version before is kept: `sprat promote` and `sprat train --force` keep it. "
        "Training again from the same files with the same options gives the same version"
    )


def _move(report: Path, target: Path) -> None:
    if report.exists():
        report.rename(target)
