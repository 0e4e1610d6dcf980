"""Tests that need a program of others are skipped without it, and a run says so at its end."""

import pytest

import conftest
from support import programs


@pytest.fixture
def without_programs(monkeypatch):
    monkeypatch.setenv("PATH", "")


@pytest.mark.usefixtures("without_programs")
def test_without_a_program_its_tests_are_skipped_and_say_how_to_get_it():
    with pytest.raises(pytest.skip.Exception, match="promtool is not installed: apt install prometheus"):
        programs.find("promtool")
    mark = programs.needs("prometheus", "kcat").mark
    reason = "prometheus is not installed: apt install prometheus, kcat is not installed: apt install kcat"
    assert (mark.args, mark.kwargs) == ((True,), {"reason": reason})


def test_with_a_program_its_tests_run(tmp_path, monkeypatch):
    own = tmp_path / "valkey-server"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert programs.find("a server", ("redis-server", "valkey-server")) == str(own)
    assert programs.needs("valkey-server").mark.args == (False,)


class Terminal:
    """The end of a run in which three tests were skipped."""

    def __init__(self, *reasons):
        self.reasons, self.written = reasons, []

    def getreports(self, name):
        assert name == "skipped"
        return [
            pytest.TestReport(f"test {n}", ("f", 1, "t"), {}, "skipped", ("f", 1, f"Skipped: {reason}"), "setup")
            for n, reason in enumerate(self.reasons)
        ]

    def section(self, title, **_):
        self.written.append(title)

    def write(self, text):
        self.written.append(text)


def test_a_run_ends_with_how_many_tests_were_skipped_for_each_reason():
    terminal = Terminal("no kcat", "no helm", "no helm")
    conftest.pytest_terminal_summary(terminal)
    assert terminal.written == ["skipped: not tested here", "2 tests: no helm\n1 test: no kcat\n"]


def test_a_run_without_skipped_tests_says_nothing_of_them():
    terminal = Terminal()
    conftest.pytest_terminal_summary(terminal)
    assert terminal.written == []
