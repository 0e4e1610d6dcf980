"""Why a child process ended, and what it said last."""

import subprocess
import sys
from pathlib import Path

import pytest

from sprat_local.errors import LocalError, StartError
from sprat_local.processes import child_log
from sprat_local.processes.data_folder import DataFolder


def ended(log: Path, code: str) -> child_log.LoggedChild:
    with log.open("ab") as file:
        begin = file.seek(0, 2)
        process = subprocess.Popen([sys.executable, "-I", "-S", "-c", code], stdout=file, stderr=file)
    process.wait(10)
    return child_log.LoggedChild("Thing", process, log, begin)


def test_the_end_is_told_by_code_or_signal(tmp_path: Path) -> None:
    assert ended(tmp_path / "log", "raise SystemExit(3)").end == "exit code 3"
    assert ended(tmp_path / "log", "import os; os.kill(os.getpid(), 9)").end == "killed by SIGKILL"


def test_a_full_disk_is_told_since_the_log_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = ended(tmp_path / "log", "raise SystemExit(1)")
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 4096}))

    assert child.end == f"exit code 1 (no space left on the disk of {tmp_path})"


def test_the_last_lines_are_of_this_run_and_else_of_the_one_before(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert ended(log, "pass").last_lines() == ""
    assert ended(log, "print('first')").last_lines() == "first"
    assert ended(log, "pass").last_lines() == "(nothing in this run; before it:)\nfirst"
    assert ended(log, "print('second')").last_lines() == "second"


def test_a_failed_start_can_be_told_without_a_log_that_is_gone(tmp_path: Path) -> None:
    error = StartError("Thing does not start", tmp_path / "log", "why")

    assert str(error) == f"Thing does not start. Its log is {tmp_path / 'log'}; the last lines:\nwhy"
    assert str(error.without_log()) == "Thing does not start. The last lines of its log:\nwhy"


def test_a_data_folder_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "sprat.lock").mkdir()

    with pytest.raises(LocalError, match=rf"^the data folder {tmp_path} cannot be used: Is a directory$"):
        DataFolder.take(tmp_path, "sprat-test-")
