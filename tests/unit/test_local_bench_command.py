"""The command `sprat bench` without an installation: help, options, wrong usage, the files it writes."""

import json
from pathlib import Path

import pytest
from sprat_local.bench.bare_model import BareRun
from sprat_local.bench.figures import BacklogResult, BenchFigures, RateResult
from sprat_local.bench.plan import BenchPlan
from typer.testing import CliRunner

from sprat_cli.main import app
from sprat_local.bench import command
from sprat_local.bench.open_loop import LatencyQuantiles
from sprat_local.bench.resources import Memory


@pytest.fixture(autouse=True)
def no_settings(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("BOOTSTRAP", "PREFIX", "PARTITIONS", "SECURITY_PROTOCOL"):
        monkeypatch.delenv(f"SPRAT_KAFKA__{name}", raising=False)


def run(*arguments):
    return CliRunner().invoke(app, ["bench", *arguments])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rates", "fast"], "--rates fast: not a rate; example: --rates 10,50,90,110"),
        (["--bootstrap", "localhost"], "'localhost' is not HOST:PORT"),
        (["--prefix", "no spaces"], "--prefix: "),
        (["--output", "/dev/null/here"], "/dev/null/here cannot be written: Not a directory; choose another folder"),
        (["--file", "nope.txt"], "nope.txt: there is no such file"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, message):
    result = run(*arguments)

    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.startswith("sprat: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


class FinishedSession:
    """A session that returns figures at once."""

    figures: BenchFigures | None = None
    plan: BenchPlan | None = None

    def __init__(self, plan, **_):
        FinishedSession.plan = plan

    def run(self):
        return FinishedSession.figures


@pytest.fixture
def ready(monkeypatch):
    monkeypatch.setattr(command, "BenchSession", FinishedSession)
    bare = BareRun({"name": "default", "version": "abc"}, (0,), 640, 1.28)
    rate = RateResult(0.5, 200.0, 400, 400, 199.0, LatencyQuantiles(0.01, 0.02, 0.03, 0.04), 0.0, 0.0)
    machine = {"cpu": "EPYC", "cores": 2, "memory_gb": 8, "system": "Linux", "python": "3.11", "sprat": "1"}
    machine |= {"kafka": "embedded", "load_before": 0.0}
    backlog = BacklogResult(640, 640, 1.6, 0, 0, {"intent": 1.6})
    FinishedSession.figures = BenchFigures(
        BenchPlan("intent"), machine, (bare, bare), backlog, (rate,), {"intent": Memory(200, 210)}, 0.0
    )
    return FinishedSession


def test_the_figures_are_shown_and_written(ready, tmp_path: Path):
    result = run()

    assert result.exit_code == 0
    assert "saturation  400 texts/s" in result.stdout
    assert "2.50 s for 1,000 texts, the bare model 2.00, 2.00 s: 1.25 times as much" in result.stdout
    assert "50%   200      400    10 ms  20 ms  30 ms  40 ms" in result.stdout
    assert json.loads((tmp_path / "sprat-bench/bench.json").read_text("utf-8"))["type"] == "benchmark"
    assert "<svg" in (tmp_path / "sprat-bench/bench.html").read_text("utf-8")


def test_for_machines_it_is_one_line(ready):
    result = run("--json")

    assert result.stdout.count("\n") == 1
    assert json.loads(result.stdout)["cpu_s_per_1000"]["ratio"] == 1.25


def test_options_become_the_plan(ready):
    run("--task", "ner", "--quick", "--rates", "5/s", "--texts", "640", "--language", "de", "--model", "mine")
    plan = ready.plan

    assert plan is not None
    assert (plan.task, plan.seconds, plan.texts, plan.language) == ("ner", 3.0, 640, "de")
    assert [rate.absolute for rate in plan.rates] == [5.0]
    assert plan.artefact == Path("mine")


def test_interrupted_it_writes_nothing(ready, tmp_path: Path):
    ready.figures = None

    assert run().exit_code == 130
    assert not (tmp_path / "sprat-bench/bench.html").exists()
