"""`sprat demo`: the promise is kept, and the figures show it."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest


@dataclass(frozen=True)
class Ran:
    """A finished demo."""

    code: int
    output: str
    figures: dict[str, Any]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    file = tmp_path_factory.mktemp("demo") / "demo.json"
    command = [sys.executable, "-m", "sprat_cli", "demo", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    return Ran(done.returncode, done.stdout + done.stderr, json.loads(file.read_text()) if file.exists() else {})


def test_every_pair_has_one_result_and_every_broken_record_one_dead_letter(demo: Ran) -> None:
    assert demo.code == 0, demo.output
    assert demo.figures["problems"] == []
    counts = ("texts", "broken", "pairs", "results", "dead_letters", "lost", "duplicated_ids", "several_ids")
    assert {name: demo.figures[name] for name in counts} == {
        "texts": 364,
        "broken": 35,
        "pairs": 386,
        "results": 386,
        "dead_letters": 35,
        "lost": 0,
        "duplicated_ids": 0,
        "several_ids": 0,
    }
    assert set(demo.figures["lag"].values()) == {0}


def test_each_task_is_accounted_for(demo: Ran) -> None:
    tasks = demo.figures["tasks"]

    assert {task: figures["pairs"] for task, figures in tasks.items()} == {"intent": 302, "ner": 43, "translation": 41}
    for figures in tasks.values():
        assert figures["kept"] + figures["escalated"] == figures["pairs"]
        assert figures["answered"] + figures["degraded"] + figures["unanswered"] == figures["pairs"]
        assert figures["frontier_simulated"]
    assert tasks["intent"]["kept"] > tasks["intent"]["escalated"]
    assert min(tasks["ner"]["kept"], tasks["translation"]["kept"]) > 0


def test_the_small_model_is_right_where_its_answers_were_kept(demo: Ran) -> None:
    kept = demo.figures["tasks"]["intent"]["small_kept"]

    assert kept["judged"] > 150
    assert kept["right"] / kept["judged"] > 0.9


def test_it_is_cheaper_than_asking_the_frontier_everything(demo: Ran) -> None:
    assert 0 < demo.figures["cost_eur"] < demo.figures["all_frontier_eur"] / 2


def test_personal_data_left_masked(demo: Ran) -> None:
    leaving = demo.figures["leaving"]

    assert 0 < leaving["texts_masked"] < leaving["texts"]
    assert {"PERSON", "IBAN"} <= set(leaving["masked"])
    assert not any("masking" in figures["declined"] for figures in demo.figures["tasks"].values())


def test_one_trace_contains_every_hop(demo: Ran) -> None:
    topics = [hop["topic"] for hop in demo.figures["trace"]["hops"]]

    assert topics == [
        "sprat.texts.v1",
        "sprat.predictions.intent.v1",
        "sprat.frontier.requests.v1",
        "sprat.audit.egress.v1",
        "sprat.audit.egress.v1",
        "sprat.frontier.answers.v1",
        "sprat.results.intent.v1",
    ]


def test_the_summary_shows_every_section(demo: Ran) -> None:
    for part in (
        "Routes and answers",
        "(simulated)",
        "Cost",
        "What left the perimeter",
        "Dead letters: 35",
        "hop by hop",
        "The promise was kept.",
    ):
        assert part in demo.output


def test_it_leaves_nothing_running(demo: Ran) -> None:
    assert demo.output
    assert [
        line for line in map(command_line, psutil.Process().children(recursive=True)) if "sprat_router" in line
    ] == []


def command_line(process: psutil.Process) -> list[str]:
    """Return the command line; empty if the process has ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def test_a_file_that_cannot_be_written_is_reported_before_the_work(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sprat_cli", "demo", "--json", str(tmp_path / "no" / "demo.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    assert done.returncode == 2
    assert "cannot be written" in done.stderr
