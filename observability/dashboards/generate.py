"""Write Grafana's files of the dashboards. `make generate` runs it."""

from pathlib import Path
from typing import Final

from contracts.generators.paths import ROOT, write
from observability.dashboards import grafana
from observability.dashboards.frontier import FRONTIER
from observability.dashboards.operations import OPERATIONS
from observability.dashboards.overview import OVERVIEW
from observability.dashboards.privacy import PRIVACY
from observability.dashboards.quality import MODELS
from observability.dashboards.service import SERVICE_PAGE

DASHBOARDS: Final = (OVERVIEW, OPERATIONS, SERVICE_PAGE, FRONTIER, PRIVACY, MODELS)
"""All of them, in the order of their lists."""

FOLDER: Final = ROOT / "observability/grafana/dashboards"


def generated() -> dict[Path, str]:
    """Return the expected text of every generated file."""
    return {FOLDER / f"{dashboard.uid}.json": grafana.to_json(dashboard) for dashboard in DASHBOARDS}


def committed() -> set[Path]:
    """Return the files that are there."""
    return {*FOLDER.glob("*.json")}


if __name__ == "__main__":
    files = generated()
    for old in committed() - files.keys():
        old.unlink()
    write(files, ROOT)
