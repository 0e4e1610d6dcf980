"""A data folder has one owner at a time, and the temporary folders of killed processes are removed."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from sprat_local.processes import data_folder
from sprat_local.processes.data_folder import DataFolder
from sprat_local.processes.notices import LocalError

OWNER = """
import sys
from pathlib import Path
from sprat_local.processes.data_folder import DataFolder
folder = DataFolder.acquire(Path(sys.argv[1]) if len(sys.argv) > 1 else None, "sprat-test-")
print(folder.path, flush=True)
sys.stdin.read()
"""


def owner(*arguments: str) -> tuple["subprocess.Popen[str]", Path]:
    command = [sys.executable, "-c", OWNER, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def kill(process: "subprocess.Popen[str]") -> None:
    with process:
        process.kill()


def test_a_folder_that_cannot_be_locked_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "sprat.lock").mkdir()

    with pytest.raises(LocalError, match=rf"^the data folder {tmp_path} cannot be used: Is a directory$"):
        DataFolder.acquire(tmp_path, "sprat-test-")


def test_a_folder_is_refused_while_another_process_holds_it_and_free_after_its_kill(tmp_path: Path) -> None:
    process, _ = owner(str(tmp_path))
    try:
        with pytest.raises(LocalError, match=f"the data folder {tmp_path} is in use by another process: stop"):
            DataFolder.acquire(tmp_path, "sprat-test-")
    finally:
        kill(process)

    DataFolder.acquire(tmp_path, "sprat-test-").release()
    assert tmp_path.is_dir()


def test_another_thread_can_release_a_folder(tmp_path: Path) -> None:
    folder = DataFolder.acquire(tmp_path, "sprat-test-")
    thread = threading.Thread(target=folder.release)
    thread.start()
    thread.join()

    DataFolder.acquire(tmp_path, "sprat-test-").release()


def test_temporary_folders_of_killed_processes_are_removed_and_used_ones_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    abandoned, abandoned_folder = owner()
    running, used_folder = owner()
    kill(abandoned)
    try:
        folder = DataFolder.acquire(None, "sprat-test-")
        assert not abandoned_folder.exists()
        assert used_folder.exists()
        folder.release()
        assert not folder.path.exists()
    finally:
        kill(running)


def test_a_new_folder_that_a_process_removing_abandoned_ones_was_faster_to_lock_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    lock_of = data_folder._lock_of
    theirs: list[FileLock] = []
    made: list[Path] = []

    def slow_lock_of(path: Path) -> FileLock:
        """Let another process lock the first folder, and remove the second one."""
        if path in made:
            return lock_of(path)
        made.append(path)
        if len(made) == 1:
            theirs.append(lock_of(path))
            theirs[0].acquire(timeout=0)
        if len(made) == 2:
            shutil.rmtree(path)
        return lock_of(path)

    monkeypatch.setattr(data_folder, "_lock_of", slow_lock_of)
    before = os.umask(0o022)
    try:
        folder = DataFolder.acquire(None, "sprat-test-")
    finally:
        os.umask(before)
    assert made.index(folder.path) == 2
    assert folder.path.is_dir()
    folder.release()
