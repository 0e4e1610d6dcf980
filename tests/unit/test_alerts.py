"""Alerts and runbooks name only declared signals and existing commands, and say what to do."""

import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sprat.telemetry import signals
from sprat_cli.commands.lag import HEAD
from sprat_cli.main import load
from support.promql import declared, undeclared
from support.sources import ROOT
from support.yaml_files import load_yaml

OBSERVABILITY = ROOT / "observability"
RUNBOOKS = OBSERVABILITY / "runbooks"
RUNBOOK_PAGES = [*sorted(RUNBOOKS.glob("Sprat*.md")), RUNBOOKS / "README.md"]
ALERT_FILES = sorted(OBSERVABILITY.glob("alerts/*.yml"))
RULE_FILES = sorted(OBSERVABILITY.glob("prometheus/rules/*.yml"), key=lambda path: (path.stem != "settings", path))
"""The settings first: the other rules read them."""
ALERT_TESTS = sorted(OBSERVABILITY.glob("alerts/tests/*.yml"))


def rules(files: list[Path]) -> Iterator[dict[str, Any]]:
    for path in files:
        for group in load_yaml(path.read_text("utf-8"))["groups"]:
            yield from group["rules"]


ALERTS = [rule for rule in rules(ALERT_FILES) if "alert" in rule]
NAMES = sorted({rule["alert"] for rule in ALERTS})


@cache
def recorded() -> dict[str, frozenset[str]]:
    """Return what the recording rules make, with its labels: those that its expression groups by."""
    # `up` is on the right side of a many-to-one match, so what is grouped by need not be a label of its own.
    series: dict[str, frozenset[str]] = {"up": frozenset[str]().union(*declared().values())}
    for rule in rules(RULE_FILES):
        labels = {name for grouped in re.findall(r"\bby \(([^)]*)\)", rule["expr"]) for name in grouped.split(", ")}
        inputs = (series[name] for name in re.findall(r"\bsprat:[\w:]+", rule["expr"]))
        series[rule["record"]] = frozenset(labels.union(rule.get("labels", {}), *inputs))
    return series


def test_each_file_of_rules_has_a_name_of_its_own_as_an_object_of_the_chart() -> None:
    names = [path.stem for path in (*ALERT_FILES, *RULE_FILES)]
    assert sorted(set(names)) == sorted(names)
    assert all(re.fullmatch("[a-z-]+", name) for name in names)


def test_each_alert_has_its_runbook_and_each_runbook_its_alert() -> None:
    assert NAMES
    assert sorted(path.stem for path in RUNBOOKS.glob("Sprat*.md")) == NAMES


def test_the_order_of_alerts_names_each_that_wakes_somebody() -> None:
    order = (RUNBOOKS / "README.md").read_text("utf-8").partition("## Which alert first")[2]
    pages = {rule["alert"] for rule in ALERTS if rule["labels"]["severity"] == "page"}
    assert pages - set(re.findall(r"\[(Sprat\w+)\]", order)) == set()


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_urgent_it_is_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert 10 < len(rule["annotations"]["summary"]) < 120
    assert rule["annotations"]["description"]
    assert rule["annotations"]["runbook_url"].endswith(f"/{rule['alert']}.md")
    assert 'query "sprat:runbooks"' in rule["annotations"]["runbook_url"], "the base stands in settings.yml alone"


@pytest.mark.parametrize(
    "rule", [*ALERTS, *rules(RULE_FILES)], ids=lambda rule: str(rule.get("alert") or rule["record"])
)
def test_rules_name_only_declared_metrics_and_their_attributes(rule: dict[str, Any]) -> None:
    assert undeclared(rule["expr"], recorded()) == []


@pytest.mark.parametrize("page", RUNBOOK_PAGES[:-1], ids=lambda page: page.stem)
def test_a_runbook_says_what_is_noticed_where_to_look_what_to_do_and_when_it_is_over(page: Path) -> None:
    text = page.read_text("utf-8")
    headings = ["What users notice", "Where to look", "What to do", "How to know that it is over"]
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == headings
    severities = {rule["labels"]["severity"] for rule in ALERTS if rule["alert"] == page.stem}
    opening = {"page": "**Page.**", "ticket": "**Ticket**"}
    assert text.splitlines()[2].startswith("**Page or ticket**" if len(severities) > 1 else opening[severities.pop()])


@pytest.mark.parametrize("page", RUNBOOK_PAGES, ids=lambda page: page.stem)
def test_queries_of_a_runbook_name_only_declared_metrics(page: Path) -> None:
    blocks = re.findall(r"```promql\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    assert blocks or page.stem == "README"
    for query in (query for block in blocks for query in re.split(r"\n(?=[a-z])", block.strip())):
        assert undeclared(query, recorded()) == [], query


@pytest.mark.parametrize("page", RUNBOOK_PAGES, ids=lambda page: page.stem)
def test_commands_of_a_runbook_exist_with_their_options(page: Path) -> None:
    """Names in capitals stand for what the reader knows; a comment ends a command."""
    text = page.read_text("utf-8")
    for line in re.findall(r"(?:^\$ |(?<!`)`)sprat ([^`\n#]+)", text, re.MULTILINE):
        name, *words = shlex.split(line)
        command = load(name)
        if words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        if words:  # else the command is only mentioned
            command.make_context(name, words)  # reads the options; runs nothing


def test_tables_of_lag_in_runbooks_have_the_columns_of_the_command() -> None:
    heads = [
        line for page in RUNBOOK_PAGES for line in page.read_text("utf-8").splitlines() if line.startswith("GROUP ")
    ]
    assert heads
    assert [head for head in heads if tuple(re.split(r" {2,}", head)) != HEAD] == []


def test_each_setting_is_used() -> None:
    used = "".join(path.read_text("utf-8") for path in ALERT_FILES)
    settings = [rule["record"] for rule in rules(RULE_FILES) if rule["record"].startswith("sprat:setting:")]
    assert settings
    assert [name for name in settings if name not in used] == []


def test_the_objective_in_seconds_is_a_bucket_as_its_comment_and_the_chart_say() -> None:
    """Of another value, slow answers would be counted by nothing."""
    text = (OBSERVABILITY / "prometheus" / "rules" / "settings.yml").read_text("utf-8")
    found = re.search(
        r"no alert: ([^#]*)\n +# +([^#]*)[.]\n +- record: sprat:setting:kept_seconds\n +expr: vector\((.+)\)", text
    )
    assert found
    first, second, default = found.groups()
    listed = [float(each) for each in f"{first} {second}".split(", ")]
    assert float(default) in listed
    assert set(listed) <= set(signals.RESULT_SECONDS.boundaries)
    schema = json.loads((ROOT / "compose" / "kubernetes" / "chart" / "values.schema.json").read_text("utf-8"))
    monitoring = schema["properties"]["monitoring"]["properties"]["settings"]["properties"]
    assert monitoring["kept_seconds"]["enum"] == listed


def test_each_alert_is_tested_firing_and_silent() -> None:
    fires, silent = set(), set()
    for path in ALERT_TESTS:
        for test in load_yaml(path.read_text("utf-8"))["tests"]:
            checks = [
                {name for sample in check["exp_samples"] for name in re.findall(r'alertname="(\w+)"', sample["labels"])}
                for check in test["promql_expr_test"]
            ]
            fires |= set().union(*checks)
            silent |= set().union(*checks) - checks[0]
    assert fires == silent == set(NAMES)
