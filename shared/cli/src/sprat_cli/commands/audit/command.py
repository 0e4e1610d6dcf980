"""`sprat audit` and `sprat audit verify`: what was sent to providers, and whether the record of it is whole."""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, Field

from sprat.audit.keys import AUDIT_FOLDER, CHECKPOINTS, PUBLIC_KEY, PublicKeys
from sprat.audit.settings import AuditSettings
from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings, environment, load_settings
from sprat_cli.app import make_app
from sprat_cli.commands.audit.verify import exit_code, say_proof, say_proof_json
from sprat_cli.options import (
    Bootstrap,
    Json,
    Prefix,
    kafka_settings,
    option,
    parse_span,
    reject_misplaced_options,
    time_before_now,
)
from sprat_cli.render import cost
from sprat_cli.terminal import faint, printable, remark, say, say_json, table
from sprat_operations import gateway_stores, local_run
from sprat_operations.audit_verification import VerificationOptions, verify_audit
from sprat_operations.connection import CommandSettings, explain_kafka_errors
from sprat_operations.egress import EgressSum, EgressSums, read_egress
from sprat_operations.result_stream import UnreadableRecord

_EXAMPLES = """\b
Examples:
  sprat audit --since 24h
  sprat audit --since 30d --tenant acme-bank --json | jq .cost_eur
  sprat audit verify --public-key public.pem"""
_SUMS = f"""{_EXAMPLES}

\b
Calls, bytes and masked items are those of attempts, which are recorded before anything is sent; cost and failures are
those of outcomes. At the edges of the time span, one may be in it and the other not. A record that stands there again
is not counted. The cost is by the prices that are set, also of what a simulator received, for which nobody was paid.

\b
Exit codes:
  0  all was read
  1  a record could not be read, so the sums may be incomplete
  2  wrong usage, or Kafka cannot be reached"""
_VERIFY = """\b
Examples:
  sprat audit verify                                          # of your running `sprat up`
  sprat audit verify --public-key public.pem --checkpoints /mnt/audit
  sprat audit verify --public-key public.pem --unsigned-before 2026-03-01 --json

\b
Checked: each record's signature, its number and the hash of the one before; that outcomes repeat their attempts; the
checkpoints, which a log whose end was removed does not reach; and that each text which left, as its answer or Result
says, has its call, and each answered call its answer. With SPRAT_AUDIT__KAFKA__BOOTSTRAP the checkpoints are read from
that Kafka. With --since, the last checkpoint before that time says which records must be there.

\b
A call without an outcome, after which its service wrote nothing more, is counted and no finding: the service died.

\b
Exit codes:
  0  nothing is missing or changed
  1  something is, or cannot be judged: each finding has a place and what to do
  2  wrong usage, or Kafka cannot be reached
  3  neither, but there are foreign records, which no given key signed and which name none and no place of a missing
     one: whoever may write to the topic can make them. Where no given key signed any record: 1"""

Tenant = Annotated[list[str] | None, option("NAME", "Only calls of this tenant; can be repeated.")]


class _FrontierSettings(BaseModel):
    """What matters here of the frontier service's settings."""

    answer_ttl_s: Annotated[int, Field(ge=1)] = 86_400


class _AuditorSettings(CommandSettings):
    """Where the checkpoints are, and how long answers are kept."""

    audit: AuditSettings = AuditSettings()
    frontier: _FrontierSettings = _FrontierSettings()


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


@app.command(epilog=_VERIFY, short_help="Prove that the record of what left is whole.")
def verify(
    *,
    public_key: Annotated[
        list[Path] | None,
        option("FILE", "Public key of a frontier service in PEM; can be repeated. [default: that of your `sprat up`]"),
    ] = None,
    checkpoints: Annotated[Path | None, option("FOLDER", "The checkpoints. [SPRAT_AUDIT__CHECKPOINTS]")] = None,
    since: Annotated[str | None, option("SPAN", "Start this long ago: 10m, 2h, 7d. [default: all]")] = None,
    grace: Annotated[
        str, typer.Option(metavar="SPAN", help="How long a call may take, with its retries and its answer.")
    ] = "20m",
    unsigned_before: Annotated[
        datetime | None,
        option(
            "TIME",
            "Until then, records may be unsigned: the time of the upgrade, such as 2026-03-01T12:00:00.",
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"],
        ),
    ] = None,
    retention: Annotated[str | None, option("SPAN", "How long records are to be kept. [default: 400d]")] = None,
    answer_ttl: Annotated[
        str | None,
        option(
            "SPAN",
            "How long the frontier keeps answers: their calls are looked for so far before --since. "
            "[SPRAT_FRONTIER__ANSWER_TTL_S, else 24h]",
        ),
    ] = None,
    reconcile: Annotated[
        bool, typer.Option("--reconcile/--no-reconcile", help="Compare with answers and Results, which hold texts.")
    ] = True,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Prove that the record of what left is whole, or name what is missing or changed."""
    settings = load_settings(_AuditorSettings)
    ttl_s = settings.frontier.answer_ttl_s if answer_ttl is None else parse_span(answer_ttl, "--answer-ttl")
    options = VerificationOptions(
        since_ms=None if since is None else time_before_now(since),
        unsigned_before_ms=0 if unsigned_before is None else int(unsigned_before.timestamp() * 1000),
        grace_ms=parse_span(grace, "--grace") * 1000,
        retention_ms=None if retention is None else parse_span(retention, "--retention") * 1000,
        answer_ttl_ms=ttl_s * 1000,
        reconcile=reconcile,
    )
    kafka, places = kafka_settings(bootstrap, prefix), settings.audit
    if not public_key:
        own = _own_audit(kafka)
        public_key = [own / PUBLIC_KEY]
        if checkpoints is None and places.checkpoints is None and places.kafka is None:
            checkpoints = own / CHECKPOINTS
        remark(f"with the key and the checkpoints of your `sprat up`: {public_key[0]}; --public-key names another")
    keys = PublicKeys.read(public_key)
    if checkpoints is not None:
        places = places.model_copy(update={"checkpoints": checkpoints, "kafka": None})
    with explain_kafka_errors(kafka):
        proof = asyncio.run(verify_audit(kafka, keys, places, options))
    stores = gateway_stores.folders_here(kafka.bootstrap, environment())
    for problem in gateway_stores.note_verified(stores, int(time.time() * 1000), len(proof.findings)):
        remark(f"the gateway's page does not show this verification: {problem}")
    if as_json:
        say_proof_json(proof)
    else:
        place = str(places.checkpoints or (places.kafka.bootstrap if places.kafka else ""))
        say_proof(proof, place, reconciled=reconcile)
    raise typer.Exit(exit_code(proof))


def _own_audit(kafka: KafkaSettings) -> Path:
    """Return the folder in which this user's running `sprat up` keeps key and checkpoints of its audit.

    Raises:
        UserError: the Kafka is that of none, or it signs with a key that the user gave it.
    """
    run = local_run.find_by_kafka(kafka.bootstrap)
    if run is None:
        raise UserError(
            f"--public-key FILE is missing, and no `sprat up` of yours runs with Kafka at {kafka.bootstrap}: name the "
            "public key of the frontier service, as `openssl pkey -in audit-key.pem -pubout` writes it; "
            "`sprat up --data FOLDER` keeps it in FOLDER/audit/public.pem"
        )
    folder = Path(run.folder).absolute() / AUDIT_FOLDER
    if not (folder / PUBLIC_KEY).is_file():
        raise UserError(
            "--public-key FILE is missing, and your `sprat up` signs with a key that you gave it "
            "(SPRAT_AUDIT__KEY_FILE): `openssl pkey -in KEY_FILE -pubout` writes its public key"
        )
    return folder


async def _sum_up(kafka: KafkaSettings, since_ms: int, tenants: list[str] | None) -> tuple[EgressSums, bool]:
    sums, complete = EgressSums(since_ms), True
    async for seen in read_egress(kafka, since_ms):
        if isinstance(seen, UnreadableRecord):
            complete = False
            remark(f"{seen.topic} {seen.partition}@{seen.offset} is not readable: {printable(seen.why)}")
        elif not tenants or seen.tenant in tenants:
            sums.add(seen)
    if sums.repeated:
        remark(f"{sums.repeated:,} records stand there again and are not counted: `sprat audit verify` says more")
    return sums, complete


def _sums_json(sums: EgressSums) -> list[dict[str, Any]]:
    ways = [
        {"type": "egress", "tenant": tenant, "provider": provider, "region": region, **each.as_json()}
        for (tenant, provider, region), each in sorted(sums.by_route.items())
    ]
    return [*ways, {"type": "total", **sums.total.as_json(), "repeated": sums.repeated}]


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
