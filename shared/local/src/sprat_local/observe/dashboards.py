"""The dashboards without Grafana: short addresses that lead to Prometheus' own graphs, and vmui's dashboards."""

import html
import json
import re
from pathlib import Path

from sprat_local.processes import private

VMUI = "vmui"
"""Folder with the dashboards of VictoriaMetrics' page."""
_LINKS = Path("prometheus") / "links.json"
"""Title of a dashboard → path and query of the page of Prometheus with all its graphs."""


def pages(configuration: Path) -> dict[str, str]:
    """Return the title of each dashboard → the path at which Prometheus serves it."""
    return {title: f"/consoles/{_file_name(title)}" for title in _links(configuration)}


def write_pages(configuration: Path, folder: Path) -> Path:
    """Write what Prometheus serves at these paths, into a folder of its own, and return it.

    A page leads on to the graphs of a dashboard, whose address is thousands of characters long.
    """
    private.make_folder(folder)
    for title, link in _links(configuration).items():
        target = html.escape(link)
        page = f'<!DOCTYPE html><meta http-equiv="refresh" content="0; url={target}"><a href="{target}">{title}</a>'
        private.write_text(folder / _file_name(title), page)
    return folder


def _links(configuration: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((configuration / _LINKS).read_text("utf-8"))
    return found


def _file_name(title: str) -> str:
    return re.sub(r"\W+", "-", title.lower()) + ".html"
