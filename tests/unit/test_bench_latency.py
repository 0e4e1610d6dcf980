"""How the latency budget cuts the way of a text into stages: they add up to the whole, without a gap."""

from types import SimpleNamespace

import pytest

from tests.bench.latency import Busy, Journey, Spans
from tests.bench.speed_tables import STAGES

TEXTS, PREDICTIONS, RESULTS = "texts", "predictions", "results"
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
REDIS = {"db__system__name": "redis"}
SPANS = [
    # The service handles an earlier batch, and commits it, while the text is there.
    span("poll", 0, 6, id=b"earlier", **{GROUP: "intent"}),
    span("commit", 4, 6, parent=b"earlier"),
    span("poll", 7, 20, id=b"batch", **{GROUP: "intent"}),
    span("process texts", 7, 18, links=[b"batch"], **{GROUP: "intent"}),
    span("process texts", 3, 4, links=[b"of the router"], **{GROUP: "router"}),
    span("GET", 8, 9, parent=b"batch", **REDIS),
    span("infer intent", 9.25, 13, parent=b"batch"),
    span("SET", 13, 14, parent=b"batch", **REDIS),
    span("send predictions", 15, 17),
    span("commit", 18, 20, parent=b"batch"),
    span("poll", 21, 25, id=b"routed", **{GROUP: "router"}),
    span("process predictions", 21, 24, links=[b"routed"], **{GROUP: "router"}),
    span("send results", 22, 24),
]
JOURNEY = Journey(TRACE.hex(), ms(0.5), ms(2), ms(16), ms(23), ms(26))


def test_the_stages_of_a_text():
    stages = Spans(SPANS, TEXTS, PREDICTIONS, RESULTS).stages(JOURNEY)

    assert list(stages) == list(STAGES)
    assert {name: took for name, took in stages.items() if took} == pytest.approx(
        {
            "producer": 1.5,
            "service: batch before": 2,
            "service: commit before": 2,
            "service: fetch and poll": 1,
            "service: decode": 1,
            "service: cache look-up": 1,
            "service: model": 3.75,
            "service: cache write": 1,
            "service: encode": 1,
            "service: publish": 1,
            "router: fetch and poll": 5,
            "router: decide": 1,
            "router: publish": 1,
            "consumer": 3,
        }
    )


def test_the_stages_add_up_to_the_whole_but_for_what_no_span_shows():
    stages = Spans(SPANS, TEXTS, PREDICTIONS, RESULTS).stages(JOURNEY)

    assert JOURNEY.total_ms - sum(stages.values()) == pytest.approx(0.25)  # between the look-up and the model


@pytest.mark.parametrize("missing", ["send predictions", "process predictions", "infer intent", "GET"])
def test_a_text_without_one_of_its_spans_has_no_stages(missing):
    spans = [each for each in SPANS if each.name != missing]

    assert Spans(spans, TEXTS, PREDICTIONS, RESULTS).stages(JOURNEY) is None


def test_a_commit_that_goes_on_beside_the_next_batch_counts_once():
    spans = [*SPANS, span("poll", 6, 7, id=b"between", **{GROUP: "intent"}), span("commit", 5, 6.5, parent=b"between")]

    stages = Spans(spans, TEXTS, PREDICTIONS, RESULTS).stages(JOURNEY)

    waits = {name: took for name, took in stages.items() if name.startswith("service: ")}
    assert waits["service: commit before"] == pytest.approx(2.5)
    assert waits["service: batch before"] == pytest.approx(2.5)
    assert waits["service: fetch and poll"] == 0


def test_overlapping_intervals_count_once():
    busy = Busy([(0, 10), (5, 12), (20, 30), (40, 50)])

    assert busy.within(8, 45) == 4 + 10 + 5
    assert busy.within(12, 20) == 0
    assert busy.within(-5, 100) == 12 + 10 + 10
