"""What an installation writes is its owner's alone."""

import os
from pathlib import Path

import pytest

from sprat_local.processes import private
from sprat_local.processes.data_folder import DataFolder
from sprat_local.processes.notices import LocalError

PREFIX = "sprat-test-"


def rights(folder: Path) -> set[int]:
    """Return the rights that others have on anything in a folder, and on itself."""
    return {path.stat().st_mode & 0o077 for path in (folder, *folder.rglob("*")) if not path.is_symlink()}


def wide_folder(parent: Path, *files: str) -> Path:
    """Return a folder as an earlier version has made it."""
    folder = parent / "data"
    (folder / "kafka").mkdir(parents=True)
    for name in files:
        (folder / name).write_text("content")
        (folder / name).chmod(0o644)
    for path in (folder, folder / "kafka"):
        path.chmod(0o755)
    return folder


def acquire(folder: Path) -> None:
    DataFolder.acquire(folder, PREFIX).release()


@pytest.mark.parametrize("exists", [False, True])
def test_a_new_or_an_empty_folder_is_made_private(*, exists: bool, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    if exists:
        folder.mkdir()
        folder.chmod(0o755)
    acquire(folder)
    assert rights(folder) == {0}


def test_a_folder_of_an_earlier_version_is_made_private_with_everything_in_it(tmp_path: Path) -> None:
    folder = wide_folder(tmp_path, "sprat.lock", "secret", "kafka/records")
    (folder / "link").symlink_to("/etc/hostname")
    before = Path("/etc/hostname").stat().st_mode
    acquire(folder)
    assert rights(folder) == {0}
    assert (folder / "kafka/records").read_text() == "content"
    assert Path("/etc/hostname").stat().st_mode == before, "what a link points to is not Sprat's"


def test_a_folder_with_other_files_that_others_can_read_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    folder = wide_folder(tmp_path, "thesis.txt")
    with pytest.raises(LocalError, match=f"{folder} can be read by others and holds files that are not Sprat's"):
        acquire(folder)
    assert (folder.stat().st_mode & 0o777, (folder / "thesis.txt").stat().st_mode & 0o777) == (0o755, 0o644)


def test_a_private_folder_with_other_files_is_used(tmp_path: Path) -> None:
    folder = wide_folder(tmp_path, "thesis.txt")
    folder.chmod(0o700)
    acquire(folder)


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LocalError, match="is a symbolic link"):
        acquire(tmp_path / "data")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(LocalError, match="is another user's"):
        acquire(folder)


def test_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        private.make_folder(tmp_path / "a" / "b")
        private.write_text(tmp_path / "text", "content")
        private.open_to_append(tmp_path / "log").close()
        private.load_or_create_password(tmp_path / "password")
    finally:
        os.umask(before)
    assert rights(tmp_path / "a" / "b") | {
        (tmp_path / name).stat().st_mode & 0o077 for name in ("text", "log", "password")
    } == {0}


def test_a_password_is_made_once(tmp_path: Path) -> None:
    made = private.load_or_create_password(tmp_path / "password")
    assert private.load_or_create_password(tmp_path / "password") == made
    assert len(made) > 40
