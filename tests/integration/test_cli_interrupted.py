"""Ctrl-C at any moment of a command's life: exit code 130, and no stack trace."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.cli_records import environment

SCRIPT = Path(sys.executable).with_name("sprat")
WAYS = {"module": [sys.executable, "-m", "sprat_cli"], "script": [str(SCRIPT)]}
_AT = """
import atexit, os, signal, sys

def interrupt(*_):
    os.kill(os.getpid(), signal.SIGINT)

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "sprat_cli.main" and "BEGUN" in os.environ:
            open(os.environ["BEGUN"], "w").close()
        if name == "typer.core" and os.environ["AT"] == "the end":
            atexit.register(interrupt)
        if name == os.environ["AT"]:
            sys.meta_path.remove(self)
            interrupt()

sys.meta_path.insert(0, Finder())
class Last:
    def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.SIGINT):
        kill(pid, number)
if os.environ["AT"] == "the very end":
    sys.last_word = Last()
"""
"""Python imports this before anything else, by its name: the signal comes at the moment that AT names."""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(_AT)
    return tmp_path


@pytest.fixture
def end(site):
    def end(way, at, *arguments):
        env = environment("127.0.0.1:1", "none", AT=at, PYTHONPATH=str(site))
        return subprocess.run(
            [*WAYS[way], *arguments], env=env, cwd=site, capture_output=True, text=True, timeout=60, check=False
        )

    return end


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "at",
    [
        "sprat_cli.main",
        "typer",
        "typer.core",
        "sprat_cli.app",
        "sprat_cli.commands.lag",
        "aiokafka",
        "pydantic",
        "asyncio",
    ],
)
def test_while_a_command_is_imported(end, way, at):
    said = end(way, at, "lag")
    assert (said.returncode, said.stdout, said.stderr) == (130, "", "")


@pytest.mark.parametrize("way", WAYS)
def test_after_the_command_is_done(end, way):
    said = end(way, "the end", "--version")
    assert (said.returncode, said.stderr) == (130, "")
    assert said.stdout.startswith("sprat ")


@pytest.mark.parametrize("way", WAYS)
def test_when_nothing_is_left_but_the_interpreter_the_command_is_done(end, way):
    said = end(way, "the very end", "--version")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("sprat ")


@pytest.mark.parametrize("way", WAYS)
def test_at_any_moment_of_its_work(way, kafka, topics, site):
    for wait_s in (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2):
        begun = site / f"begun-{wait_s}"
        process = subprocess.Popen(
            [*WAYS[way], "lag", "--over", "60"],
            env=environment(kafka.bootstrap, topics.prefix, AT="never", BEGUN=str(begun), PYTHONPATH=str(site)),
            cwd=site,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not begun.exists():  # before it, Ctrl-C is the interpreter's, which knows nothing of us
            assert process.poll() is None
            time.sleep(0.005)
        time.sleep(wait_s)  # the moment of Ctrl-C
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "")
        assert process.returncode == 130, wait_s
