"""One tenant floods the frontier with hard cases: another's come back nearly as soon as before."""

import asyncio
import logging
import statistics
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

import pytest
from aiokafka import AIOKafkaConsumer

from sprat_contracts import Result, decode
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options, Simulation
from support.stream import eventually
from support.traffic import record, submit

log = logging.getLogger(__name__)

FLOODER, OTHER = "acme-bank", "nordic-travel"
FLOOD = 10_000
FLOOD_PER_S = 120
"""More than the simulator answers (16 at a time, 225 ms each: 71 in a second), and no more than two cores read."""
OTHERS_PER_S = 4
IDLE_S = 25
pytestmark = pytest.mark.timeout(600)


def hard(tenant: str, run: str, number: int) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return a text in a language that the small model declines, and that may leave."""
    value = {
        "text": f"för över {number} euro till mitt sparkonto, {run}",
        "language": "sv",
        "tasks": {"intent": {}},
        "tenant": tenant,
        "frontier": "allow",
        "deadline_ms": 30_000,
    }
    return record(f"/{tenant}/{run}", str(number), value)


class Results:
    """What came of the texts, by source."""

    def __init__(self) -> None:
        self.seconds: dict[str, dict[str, float]] = {}
        """Source → id → seconds from the text's arrival at the broker to that of its Result."""
        self.ended: dict[str, Counter[str]] = {}
        """Source → how often each status, or the code of why the last who was asked did not answer."""

    async def follow(self, installation: Installation) -> None:
        consumer = AIOKafkaConsumer(
            installation.topics.results("intent"),
            bootstrap_servers=installation.bootstrap,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        async with consumer:
            async for found in consumer:
                result = decode(found, Result).message
                seconds = (found.timestamp - result.origin.appended_at) / 1000
                self.seconds.setdefault(result.text_source, {})[result.text_id] = seconds
                declined = result.declined
                ended = result.status if declined is None else (declined.causes or (declined,))[-1].code
                self.ended.setdefault(result.text_source, Counter())[str(ended)] += 1

    def all_of(self, tenant: str, run: str, count: int) -> Callable[[], bool]:
        return lambda: len(self.seconds.get(f"/{tenant}/{run}", {})) == count

    def p95_s(self, tenant: str, run: str) -> float:
        return p95(self.seconds[f"/{tenant}/{run}"].values())


def p95(values: Iterable[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


async def test_a_tenant_that_floods_delays_no_other() -> None:
    """Both are measured with everything on this machine: what the flood costs Kafka and the small model is in it."""
    services = ("router", "intent", "frontier", "simulator")
    simulation = Simulation(latency_ms=150, jitter_ms=150, invent=True)  # its texts have no gold answer
    with Installation(Options(services=services, simulation=simulation)) as installation:
        results = Results()
        following = asyncio.create_task(results.follow(installation))

        async def send(tenant: str, run: str, count: int, per_s: float) -> None:
            event = partial(hard, tenant, run)
            await submit(installation.bootstrap, installation.topics, event, count, over_s=count / per_s)

        flood_s = FLOOD / FLOOD_PER_S
        idle, beside = IDLE_S * OTHERS_PER_S, round(flood_s * OTHERS_PER_S)
        for run in ("warm", "idle"):
            await send(OTHER, run, idle, OTHERS_PER_S)
            await eventually(results.all_of(OTHER, run, idle), 60)
        await asyncio.gather(
            send(FLOODER, "flood", FLOOD, FLOOD_PER_S),
            send(OTHER, "beside", beside, OTHERS_PER_S),
        )
        await eventually(results.all_of(OTHER, "beside", beside), 60)
        await eventually(results.all_of(FLOODER, "flood", FLOOD), 120)
        following.cancel()

    ended = results.ended
    assert ended[f"/{OTHER}/beside"] == {"answered": beside}
    assert ended[f"/{FLOODER}/flood"].keys() <= {"answered", "overload", "deadline"}
    assert ended[f"/{FLOODER}/flood"]["overload"], "it was no flood"
    idle_s, beside_s = results.p95_s(OTHER, "idle"), results.p95_s(OTHER, "beside")
    said = f"p95 {idle_s:.2f} s idle, {beside_s:.2f} s beside a flood that ended as {dict(ended[f'/{FLOODER}/flood'])}"
    log.info(said)
    assert beside_s <= 2 * idle_s, said
