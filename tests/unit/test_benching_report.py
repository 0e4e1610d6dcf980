"""`sprat bench`: the figures, in words, for machines and as a picture."""

import dataclasses
import json

import pytest

from sprat_local.bench import picture, report
from sprat_local.bench.bare_process import Bare
from sprat_local.bench.figures import BenchFigures, Drained, Rung
from sprat_local.bench.latency import NEVER, Latency
from sprat_local.bench.plan import Plan
from sprat_local.bench.resources import Memory


def figures(*, ended: int = 120, growth: float = 0.4) -> BenchFigures:
    rungs = (
        Rung(0.1, 40.0, 240, 240, 39.8, Latency(0.012, 0.02, 0.03, 0.04), 0.0, 0.001),
        Rung(1.5, 600.0, 120, ended, 390.0, Latency(0.9, 1.5, 1.9, NEVER if ended < 120 else 2.0), growth, 0.03),
    )
    cpu = {"intent": 5.0, "router": 1.0, "sprat bench": 0.5}
    machine = {
        "cpu": "A <processor>",
        "cores": 4,
        "memory_gb": 16.0,
        "system": "Linux",
        "python": "3.11",
        "sprat": "1",
        "kafka": "embedded",
        "load_before": 0.1,
    }
    bares = [Bare({"name": "default", "version": "abc"}, (0, 1, 2), 2000, 3.8), Bare({}, (), 2000, 4.2)]
    drained = Drained(2000, 2000, 5.0, 0, 0, cpu)
    return BenchFigures(Plan("intent"), machine, bares, drained, rungs, {"intent": Memory(220.0, 230.4)}, 0.1)


def test_the_figures_follow_from_what_was_seen():
    told = figures().as_json()

    assert told["saturation"]["texts_per_s"] == 400.0
    assert told["cpu_s_per_1000"] == {
        "service": 2.5,
        "bare": 2.0,
        "bare_runs": [1.9, 2.1],
        "ratio": 1.25,
        "all": {"intent": 2.5, "router": 0.5, "sprat bench": 0.25},
    }
    assert [rung["sustained"] for rung in told["latency"]] == [True, False]
    assert told["memory_mb"] == {"intent": {"rss": 220, "peak": 230}}
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_a_text_that_did_not_end_is_null_for_machines_and_never_for_people():
    measured = figures(ended=119, growth=0.0)

    assert measured.unended == 1
    assert measured.as_json()["latency"][1]["max_ms"] is None
    assert not measured.rungs[1].sustained
    assert report.rungs(measured)[1][-2] == "never"
    assert "1 did not end" in report.rungs(measured)[1][-1]
    assert report.caveats(measured) == ["1 texts did not end"]


def test_others_on_the_machine_are_told():
    busy = dataclasses.replace(figures(), others=1.24)

    assert report.caveats(figures()) == []
    assert report.caveats(busy) == ["other programs took 1.2 of 4 cores meanwhile: without them the figures are better"]


def test_a_rate_that_is_not_sustained_is_told_with_what_ended():
    calm, swamped = report.rungs(figures())

    assert calm == ("10%", "40", "240", "12 ms", "20 ms", "30 ms", "40 ms", "")
    assert swamped[-1].startswith("not sustained: 390 texts/s ended, the backlog grows; sent up to 30 ms late")


def test_a_rate_of_which_most_is_still_to_do_at_its_end_is_not_sustained():
    latency = Latency(4.9, 5.9, 6.4, 6.5)

    assert not Rung(1.1, 23.0, 140, 140, 4.0, latency, 0.0, 0.0).sustained
    assert Rung(1.1, 23.0, 140, 140, 20.0, latency, 0.0, 0.0).sustained
    assert Rung(None, 5.0, 5, 5, 2.0, latency, 0.0, 0.0).sustained  # of one second, what is left is in hand


def test_the_page_needs_nothing_else_and_escapes_what_it_shows():
    html = picture.page(figures())

    assert "A &lt;processor&gt;" in html
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert html.count("<polyline") == 3
    assert "saturation 400/s" in html


@pytest.mark.parametrize(("step", "rounded"), [(95.0, 100.0), (100.0, 100.0), (101.0, 150.0), (0.21, 0.25), (7, 8)])
def test_the_axis_of_rates_counts_in_steps_of_few_digits(step, rounded):
    assert picture._round_up(step) == pytest.approx(rounded)


def test_the_axis_of_latency_multiplies():
    drawn = picture.plot(figures()).svg()

    assert [mark in drawn for mark in (">10 ms<", ">32 ms<", ">100 ms<", ">320 ms<", ">1 s<", ">3.2 s<")] == [True] * 6
