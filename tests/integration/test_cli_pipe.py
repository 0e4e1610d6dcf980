"""Output through a pipe whose reader leaves before the end, as `head` does: no error, and nothing is said of it."""

import subprocess
import sys

import pytest

from support.sources import ROOT

POLICY = str(ROOT / "compose" / "policy.yaml")
SPRAT = (sys.executable, "-m", "sprat_cli")


def left_alone(*arguments: str, stream: str = "stdout", folder) -> tuple[int, bytes]:
    """Run a command whose reader of one stream has left already; gives its exit code and the other stream."""
    other = "stderr" if stream == "stdout" else "stdout"
    process = subprocess.Popen([*SPRAT, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    getattr(process, stream).close()
    said = getattr(process, other).read()
    getattr(process, other).close()
    return process.wait(30), said


@pytest.mark.parametrize("arguments", [["--help"], ["mask", "Anna", "--policy", POLICY], ["topics", "--help"]])
def test_a_reader_who_leaves_is_no_error(arguments, tmp_path):
    assert left_alone(*arguments, folder=tmp_path) == (0, b"")


def test_a_mistake_stays_one_when_nobody_reads_the_output(tmp_path):
    code, said = left_alone("send", "hi", "--task", "sentiment", folder=tmp_path)
    assert code == 2
    assert said.startswith(b"sprat: --task sentiment")


def test_a_mistake_stays_one_when_nobody_reads_which(tmp_path):
    assert left_alone("send", "hi", "--task", "sentiment", stream="stderr", folder=tmp_path) == (2, b"")


def test_a_command_goes_on_when_nobody_reads_its_remarks(tmp_path):
    code, shown = left_alone("mask", "Anna Schmidt", stream="stderr", folder=tmp_path)
    assert (code, shown.count(b"\n") > 0) == (0, True)
