"""The command line itself: help, versions, and user errors."""

import importlib
import json
import platform
import re
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest
from typer.testing import CliRunner

from sprat.base.errors import SpratError, UserError
from sprat_cli.main import COMMANDS, app, load
from sprat_contracts import TASKS
from sprat_operations import local_run
from sprat_training.thresholds.wording import PARAGRAPH

WITH_JSON = ("send", "watch", "trace", "lag", "top", "doctor", "evaluate", "mask", "bench", "audit", "audit verify")
WITH_JSON += ("feedback", "feedback export", "dlq list", "dlq count", "dlq show", "dlq replay")
OTHERS = ("topics create", "topics list", "models convert opus-mt")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(local_run, "user_cache_path", lambda _: tmp_path)
    for name in ("BOOTSTRAP", "PREFIX", "PARTITIONS", "SECURITY_PROTOCOL"):
        monkeypatch.delenv(f"SPRAT_KAFKA__{name}", raising=False)


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_help_lists_every_command_with_its_line():
    shown = run("--help").output
    assert all(f"{name} " in shown and line in shown for name, line in COMMANDS.items())
    assert "Exit codes:" in shown


def imported(script, heavy):
    """Return which of the packages a script imports."""
    said = f"import sys; {script}; sys.exit(', '.join({heavy!r} & set(sys.modules)))"
    return subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=False).stderr.strip()


def test_help_imports_nothing_heavy():
    """Else `sprat --help` and completion would take a second."""
    script = (
        "from typer.testing import CliRunner; from sprat_cli.main import app;"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0"
    )
    assert imported(script, {"aiokafka", "pydantic", "redis", "rich", "asyncio"}) == ""


def test_no_command_imports_what_only_services_run():
    """FastStream and what comes with it take longer to import than all that a command needs."""
    script = (
        "from sprat_cli.main import COMMANDS, load; [load(name) for name in COMMANDS.keys() - {'up', 'demo', 'bench'}]"
    )
    assert imported(script, {"faststream", "starlette", "uvicorn", "openai"}) == ""


@pytest.mark.parametrize("command", ["evaluate", "mask", "train intent", "train multi-label"])
def test_a_command_that_reads_the_default_language_says_so(command):
    assert "SPRAT_DEFAULT_LANGUAGE" in run(*command.split(), "--help").output


@pytest.mark.parametrize("command", ["evaluate", "tiers calibrate", "models add"])
def test_commands_that_certify_say_what_that_means_and_have_few_options(command):
    said = run(*command.split(), "--help").output
    assert (PARAGRAPH in " ".join(said.split())) is (command != "models add")
    assert said.partition("Options:")[2].partition("Examples:")[0].count("\n  -") <= 18


@pytest.mark.parametrize("name", [*WITH_JSON, *OTHERS])
def test_the_help_of_a_command_has_an_example_and_its_exit_codes(name):
    result = run(*name.split(), "--help")
    assert result.exit_code == 0
    assert f"sprat {name}" in re.split("Examples?:", result.output)[1]
    assert "Exit codes:" in result.output
    assert "--json" in result.output or name in OTHERS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_is_there(name):
    assert load(name).name == name


def test_version_is_the_distributions():
    result = run("--version")
    assert result.exit_code == 0
    assert result.output.startswith("sprat ")
    assert result.output.strip()[-1].isdigit()
    lines = dict(line.split(" ", 1) for line in run("version").output.splitlines())
    assert lines["sprat"] == result.output.split()[1]
    assert lines["python"] == platform.python_version()
    assert json.loads(run("version", "--json").output)["aiokafka"] == lines["aiokafka"]


FEEDBACK = ["feedback", "--text-id", "t-1", "--source", "/crm", "--by", "qa"]
WORDS = ["translation=de" if task == "translation" else task for task in TASKS]
KNOWN = f"no such task; known are {', '.join(TASKS)}"
CORRECTIONS = [
    ([], "what is right? One of --label LABEL, --outside, --output JSON|FILE"),
    (["--label", "x"], "--task: missing; or name a file"),
    (["--task", "ner", "--label", "x"], "--label and --outside are for labels; ner needs --output"),
    (["--task", "intent", "--label", "x", "--outside"], "what is right?"),
    (["--task", "intent", "--output", "nothing.json"], "neither JSON nor a file that can be read"),
    (["--task", "intent", "--output", "{"], "--output: not JSON"),
    (["--task", "banana", "--label", "x"], f"--task banana: {KNOWN}"),
    (["--task", "intent@members", "--label", "x"], "write --task intent: the correction is of the text, whichever"),
    (["--from", "nothing.jsonl"], "are for one correction, not for those of --from"),
    (["export", "--output", "x.csv"], "options go after the subcommand: sprat feedback export"),
]
EXPORTS = [
    (["x.csv", "--task", "intent@members"], "--task intent@members: write --task intent --model members"),
    (["x.xlsx"], "x.xlsx: unknown format; the name must end in .csv, .tsv, .jsonl"),
    (["x.csv", "--task", "ner"], "is no label of a text: use .jsonl"),
    (["x.csv", "--task", "mood"], f"--task mood: {KNOWN}"),
    (["x.csv", "--since", "1x"], "--since 1x: needs"),
]
AUDITS = [
    (["--since", "1x"], "--since 1x: needs a number and s, m, h or d"),
    *((["verify", option, "1x"], f"{option} 1x: needs") for option in ("--since", "--grace", "--answer-ttl")),
    (["verify"], "--public-key FILE is missing"),
    (["verify", "--public-key", "no.pem"], "--public-key no.pem: cannot be read: No such file or directory"),
    (["verify", "--public-key", "/dev/null"], "not an Ed25519 public key in PEM; `openssl pkey"),
    (["--since", "1h", "verify"], "options go after the subcommand: sprat audit verify --since 7d"),
    (["--bootstrap", "localhost"], "'localhost' is not HOST:PORT"),
]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["feedback", "--from", "nothing.jsonl"], "there is no file 'nothing.jsonl'"),
        (["feedback", "--from", "-", "--task", "banana"], f"--task banana: {KNOWN}"),
        (["send", "hi", "--task", "sentiment"], f"--task sentiment: known are {', '.join(WORDS)}; a model by name"),
        (["send", "hi", "--task", "translation"], "needs its target language, as in translation=de"),
        (["send", "hi", "--task", "ner=de"], "it has neither a target nor labels"),
        (["send", "hi", "--task", "intent", "--task", "intent@hr"], "--task intent is given twice"),
        (["send", "hi", "--reference", "order"], "--reference order: needs KEY=VALUE"),
        (["send", "hi", "--language", "not a tag"], "the text: language: not a language tag, e.g. de"),
        (["send", ""], "the text: text: the text is empty"),
        (["send", "   "], "the text: text: the text is blank"),
        (["send", "x" * 20_001], "the text: text: "),
        (["send", "hi", "--id", ""], "header ce_id"),
        (["send", "notes.txt"], "there is no file 'notes.txt'; to send these words themselves, add --text"),
        (["send", "hi", "--bootstrap", "localhost"], "'localhost' is not HOST:PORT"),
        (["send", "hi", "--prefix", "no spaces"], "--prefix: "),
        (["trace", "id", "--since", "yesterday"], "--since yesterday: needs a number and s, m, h or d"),
        (["lag", "--bootstrap", "localhost"], "'localhost' is not HOST:PORT"),
        (["top", "--prefix", "no spaces"], "--prefix: "),
        (["watch", "--since", "yesterday"], "--since yesterday: needs a number and s, m, h or d"),
        *(([*FEEDBACK, *more], said) for more, said in CORRECTIONS),
        *((["feedback", "export", "--output", *more], said) for more, said in EXPORTS),
        *((["audit", *more], said) for more, said in AUDITS),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, said):
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.startswith("sprat: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments", [["send"], ["nonsense"], ["send", "hi", "--frontier", "perhaps"], ["watch", "-x"]]
)
def test_wrong_usage_points_to_the_help(arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Try 'sprat" in result.stderr or "Try 'root" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dcotor"], "No such command 'dcotor'. Did you mean 'doctor'?"),
        (["send", "hi", "--frontier", "maybe"], "Invalid value for '--frontier': 'maybe': one of allow, redact, deny"),
    ],
)
def test_wrong_usage_says_what_is_right(arguments, said):
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (UserError("fix this"), 2, "sprat: fix this\n"),
        (SpratError("gone"), 1, "sprat: gone\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_a_command_raises_becomes_an_exit_code(monkeypatch, raised, code, said):
    def fail(*_, **__):
        raise raised

    monkeypatch.setattr("sprat_cli.commands.lag.kafka_settings", fail)
    result = run("lag")
    assert (result.exit_code, result.stderr) == (code, said)


@pytest.mark.parametrize("name", ["up", "lag"])
def test_a_missing_package_is_named_with_what_to_install(monkeypatch, name):
    def missing(*_):
        raise ModuleNotFoundError("No module named 'jgo'", name="jgo")

    monkeypatch.setattr(EntryPoint, "load", missing)
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(
        UserError, match=rf"`sprat {name}` needs the Python package jgo: pip install --find-links dist 'sprat\[all\]'"
    ):
        load(name)


def test_a_command_of_a_distribution_that_is_not_installed_names_the_distribution(monkeypatch):
    monkeypatch.setattr("sprat.base.plugins.find", lambda *_: None)
    with pytest.raises(UserError, match=r"`sprat up` needs sprat-local: pip install --find-links dist 'sprat\[all\]'"):
        load("up")
