"""What instances, models, tenants and a backlog add to the speed and the cost of a text. `make bench-scaling`.

| part        | what is measured                                                                                       |
|-------------|--------------------------------------------------------------------------------------------------------|
| `waiting`   | 1 to 8 instances of intent and 1 to 4 routers, with a model that waits (support/waiting_intent.py)     |
| `instances` | the same with the shipped model                                                                        |
| `restart`   | a restart of 8 + 4 instances one after the other, while texts arrive                                   |
| `backlog`   | the cost of a text with 10^3 to 10^6 texts before it, which nobody has answered                        |
| `models`    | 1 to 8 models of intent, a process each, each asked for by its share of the texts                      |
| `tenants`   | 1 to 1,000 tenants, each with an entry in the policy                                                   |

Each part saves docs/figures/scaling-PART.json; docs/deploy/sizing.md is filled from them.
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from sprat_inference.artefact import read_json
from sprat_intent.__main__ import SHIPPED
from sprat_local.bench.measure import Bench
from sprat_local.bench.open_loop import poisson_arrivals
from sprat_local.installation.lifecycle import Installation
from sprat_operations.services import ServedModel
from tests.bench.arguments import write_json
from tests.bench.benchmarks_page import save
from tests.bench.machine import machine_facts
from tests.bench.scaling_backlog import measure_depths
from tests.bench.scaling_loads import TASK, SpreadMessages, backlog, during, options, start_up_to, waits

STEPS: Final = ((1, 1), (2, 1), (4, 1), (8, 1), (8, 2), (8, 4))
"""Instances of intent and of the router."""
MODELS: Final = (1, 2, 4, 8)
TENANTS: Final = (1, 10, 100, 1000)
DEPTHS: Final = (1_000, 10_000, 100_000, 1_000_000)
CALM_PER_S: Final = 30.0
"""While instances come and go: what the starting processes leave of two cores."""


def waiting(share: float) -> dict[str, Any]:
    """Measure steps of instances with the model that waits."""
    return _instances(share, waits_in_model=True)


def instances(share: float) -> dict[str, Any]:
    """Measure steps of instances with the shipped model."""
    return _instances(share, waits_in_model=False)


def _instances(share: float, *, waits_in_model: bool) -> dict[str, Any]:
    async def steps(installation: Installation) -> list[dict[str, Any]]:
        rows = []
        async with Bench(installation, TASK, SpreadMessages()) as bench:
            for intents, routers in _shortened(STEPS, share):

                def join(intents: int = intents, routers: int = routers) -> None:
                    start_up_to(installation, TASK, intents)
                    start_up_to(installation, "router", routers)

                joined = await during(installation, bench, CALM_PER_S, asyncio.to_thread(join))
                full = await backlog(installation, bench, round(4_000 * share))
                half = full["texts_per_s"] / 2
                repeats = bench.repeats
                load = await bench.send(poisson_arrivals(half, 10 * share))
                rows.append(
                    {"intent": intents, "router": routers, "join": joined, "backlog": full}
                    | {"half": {"per_s": round(half, 1)} | waits(load) | {"repeats": bench.repeats - repeats}}
                )
                _print(rows[-1])
        return rows

    with (
        tempfile.TemporaryDirectory() as folder,
        Installation(options(Path(folder), waiting=waits_in_model)) as installation,
    ):
        return {"rows": asyncio.run(steps(installation))}


def restart(share: float) -> dict[str, Any]:
    """Measure the restart of all instances of a service, one after the other."""
    most = {TASK: 8, "router": 4} if share == 1 else {TASK: 2, "router": 2}

    async def restarts(installation: Installation) -> list[dict[str, Any]]:
        rows = []
        async with Bench(installation, TASK, SpreadMessages()) as bench:
            for service, number in most.items():
                start_up_to(installation, service, number)
            for service, number in most.items():
                work = asyncio.to_thread(installation.rolling_restart, service)
                rows.append(
                    {"service": service, "instances": number} | await during(installation, bench, CALM_PER_S, work)
                )
                _print(rows[-1])
        return rows

    with tempfile.TemporaryDirectory() as folder, Installation(options(Path(folder))) as installation:
        return {"rows": asyncio.run(restarts(installation))}


def depths(share: float) -> dict[str, Any]:
    """Measure the cost of a text by the length of the backlog."""
    with tempfile.TemporaryDirectory() as folder, Installation(options(Path(folder))) as installation:
        return {"rows": measure_depths(installation, [round(each * share) for each in DEPTHS], round(5_000 * share))}


def models(share: float) -> dict[str, Any]:
    """Measure the cost of a text by the number of models; every service reads every text."""
    version = read_json(SHIPPED / "card.json")["version"]
    rows = []
    for number in _shortened(MODELS, share):
        names = ["default", *(f"m{each}" for each in range(2, number + 1))]
        served = tuple(ServedModel(TASK, name, SHIPPED, version) for name in names[1:])
        rows.append({"models": number} | _one_backlog(share, SpreadMessages(names), models=served))
    return {"rows": rows}


def tenants(share: float) -> dict[str, Any]:
    """Measure the cost of a text by the number of tenants."""
    return {
        "rows": [
            {"tenants": number} | _one_backlog(share, SpreadMessages(tenants=number), tenants=number)
            for number in _shortened(TENANTS, share)
        ]
    }


def _one_backlog(share: float, messages: SpreadMessages, tenants: int = 0, **more: Any) -> dict[str, Any]:
    """Measure a backlog on an installation of its own, whose policy names so many tenants; the median of three."""

    async def measured(installation: Installation) -> dict[str, Any]:
        async with Bench(installation, TASK, messages) as bench:
            rounds = [await backlog(installation, bench, round(2_000 * share)) for _ in range(3)]
            return sorted(rounds, key=lambda each: sum(each["cpu_ms_per_text"].values()))[1]

    with tempfile.TemporaryDirectory() as folder:
        chosen = options(Path(folder), **more)
        if tenants:
            rules = {f"tenant-{each}": {"frontier": "deny"} for each in range(tenants)}
            policy = json.loads(chosen.policy.read_text("utf-8")) | {"tenants": rules}
            chosen.policy.write_text(json.dumps(policy), "utf-8")
        with Installation(chosen) as installation:
            found = asyncio.run(measured(installation))
    _print(found)
    return found


def _shortened(steps: Sequence[Any], share: float) -> Sequence[Any]:
    return steps if share == 1 else (steps[0], steps[-1])


def _print(row: dict[str, Any]) -> None:
    print(json.dumps(row), flush=True)


PARTS: Final[dict[str, Callable[[float], dict[str, Any]]]] = {
    "waiting": waiting,
    "instances": instances,
    "restart": restart,
    "backlog": depths,
    "models": models,
    "tenants": tenants,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="parts, separated by commas; the default is all")
    parser.add_argument(
        "--share", type=float, default=1.0, help="of the texts and seconds; below 1, steps are left out"
    )
    parser.add_argument("--json", type=Path, help="write the figures there, and leave the page as it is")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",") if arguments.only else list(PARTS)
    if unknown := set(chosen) - PARTS.keys():
        parser.error(f"--only: there is no part {', '.join(sorted(unknown))}; known are {', '.join(PARTS)}")
    found = {}
    for name in chosen:
        print(f"{name}:", flush=True)
        found[name] = {"machine": machine_facts(TASK), "share": arguments.share} | PARTS[name](arguments.share)
        if not arguments.json:
            save(f"scaling-{name}", found[name])
    if arguments.json:
        write_json(arguments.json, found)


if __name__ == "__main__":
    main()
