"""What a dashboard is made of, as data: Grafana's files and the tests of all queries come from these declarations."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

from observability.dashboards import promql
from sprat.telemetry import attributes, signals
from sprat.telemetry.instruments import Histogram

Kind = Literal["number", "lines", "stacked", "bars", "ranking", "table", "heatmap"]
"""How a panel shows its data.

`number`, `ranking` (one bar a series) and `table` show one value for the whole range; `lines`, `stacked` and `heatmap`
show it over time; `bars` show what happened in each step.
"""

Colour = Literal["green", "orange", "red"]

INSTANT: Final[frozenset[Kind]] = frozenset({"number", "ranking", "table"})
BAR_STEP: Final = "1m"
"""The shortest step of bars: each must hold several scrapes."""
COLUMNS: Final = 24
"""Of Grafana's grid."""


@dataclass(frozen=True, slots=True)
class Query:
    """One expression and the name of its series."""

    expr: str
    legend: str = ""
    """`{{label}}` is replaced by the label's value."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture, and how to read it."""

    title: str
    description: str
    """What it shows, and what to look for."""
    unit: str
    """In Grafana's words: `s`, `percentunit`, `currencyEUR`, `short`, `reqps`, `bytes` …"""
    queries: tuple[Query, ...]
    kind: Kind = "lines"
    width: int = 8
    """Of 24 columns."""
    height: int = 8
    steps: tuple[tuple[float, Colour], ...] = ()
    """From which value on which colour holds; see `base`."""
    names: Mapping[float, str] | None = None
    """Words instead of values."""
    decimals: int | None = None
    needs: str = ""
    """What must have happened for this panel to have data; it says "none" where it has not. Empty: an empty panel says
    "no data", and is wrong once texts flow."""
    see: str = ""
    """The dashboard that a click leads to."""

    @property
    def digits(self) -> int | None:
        """The decimals of a value. What is counted has none, though Prometheus estimates at the edges of a window."""
        counted = self.unit == "short" and self.kind in {"bars", "ranking"}
        return 0 if counted and self.decimals is None else self.decimals

    @property
    def base(self) -> Colour:
        """The colour below the first step: red where the steps lead to green."""
        return "red" if self.steps and self.steps[-1][1] == "green" else "green"

    @property
    def without_data(self) -> str:
        """What the panel says without data."""
        return "none" if self.needs else "no data"


def panel(title: str, description: str, unit: str, *queries: Query | str, kind: Kind, **more: Any) -> Panel:
    """Return a panel, with more of its fields by their names.

    The series of an expression that is given without a name have the labels by which it groups.
    """
    named = tuple(Query(each, _legend(each, kind)) if isinstance(each, str) else each for each in queries)
    return Panel(title, description, unit, named, kind, **more)


def _legend(expr: str, kind: Kind) -> str:
    grouped = None if kind == "number" else _GROUPED.match(expr)
    labels = grouped[1].split(", ") if grouped else []
    return _named(label for label in labels if label != "le" or kind == "heatmap")


def _named(labels: Iterable[str], last: str = "") -> str:
    return ", ".join([*(f"{{{{{label}}}}}" for label in labels), *([last] if last else [])])


_GROUPED: Final = re.compile(r"(?:\d+ \* )?(?:histogram_quantile\([\d.]+, )?\w+ by \(([^)]*)\)")

number = partial(panel, kind="number", width=4, height=5)
lines = partial(panel, kind="lines")
stacked = partial(panel, kind="stacked")
bars = partial(panel, kind="bars")
ranking = partial(panel, kind="ranking")
table = partial(panel, kind="table")
heatmap = partial(panel, kind="heatmap")


def percentiles(
    metric: Histogram, *by: promql.By, of: tuple[float, ...] = (0.5, 0.95), **where: promql.Value
) -> tuple[Query, ...]:
    """Return the queries of the values below which half and 95 % of the recorded ones lie, or other shares."""
    labels = [promql.label(each) for each in by]
    return tuple(
        Query(
            promql.quantile(share, metric, *by, window=promql.RATE, **where),
            _named(labels, "half" if share == 0.5 else f"{100 * share:g} %"),
        )
        for share in of
    )


@dataclass(frozen=True, slots=True)
class Row:
    """Panels that answer one question."""

    title: str
    panels: tuple[Panel, ...]


def row(title: str, *panels: Panel) -> Row:
    """Return a row of these panels."""
    return Row(title, panels)


@dataclass(frozen=True, slots=True)
class Variable:
    """What a reader can choose. Without a metric it is a choice of fixed texts."""

    name: str
    title: str
    description: str
    label: str = ""
    """The label whose values can be chosen."""
    metric: str = ""
    """The metric that has it."""
    default: str = ".*"
    """The value in expressions outside Grafana."""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One page for one kind of reader."""

    uid: str
    title: str
    description: str
    """The questions that it answers."""
    rows: tuple[Row, ...]

    @property
    def panels(self) -> Iterator[Panel]:
        """Every panel, in order."""
        return (panel for row in self.rows for panel in row.panels)

    @property
    def queries(self) -> Iterator[tuple[Panel, Query]]:
        """Every query, in order."""
        return ((panel, query) for panel in self.panels for query in panel.queries)

    @property
    def places(self) -> Iterator[tuple[Row | Panel, int, int]]:
        """Every row's title and every panel, with its column and its line in the grid."""
        line = 0
        for row in self.rows:
            yield row, 0, line
            line += 1
            column = height = 0
            for panel in row.panels:
                if column + panel.width > COLUMNS:
                    column, line, height = 0, line + height, 0
                yield panel, column, line
                column, height = column + panel.width, max(height, panel.height)
            line += height


VARIABLES: Final = (
    Variable("service", "Service", "The service, as `service_name`.", promql.SERVICE, signals.BUILD.prometheus),
    Variable("task", "Task", "The task of a text.", promql.label(attributes.TASK), signals.PAIRS.prometheus),
    Variable("tenant", "Tenant", "The tenant of a text.", promql.label(attributes.TENANT), signals.PAIRS.prometheus),
    Variable(
        "price",
        "Price of one pair at the frontier, €",
        "What one pair would cost if all went to the frontier. Choose the measured mean of a call, or type a number.",
        default=promql.measured_price(),
    ),
)
"""What the expressions of the dashboards may use."""

DEFAULTS: Final = {variable.name: variable.default for variable in VARIABLES}


def variables_of(dashboard: Dashboard) -> tuple[Variable, ...]:
    """Return the variables that the dashboard's expressions use, in the order of the bar above it."""
    used = frozenset[str]().union(*(variables_in(query.expr) for _, query in dashboard.queries))
    return tuple(variable for variable in VARIABLES if variable.name in used)


def variables_in(expr: str) -> frozenset[str]:
    """Return the names of the variables in an expression, without those that Grafana sets itself."""
    return frozenset(re.findall(r"\$\{?([a-z]\w*)", expr))


def concrete(
    query: Query, *, range_: str = "1h", rate: str = "1m", step: str = "1m", values: Mapping[str, str] | None = None
) -> str:
    """Return a query's expression as Prometheus takes it: with values in place of the variables.

    Args:
        query: of a panel.
        range_: the window of the whole dashboard, as a duration of Prometheus.
        rate: the window of a rate; at least four times the scrape interval.
        step: the window of one bar.
        values: of variables, instead of their defaults.

    Raises:
        KeyError: a variable has no value.
    """
    known = {
        **DEFAULTS,
        **(values or {}),
        promql.RANGE[1:]: range_,
        promql.RATE[1:]: rate,
        promql.STEP[1:]: step,
    }
    return re.sub(r"\$\{?(\w+)(?::raw\})?", lambda found: known[found[1]], query.expr)
