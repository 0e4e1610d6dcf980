"""`sprat erase`: delete what Redis and gateways hold of a person or a tenant; list what stands in Kafka, until when."""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer

from sprat.base.errors import UserError
from sprat.base.keys import Keys
from sprat.base.settings import environment
from sprat.base.words import counted
from sprat_cli.options import Bootstrap, Json, Prefix, kafka_settings, option
from sprat_cli.progress import read_progress
from sprat_cli.render import when
from sprat_cli.terminal import faint, printable, remark, say, say_json
from sprat_operations import erase as erasure
from sprat_operations import gateway_stores
from sprat_operations.connection import CommandSettings, explain_kafka_errors, load_command_settings, without_secret
from sprat_operations.erase import HOLDS, Selection, Stock, StoredRecord, remarks

EPILOG = """\b
Examples:
  sprat erase --key customer-4711 --dry-run
  sprat erase --text-id order-4711 --tenant acme-bank --json > for-the-officer.jsonl
  sprat erase --tenant acme-bank

\b
What is given must all hold. The answers in Redis are deleted, and what gateways of this machine have stored: that of
`sprat up`, and one whose folder SPRAT_GATEWAY__DATA names. Where another gateway has a store, and has noted it in
Redis, it is named, with the command that deletes there. Records of Kafka cannot be deleted one by one: each is
listed with its topic, partition and offset, what it holds, and the time until which it stands; Kafka deletes it
shortly afterwards, with the segment of the log that it is in, by the second time at the latest. No text is shown.

\b
Records whose tenant cannot be read (JSON that is broken or nested too deep, CloudEvents in batched mode, a tenant
that is no string) may be any tenant's: --tenant lists them as "tenant unknown", and with --key or --text-id they count
as found.

\b
It reads every topic from its beginning. SPRAT_SECRET must be that of the services, because the names in Redis are
hashes with it, and SPRAT_PREVIOUS_SECRET too during a rotation; SPRAT_REDIS__URL must be theirs as well.

\b
Exit codes:
  0  all was looked at, and what was found in Redis and stored by gateways is deleted
  1  a topic, what an open transaction holds back, Redis or a gateway's store could not be looked at; what could be is
     listed and deleted
  2  wrong usage, or Kafka cannot be reached"""


def erase(
    *,
    key: Annotated[str | None, option("KEY", "The key that the upstream system gave the records.")] = None,
    text_id: Annotated[str | None, option("ID", "The id of a text (ce_id).")] = None,
    tenant: Annotated[str | None, option("NAME", "Of this tenant; alone, all of it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing: count and list alone.")] = False,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Delete what Redis and gateways hold of a person or a tenant, and list what stands in Kafka until when."""
    selection = Selection(key, text_id, tenant)
    if selection == Selection():
        raise UserError("name whose data: --key KEY, --text-id ID or --tenant NAME; together, all must hold")
    kafka = kafka_settings(bootstrap, prefix)
    settings = load_command_settings(kafka)
    with explain_kafka_errors(kafka), read_progress("reading") as progress:
        stock = asyncio.run(
            erasure.erase(
                kafka,
                settings.redis,
                _keys(settings),
                selection,
                stores=gateway_stores.folders_here(kafka.bootstrap, environment()),
                dry_run=dry_run,
                progress=progress,
            )
        )
    if as_json:
        for row in _rows(stock, selection, dry_run=dry_run):
            say_json(row)
    else:
        for line in _lines(stock, dry_run=dry_run):
            say(line)
        for line in remarks(selection):
            say(faint(f"not found: {line}"))
    for line in _problems(stock, selection):
        remark(line)
    raise typer.Exit(0 if stock.complete else 1)


def _problems(stock: Stock, selection: Selection) -> Iterator[str]:
    """Return what was not looked at, and what may be the selection's."""
    if selection.tenant is not None and stock.count_unknown:
        yield (
            f"{counted(stock.count_unknown, 'record')} whose tenant cannot be read (tenant unknown): they may be of "
            f"{printable(selection.tenant)}"
        )
    for topic, why in stock.unreadable_topics.items():
        yield f"not looked at: {topic}, {why}"
    for transaction in stock.held_back:
        yield f"{transaction}: what stands behind was not looked at; {transaction.fix}"
    if stock.redis_error is not None:
        yield (
            f"Redis cannot be searched ({stock.redis_error}): nothing is deleted; set SPRAT_REDIS__URL to the services'"
        )
    for each in stock.stores:
        if each.problem is not None:
            there = gateway_stores.command(selection.key, selection.text_id, selection.tenant)
            yield (
                f"nothing is deleted in the store of the gateway on {printable(each.store.host)}, folder "
                f"{printable(each.store.folder)}: {printable(each.problem)}; run there: {there}"
            )


def _keys(settings: CommandSettings) -> Keys:
    if not settings.secret.get_secret_value():
        raise without_secret("answers in Redis cannot be found without it")
    return settings.keys


def _lines(stock: Stock, *, dry_run: bool) -> Iterator[str]:
    for record in (*stock.records, *stock.tenant_unknown):
        source, id = record.identity or ("", "without id")
        of = f"{id} from {source}" if source else id
        tenant = " · tenant unknown" if record.tenant_unknown else f" · tenant {record.tenant}" if record.tenant else ""
        yield f"{record.topic} {record.partition}@{record.offset}  {_until(stock, record)}  {HOLDS[record.kind]}"
        yield faint(f"  {printable(of + tenant)}")
    known, unknown = stock.by_topic, stock.unknown_by_topic
    for topic in known | unknown:
        more = f", and {unknown[topic]:,} of an unknown tenant" if topic in unknown else ""
        yield f"{topic}: {counted(known.get(topic, 0), 'record')}{more}"
    if not known | unknown:
        yield "no record in Kafka"
    done = "would be deleted" if dry_run else "deleted"
    count = stock.cached if dry_run else stock.deleted
    yield f"Redis: {counted(count, 'answer')} {done}"
    for each in stock.stores:
        if each.problem is None:
            yield f"gateway, {printable(each.store.folder)}: {counted(each.texts, 'text')} {done}"


def _until(stock: Stock, record: StoredRecord) -> str:
    expiry = stock.expiry(record)
    if expiry.expires_at is None or expiry.gone_by is None:
        return "without end"
    return f"until {when(expiry.expires_at)}, at the latest {when(expiry.gone_by)}"


def _rows(stock: Stock, selection: Selection, *, dry_run: bool) -> Iterator[dict[str, Any]]:
    """Return the lines for machines; times are epoch milliseconds."""
    unknown = [("tenant_unknown", record) for record in stock.tenant_unknown]
    for kind, record in [*(("record", record) for record in stock.records), *unknown]:
        expiry = stock.expiry(record)
        source, id = record.identity or (None, None)
        yield {
            "type": kind,
            "kind": record.kind.value,
            "holds": HOLDS[record.kind],
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "appended_at": record.appended_at,
            "expires_at": expiry.expires_at,
            "gone_by": expiry.gone_by,
            "text_id": id,
            "text_source": source,
            "tenant": record.tenant,
        }
    yield {
        "type": "erased",
        "selection": {"key": selection.key, "text_id": selection.text_id, "tenant": selection.tenant},
        "dry_run": dry_run,
        "records": stock.by_topic,
        "tenant_unknown": stock.unknown_by_topic,
        "redis": {"searched": stock.redis_error is None, "found": stock.cached, "deleted": stock.deleted},
        "gateways": [
            {"host": each.store.host, "folder": each.store.folder, "texts": each.texts, "problem": each.problem}
            for each in stock.stores
        ],
        "not_looked_at": stock.unreadable_topics,
        "held_back": [asdict(transaction) for transaction in stock.held_back],
        "not_found": remarks(selection),
    }
