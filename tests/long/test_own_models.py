"""Models of an owner's own beside the shipped one, and a new version of one while texts arrive."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from sprat_contracts import Prediction, Result, decode, ids
from sprat_contracts.topics import Topics
from sprat_inference.artefact import load_artefact, write_artefact
from sprat_intent.__main__ import SHIPPED
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.models import served_models
from sprat_local.installation.options import Options, Simulation
from support.stream import eventually, read_all
from support.traffic import DEFAULTS, record, settled, submit
from support.up_process import UpProcess

SOURCE = "/tests/own-models"
AFTER = 60
"""Texts that arrive when the new version serves, however long that took; the others arrive meanwhile."""
TEXT = "please move {} euros from checking to my savings account"
pytestmark = pytest.mark.timeout(240)


def version_of(folder: Path, name: str, purpose: str) -> str:
    """Make a version of an intent model in `folder`, which may hold an earlier one, and give what it is called."""
    new = folder.with_name(f"{folder.name}-{name}")
    shutil.copytree(SHIPPED, new)
    card = load_artefact(new).card.model_dump(mode="json")
    version = write_artefact(new, card | {"name": folder.name, "limits": [purpose]}).version
    if folder.exists():
        folder.rename(new.with_suffix(".before"))
    new.rename(folder)
    return version


def event(model_of: Callable[[int], str], run: str, number: int) -> tuple[bytes, list[tuple[str, bytes]]]:
    value = {"text": TEXT.format(number), "tasks": {"intent": {"model": model_of(number)}}}
    return record(SOURCE, f"{run}-{number}", value)


async def versions_by_model(bootstrap: str, topics: Topics, run: str, count: int) -> dict[str, list[str]]:
    """Return the versions that answered, by the model asked for, in order; each text once, as prediction and result."""
    found: dict[str, list[tuple[int, str]]] = {}
    for topic, kind, stage in (
        (topics.predictions("intent"), Prediction, ids.PREDICTION),
        (topics.results("intent"), Result, ids.RESULT),
    ):
        events = [decode(each, kind) for each in await read_all(bootstrap, topic)]
        seen = Counter(event.envelope.id for event in events)
        assert seen == {str(ids.derive(stage, SOURCE, f"{run}-{n}", "intent")): 1 for n in range(count)}
    for each in await read_all(bootstrap, topics.predictions("intent")):
        made = decode(each, Prediction).message
        asked = made.submitted.tasks.known["intent"].model
        assert made.model is not None
        found.setdefault(asked, []).append((int(made.text_id.rpartition("-")[2]), made.model.version))
    assert await read_all(bootstrap, topics.dead_letters) == []
    return {asked: [version for _, version in sorted(each)] for asked, each in found.items()}


async def predicted(bootstrap: str, topics: Topics, count: int) -> None:
    """Wait until so many texts were answered."""

    async def enough() -> bool:
        return len(await read_all(bootstrap, topics.predictions("intent"))) >= count

    await eventually(enough, 60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "hr"


@pytest.fixture
def up(folder: Path) -> Iterator[UpProcess]:
    version_of(folder, "first", "the first version")
    process = UpProcess("--model", f"intent/hr={folder}")
    yield process
    process.end()


async def test_up_serves_a_model_beside_the_shipped_one_and_takes_over_its_new_version_under_traffic(
    up: UpProcess, folder: Path
) -> None:
    first, topics, count = load_artefact(folder).card.version, Topics(), 600
    await asyncio.to_thread(up.wait_ready)
    listed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "sprat_cli", "models", "list", "--json", "--bootstrap", up.bootstrap],
        capture_output=True,
        check=True,
    )
    announced = {(each["task"], each["model"]): each["version"] for each in map(json.loads, listed.stdout.splitlines())}
    assert {("intent", "default"), ("intent", "hr"), ("ner", "default")} <= set(announced)
    assert announced["intent", "hr"] == first != announced["intent", "default"]

    submitted = partial(event, lambda n: "hr" if n % 2 else "default", "up")
    traffic = asyncio.create_task(submit(up.bootstrap, topics, submitted, count - AFTER, over_s=12))
    await predicted(up.bootstrap, topics, 200)
    second = await asyncio.to_thread(version_of, folder, "second", "the second version")
    await asyncio.to_thread(up.wait_for, lambda: f"intent.hr: version {second} is in use" in up.output, 60)
    await traffic
    await submit(up.bootstrap, topics, lambda n: submitted(count - AFTER + n), AFTER, over_s=1)
    await settled(up.bootstrap, topics, models=[*DEFAULTS, "intent.hr"])

    answered = await versions_by_model(up.bootstrap, topics, "up", count)
    assert set(answered["default"]) == {announced["intent", "default"]}
    hr = answered["hr"]
    assert len(hr) == count // 2
    assert hr == [first] * hr.count(first) + [second] * hr.count(second)
    assert min(hr.count(first), hr.count(second)) >= AFTER // 2

    served = sorted(child.pid for child in up.children() if "sprat_intent" in child.cmdline())
    (folder / "card.json").write_text("{}")
    told = f"intent.hr: its folder has changed and cannot be served; {second} stays in use"
    await asyncio.to_thread(up.wait_for, lambda: told in up.output, 40)
    assert served == sorted(child.pid for child in up.children() if "sprat_intent" in child.cmdline())


async def test_instances_are_renewed_one_after_the_other_and_no_text_is_lost_or_answered_twice(folder: Path) -> None:
    first = version_of(folder, "first", "the first version")
    options = Options(
        models=served_models([f"intent={folder}"]),
        services=("simulator", "router", "intent", "frontier"),
        simulation=Simulation(latency_ms=5, jitter_ms=5),
    )
    count = 600
    with Installation(options) as installation:
        await asyncio.to_thread(installation.start_service, "intent", instance=2)
        processes = {name: process.pid for name, process in installation.processes.items()}
        bootstrap, topics, submitted = (
            installation.bootstrap,
            installation.topics,
            partial(event, lambda _: "default", "two"),
        )
        traffic = asyncio.create_task(submit(bootstrap, topics, submitted, count - AFTER, over_s=9))
        await predicted(bootstrap, topics, 150)
        second = await asyncio.to_thread(version_of, folder, "second", "the second version")
        await asyncio.to_thread(installation.rolling_restart, "intent")
        await traffic
        await submit(bootstrap, topics, lambda n: submitted(count - AFTER + n), AFTER, over_s=1)
        changed = {name for name, process in installation.processes.items() if process.pid != processes[name]}
        await settled(bootstrap, topics, ["intent.default"])
        answered = await versions_by_model(bootstrap, topics, "two", count)

    assert changed == {"intent", "intent#2"}
    assert min(map(answered["default"].count, (first, second))) >= AFTER
