"""Tab: commands, their commands, options and values, in the shells' own protocols; quick, and never a stack trace."""

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from sprat_cli.main import app
from sprat_contracts import TASKS
from support.programs import find


def complete(words, shell="bash"):
    """Return what a shell would offer for the last of these words."""
    env = {"_SPRAT_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": words}
    env |= {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    env |= {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    result = CliRunner().invoke(app, [], prog_name="sprat", env=env)
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.stderr == ""
    return result.stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("sprat d", ["demo", "dlq", "doctor"]),
        ("sprat dlq ", ["list", "count", "show", "replay"]),
        ("sprat models convert ", ["opus-mt"]),
        ("sprat dlq list --re", ["--reason"]),
        ("sprat lag --b", ["--bootstrap"]),
        ("sprat send hi --task t", ["translation=de"]),
        ("sprat watch --task n", ["ner"]),
        ("sprat bench --task n", ["ner"]),
        ("sprat watch --status ", ["answered", "degraded", "unanswered"]),
    ],
    ids=[
        "commands",
        "below a group",
        "two below",
        "options",
        "options of a command",
        "a value",
        "a task",
        "a task measured",
        "choices",
    ],
)
def test_bash_is_offered_what_there_is(words, offered):
    assert complete(words).split() == offered


@pytest.mark.parametrize("command", ["watch", "bench"])
def test_an_unknown_task_is_refused_with_the_known_ones(command):
    result = CliRunner().invoke(app, [command, "--task", "nre"])
    assert result.exit_code == 2
    known = ", ".join(f"'{task}'" for task in TASKS)
    assert f"'nre' is not one of {known}" in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(("shell", "mark"), [("zsh", '"dlq":"Show what'), ("fish", "dlq\tShow what")])
def test_zsh_and_fish_show_what_each_does(shell, mark):
    assert mark in complete("sprat d", shell)


def test_a_package_that_is_missing_leaves_little_to_offer(monkeypatch):
    def missing(_entry_point):
        raise ModuleNotFoundError("No module named jgo", name="jgo")

    monkeypatch.setattr("importlib.metadata.EntryPoint.load", missing)
    assert complete("sprat up --") == "--help\n"


def test_commands_are_offered_without_importing_any():
    """Else every Tab would take a second. Through the program itself, as a shell calls it."""
    script = (
        "import sys, atexit; from sprat_cli.main import main; heavy = {'aiokafka', 'redis', 'rich', 'asyncio'};"
        "atexit.register(lambda: print(sorted(heavy & set(sys.modules)), file=sys.stderr));"
        "sys.argv = ['sprat']; main()"
    )
    env = os.environ | {"_SPRAT_COMPLETE": "complete_bash", "COMP_WORDS": "sprat l", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("lag\n", "[]\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_printed(shell):
    env = {"_SPRAT_COMPLETE": f"source_{shell}"}
    assert f"_SPRAT_COMPLETE=complete_{shell}" in CliRunner().invoke(app, [], prog_name="sprat", env=env).stdout


def test_bash_completes_with_the_script_that_is_printed(tmp_path):
    """From the script to the words that bash offers: as after `eval "$(sprat --show-completion)"`."""
    bash = find("bash")
    program = tmp_path / "sprat"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sprat_cli "$@"\n')
    program.chmod(0o755)
    script = """
      eval "$(_SPRAT_COMPLETE=source_bash sprat)"
      COMP_WORDS=(sprat topics c); COMP_CWORD=2
      _sprat_completion sprat
      echo "${COMPREPLY[@]}"
    """
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([bash, "-c", script], env=env, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("create\n", "")
