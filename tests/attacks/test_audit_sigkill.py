"""Two frontier services die by SIGKILL again and again while calls are under way: the audit accuses nobody."""

import asyncio
import json
import logging
from functools import partial
from random import Random

import pytest

from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options, Simulation
from sprat_operations.services import instance_name
from support.cli_records import environment, sprat
from support.traffic import record, settled, submit

log = logging.getLogger(__name__)

KILLS, PAUSE_S = 8, 4.0
PER_S = 40
BATCH = 50
pytestmark = pytest.mark.timeout(480)


def hard(number: int) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return a text in a language that the small model declines, and that may leave."""
    value = {
        "text": f"för över {number} euro till mitt sparkonto",
        "language": "sv",
        "tasks": {"intent": {}},
        "tenant": "acme-bank",
        "frontier": "allow",
        "deadline_ms": 240_000,
    }
    return record("/attacks/kills", str(number), value)


async def kill_in_turn(installation: Installation) -> None:
    """Kill one of the replicas at any point of its calls, and start it again."""
    random = Random(9)
    for number in range(KILLS):
        await asyncio.sleep(random.uniform(0.5, PAUSE_S))
        instance = number % 2 + 1
        name = instance_name("frontier", instance)
        installation.kill(name)
        await asyncio.to_thread(installation.stop_service, name)
        await asyncio.to_thread(partial(installation.start_service, "frontier", instance=instance))


async def test_no_false_alarm_after_real_kills_of_two_replicas(tmp_path) -> None:
    services = ("router", "intent", "frontier", "simulator")
    simulation = Simulation(latency_ms=100, jitter_ms=100)
    with Installation(Options(services=services, simulation=simulation, data=tmp_path / "data")) as installation:
        topics, bootstrap = installation.topics, installation.bootstrap
        await asyncio.to_thread(partial(installation.start_service, "frontier", instance=2))
        killing, texts = asyncio.create_task(kill_in_turn(installation)), 0
        while not killing.done():
            await submit(bootstrap, topics, lambda number, first=texts: hard(first + number), BATCH, BATCH / PER_S)
            texts += BATCH
        await killing
        await settled(bootstrap, topics, ["intent.default"])

        key = installation.folder / "audit" / "public.pem"
        where = ("--public-key", str(key), "--checkpoints", str(installation.folder / "audit" / "checkpoints"))
        installed = environment(bootstrap, topics.prefix)
        code, out, err = await sprat("audit", "verify", *where, "--grace", "1s", "--json", env=installed, cwd=tmp_path)
    said = json.loads(out.splitlines()[-1])
    log.info(said)
    assert (code, said["fine"]) == (0, True), out + err
    assert said["interrupted"] >= KILLS, "the kills hit too few calls"
    assert said["calls"] >= texts, "each text was asked at least once"
