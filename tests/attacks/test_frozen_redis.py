"""A Redis that hangs (SIGSTOP) costs a service of a small model hardly any throughput."""

import asyncio
import logging
import os
import signal
import time
from functools import partial

import pytest

from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options
from support.stream import eventually, lag
from support.traffic import record, submit

log = logging.getLogger(__name__)

ROUNDS, TEXTS = 2, 2_000
pytestmark = pytest.mark.timeout(600)


def event(run: str, number: int) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return a text that the small model answers and no cache holds."""
    value = {"text": f"please move {number} euros from checking to savings, {run}", "tasks": {"intent": {}}}
    return record("/attacks/redis", f"{run}-{number}", value)


async def seconds(installation: Installation, run: str, texts: int) -> float:
    """Return how long so many texts take that come at once."""
    topics, prefix = installation.topics, installation.options.prefix
    groups = {
        f"{prefix}.router": [topics.texts, topics.predictions("intent")],
        f"{prefix}.intent.default": [topics.texts],
    }

    async def done() -> bool:
        return not sum([await lag(installation.bootstrap, group, read) for group, read in groups.items()])

    began = time.monotonic()
    await submit(installation.bootstrap, topics, partial(event, run), texts, over_s=0)
    await eventually(done, 120)
    return time.monotonic() - began


async def test_throughput_with_a_frozen_redis_is_nearly_that_without_one() -> None:
    """Taken in turns, so that other work on the machine slows both."""
    without_s = frozen_s = 0.0
    with Installation(Options(services=("router", "intent"))) as installation:
        for number in range(ROUNDS):
            await seconds(installation, f"warm-{number}", 200)
            os.kill(installation.servers["redis"].pid, signal.SIGSTOP)
            frozen_s += await seconds(installation, f"frozen-{number}", TEXTS)
            await asyncio.to_thread(installation.crash_server, "redis")
            without_s += await seconds(installation, f"without-{number}", TEXTS)
            await asyncio.to_thread(installation.start_server, "redis")
    said = f"{ROUNDS * TEXTS} texts take {without_s:.1f} s without Redis, {frozen_s:.1f} s with a frozen one"
    log.info(said)
    assert without_s / frozen_s >= 0.8, said
