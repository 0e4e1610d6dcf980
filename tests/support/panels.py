"""Every query of every dashboard, run against a live Prometheus."""

import httpx

from observability.dashboards.generate import DASHBOARDS
from observability.dashboards.panels import BAR_STEP, INSTANT, Panel, Query, concrete

POINTS = 240
"""Of a line, at most."""


def empty_queries(url: str, start: float, end: float) -> list[str]:
    """Return the queries without data between two times, in seconds since 1970, by dashboard, panel and number."""
    with httpx.Client(base_url=url, timeout=30) as client:
        return [
            f"{dashboard.uid} / {panel.title} / {number}"
            for dashboard in DASHBOARDS
            for panel in dashboard.panels
            for number, query in enumerate(panel.queries, 1)
            if not has_data(client, panel, query, start, end)
        ]


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
