"""What the floor says: medians of rounds, the aim that follows from them, and the costs beside the bare path."""

import pytest

from tests.bench.floor import load_of
from tests.bench.speed_tables import floor

CPU = {"first hop": 0.25, "second hop": 0.35, "router": 0.9, "intent": 1.4, "kafka": 0.4, "redis": 0.0}


def turn(floor_ms, sprat_ms, model_ms, router):
    return {
        "floor_ms": {"p50": floor_ms, "p99": 4 * floor_ms},
        "sprat_ms": {"p50": sprat_ms, "p99": 3 * sprat_ms},
        "model_ms": model_ms,
        "cpu_ms_per_text": CPU | {"router": router},
    }


TURNS = [turn(5.0, 20.0, 2.0, 7.0), turn(9.0, 90.0, 3.0, 6.0), turn(6.0, 25.0, 2.5, 8.0)]


def test_of_the_rounds_the_median_of_each_figure_counts():
    load = load_of(30.0, 450, TURNS)

    assert load["floor_ms"] == {"p50": 6.0, "p99": 24.0}
    assert load["sprat_ms"] == {"p50": 25.0, "p99": 75.0}
    assert load["cpu_ms_per_text"]["router"] == 7.0


def test_the_aim_is_the_floor_the_model_and_eight_milliseconds_and_for_p99_three_times_that():
    assert load_of(30.0, 450, TURNS)["aim_ms"] == pytest.approx({"p50": 6.0 + 2.5 + 8.0, "p99": 3 * 16.5})


@pytest.fixture
def table():
    return floor(
        {
            "machine": dict.fromkeys(("cores", "cpu", "memory_gb", "python", "kafka", "load_before"), 2),
            "rounds": 3,
            "seconds": 15.0,
            "backlog": {"texts": 4500, "texts_per_s": 812.0, "cpu_ms_per_text": CPU | {"model": 1.0}},
            "loads": [load_of(30.0, 450, TURNS)],
        }
    )


def test_each_rate_is_a_row_beside_the_bare_path(table):
    assert "| 30 | 6.0 / 24.0 | 2.5 | 25.0 / 75.0 | 16.5 / 49.5 | 0.60 | 7.00 | 1.40 | 0.40 |" in table
    assert "| backlog, 812 | – | – | – | – | 0.60 | 0.90 | 1.40 | 0.40 |" in table


def test_with_full_batches_the_router_stands_beside_both_processes_of_the_bare_path(table):
    assert "Router, full batches: 0.90 ms a text (aim 0.30), 1.5 times the bare path." in table
    assert "Service beside its model (1.00 ms alone), full batches: 0.40 ms a text (aim 0.25)." in table
