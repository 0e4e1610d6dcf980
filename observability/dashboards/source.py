"""Queries to anything that has Prometheus' HTTP API."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from observability.dashboards.pages import concrete
from observability.dashboards.panels import BAR_STEP, INSTANT, Panel, Query


class QueryFailed(Exception):
    """The server did not answer a query, or refused it."""


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time, in seconds since 1970."""

    start: float
    end: float

    @property
    def seconds(self) -> int:
        """Its length."""
        return max(round(self.end - self.start), 1)


@dataclass(frozen=True, slots=True)
class Series:
    """One answer's series: its labels, and its (seconds since 1970, value) without those that are not a number."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


class Source:
    """Prometheus or VictoriaMetrics. Use it in a `with` block."""

    def __init__(self, url: str, *, points: int = 240) -> None:
        """Take the server's address and how many points of time a line has at most."""
        self._client = httpx.Client(base_url=url, timeout=30)
        self._points = points

    def __enter__(self) -> Self:
        """Open the connection."""
        self._client.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self._client.__exit__(kind, error, trace)

    def panel(
        self, panel: Panel, query: Query, window: Window, values: Mapping[str, str] | None = None
    ) -> list[Series]:
        """Return a panel's series as the panel shows them: one value for the window, or values over time.

        Raises:
            QueryFailed: the server did not answer, or refused the query.
        """
        bars = panel.kind in {"bars", "heatmap"}
        step = max(window.seconds / self._points, 60 if bars else 1)
        expr = concrete(
            query, range_=f"{window.seconds}s", step=f"{max(round(step), 60)}s" if bars else BAR_STEP, values=values
        )
        if panel.kind in INSTANT:
            return self._ask("query", {"query": expr, "time": window.end})
        return self._ask("query_range", {"query": expr, "start": window.start, "end": window.end, "step": round(step)})

    def _ask(self, what: str, parameters: Mapping[str, str | float]) -> list[Series]:
        try:
            response = self._client.post(f"/api/v1/{what}", data={key: str(each) for key, each in parameters.items()})
            answer = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise QueryFailed(f"{self._client.base_url}: {error}") from error
        if answer.get("status") != "success":
            raise QueryFailed(f"{answer.get('error', response.status_code)}: {parameters['query']}")
        data = answer["data"]
        found = [{"metric": {}, "value": data["result"]}] if data["resultType"] == "scalar" else data["result"]
        return [series for each in found if (series := _series(each)).points]


def _series(found: Mapping[str, Any]) -> Series:
    values = found.get("values") or [found["value"]]
    points = ((float(at), float(value)) for at, value in values)
    return Series(found["metric"], tuple((at, value) for at, value in points if math.isfinite(value)))
