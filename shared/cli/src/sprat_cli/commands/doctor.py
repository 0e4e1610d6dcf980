"""`sprat doctor`: what is reachable, what is missing, how to fix it."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sprat.base.checks import Check, CheckStatus
from sprat_cli.options import Bootstrap, Json, Prefix, kafka_settings, option
from sprat_cli.terminal import faint, paint, printable, remark, say, say_json

if TYPE_CHECKING:
    from sprat.base.settings import KafkaSettings

EPILOG = """\b
Examples:
  sprat doctor
  sprat doctor --policy policy.yaml
  sprat doctor --bootstrap kafka.internal:9093 --json | jq 'select(.state != "ok")'

\b
  ✓  as it should be
  !  it may be intended, or it costs something but loses nothing
  -  not known here: it depends on settings of the services that this shell does not have
  ✗  texts do not get through, or not safely

\b
With --json, lines about Kafka and about a group have `metrics`: what the router publishes of the same, by the names of
the metrics (sprat.kafka.reachable, sprat.group.lag, sprat.group.members).

\b
Exit codes:
  0  nothing is broken
  1  something is: a line begins with ✗
  2  wrong usage: an option or a setting"""

_SIGNS = {
    CheckStatus.ok: ("✓", "green"),
    CheckStatus.warning: ("!", "yellow"),
    CheckStatus.unknown: ("-", "bright_black"),
    CheckStatus.broken: ("✗", "red"),
}


def doctor(
    *,
    policy: Annotated[Path | None, option("FILE", "Check this policy. [your `sprat up`, else SPRAT_POLICY]")] = None,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Check what is reachable, what is missing, and how to fix it. Nothing is changed, and no secret is shown."""
    if not as_json:  # at once: on a busy machine what follows takes seconds to import
        remark("looking at this machine, the settings, Redis and Kafka; each line comes when it is found")
    kafka = kafka_settings(bootstrap, prefix)
    if asyncio.run(_examine(kafka, policy, as_json=as_json)):
        raise typer.Exit(1)


async def _examine(kafka: "KafkaSettings", policy: Path | None, *, as_json: bool) -> bool:
    """Show every check as it is done; return whether something is broken."""
    from sprat_operations.doctor.examination import examine  # noqa: PLC0415 - heavy, and `sprat --help` must be quick

    something = False
    async for check in examine(kafka, policy):
        something |= check.status is CheckStatus.broken
        _show(check, as_json=as_json)
    return something


def _show(check: Check, *, as_json: bool) -> None:
    if as_json:
        line = {"about": check.subject, "state": check.status.value, "found": check.finding, "mend": check.fix or None}
        say_json(line | {"metrics": dict(check.metrics)} if check.metrics else line)
        return
    sign, colour = _SIGNS[check.status]
    say(f"{paint(sign, colour)} {check.subject:13} {printable(check.finding)}")
    if check.fix:
        say(faint(f"  {'':13} → {printable(check.fix)}"))
