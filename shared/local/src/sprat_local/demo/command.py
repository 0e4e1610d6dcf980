"""`sprat demo`: send the sample texts through a whole installation on this machine."""

from pathlib import Path
from typing import Annotated

import typer

LOG_WIDTH = 110
"""Columns without a terminal: a log should not be wrapped at 80."""
EPILOG = """\b
Examples:
  sprat demo
  sprat demo --json figures.json && jq '.texts, .lost, .tasks' figures.json

\b
Exit codes:
  0  the promise was kept: one Result for every pair of a text and a task
  1  the promise was broken
  2  it could not run"""


def demo(
    *,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write the figures to this file.", show_default=False),
    ] = None,
) -> None:
    """Start everything on free ports, publish the sample texts, wait for every Result, print a summary, stop.

    The frontier is simulated: nothing leaves this machine.
    """
    from rich.console import Console  # noqa: PLC0415 - heavy, and not needed by the other commands

    from sprat_local.demo.session import DemoSession  # noqa: PLC0415 - as above
    from sprat_local.options import Options  # noqa: PLC0415 - as above

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = LOG_WIDTH
    raise typer.Exit(DemoSession(Options(), console).run(json_file))
