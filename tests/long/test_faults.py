"""Faults while traffic is on: every accepted pair still ends in one result, and no group is left with lag."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from sprat_contracts import Prediction, decode
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options, Simulation
from support.killed_service import MODULE, killed, points_of
from support.stream import eventually, read_all
from support.traffic import PAIRS, every_pair_ended, record, some_ended, submit

SURE = "please move {} euros from checking to my savings account"
BY_ENCODER = "please move {} euros to my savings"
"""The lexical stage leaves it to the encoder."""
HARD = "för över {} euro till mitt sparkonto"
pytestmark = pytest.mark.timeout(300)


def event(run: str, number: int) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return a text; of three, one is in a language that the small model declines, and may leave."""
    hard = number % 3 == 0
    value = {
        "text": (HARD, SURE, BY_ENCODER)[number % 3].format(number),
        "language": "sv" if hard else "en",
        "tasks": {"intent": {}},
        "tenant": "acme-bank",
        "frontier": "allow",
        "deadline_ms": 240_000,
    }
    return record(PAIRS, f"{run}-{number}", value)


async def nothing_was_paid_twice(installation: Installation) -> None:
    """Of each text at most one call was answered: a crash pays again only for calls without an answer."""
    records = [json.loads(each.value) for each in await read_all(installation.bootstrap, installation.topics.egress)]
    calls = {(each["text_hash"], each["call_id"]) for each in records if each["outcome"] == "answered"}
    assert calls
    assert [n for n in Counter(text_hash for text_hash, _ in calls).values() if n > 1] == []


def options(**more: object) -> Options:
    return Options(simulation=Simulation(latency_ms=5, jitter_ms=5, invent=True), **more)


KILLED_AFTER = {"intent": 80, "router": 160, "frontier": 20}
"""Service → records after which it is killed each time. In one run, so that they also die while others are down."""


async def test_services_killed_at_every_point_of_their_loops_lose_nothing(tmp_path: Path) -> None:
    count = 2_400
    folders = {service: tmp_path / service for service in KILLED_AFTER}
    faults = {}
    for service, folder in folders.items():
        folder.mkdir()
        faults[service] = killed(service, folder, KILLED_AFTER[service])
    modules = dict.fromkeys(KILLED_AFTER, MODULE)

    def died() -> dict[str, set[str]]:
        return {service: {path.name for path in folder.iterdir()} for service, folder in folders.items()}

    everywhere = {service: set(points_of(service)) for service in KILLED_AFTER}
    with Installation(options(service_environment=faults, modules=modules)) as installation:
        await submit(installation.bootstrap, installation.topics, partial(event, "kill"), count, over_s=12)
        await eventually(lambda: died() == everywhere, 120)
        await every_pair_ended(installation, "kill", count)
        assert died() == everywhere
        await nothing_was_paid_twice(installation)


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with Installation(options()) as running:
        yield running


async def test_redis_stopped_and_started_mid_run_loses_nothing(installation: Installation) -> None:
    submitting = asyncio.create_task(
        submit(installation.bootstrap, installation.topics, partial(event, "redis"), 600, over_s=6)
    )
    await some_ended(installation, "redis")
    await asyncio.to_thread(installation.crash_server, "redis")
    await asyncio.sleep(2)  # the length of the outage
    await asyncio.to_thread(installation.start_server, "redis")
    await submitting
    await every_pair_ended(installation, "redis", 600)


async def test_the_broker_stopped_for_20_seconds_mid_run_loses_nothing(installation: Installation) -> None:
    before = {name: process.pid for name, process in installation.processes.items()}
    submitting = asyncio.create_task(
        submit(installation.bootstrap, installation.topics, partial(event, "broker"), 800, over_s=24)
    )
    await some_ended(installation, "broker")
    await asyncio.to_thread(installation.crash_server, "kafka")
    await asyncio.sleep(20)  # the length of the outage
    await asyncio.to_thread(installation.start_server, "kafka")
    await submitting
    await every_pair_ended(installation, "broker", 800)
    assert {name: process.pid for name, process in installation.processes.items()} == before, "no service died of it"


async def test_of_two_instances_one_leaves_and_nothing_is_answered_twice(installation: Installation) -> None:
    await asyncio.to_thread(installation.start_service, "intent", instance=2)
    submitting = asyncio.create_task(
        submit(installation.bootstrap, installation.topics, partial(event, "two"), 800, over_s=6)
    )
    await asyncio.sleep(3)  # traffic while there are two
    await asyncio.to_thread(installation.stop_service, "intent#2")
    await submitting
    await every_pair_ended(installation, "two", 800)
    predictions = await read_all(installation.bootstrap, installation.topics.predictions("intent"))
    events = [decode(record, Prediction) for record in predictions]
    twice = [
        id for id, n in Counter(e.envelope.id for e in events if e.message.text_id.startswith("two-")).items() if n > 1
    ]
    assert twice == [], "the one that left had committed what it had in hand"
