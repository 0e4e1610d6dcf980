"""Traffic for tests of a whole installation: texts spread over some seconds, and waiting until all is done."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable

from aiokafka import AIOKafkaProducer

from sprat_contracts import TASKS, Result, decode, ids
from sprat_contracts.topics import Topics
from sprat_local.installation.lifecycle import Installation
from sprat_operations.services import ON_REQUEST
from support.stream import eventually, lag, read_all

PAIRS = "/tests/pairs"
"""The source of texts that ask for an intent, with a run and a number as their id: `run-7`."""

Event = Callable[[int], tuple[bytes, list[tuple[str, bytes]]]]
"""The value and the headers of the n-th text."""


def record(source: str, id: str, value: dict[str, object]) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return the value and the headers of a text."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": id,
        "ce_source": source,
        "ce_type": "dev.sprat.text.submitted.v1",
    }
    return json.dumps(value).encode(), [(name, text.encode()) for name, text in headers.items()]


async def submit(bootstrap: str, topics: Topics, event: Event, count: int, over_s: float) -> None:
    """Publish `count` texts, spread over some seconds; what the broker cannot take yet waits in the producer."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, request_timeout_ms=120_000)
    await producer.start()
    began, sent = time.monotonic(), []
    for number in range(count):
        await asyncio.sleep(max(0.0, began + over_s * number / count - time.monotonic()))
        value, headers = event(number)
        sent.append(await producer.send(topics.texts, value=value, key=str(number).encode(), headers=headers))
    await asyncio.gather(*sent)
    await producer.stop()


DEFAULTS = tuple(f"{task}.default" for task in TASKS if task not in ON_REQUEST)


async def settled(bootstrap: str, topics: Topics, models: Iterable[str] = DEFAULTS) -> None:
    """Wait until no group has lag, twice in a row; `models` are those that run, as `intent.hr`."""
    groups = {
        f"{topics.prefix}.router": [topics.texts, *map(topics.predictions, topics.tasks), topics.frontier_answers],
        **{f"{topics.prefix}.{model}": [topics.texts] for model in models},
        f"{topics.prefix}.frontier": [topics.frontier_requests],
    }

    async def quiet() -> bool:
        return not sum([await lag(bootstrap, group, read) for group, read in groups.items()])

    await eventually(quiet, 120)
    await asyncio.sleep(0.5)  # a record may go from one group to another between two looks
    await eventually(quiet, 120)


async def ends(installation: Installation, run: str) -> Counter[str]:
    """Return how often each result id of a run stands on the results topic."""
    records = await read_all(installation.bootstrap, installation.topics.results("intent"))
    events = [decode(record, Result) for record in records]
    return Counter(event.envelope.id for event in events if event.message.text_id.startswith(f"{run}-"))


async def some_ended(installation: Installation, run: str) -> None:
    """Wait until the traffic of a run is on its way."""

    async def some() -> bool:
        return bool(await ends(installation, run))

    await eventually(some, 60)


async def every_pair_ended(installation: Installation, run: str, count: int, models: Iterable[str] = DEFAULTS) -> None:
    """Check that the texts of a run have all got the one Result that is theirs, and nothing else."""
    await settled(installation.bootstrap, installation.topics, models)
    expected = {str(ids.derive(ids.RESULT, PAIRS, f"{run}-{number}", "intent")) for number in range(count)}
    found = await ends(installation, run)
    assert set(found) == expected
    assert await read_all(installation.bootstrap, installation.topics.dead_letters) == []
