"""`sprat demo`: send the sample texts through a whole installation; `sprat demo guard`: watch a promise break."""

import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from sprat_cli.app import make_app
from sprat_cli.options import Bootstrap, Json, Prefix, reject_misplaced_options

LOG_WIDTH = 110
"""Columns without a terminal: a log should not be wrapped at 80."""
WRONG_RATE = 0.05
"""Share of the simulated frontier's answers that are wrong on purpose, so that the summary has something to count."""
_TENANT = "acme-bank"
"""Of most sample texts: the page shows these."""
EPILOG = """\b
Examples:
  sprat demo
  sprat demo --page
  sprat demo guard
  sprat demo --running --bootstrap 127.0.0.1:9092
  sprat demo --json figures.json && jq '.texts, .lost, .tasks' figures.json

\b
Exit codes:
  0  the promise was kept: one Result for every pair of a text and a task
  1  the promise was broken
  2  it could not run"""


_GUARD = """\b
Examples:
  sprat demo guard
  sprat demo guard --json

\b
A small model is trained and certified, and serves. Then its traffic shifts. Half of what it keeps is drawn to be
reviewed, here by the demo itself; the guardian raises an alarm, and the router keeps nothing of it. A new version is
trained on new rows, certified, and serves. It takes about two minutes, on Kafka and Redis of its own.

\b
Exit codes:
  0  all of it was seen
  2  it could not run, or a step did not come in time"""

app = make_app(
    invoke_without_command=True,
    epilog=EPILOG,
    help="Start everything on free ports, publish the sample texts, wait for every Result, print a summary, stop.",
)


@app.callback()
def demo(
    context: typer.Context,
    *,
    running: Annotated[
        bool,
        typer.Option(
            "--running",
            help="Use the installation that runs at --bootstrap, such as compose's, instead of starting one. It must "
            "have the samples' policy, and the simulator as its frontier. Texts of others may go through it meanwhile.",
        ),
    ] = False,
    page: Annotated[
        bool,
        typer.Option(
            "--page", help="Afterwards leave everything running, and print the address of the page, until Ctrl-C."
        ),
    ] = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write the figures to this file.", show_default=False),
    ] = None,
) -> None:
    """Start everything on free ports, publish the sample texts, wait for every Result, print a summary, stop.

    With --page it stops when you say so: the page shows the texts and what became of them.

    The frontier is simulated: nothing leaves this machine.
    """
    if context.invoked_subcommand is not None:
        reject_misplaced_options(context, f"sprat demo {context.invoked_subcommand}")
        return
    from rich.console import Console  # noqa: PLC0415 - heavy, and not needed by the other commands

    from sprat.base.errors import UserError  # noqa: PLC0415 - as above
    from sprat_cli.options import kafka_settings  # noqa: PLC0415 - as above
    from sprat_local.demo.records import SOURCE  # noqa: PLC0415 - as above
    from sprat_local.demo.report import DemoReport, DemoSummary  # noqa: PLC0415 - as above
    from sprat_local.demo.session import run_demo  # noqa: PLC0415 - as above
    from sprat_local.demo.target import DemoTarget  # noqa: PLC0415 - as above
    from sprat_local.installation.options import DEMO_POLICY, Options, Simulation  # noqa: PLC0415 - as above
    from sprat_operations.services import GATEWAY  # noqa: PLC0415 - as above

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = LOG_WIDTH
    if not running and (bootstrap, prefix) != (None, None):
        raise UserError(
            "--bootstrap and --prefix need --running: without it, the demo starts an installation of its own"
        )
    if running and page:
        raise UserError("--page starts an installation of its own: leave out --running, or open the page of that one")
    if json_file is not None and not os.access(
        json_file if json_file.exists() else json_file.absolute().parent, os.W_OK
    ):
        raise UserError(f"{json_file} cannot be written: choose another file for --json")
    kafka = kafka_settings(bootstrap, prefix) if running else None
    # One that runs already answers whoever tries it, so nothing is wrong on purpose there.
    simulation = Simulation(wrong_rate=0.0 if running else WRONG_RATE)

    def show(report: DemoReport, target: DemoTarget) -> None:
        DemoSummary(report, console, simulation).print()
        if target.gateway is not None:
            whose = f"texts of {target.gateway.entry.tenant}, for one browser"
            typer.echo(f"\nThe page ({whose}):  {target.gateway.page()}\nCtrl-C stops everything")
            with suppress(KeyboardInterrupt):
                threading.Event().wait()

    options = Options(policy=DEMO_POLICY, simulation=simulation, on_request=(GATEWAY,) * page, key_of=(_TENANT, SOURCE))
    report = run_demo(options, console, kafka, show)
    if json_file is not None:
        json_file.write_text(json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n", "utf-8")
    raise typer.Exit(0 if report.ok else 1)


@app.command("guard", epilog=_GUARD, short_help="Watch a certified model whose traffic shifts: reviews, an alarm.")
def guard(*, as_json: Json = False) -> None:
    """Watch a certified model whose traffic shifts: reviews raise an alarm, and it falls back."""
    from dataclasses import asdict  # noqa: PLC0415 - as above

    from sprat_cli.terminal import remark, say, say_json  # noqa: PLC0415 - as above
    from sprat_local.demo.guard import run_guard_demo  # noqa: PLC0415 - as above

    seen = run_guard_demo(remark if as_json else say)
    if as_json:
        say_json({"type": "guard", **asdict(seen)})
        return
    shares = " → ".join(f"{each:.0%}" for each in (seen.kept_before, seen.kept_in_alarm, seen.kept_after))
    say(
        f"\nKept: {shares} (before, in alarm, with the new version). The alarm came {seen.alarm_after_s:.0f} s "
        f"and {seen.reviews_after_shift} reviews after the shift"
    )
