"""All dashboards, the variables that their expressions use, and the metrics that no panel shows."""

from typing import Final

from observability.dashboards.frontier import FRONTIER
from observability.dashboards.operations import OPERATIONS
from observability.dashboards.overview import OVERVIEW
from observability.dashboards.panels import Dashboard, Variable, variables_in
from observability.dashboards.privacy import PRIVACY
from observability.dashboards.promql import SERVICE, label, measured_price
from observability.dashboards.quality import MODELS
from observability.dashboards.service import SERVICE_PAGE
from sprat.telemetry import signals

DASHBOARDS: Final = (OVERVIEW, OPERATIONS, SERVICE_PAGE, FRONTIER, PRIVACY, MODELS)

VARIABLES: Final = (
    Variable("service", "Service", "The service, as `service_name`.", SERVICE, signals.BUILD.prometheus),
    Variable("task", "Task", "The task of a text.", label(signals.TASK), signals.PAIRS.prometheus),
    Variable("tenant", "Tenant", "The tenant of a text.", label(signals.TENANT), signals.PAIRS.prometheus),
    Variable(
        "price",
        "Price of one pair at the frontier, €",
        "What one pair would cost if all went to the frontier. Choose the measured mean of a call, or type a number.",
        default=measured_price(),
    ),
)

DEFAULTS: Final = {variable.name: variable.default for variable in VARIABLES}


def variables_of(dashboard: Dashboard) -> tuple[Variable, ...]:
    """Return the variables that the dashboard's expressions use, in the order of the bar above it."""
    used = frozenset[str]().union(*(variables_in(query.expr) for _, query in dashboard.queries))
    return tuple(variable for variable in VARIABLES if variable.name in used)
