"""The progress bar: on a terminal alone, gone at the end, and never on standard output."""

import io
import sys

import pytest

from sprat_cli.progress import ProgressBar, read_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Make standard error a terminal. Call it in the test: pytest replaces the stream after the set-up."""

    def patch():
        stream = Terminal()
        monkeypatch.setattr(sys, "stderr", stream)
        for name, value in {"TERM": "xterm", "COLUMNS": "100", "NO_COLOR": ""}.items():
            monkeypatch.setenv(name, value)
        return stream

    return patch


def test_a_terminal_shows_the_step_and_how_much_of_it_is_done(terminal, capfd):
    stderr = terminal()
    with ProgressBar() as bar:
        bar.show("reading texts", 3_000, 10_000)
    shown = stderr.getvalue()
    assert "reading texts" in shown
    assert "3,000 of 10,000" in shown
    assert shown.endswith("\x1b[2K")  # the line is erased
    assert capfd.readouterr().out == ""


def test_the_next_step_takes_the_place_of_the_one_before(terminal):
    stderr = terminal()
    with ProgressBar() as bar:
        bar.show("reading texts", 1, 2)
        bar.show("fitting", 1, 5)
    assert "1 of 5" in stderr.getvalue()
    assert stderr.getvalue().endswith("\x1b[2K")


def test_a_step_with_nothing_to_do_is_not_shown(terminal):
    stderr = terminal()
    with ProgressBar() as bar:
        bar.show("reading texts", 0, 0)
    assert stderr.getvalue() == ""


def test_a_short_wait_needs_no_bar(terminal):
    stderr = terminal()
    with read_progress("dead letters") as progress:
        progress(1, 2)
    assert stderr.getvalue() == ""


def test_without_a_terminal_nothing_is_written(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with ProgressBar() as bar:
        bar.show("reading texts", 1, 2)
    assert stream.getvalue() == ""
