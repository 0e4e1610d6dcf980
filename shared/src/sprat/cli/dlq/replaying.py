"""`sprat dlq replay`: the originals again, to whom could not handle them."""

import asyncio
import sys
from typing import Annotated

import typer

from sprat.cli.connection import Bootstrap, Json, Prefix, client_arguments, kafka_settings, reaching
from sprat.cli.dlq.choosing import Choice, Reasons, Services, Since, Until, check_names, choice, read
from sprat.cli.dlq.names import names_of
from sprat.cli.dlq.run import Run
from sprat.cli.looking import looking_back
from sprat.cli.terminal import remark
from sprat.operating.replay import Plan, plan, without_sent
from sprat.operating.replaying import replayed_before
from sprat.settings import KafkaSettings

EPILOG = """\b
Examples:
  sprat dlq replay 3:17
  sprat dlq replay --service intent --reason model_error --since 2h --yes
  sprat dlq replay --reason defect --yes --at-most 5000 --json

\b
Mend the service first. Without --yes, it is shown what would be sent, and a person at a terminal is asked. An original
goes to the topic where it stood, as it was and with its id, for the service that failed; what the router rejected goes
to all. Left out and named: what was replayed 3 times, what was replayed before (--again sends it), what came back as a
newer dead letter, what stands there twice, what is not whole. To know what was replayed before, the topics are read
since the first of these dead letters.

\b
Consumers keep the first result with an output, so a text that was answered meanwhile does not change.

\b
Exit codes:
  0  sent, or shown what would be
  1  of one that was asked for by name, nothing is sent; or Kafka did not acknowledge all: each is named
  2  a mistake of yours, or Kafka cannot be reached"""

_ASK_ABOVE = 100


def replay(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PARTITION:OFFSET|TEXT_ID...]", show_default=False, help="These. [default: all]"),
    ] = None,
    *,
    reason: Reasons = None,
    service: Services = None,
    since: Since = None,
    until: Until = None,
    yes: Annotated[bool, typer.Option("--yes", help="Send, without asking.")] = False,
    at_most: Annotated[
        int, typer.Option(min=1, metavar="N", help="With --yes: if there are more, ask a person, or send none.")
    ] = _ASK_ABOVE,
    again: Annotated[bool, typer.Option("--again", help="Also what was replayed before, as far as is known.")] = False,
    as_json_lines: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Replay dead letters: all that the options take, or those that are named. Shows first what it would send."""
    wanted = choice(reason, service, since, until, names)
    kafka = kafka_settings(bootstrap, prefix)
    with reaching(kafka):
        planned = asyncio.run(_plan(kafka, wanted, again=again))
        run = Run(kafka, planned, as_json=as_json_lines)
        agreed = bool(planned.replays) and _agreed(run, yes=yes, at_most=at_most, as_json=as_json_lines)
        if agreed:
            asyncio.run(run.send())
        else:
            run.show_plan_end()
    covered = frozenset[str]().union(*(names_of(each.letter) for each in planned.replays))
    raise typer.Exit(1 if run.failed or wanted.names - covered else 0)


async def _plan(kafka: KafkaSettings, wanted: Choice, *, again: bool) -> Plan:
    found = await read(kafka, wanted, values=True, all_of_them=True)
    check_names(found)
    planned = plan(found.chosen, [*found.chosen, *found.others], kafka.topics)
    if again or not planned.replays:
        return planned
    with looking_back("replayed before?") as progress:
        return without_sent(planned, await replayed_before(client_arguments(kafka), planned.replays, progress=progress))


def _agreed(run: Run, *, yes: bool, at_most: int, as_json: bool) -> bool:
    """Tell whether to send: yes was given and they are not too many, or a person at a terminal says so."""
    count = len(run.planned.replays)
    if yes and count <= at_most:
        return True
    run.show_plan()
    asks = sys.stdin.isatty() and not as_json
    if not asks:
        if yes:
            remark(f"{count:,} are more than {at_most:,}: nothing was sent; --at-most {count} sends them")
        return False
    if count <= _ASK_ABOVE:
        return typer.confirm(f"Send {'it' if count == 1 else f'these {count}'}?", err=True)
    return str(typer.prompt(f"These are {count:,}. To send them, type the number", err=True)).replace(",", "") == str(
        count
    )
