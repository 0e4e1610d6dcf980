"""The metrics that tests read are those that the test itself has emitted."""

import pytest

from sprat.telemetry import attributes, signals
from support.metrics import Metrics


@pytest.fixture(autouse=True)
def earlier() -> None:
    Metrics()
    signals.RESULTS.add(5, task="intent", decision="kept")
    signals.RESULT_SECONDS.record(5.0, task="intent")
    signals.GROUP_LAG.set(5, group="sprat.earlier", destination="sprat.texts.v1")


def test_counters_and_histograms_begin_with_the_test(earlier, metrics):
    signals.RESULTS.add(1, task="intent", decision="kept")
    signals.RESULTS.add(2, task="ner", decision="kept")
    signals.RESULT_SECONDS.record(0.5, task="intent")
    assert metrics.value("sprat.results", task="intent") == 1
    assert metrics.value("sprat.results", decision="kept") == 3
    assert metrics.value("sprat.results", task="translation") is None
    assert metrics.count("sprat.result.duration", task="intent") == 1
    assert metrics.value("sprat.result.duration", task="intent") == 0.5


def test_gauges_are_those_of_the_test(earlier, metrics):
    assert metrics.value("sprat.group.lag") is None
    signals.GROUP_LAG.set(7, group="sprat.router", destination="sprat.texts.v1")
    assert metrics.value("sprat.group.lag", group="sprat.router") == 7
    assert metrics.series("sprat.group.lag") == [{"group": "sprat.router", "destination": "sprat.texts.v1"}]
    signals.GROUP_LAG.replace([])
    assert metrics.value("sprat.group.lag") is None


def test_bounds_are_those_of_the_test(earlier, metrics):
    limit = attributes.GROUP.limit
    for number in range(limit - 10):
        signals.GROUP_LAG.set(number, group=f"first.{number}", destination="sprat.texts.v1")
    again = Metrics()
    for number in range(limit - 10):
        signals.GROUP_LAG.set(number, group=f"second.{number}", destination="sprat.texts.v1")
    assert again.value("sprat.group.lag", group=f"second.{limit - 11}") == limit - 11
    for number in range(limit - 10, limit + 20):
        signals.GROUP_LAG.set(number, group=f"second.{number}", destination="sprat.texts.v1")
    assert again.value("sprat.group.lag", group=f"second.{limit + 19}") is None
    after = Metrics()
    signals.GROUP_LAG.set(1, group=f"second.{limit + 19}", destination="sprat.texts.v1")
    assert after.value("sprat.group.lag", group=f"second.{limit + 19}") == 1
