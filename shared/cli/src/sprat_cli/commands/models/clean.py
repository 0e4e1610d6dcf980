"""`sprat models clean`: remove announcements that every service ignores."""

import asyncio
from collections.abc import Collection
from typing import Annotated

import typer

from sprat.base.errors import SpratError, UserError
from sprat.base.settings import KafkaSettings
from sprat.base.words import counted
from sprat.kafka.clients import client_arguments
from sprat.kafka.signatures import Signatures
from sprat.registry.announcements import IgnoredRecord
from sprat_cli.options import Bootstrap, Json, Prefix, kafka_settings
from sprat_cli.terminal import confirmed, printable, remark, say, say_json
from sprat_operations.connection import explain_kafka_errors, writing_signatures
from sprat_operations.models import (
    WHY_IGNORED,
    RegisteredModels,
    read_registered_models,
    remove_ignored,
    running_groups,
)

EPILOG = """\b
Examples:
  sprat models clean
  sprat models clean --yes --json

\b
Every service reads the topic of models from its beginning when it starts, and ignores what is no announcement or is
signed with another secret. Such a record stays for good, where no service announces under its key again. This command
names them and writes a valid record after each, so that Kafka removes the bad one: the announcement that counts, once
more, or a withdrawal where none counts. What a running service has announced is left: give it the SPRAT_SECRET of the
others, and restart it. SPRAT_SECRET must be that of the services.

\b
Exit codes:
  0  there is none, or all are removed
  1  some are left; the message says which, and why
  2  wrong usage, or Kafka cannot be reached"""


def clean(
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Name and remove announcements that every service ignores."""
    kafka, signatures = kafka_settings(bootstrap, prefix), writing_signatures()
    with explain_kafka_errors(kafka):
        found, running = asyncio.run(_found(kafka, signatures))
    removable = [each for each in found.ignored if each.name not in running]
    for each in found.ignored:
        _say(each, found, running, as_json=as_json)
    if not found.ignored:
        if not as_json:
            say("no announcement is ignored")
        return
    if not found.valid and any(each.why == "invalid" for each in found.ignored):
        raise UserError("nothing is signed with this SPRAT_SECRET: is it that of the services? Nothing is removed")
    if removable:
        if not yes and not confirmed(f"Remove {counted(len(removable), 'record')}?", "remove them"):
            raise UserError("nothing was removed; --yes does it without asking")
        with explain_kafka_errors(kafka):
            left = asyncio.run(remove_ignored(client_arguments(kafka), kafka, removable, signatures))
        if left:
            raise SpratError(f"{counted(left, 'such record')} came meanwhile: run it again")
        if not as_json:
            say(f"removed: {counted(len(removable), 'record')}; Kafka deletes them when it next compacts the topic")
    if len(removable) < len(found.ignored):
        raise SpratError("what a running service announced is left: give it the SPRAT_SECRET of the others; restart it")


async def _found(kafka: KafkaSettings, signatures: Signatures) -> tuple[RegisteredModels, Collection[str]]:
    """Return what is on the topic, and the names of ignored models whose service runs."""
    found = await read_registered_models(kafka, signatures)
    names = {each.name for each in found.ignored if not found.counts(each)}
    return found, await running_groups(client_arguments(kafka), kafka.topics, names)


def _say(each: IgnoredRecord, found: RegisteredModels, running: Collection[str], *, as_json: bool) -> None:
    what = "left" if each.name in running else "written again" if found.counts(each) else "withdrawn"
    if as_json:
        where = {"partition": each.record.partition, "offset": each.record.offset, "at_ms": each.record.timestamp}
        say_json({"type": "ignored", "key": each.name, "why": each.why, "then": what, **where})
        return
    then = {
        "left": "its service runs: left",
        "written again": "a valid one counts: that is written again",
        "withdrawn": "none counts: withdrawn",
    }[what]
    remark(f"{printable(each.name, 100)}: {WHY_IGNORED[each.why]}; {then}")
