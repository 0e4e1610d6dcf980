"""Dead letters as services write them, and the command line that is asked about them."""

import asyncio
import json
from dataclasses import replace

from typer.testing import CliRunner

from sprat_cli.main import app
from sprat_contracts import DeadLetterReason, Record
from support.cli_records import environment
from support.stream import publish
from support.wire_records import signed_letter


def plain_record(topics, value: bytes = b'{"text": "Dear Anna Schmidt"}', **changes) -> Record:
    return replace(Record(topics.texts, 1, 41, 1_767_225_600_000, b"k", value, ()), **changes)


async def rejected(
    settings,
    *records: Record,
    service: str = "router",
    code: str = "invalid_text",
    partition: int | None = None,
    **changes,
) -> None:
    """Write dead letters of records as a service does; without a partition, their keys decide."""
    for record in records:
        place = (record.topic, record.partition, record.offset, record.timestamp)
        reason = replace(DeadLetterReason(code, "tasks: Field required", *place, service, "1.2.3"), **changes)
        topic, headers = settings.kafka.topics.dead_letters, tuple(reason.headers(record.headers, record.value))
        letter = signed_letter(replace(record, topic=topic, headers=headers))
        await publish(settings.kafka.bootstrap, topic, [record.value], letter.headers, record.key, partition)


async def dlq(bootstrap: str, prefix: str, *arguments: str, **more: str):
    """Run `sprat dlq` in a thread of its own, as it has a loop of its own; give exit code and output."""
    env = environment(bootstrap, prefix, **more)
    result = await asyncio.to_thread(CliRunner().invoke, app, ["dlq", *arguments], env=env)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    out = result.stdout
    return result.exit_code, [json.loads(line) for line in out.splitlines()] if "--json" in arguments else out
