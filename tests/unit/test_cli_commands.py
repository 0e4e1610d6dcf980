"""What holds for every command: examples that are right, exit codes, a form for machines."""

import re
import shlex

import pytest
from typer.testing import CliRunner

from sprat_cli.main import COMMANDS, app, load

WITHOUT_JSON = {
    "up": "it runs until Ctrl-C; `sprat top --json` gives what its table shows",
    "init": "it writes the same files each time",
    "task model": "as `sprat task init`",
    "task init": "it writes a file; `sprat task check --json` gives what it says",
}
"""Commands that print no data, and why."""
MORE_CODES = {"trace": {3}, "audit verify": {3}}
"""Exit codes that one command alone has: `sprat trace` tells a rejected text from one to wait for, `sprat audit verify`
foreign records from what is missing or changed."""
_CODE = re.compile(r"^ +(\d+) {2,}\S", re.MULTILINE)
_EXAMPLE = re.compile(r"^ +(?:\S+=\S+ |.*\| )?(sprat .*)$", re.MULTILINE)

_MORE = re.compile(r" \| | && | {3,}")
"""After a command: another one, or what is said of it."""


def walk(path, command):
    """Return a command and all below it, each with the words that call it; not one that says its new name alone."""
    yield path, command
    for name, each in getattr(command, "commands", {}).items():
        if not each.hidden:
            yield from walk((*path, name), each)


def runs(command):
    """Return whether it does something itself: a group may only lead to its commands."""
    return not getattr(command, "commands", {}) or command.invoke_without_command


def all_below(name):
    """Return a command and those below it, but for former names, which are hidden."""
    return [(path, command) for path, command in walk((name,), load(name)) if not command.hidden]


def shown_of(path):
    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0
    return result.output


def options_of(command):
    return {option for each in command.params for option in (*each.opts, *each.secondary_opts)}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_the_exit_codes(name):
    for path, command in all_below(name):
        shown = shown_of(path)
        assert "Exit codes:" in shown, path
        if runs(command):
            codes = [int(code) for code in _CODE.findall(shown.split("Exit codes:")[1])]
            assert codes[0] == 0, path
            assert set(codes) <= {0, 1, 2, 130, *MORE_CODES.get(" ".join(path), ())}, path
            assert codes == sorted(set(codes)), path
            assert 2 in codes, path
        else:
            assert f"sprat {' '.join(path)} COMMAND --help" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_call_commands_and_options_that_there_are(name):
    for path, _ in all_below(name):
        examples = _EXAMPLE.findall(shown_of(path).partition("Example")[2])
        assert any(example.startswith(f"sprat {' '.join(path)}") for example in examples), path
        for example in examples:
            words = shlex.split(_MORE.split(example)[0])[1:]
            command = load(words.pop(0))
            while words and words[0] in getattr(command, "commands", {}):
                command = command.commands[words.pop(0)]
            named = {word.partition("=")[0] for word in words if re.fullmatch(r"--?[a-z][a-z-]*(=.*)?", word)}
            assert named <= options_of(command), example


@pytest.mark.parametrize("name", COMMANDS)
def test_what_prints_data_prints_it_for_machines(name):
    for path, command in all_below(name):
        if runs(command) and " ".join(path) not in WITHOUT_JSON:
            assert "--json" in options_of(command), path


@pytest.mark.parametrize("name", COMMANDS)
def test_what_talks_to_kafka_takes_its_address_and_prefix(name):
    """Those that take one take both; credentials come from the environment alone, where `ps` does not show them."""
    for path, command in all_below(name):
        options = options_of(command)
        assert ("--bootstrap" in options) == ("--prefix" in options), path
        assert not {option for option in options if "password" in option or "sasl" in option}, path


def test_help_of_all_says_what_exit_codes_mean():
    shown = shown_of(())
    assert "Exit codes: 0 done; 1 failed; 2 wrong usage" in shown
    assert "130 interrupted" in shown
