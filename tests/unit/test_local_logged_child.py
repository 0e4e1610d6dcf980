"""Why a child process ended, what it logged last, and what the user sees of its log."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sprat_local.processes.logged_child import LoggedChild, LogTail, format_log_line
from sprat_local.processes.notices import Notice, StartError


def ended(log: Path, code: str) -> LoggedChild:
    with log.open("ab") as file:
        begin = file.seek(0, 2)
        process = subprocess.Popen([sys.executable, "-I", "-S", "-c", code], stdout=file, stderr=file)
    process.wait(10)
    return LoggedChild("Thing", process, log, begin)


def entry(level: str, message: str) -> str:
    return json.dumps(
        {"time": "2026-01-01T00:00:00.000+00:00", "level": level, "service": "router", "message": message}
    )


def test_the_exit_reason_names_the_code_or_the_signal(tmp_path: Path) -> None:
    assert ended(tmp_path / "log", "raise SystemExit(3)").exit_reason == "exit code 3"
    assert ended(tmp_path / "log", "import os; os.kill(os.getpid(), 9)").exit_reason == "killed by SIGKILL"


def test_the_exit_reason_names_a_full_disk_since_the_log_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = ended(tmp_path / "log", "raise SystemExit(1)")
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 4096}))

    assert child.exit_reason == f"exit code 1 (no space left on the disk of {tmp_path})"


def test_the_last_lines_are_from_this_run_else_from_the_previous_one(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert ended(log, "pass").last_lines() == ""
    assert ended(log, "print('first')").last_lines() == "first"
    assert ended(log, "pass").last_lines() == "(nothing in this run; before it:)\nfirst"
    assert ended(log, "print('second')").last_lines() == "second"


def test_a_failed_start_can_be_reported_without_a_log_that_was_removed(tmp_path: Path) -> None:
    error = StartError("Thing does not start", tmp_path / "log", "why")

    assert str(error) == f"Thing does not start. Its log is {tmp_path / 'log'}; the last lines:\nwhy"
    assert str(error.without_log()) == "Thing does not start. The last lines of its log:\nwhy"


def test_warnings_and_errors_are_reported_once_each(tmp_path: Path) -> None:
    log, notices = tmp_path / "router.log", list[Notice]()
    log.write_text(entry("warning", "of an earlier run") + "\n")
    tail = LogTail("router", log, notices.append, start=log.stat().st_size)
    with log.open("a") as file:
        file.write(entry("info", "ready") + "\n" + entry("warning", "no Redis") + "\n" + entry("error", "stop")[:20])
        file.flush()
        tail.poll()
        assert notices == [Notice("router", "warning", "no Redis")]
        file.write(entry("error", "stop")[20:] + "\n")
    tail.poll()
    tail.poll()

    assert notices[1:] == [Notice("router", "error", "stop")]


def test_lines_that_are_not_log_entries_are_kept_for_the_death_notice(tmp_path: Path) -> None:
    log, notices = tmp_path / "router.log", list[Notice]()
    log.write_text("Traceback\n" + entry("info", "ready") + "\n\nValueError\n[]\n")
    tail = LogTail("router", log, notices.append, start=0)
    tail.poll()

    assert tail.plain_lines == "Traceback\nValueError\n[]"
    assert notices == []


def test_a_log_entry_is_formatted_for_the_user() -> None:
    assert format_log_line(entry("error", "Kafka is unreachable")) == "ERROR   Kafka is unreachable"
    assert format_log_line("plain words") == "plain words"
