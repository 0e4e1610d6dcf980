"""`sprat audit` and `sprat audit verify`: what was sent to providers, and whether each call has an outcome."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from sprat.settings import KafkaSettings
from sprat_cli.app import make_app
from sprat_cli.audit.verify import EgressVerification, remark_unreadable
from sprat_cli.connection import explain_kafka_errors, kafka_settings
from sprat_cli.options import Bootstrap, Json, Prefix, reject_misplaced_options, time_before_now
from sprat_cli.render import cost
from sprat_cli.terminal import faint, printable, say, say_json, table
from sprat_operations.egress import EgressSum, EgressSums, read_egress
from sprat_operations.result_stream import UnreadableRecord

_EXAMPLES = """\b
Examples:
  sprat audit --since 24h
  sprat audit --since 30d --tenant acme-bank --json | jq .cost_eur
  sprat audit verify --since 7d"""
_SUMS = f"""{_EXAMPLES}

\b
Calls, bytes and masked items are those of attempts, which are recorded before anything is sent; cost and failures are
those of outcomes. At the edges of the time span, one may be in it and the other not.

\b
Exit codes:
  0  all was read
  1  a record could not be read, so the sums may be incomplete
  2  wrong usage, or Kafka cannot be reached"""
_VERIFY = """\b
Examples:
  sprat audit verify
  sprat audit verify --since 7d --grace 15m --json

\b
A call without an outcome: the service crashed, or the call is in progress; its attempt shows that something was sent.
An outcome without an attempt was not written by a frontier service: check which programs write to the topic.

\b
Exit codes:
  0  every attempt has its outcome, and every outcome its attempt
  1  one has not (each is named), or a record could not be read
  2  wrong usage, or Kafka cannot be reached"""

Tenant = Annotated[
    list[str] | None,
    typer.Option(show_default=False, metavar="NAME", help="Only calls of this tenant; can be repeated."),
]

app = make_app(
    invoke_without_command=True,
    epilog=_SUMS,
    help="Sum up what was sent to providers, by tenant, provider and region; or verify the record of it.",
)


@app.callback()
def audit(
    context: typer.Context,
    *,
    since: Annotated[str, typer.Option(metavar="SPAN", help="Start this long ago: 10m, 2h, 7d.")] = "24h",
    tenant: Tenant = None,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Sum up what was sent to providers, by tenant, provider and region; or verify the record of it."""
    if context.invoked_subcommand is not None:
        reject_misplaced_options(context, f"sprat audit {context.invoked_subcommand} --since 7d")
        return
    since_ms = time_before_now(since)
    kafka = kafka_settings(bootstrap, prefix)
    with explain_kafka_errors(kafka):
        sums, complete = asyncio.run(_sum_up(kafka, since_ms, tenant))
    if as_json:
        for row in _sums_json(sums):
            say_json(row)
    else:
        for line in _sums_lines(sums, since):
            say(line)
    raise typer.Exit(0 if complete else 1)


@app.command(epilog=_VERIFY, short_help="List calls without an outcome, and outcomes without an attempt.")
def verify(
    *,
    since: Annotated[
        str | None,
        typer.Option(metavar="SPAN", show_default=False, help="Start this long ago: 10m, 2h, 7d. [default: all]"),
    ] = None,
    grace: Annotated[
        str, typer.Option(metavar="SPAN", help="Skip calls that began this recently: they may be in progress.")
    ] = "0s",
    tenant: Tenant = None,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Compare attempts with outcomes, and list each call that lacks one of the two."""
    since_ms = None if since is None else time_before_now(since)
    until_ms = time_before_now(grace, "--grace")
    kafka = kafka_settings(bootstrap, prefix)
    with explain_kafka_errors(kafka):
        verifying = EgressVerification(since_ms, until_ms, as_json=as_json)
        asyncio.run(verifying.run(kafka, tenant))
    verifying.say_end()
    raise typer.Exit(0 if verifying.fine else 1)


async def _sum_up(kafka: KafkaSettings, since_ms: int, tenants: list[str] | None) -> tuple[EgressSums, bool]:
    sums, complete = EgressSums(), True
    async for seen in read_egress(kafka, since_ms):
        if isinstance(seen, UnreadableRecord):
            complete = False
            remark_unreadable(seen)
        elif not tenants or seen.record.tenant in tenants:
            sums.add(seen.record)
    return sums, complete


def _sums_json(sums: EgressSums) -> list[dict[str, Any]]:
    ways = [
        {"type": "egress", "tenant": tenant, "provider": provider, "region": region, **each.as_json()}
        for (tenant, provider, region), each in sorted(sums.by_route.items())
    ]
    return [*ways, {"type": "total", **sums.total.as_json()}]


def _sums_lines(sums: EgressSums, since: str) -> list[str]:
    if not sums.by_route:
        return [f"nothing was sent to a provider in the last {since}"]
    cells: list[tuple[str, ...]] = [("TENANT", "PROVIDER", "REGION", "CALLS", "BYTES", "COST", "FAILED", "MASKED")]
    cells += [(*map(printable, way), *_cells(each)) for way, each in sorted(sums.by_route.items())]
    if len(sums.by_route) > 1:
        cells.append(("all", "", "", *_cells(sums.total)))
    head, *body = table(cells)
    return [faint(head), *body]


def _cells(each: EgressSum) -> tuple[str, str, str, str, str]:
    return f"{each.calls:,}", f"{each.bytes_out:,}", cost(each.cost_eur), _counts(each.failures), _counts(each.masked)


def _counts(counts: Mapping[str, int]) -> str:
    """Return the sum and its parts, the largest first."""
    if not counts:
        return "0"
    parts = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return f"{sum(counts.values()):,} ({', '.join(f'{count:,} {printable(name)}' for name, count in parts)})"
