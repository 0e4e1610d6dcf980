"""The dashboards' queries on a real Prometheus."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from observability.dashboards import promql
from observability.dashboards.generate import DASHBOARDS
from observability.dashboards.panels import Query, concrete
from sprat.telemetry import signals
from support.panels import empty_queries
from support.programs import needs
from support.synthetic_metrics import prometheus

pytestmark = needs("prometheus", "promtool")

MINUTES = 10


def test_every_query_of_every_panel_has_data_while_all_metrics_have(tmp_path: Path) -> None:
    end = time.time()
    with prometheus(tmp_path, end, MINUTES * 60) as url:
        assert empty_queries(url, end - (MINUTES - 2) * 60, end) == []
        before = empty_queries(url, end - 7_200, end - 3_600)
    assert len(before) == sum(len(panel.queries) for each in DASHBOARDS for panel in each.panels), "an hour without any"


LETTERS = 'sprat_dead_letters_total{instance="intent", sprat_reason="defect"}'
UP = 'up{instance="intent"}'


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        pytest.param("_x30 1x10", 1, id="the first of all"),
        pytest.param("_x30 3x4 5x5", 5, id="a first value and more"),
        pytest.param("7x40", 0, id="none new"),
        pytest.param("7x30 9x10", 2, id="more of a known series"),
        pytest.param("_x30 1+1x9", 10, id="a new series that grows: nothing is estimated"),
        pytest.param("7x30 _x1 2x8", 2, id="a known series after a restart"),
    ],
)
def test_a_total_counts_the_first_value_of_a_series(letters: str, expected: float, tmp_path: Path) -> None:
    assert value_of({LETTERS: letters, UP: "1x40"}, tmp_path) == pytest.approx(expected, rel=0.001)


def test_old_counters_that_are_scraped_for_the_first_time_count_nothing(tmp_path: Path) -> None:
    assert value_of({LETTERS: "_x30 700x10", UP: "_x30 1x10"}, tmp_path) == 0


def test_a_scrape_that_fails_makes_no_series_new(tmp_path: Path) -> None:
    """It fails just when the window begins, and once within it."""
    assert value_of({LETTERS: "7x19 stale 7x5 stale 7x12", UP: "1x19 0 1x5 0 1x12"}, tmp_path) == 0


def value_of(samples: dict[str, str], folder: Path) -> float:
    """Return the dead letters of the last five of ten minutes; there are 15 s between two samples.

    promtool prints what it has got where that is not what it should be.
    """
    case = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in samples.items()],
        "promql_expr_test": [
            {
                "expr": concrete(Query(promql.total(signals.DEAD_LETTERS)), range_="5m"),
                "eval_time": "10m",
                "exp_samples": [{"labels": "{}", "value": -1}],
            }
        ],
    }
    file = folder / "test.json"
    file.write_text(json.dumps({"tests": [case]}))
    ran = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    (line,) = (line for line in (ran.stdout + ran.stderr).splitlines() if "got:" in line)
    return float(line.rsplit(maxsplit=1)[1].strip('"]'))
