"""Every query of every dashboard, run against a live Prometheus."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from observability.dashboards.generate import DASHBOARDS
from observability.dashboards.panels import BAR_STEP, INSTANT, Panel, Query, concrete

POINTS = 240
"""Of a line, at most."""


class QueryFailed(Exception):
    """The server did not answer a query, or refused it."""


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time, in seconds since 1970."""

    start: float
    end: float

    @property
    def seconds(self) -> int:
        return max(round(self.end - self.start), 1)


def empty_queries(url: str, window: Window, values: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the queries without data, by dashboard, panel and number, each with what must have happened to have some.

    A query that needs nothing ("") has data in every run in which texts flow. `values` are those of the dashboards'
    variables; without them, every service, task and tenant counts.

    Raises:
        QueryFailed: Prometheus did not answer, or refused a query.
    """
    with httpx.Client(base_url=url, timeout=30) as client:
        return {
            f"{dashboard.uid} / {panel.title} / {number}": panel.needs
            for dashboard in DASHBOARDS
            for panel in dashboard.panels
            for number, query in enumerate(panel.queries, 1)
            if not has_data(client, panel, query, window, values)
        }


def has_data(
    client: httpx.Client, panel: Panel, query: Query, window: Window, values: Mapping[str, str] | None = None
) -> bool:
    """Return whether a panel shows a number: for the window, or at a moment of it."""
    bars = panel.kind in {"bars", "heatmap"}
    step = max(window.seconds / POINTS, 60 if bars else 1)
    bar = f"{max(round(step), 60)}s" if bars else BAR_STEP
    expr = concrete(query, range_=f"{window.seconds}s", step=bar, values=values)
    if panel.kind in INSTANT:
        return _ask(client, "query", {"query": expr, "time": window.end})
    return _ask(client, "query_range", {"query": expr, "start": window.start, "end": window.end, "step": round(step)})


def _ask(client: httpx.Client, what: str, parameters: Mapping[str, Any]) -> bool:
    try:
        answer = client.post(f"/api/v1/{what}", data={key: str(each) for key, each in parameters.items()}).json()
    except (httpx.HTTPError, ValueError) as error:
        raise QueryFailed(f"{client.base_url}: {error}") from error
    if answer.get("status") != "success":
        raise QueryFailed(f"{answer.get('error')}: {parameters['query']}")
    data = answer["data"]
    found = [{"value": data["result"]}] if data["resultType"] == "scalar" else data["result"]
    return any(math.isfinite(float(value)) for each in found for _, value in each.get("values") or [each["value"]])
