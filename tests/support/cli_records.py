"""What the command line's tests share: results as the router writes them, and a stand-in that answers texts."""

import asyncio
import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from typer.testing import CliRunner

from sprat_cli.main import app
from sprat_contracts import (
    DeadLetterReason,
    Declined,
    Envelope,
    Event,
    IntentOutput,
    ModelRef,
    Origin,
    Result,
    Route,
    TextSubmitted,
    Topics,
    Traceparent,
    decode,
    encode,
)
from sprat_contracts.ids import RESULT, derive
from support.stream import SECRET


def kept(text_id="text-1", text_source="/test", task="intent", appended_at=1_000, **changes):
    """A Result that the small model gave."""
    fields = {
        "text_id": text_id,
        "text_source": text_source,
        "task": task,
        "requested": (task,),
        "origin": Origin(partition=0, offset=0, appended_at=appended_at),
        "status": "answered",
        "output": IntentOutput(label="transfer"),
        "confidence": 0.976,
        "source": "small",
        "route": Route(decision="kept", reason="confident", threshold=0.8),
        "model": ModelRef(name="en-fast", version="0123456789abcdef"),
        "language": "en",
        "tenant": "default",
    }
    return Result(**(fields | changes))


def unanswered(**changes):
    """A Result of a text that nobody answered."""
    fields = {
        "status": "unanswered",
        "output": None,
        "confidence": None,
        "source": "none",
        "model": None,
        "route": Route(decision="escalated", reason="no_service"),
        "declined": Declined(code="no_labels", detail="no labels are announced"),
    }
    return kept(**(fields | changes))


def result_record(result: Result, traceparent: Traceparent):
    """The value and headers of a Result's record."""
    id = str(derive(RESULT, result.text_source, result.text_id, result.task))
    extensions = {"tenant": result.tenant, "status": result.status}
    return encode(result, Envelope(id, "/test/router", traceparent, extensions=extensions))


Answer = Callable[[Event[TextSubmitted], str], Result | str | None]
"""Gives the Result of a text and a task; or the code of the router's dead letter; or nothing."""


@asynccontextmanager
async def answering(bootstrap: str, topics: Topics, answer: Answer):
    """Answer every text that comes, as the whole installation would; gives the list of what came."""
    consumer = AIOKafkaConsumer(
        topics.texts, bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await asyncio.gather(consumer.start(), producer.start())
    seen = []

    async def run():
        async for record in consumer:
            event = decode(record, TextSubmitted)
            seen.append((record, event))
            for task in event.message.tasks.known:
                said = answer(event, task)
                if isinstance(said, Result):
                    value, headers = result_record(said, event.envelope.traceparent)
                    await producer.send_and_wait(topics.results(task), value, headers=headers)
                elif said is not None:
                    await producer.send_and_wait(
                        topics.dead_letters, record.value, record.key, headers=dead_letter_headers(record, said)
                    )

    running = asyncio.create_task(run())
    try:
        yield seen
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await asyncio.gather(consumer.stop(), producer.stop())


def dead_letter_headers(record, code: str):
    """The headers of a dead letter that the router writes of this record."""
    place = (record.topic, record.partition, record.offset, record.timestamp)
    return DeadLetterReason(code, "text: broken on purpose", *place, "router", "1.2.3").headers(record.headers)


def environment(bootstrap: str, prefix: str, **more: str) -> dict[str, str]:
    """A test's own environment: the secret of the tests, nothing of the person's settings, no colour asked for."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SPRAT_")}
    return clean | {
        "SPRAT_KAFKA__BOOTSTRAP": bootstrap,
        "SPRAT_KAFKA__PREFIX": prefix,
        "SPRAT_SECRET": SECRET,
        **more,
    }


async def start_sprat(*arguments: str, env: dict[str, str], cwd, stdin=asyncio.subprocess.DEVNULL):
    """Start the command line as a person does, who runs no `sprat up` on this machine; gives the process."""
    pipe = asyncio.subprocess.PIPE
    env = {"XDG_CACHE_HOME": str(Path(cwd) / "cache")} | env
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sprat_cli", *arguments, env=env, cwd=cwd, stdin=stdin, stdout=pipe, stderr=pipe
    )


async def sprat_process(*arguments: str, env: dict[str, str], cwd) -> tuple[int, str, str]:
    """Run the command line to its end as a process, as where several run at once."""
    process = await start_sprat(*arguments, env=env, cwd=cwd)
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


class _LastResort(logging.Handler):
    """What a process without handlers prints of its logs: warnings and errors, on standard error."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.thread = threading.get_ident()
        self.addFilter(lambda record: record.thread == self.thread)

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(f"{self.format(record)}\n")


def _run(arguments: Sequence[str], env: Mapping[str, str], cwd: Path, stdin: str) -> tuple[int, str, str]:
    last_resort = _LastResort()
    logging.getLogger().addHandler(last_resort)
    foreign = dict.fromkeys(os.environ.keys() - env.keys())
    try:
        with contextlib.chdir(cwd):
            done = CliRunner().invoke(app, arguments, prog_name="sprat", env=foreign | env, input=stdin)
    finally:
        logging.getLogger().removeHandler(last_resort)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


async def sprat(*arguments: str, env: Mapping[str, str], cwd: Path, stdin: str = "") -> tuple[int, str, str]:
    """Run the command line to its end in a thread of this process; gives its exit code and what it printed.

    Hundreds of processes would each import it anew. One at a time: each has the standard streams of all.
    """
    return await asyncio.to_thread(_run, arguments, env, cwd, stdin)
