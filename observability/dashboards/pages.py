"""The dashboards without Grafana: links into Prometheus' own page, and dashboards of VictoriaMetrics' vmui."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from observability.dashboards.panels import COLUMNS, DEFAULTS, INSTANT, Dashboard, Panel, Query, resolved
from observability.dashboards.promql import for_victoria_metrics

_VMUI_COLUMNS: Final = 12
_UNBOUNDED: Final = re.compile(r'\w+=~"\.\*"(, )?')
"""A filter that lets all pass."""


def concrete(
    query: Query, *, range_: str = "1h", rate: str = "1m", step: str = "1m", values: Mapping[str, str] | None = None
) -> str:
    """Return the expression of a query with the variables' defaults, or these values, instead of the variables.

    The windows are Prometheus' durations. `rate` must be at least four times the scrape interval.
    """
    expr = resolved(query.expr, DEFAULTS | dict(values or {}), range_=range_, rate=rate, step=step)
    return _UNBOUNDED.sub("", expr).replace(", }", "}").replace("{}", "")


def prometheus_link(base: str, dashboard: Dashboard, *, range_: str = "1h") -> str:
    """Return the address of a page of Prometheus with one graph or table for each query of the dashboard.

    `base` is Prometheus' address; without it, the address is a path.
    """
    fields: dict[str, str] = {}
    for index, (panel, query) in enumerate(dashboard.queries):
        fields |= {
            f"g{index}.expr": concrete(query, range_=range_),
            f"g{index}.tab": "1" if panel.kind in INSTANT else "0",
            f"g{index}.range_input": range_,
        }
    return f"{base.rstrip('/')}/graph?{urlencode(fields)}"


def vmui(dashboard: Dashboard) -> dict[str, object]:
    """Return a dashboard as vmui reads it: without variables, and everything over time."""
    rows = [{"title": row.title, "panels": [_vmui_panel(panel) for panel in row.panels]} for row in dashboard.rows]
    return {"title": dashboard.title, "rows": rows}


def _vmui_panel(panel: Panel) -> dict[str, object]:
    return {
        "title": panel.title,
        "description": panel.description,
        "expr": [for_victoria_metrics(concrete(query)) for query in panel.queries],
        # An alias must not be empty, or the series has no name.
        "alias": [query.legend or panel.title for query in panel.queries],
        # The legend shows the expressions, too.
        "showLegend": any(query.legend for query in panel.queries),
        "width": max(panel.width * _VMUI_COLUMNS // COLUMNS, 3),
    }
