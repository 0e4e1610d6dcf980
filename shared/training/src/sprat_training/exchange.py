"""The version in a folder gives way to the one that is kept as `NAME.previous`, or to that of another folder.

Each is moved with its report.

Every step is a rename. In an exchange, each version carries its report inside its folder while it is moved. So wherever
it is interrupted, what lies there says which steps are left, and the same call takes them.
"""

import os
import tempfile
from pathlib import Path
from typing import Final

from sprat.errors import UserError
from sprat_training.model_card import PREVIOUS, aside_folder, check_output, previous_folder, put_in_place, report_file

_CARRIED: Final = "carried-report.html"
"""Name of the report inside a folder that is being moved."""


def versions_to_exchange(folder: Path) -> tuple[Path, Path]:
    """Return where the version is now that is in a folder afterwards, and the one that is kept as the previous one.

    Where an exchange was interrupted, one of them is at the place aside.

    Raises:
        UserError: there are not two versions, or they cannot be moved.
    """
    if folder.name in {"", ".."} or folder.is_symlink():
        raise UserError(f"{folder}: name the folder itself, from outside of it; no link to it")
    before, aside = previous_folder(folder), aside_folder(folder)
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
        UserError: one of them is missing, a link or not to be moved, or they are a version and the one before it.
    """
    for each in (folder, new):
        if not each.is_dir() or each.name in {"", ".."} or each.is_symlink():
            raise UserError(f"{each}: no such folder, or a link to one; name the folder itself, from outside of it")
    if new.resolve() == previous_folder(folder).resolve():
        raise UserError(f"{new} is the version before that of {folder}: sprat models rollback exchanges them")
    check_output(folder, force=True)
    if not os.access(new.resolve().parent, os.W_OK | os.X_OK) or not os.access(new, os.W_OK | os.X_OK):
        raise UserError(f"{new}: not writable for you, so it cannot be moved")
    if new.stat().st_dev != folder.stat().st_dev:
        raise UserError(f"{new} is on another file system than {folder}: copy it beside {folder} first")


def replace_by(folder: Path, new: Path) -> bool:
    """Put the version of another folder in the place of the one in `folder`, which is kept as the one before.

    The reports go along. An earlier one that was kept as the version before is removed.

    Returns:
        False: it finishes nothing that was interrupted.

    Raises:
        OSError: a folder or a report cannot be renamed; where that is the new folder, both are as they were.
    """
    report = report_file(new)
    with tempfile.TemporaryDirectory(dir=folder.resolve().parent, prefix=".sprat-replace-") as name:
        put_in_place(folder, new, Path(name) / "earlier")
    _move(report, report_file(folder))
    return False


def _check_both(folder: Path, before: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name that of a model of your own")
    if before.is_dir():
        return
    if folder.name.endswith(PREVIOUS):
        raise UserError(f"{folder}: name the folder that is served, {folder.with_suffix('')}, not the one before it")
    raise UserError(
        f"{before}: no such folder, so no version before is kept: `sprat train --force` and `sprat retrain --replace` "
        "keep it. Training again from the same files with the same options gives the same version"
    )


def _move(report: Path, target: Path) -> None:
    if report.exists():
        report.rename(target)
