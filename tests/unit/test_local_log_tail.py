"""A service's log, as the person at the terminal gets it."""

import json
from pathlib import Path

from sprat_local.events import Event
from sprat_local.processes.log_tail import LogTail, readable


def line(level: str, message: str) -> str:
    return json.dumps(
        {"time": "2026-01-01T00:00:00.000+00:00", "level": level, "service": "router", "message": message}
    )


def test_only_warnings_and_errors_are_told_each_once(tmp_path: Path) -> None:
    log, told = tmp_path / "router.log", list[Event]()
    log.write_text(line("warning", "of an earlier run") + "\n")
    tail = LogTail("router", log, told.append, start=log.stat().st_size)
    with log.open("a") as file:
        file.write(line("info", "ready") + "\n" + line("warning", "Redis is away") + "\n" + line("error", "stop")[:20])
        file.flush()
        tail.look()
        assert told == [Event("router", "warning", "Redis is away")]
        file.write(line("error", "stop")[20:] + "\n")
    tail.look()
    tail.look()

    assert told[1:] == [Event("router", "error", "stop")]


def test_lines_that_are_no_log_lines_are_kept_for_the_obituary(tmp_path: Path) -> None:
    log, told = tmp_path / "router.log", list[Event]()
    log.write_text("Traceback\n" + line("info", "ready") + "\n\nValueError\n[]\n")
    tail = LogTail("router", log, told.append, start=0)
    tail.look()

    assert tail.plain == "Traceback\nValueError\n[]"
    assert told == []


def test_a_log_line_is_made_readable() -> None:
    assert readable(line("error", "Kafka is away")) == "ERROR   Kafka is away"
    assert readable("plain words") == "plain words"
