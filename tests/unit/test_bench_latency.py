"""How the latency budget cuts the way of a text into stages: they add up to the whole, without a gap."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.bench.latency import Journey, Spans
from tests.bench.speed_tables import STAGES

PREDICTIONS, RESULTS = "predictions", "results"
TRACE = bytes(16)


def ms(value):
    return int(value * 1_000_000)


def span(name, begin, end, *, id=b"", parent=b"", links=(), **attributes):
    values = [
        SimpleNamespace(key=key.replace("__", "."), value=SimpleNamespace(WhichOneof=lambda _: "it", it=value))
        for key, value in attributes.items()
    ]
    return SimpleNamespace(
        name=name,
        start_time_unix_nano=ms(begin),
        end_time_unix_nano=ms(end),
        span_id=id,
        parent_span_id=parent,
        trace_id=TRACE,
        links=[SimpleNamespace(span_id=each) for each in links],
        attributes=values,
    )


GROUP = "messaging__consumer__group__name"
SPANS = [
    span("poll", 5, 6, id=b"batch", **{GROUP: "sprat.intent.default"}),
    span("process texts", 7, 18, links=[b"batch"]),
    span("send predictions", 15, 17),
    span("commit", 18, 20, parent=b"batch"),
    span("poll", 21, 25, id=b"routed", **{GROUP: "sprat.router"}),
    span("commit", 26, 27, parent=b"routed"),
    span("poll", 21, 25, id=b"other", **{GROUP: "sprat.frontier"}),
    span("commit", 26, 29, parent=b"other"),
    span("process predictions", 21, 24, links=[b"routed"]),
    span("send results", 22, 24),
]
JOURNEY = Journey(TRACE.hex(), ms(0.5), ms(2.5), ms(16.5), ms(23.5), ms(26), {"wait": 6.0, "cache": 1.0, "model": 3.75})


def test_the_stages_of_a_text():
    stages = Spans(SPANS, PREDICTIONS, RESULTS).stages(JOURNEY)

    assert list(stages) == list(STAGES)
    assert stages == pytest.approx(
        {
            "producer": 2,
            "service: until it is asked": 5.5,  # the broker's clock counts whole milliseconds
            "service: cache look-up": 1,
            "service: model": 3.75,
            "service: until it is sent": 2.25,
            "service: publish": 1.5,
            "router: until it is polled": 4.5,
            "router: decide": 1,
            "router: publish": 1.5,
            "consumer": 2.5,
        }
    )


def test_the_stages_add_up_to_the_whole():
    stages = Spans(SPANS, PREDICTIONS, RESULTS).stages(JOURNEY)

    assert JOURNEY.total_ms == pytest.approx(sum(stages.values()))


def test_a_text_that_the_first_stage_answers_is_not_looked_up():
    journey = replace(JOURNEY, timings_ms={"wait": 6.0, "model": 0.25})

    stages = Spans(SPANS, PREDICTIONS, RESULTS).stages(journey)

    assert stages["service: cache look-up"] == 0
    assert JOURNEY.total_ms == pytest.approx(sum(stages.values()))


def test_commits_are_those_of_the_service_and_of_the_router():
    assert Spans(SPANS, PREDICTIONS, RESULTS).commits_ms == {"service": [2], "router": [1]}


@pytest.mark.parametrize("missing", ["send predictions", "process predictions", "send results"])
def test_a_text_without_one_of_its_spans_has_no_stages(missing):
    spans = [each for each in SPANS if each.name != missing]

    assert Spans(spans, PREDICTIONS, RESULTS).stages(JOURNEY) is None
