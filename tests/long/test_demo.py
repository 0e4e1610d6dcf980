"""`sprat demo`: the promise is kept, and the figures show it."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from conftest import Kafka, Redis
from sprat.base.settings import KafkaSettings
from sprat_local.demo.samples import Samples, load_samples
from sprat_local.demo.session import Demo
from sprat_local.demo.target import DemoTarget
from sprat_local.installation.options import DEMO_FOLDER
from support.readme import DOCS
from support.system import System, whole_system
from support.traffic import record


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


def test_the_walkthrough_says_what_the_demo_counts(demo: Ran) -> None:
    page = " ".join((DOCS / "walkthrough.md").read_text("utf-8").split())
    said = re.search(
        r"Of (\d+) intents, about (\d+) were kept; of (\d+) texts with names, about (\d+); of (\d+) translations, "
        r"about (\d+)\.",
        page,
    )
    assert said is not None
    numbers = [int(number) for number in said.groups()]
    tasks = [demo.figures["tasks"][task] for task in ("intent", "ner", "translation")]
    assert numbers[::2] == [figures["pairs"] for figures in tasks]
    for about, figures in zip(numbers[1::2], tasks, strict=True):
        assert abs(figures["kept"] - about) <= max(2, about // 20), "another CPU may round a confidence differently"


def test_the_figures_are_those_of_a_working_installation(demo: Ran) -> None:
    figures, kept = demo.figures, demo.figures["tasks"]["intent"]["small_kept"]
    assert kept["judged"] > 150
    assert kept["right"] / kept["judged"] > 0.9
    assert 0 < figures["cost_eur"] < figures["all_frontier_eur"] / 2
    assert 0 < figures["leaving"]["texts_masked"] < figures["leaving"]["texts"]
    assert {"PERSON", "IBAN"} <= set(figures["leaving"]["masked"])
    assert not any("masking" in each["because"].get("declined", {}) for each in figures["tasks"].values())
    assert [hop["topic"] for hop in figures["trace"]["hops"]] == [
        "sprat.texts.v1",
        "sprat.predictions.intent.v1",
        "sprat.frontier.requests.v1",
        "sprat.audit.egress.v1",
        "sprat.audit.egress.v1",
        "sprat.frontier.answers.v1",
        "sprat.results.intent.v1",
    ]


def test_it_leaves_nothing_running(demo: Ran) -> None:
    assert "The promise was kept." in demo.output
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


PREFIX = "beside"
TEXTS, BROKEN = 40, 6


async def send_beside(system: System) -> None:
    """Publish texts of others and broken records, also the demo's own texts and ids under another source, for ever."""
    own = [sample for sample in load_samples(DEMO_FOLDER).texts if set(sample.submitted["tasks"]) == {"intent"}]
    while True:
        for sample in own:
            value, headers = record("/tests/others", sample.id, sample.submitted)
            await system.submit(value, headers)
            await system.submit(b"not JSON")
            await asyncio.sleep(0.02)


async def test_beside_other_traffic_the_demo_counts_its_own_texts_alone(kafka: Kafka, redis_server: Redis) -> None:
    whole = load_samples(DEMO_FOLDER)
    samples = Samples(
        tuple(each for each in whole.texts if set(each.submitted["tasks"]) == {"intent"})[:TEXTS],
        tuple(each for each in whole.broken if not each.tasks)[:BROKEN],
    )
    async with whole_system(kafka.bootstrap, redis_server.url, PREFIX) as system:
        settings = KafkaSettings(bootstrap=kafka.bootstrap, prefix=PREFIX, partitions=system.topics.partitions)
        beside = asyncio.create_task(send_beside(system))
        try:
            report = await Demo(
                DemoTarget(settings, ("router", "intent.default", "frontier")),
                samples,
                lambda *_: None,
            ).run()
        finally:
            beside.cancel()
            await asyncio.gather(beside, return_exceptions=True)
        assert report.problems == ()
        assert (report.pairs, report.results, report.dead_letters) == (TEXTS, TEXTS, BROKEN)
        assert (report.lost, report.duplicated_ids, report.several_ids) == (0, 0, 0)
        others = [event for _, event in system.results if event.message.text_source == "/tests/others"]
        assert len(others) > TEXTS / 4
        assert len(system.letters) > 2 * BROKEN


@pytest.mark.timeout(300)
def test_with_page_everything_runs_on_until_ctrl_c_and_the_page_shows_the_samples() -> None:
    command = [sys.executable, "-m", "sprat_cli", "demo", "--page"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            lines = list(takewhile(lambda line: "Ctrl-C stops" not in line, process.stdout))
            address = re.search(r"(http://\S+)/page/\S+", lines[-1])
            assert address, "".join(lines)
            with httpx.Client(base_url=address[1], timeout=20) as browser:
                assert browser.get(address[0]).status_code == 200
                overview = browser.get("/page/").text
            assert re.search(r"\b192\b", re.sub(r"<[^>]*>", " ", overview)), overview
        finally:
            process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert process.returncode == 0
