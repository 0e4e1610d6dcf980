"""Write the files of the dashboards, for Grafana and for VictoriaMetrics' vmui, and the links of a plain Prometheus.

`make generate` runs it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from contracts.generators.paths import ROOT, to_json, write
from observability.dashboards import grafana, pages
from observability.dashboards.frontier import FRONTIER
from observability.dashboards.operations import OPERATIONS
from observability.dashboards.overview import OVERVIEW
from observability.dashboards.privacy import PRIVACY
from observability.dashboards.quality import MODELS
from observability.dashboards.service import SERVICE_PAGE

DASHBOARDS: Final = (OVERVIEW, OPERATIONS, SERVICE_PAGE, FRONTIER, PRIVACY, MODELS)
"""All of them, in the order of their lists."""

GRAFANA: Final = ROOT / "observability/grafana/dashboards"
VMUI: Final = ROOT / "observability/vmui"
LINKS: Final = ROOT / "observability/prometheus/links.json"


def generated() -> dict[Path, str]:
    """Return the expected text of every generated file."""
    return dict(_files())


def _files() -> Iterator[tuple[Path, str]]:
    for number, dashboard in enumerate(DASHBOARDS, 1):
        yield GRAFANA / f"{dashboard.uid}.json", grafana.to_json(dashboard)
        # vmui lists them by the names of their files.
        yield VMUI / f"{number}-{dashboard.uid}.json", to_json(pages.vmui(dashboard))
    yield LINKS, to_json({dashboard.title: pages.prometheus_link("", dashboard) for dashboard in DASHBOARDS})


def committed() -> set[Path]:
    """Return the files that are there."""
    return {*GRAFANA.glob("*.json"), *VMUI.glob("*.json"), LINKS}


if __name__ == "__main__":
    files = generated()
    for old in committed() - files.keys():
        old.unlink()
    write(files, ROOT)
