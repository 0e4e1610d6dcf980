"""The exchange of the version in a folder and the one that is kept as `NAME.previous`, each with its report.

Every step is a rename, and each version carries its report inside its folder while it is moved. So wherever it is
interrupted, what lies there says which steps are left, and the same call takes them.
"""

import os
from pathlib import Path
from typing import Final

from sprat.errors import UserError
from sprat_training.model_card import PREVIOUS, aside_folder, previous_folder, report_file

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
