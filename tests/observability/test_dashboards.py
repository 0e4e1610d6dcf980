"""Every query of every dashboard returns data over the run, after all that was done to it."""

import time

import httpx
import pytest

from observability.dashboards.generate import DASHBOARDS
from observability.dashboards.panels import BAR_STEP, INSTANT, Panel, Query, concrete
from sprat_local.observe.programs import PROMETHEUS
from support.observed import ObservedRun
from support.observed_faults import FAULTS, noticed

pytestmark = pytest.mark.timeout(900)  # by itself it injects every fault

POINTS = 240
"""Of a line, at most."""


@pytest.fixture
def eventful_run(run: ObservedRun) -> ObservedRun:
    """Return the run after every fault: those that the tests of the alerts have not injected are injected here."""
    for name in FAULTS:
        if name not in run.noticed:
            with noticed(run, name):
                pass
    return run


def test_every_query_of_every_panel_returns_data(eventful_run: ObservedRun) -> None:
    run = eventful_run
    with httpx.Client(base_url=run.url(PROMETHEUS), timeout=30) as client:
        empty = [
            f"{dashboard.uid} / {panel.title} / {number}"
            for dashboard in DASHBOARDS
            for panel in dashboard.panels
            for number, query in enumerate(panel.queries, 1)
            if not has_data(client, panel, query, run.began_s, time.time())
        ]
    assert empty == []


def has_data(client: httpx.Client, panel: Panel, query: Query, start: float, end: float) -> bool:
    """Return whether a panel shows something: a number of the window, or one at a moment of it."""
    bars = panel.kind in {"bars", "heatmap"}
    step = round(max((end - start) / POINTS, 60 if bars else 1))
    expr = concrete(query, range_=f"{end - start:.0f}s", step=f"{max(step, 60)}s" if bars else BAR_STEP)
    at_once = {"time": end} if panel.kind in INSTANT else {"start": start, "end": end, "step": step}
    path = "/api/v1/query" if panel.kind in INSTANT else "/api/v1/query_range"
    answer = client.post(path, data={"query": expr, **at_once}).json()
    assert answer["status"] == "success", f"{answer['error']}: {expr}"
    data = answer["data"]
    found = [{"value": data["result"]}] if data["resultType"] == "scalar" else data["result"]
    values = (value for each in found for _, value in each.get("values") or [each["value"]])
    return any(value not in {"NaN", "+Inf", "-Inf"} for value in values)
