"""How the parts of scaling.py load an installation, and what they read of it: rebalances, repeats, CPU by service."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

from sprat_contracts import Envelope, TextSubmitted, Traceparent, encode
from sprat_local.bench.measure import Bench, Load
from sprat_local.bench.open_loop import NEVER, poisson_arrivals
from sprat_local.bench.options import bench_options
from sprat_local.bench.resources import OURS, meter_of
from sprat_local.bench.texts import SOURCE, BenchMessages, BenchRecord, load_texts
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options
from sprat_operations.services import instance_name
from tests.bench.scaling_tables import WAITED_S
from tests.support import waiting_intent

TASK: Final = "intent"
GROUPS: Final = ("intent", "router")
_SLICE_S: Final = 5.0
_REBALANCED: Final = re.compile(r"rebalanced in (\d+\.\d+) s")
_DEMO: Final = [text.text for text in load_texts(TASK) if text.language == "en"]


class SpreadMessages(BenchMessages):
    """Texts, each different, that ask for each model and come from each tenant in turn."""

    def __init__(self, models: Sequence[str] = ("default",), tenants: int = 100) -> None:
        super().__init__((), TASK, models[0])
        self._models = models
        self._tenants = tenants

    def _record(self, number: int) -> BenchRecord:
        value = submitted(number, self._models[number % len(self._models)], f"tenant-{number % self._tenants}")
        name = f"{self._run}-{number}"
        body, headers = encode(
            TextSubmitted.model_validate(value), Envelope(name, SOURCE, Traceparent.root(SOURCE, name))
        )
        return BenchRecord(number, name.encode(), body, tuple(headers))


def submitted(number: int, model: str, tenant: str) -> dict[str, Any]:
    """Return a text that no other number has; nothing of it may leave."""
    words = f"{_DEMO[number % len(_DEMO)]} ({number})"
    return {
        "text": words,
        "language": "en",
        "tasks": {TASK: {"model": model}},
        "tenant": tenant,
        "frontier": "deny",
    }


def options(folder: Path, *, waiting: bool = False, **more: Any) -> Options:
    """Return the options of the measured installation; `waiting` runs the model that waits in place of the own one."""
    base = bench_options(TASK, folder)
    environment = {"SPRAT_LOG_LEVEL": "info"} | (waiting_intent.ENVIRONMENT if waiting else {})  # tells of rebalances
    modules = {TASK: waiting_intent.MODULE} if waiting else {}
    return replace(base, environment=environment, modules=modules, static_members=False, **more)


def start_up_to(installation: Installation, service: str, instances: int) -> None:
    """Start instances of a service until there are so many, all at once, and wait until they are ready."""
    names = [instance_name(service, number) for number in range(1, instances + 1)]
    for number, name in enumerate(names, 1):
        if name not in installation.processes:
            installation.start_service(service, instance=number, wait=False)
    installation.wait_ready(*names)


async def load_during(bench: Bench, per_s: float, work: Awaitable[object]) -> Load:
    """Publish at a rate until the work is done, and for a slice more; return all that was sent."""
    working, sending = asyncio.ensure_future(work), []
    while not sending or not working.done():
        due = poisson_arrivals(per_s, _SLICE_S, seed=len(sending))
        sending.append(asyncio.create_task(bench.send(due)))
        await asyncio.sleep(_SLICE_S)  # the slices follow each other without a gap; nobody waits for their ends
    sending.append(asyncio.create_task(bench.send(poisson_arrivals(per_s, _SLICE_S, seed=len(sending)))))
    loads = await asyncio.gather(*sending)
    await working
    return Load([sent for load in loads for sent in load.sent], {})


async def backlog(installation: Installation, bench: Bench, count: int) -> dict[str, Any]:
    """Measure a backlog."""
    meter = meter_of(installation)
    others, began = meter.others_s(), time.monotonic()
    load = await bench.measure_backlog(count, meter)
    return {
        "texts": count,
        "unended": count - len(load.ends),
        "texts_per_s": round(load.texts_per_s, 1),
        "cpu_ms_per_text": by_service(load.cpu_s, count),
        "others_cores": round((meter.others_s() - others) / (time.monotonic() - began), 2),
    }


async def during(installation: Installation, bench: Bench, per_s: float, work: Awaitable[object]) -> dict[str, Any]:
    """Measure an open load while something is done, and the rebalances that it causes."""
    before, repeats = rebalances(installation.logs), bench.repeats
    load = await load_during(bench, per_s, work)
    after = rebalances(installation.logs)
    pauses = {
        name: summary([*(Counter(seconds) - Counter(before[name])).elements()]) for name, seconds in after.items()
    }
    return {"per_s": per_s} | waits(load) | {"repeats": bench.repeats - repeats, "rebalances": pauses}


def waits(load: Load) -> dict[str, Any]:
    """Return how long the texts of an open load waited for their Results, in milliseconds."""
    latency = load.latency
    ends = sorted(end.at for end in load.ends)
    return {
        "texts": len(load.sent),
        "unended": len(load.sent) - len(ends),
        "p50_ms": _ms(latency.p50),
        "p99_ms": _ms(latency.p99),
        "max_ms": _ms(latency.max),
        "longer_than_2_s": sum(each.latency_s > WAITED_S for each in load.sent),
        "longest_silence_ms": _ms(max((b - a for a, b in pairwise(ends)), default=0.0)),
    }


def _ms(seconds: float) -> float | None:
    """Return milliseconds; None where a text did not end."""
    return None if seconds == NEVER else round(1000 * seconds, 1)


def rebalances(logs: Path) -> dict[str, list[float]]:
    """Return group → the seconds of each rebalance of each of its members so far, as the members log them."""
    found: dict[str, list[float]] = {name: [] for name in GROUPS}
    for name in found:
        for log in sorted(logs.glob(f"{name}*.log")):
            found[name] += pauses(log.read_text("utf-8").splitlines())
    return found


def pauses(lines: Iterable[str]) -> Iterator[float]:
    """Yield the seconds of each rebalance in a log."""
    for line in lines:
        if found := _REBALANCED.search(line):
            yield float(found[1])


def summary(seconds: Sequence[float]) -> dict[str, Any]:
    """Return count, median and maximum; None without any."""
    return {
        "count": len(seconds),
        "p50_s": round(median(seconds), 3) if seconds else None,
        "max_s": round(max(seconds), 3) if seconds else None,
    }


def by_service(cpu_s: Mapping[str, float], texts: int) -> dict[str, float]:
    """Return CPU milliseconds a text, all instances and models of a service together."""
    found: Counter[str] = Counter()
    for name, used in cpu_s.items():
        if name != OURS:
            found[re.split(r"[#.]", name)[0]] += 1000 * used / texts
    return {name: round(used, 3) for name, used in found.items()}
