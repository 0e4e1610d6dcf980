"""Every query of every dashboard, run against a live Prometheus."""

from collections.abc import Mapping

from observability.dashboards.generate import DASHBOARDS
from observability.dashboards.source import Source, Window


def empty_queries(url: str, window: Window, values: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the queries without data, by dashboard, panel and number, each with what must have happened to have some.

    A query that needs nothing ("") has data in every run in which texts flow. `values` are those of the dashboards'
    variables; without them, every service, task and tenant counts.

    Raises:
        QueryFailed: Prometheus did not answer, or refused a query.
    """
    with Source(url) as source:
        return {
            f"{dashboard.uid} / {panel.title} / {number}": panel.needs
            for dashboard in DASHBOARDS
            for panel in dashboard.panels
            for number, query in enumerate(panel.queries, 1)
            if not source.panel(panel, query, window, values)
        }
