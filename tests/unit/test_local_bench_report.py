"""`sprat bench`: the figures, in words, for machines and as a report."""

import dataclasses
import json

import pytest
from sprat_local.bench.bare_model import BareRun
from sprat_local.bench.figures import BacklogResult, BenchFigures, RateResult
from sprat_local.bench.plan import BenchPlan

from sprat_local.bench import report
from sprat_local.bench.open_loop import NEVER, LatencyQuantiles
from sprat_local.bench.resources import Memory


def figures(*, ended: int = 120, growth: float = 0.4) -> BenchFigures:
    rates = (
        RateResult(0.1, 40.0, 240, 240, 39.8, LatencyQuantiles(0.012, 0.02, 0.03, 0.04), 0.0, 0.001),
        RateResult(
            1.5, 600.0, 120, ended, 390.0, LatencyQuantiles(0.9, 1.5, 1.9, NEVER if ended < 120 else 2.0), growth, 0.03
        ),
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
    bares = [BareRun({"name": "default", "version": "abc"}, (0, 1, 2), 2000, 3.8), BareRun({}, (), 2000, 4.2)]
    backlog = BacklogResult(2000, 2000, 5.0, 0, 0, cpu)
    return BenchFigures(BenchPlan("intent"), machine, bares, backlog, rates, {"intent": Memory(220.0, 230.4)}, 0.1)


def test_the_figures_follow_from_the_measurements():
    document = figures().as_json()

    assert document["saturation"]["texts_per_s"] == 400.0
    assert document["cpu_s_per_1000"] == {
        "service": 2.5,
        "bare": 2.0,
        "bare_runs": [1.9, 2.1],
        "ratio": 1.25,
        "all": {"intent": 2.5, "router": 0.5, "sprat bench": 0.25},
    }
    assert [rate["sustained"] for rate in document["latency"]] == [True, False]
    assert document["memory_mb"] == {"intent": {"rss": 220, "peak": 230}}
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_a_text_that_did_not_end_is_null_in_json_and_never_in_the_table():
    measured = figures(ended=119, growth=0.0)

    assert measured.unended == 1
    assert measured.as_json()["latency"][1]["max_ms"] is None
    assert not measured.rates[1].sustained
    assert report.rate_rows(measured)[1][-2] == "never"
    assert "1 did not end" in report.rate_rows(measured)[1][-1]
    assert report.caveats(measured) == ["1 texts did not end"]


def test_other_programs_on_the_machine_are_reported():
    busy = dataclasses.replace(figures(), others=1.24)

    assert report.caveats(figures()) == []
    assert report.caveats(busy) == [
        "other programs used 1.2 of 4 cores during the measurement: without them the figures would be better"
    ]


def test_a_saturation_below_what_ended_at_a_rate_is_doubted():
    stalled = dataclasses.replace(figures(), backlog=BacklogResult(2000, 2000, 8.0, 0, 0, {"intent": 5.0}))

    (caveat,) = report.caveats(stalled)
    assert caveat.startswith("the saturation was measured too low, 250 texts/s: at one rate 390 texts/s ended; ")


def test_a_rate_that_is_not_sustained_is_reported_with_the_texts_that_ended():
    calm, swamped = report.rate_rows(figures())

    assert calm == ("10%", "40", "240", "12 ms", "20 ms", "30 ms", "40 ms", "")
    assert swamped[-1].startswith("not sustained: 390 texts/s ended, the backlog grows; sent up to 30 ms late")


def test_a_rate_with_most_texts_still_in_progress_at_its_end_is_not_sustained():
    latency = LatencyQuantiles(4.9, 5.9, 6.4, 6.5)

    assert not RateResult(1.1, 23.0, 140, 140, 4.0, latency, 0.0, 0.0).sustained
    assert RateResult(1.1, 23.0, 140, 140, 20.0, latency, 0.0, 0.0).sustained
    assert RateResult(
        None, 5.0, 5, 5, 2.0, latency, 0.0, 0.0
    ).sustained  # the arrivals of one second may still be in progress


def test_the_page_needs_nothing_else_and_escapes_what_it_shows():
    html = report.page(figures())

    assert "A &lt;processor&gt;" in html
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert html.count("<polyline") == 3
    assert "saturation 400/s" in html


@pytest.mark.parametrize(("step", "rounded"), [(95.0, 100.0), (100.0, 100.0), (101.0, 150.0), (0.21, 0.25), (7, 8)])
def test_the_axis_of_rates_counts_in_steps_of_few_digits(step, rounded):
    assert report._round_up(step) == pytest.approx(rounded)


def test_the_axis_of_latency_multiplies():
    drawn = report.latency_plot(figures()).svg()

    assert [mark in drawn for mark in (">10 ms<", ">32 ms<", ">100 ms<", ">320 ms<", ">1 s<", ">3.2 s<")] == [True] * 6
