"""The measurement of several instances, small: it sees rebalances, and counts each text once."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from sprat_local.bench.measure import Bench
from sprat_local.installation.lifecycle import Installation
from tests.bench.scaling_backlog import measure_depths
from tests.bench.scaling_loads import TASK, SpreadMessages, backlog, during, options, start_up_to

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]  # 25 s on a quiet machine


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder: Path = tmp_path_factory.mktemp("scaling")
    with Installation(options(folder, waiting=True)) as installation:
        yield installation


async def test_instances_join_and_are_restarted_under_load(installation: Installation) -> None:
    async with Bench(installation, TASK, SpreadMessages()) as bench:
        joined = await during(installation, bench, 20.0, asyncio.to_thread(start_up_to, installation, TASK, 2))
        restarted = await during(installation, bench, 20.0, asyncio.to_thread(installation.rolling_restart, TASK))
        full = await backlog(installation, bench, 200)

    assert joined["rebalances"][TASK]["count"] >= 1
    assert restarted["rebalances"][TASK]["count"] >= 4, "the other one pauses as each of two leaves, and as it joins"
    assert joined["rebalances"]["router"]["count"] == restarted["rebalances"]["router"]["count"] == 0
    for load in (joined, restarted):
        assert load["texts"] >= 200
        assert (load["unended"], load["repeats"]) == (0, 0)
    assert full["unended"] == 0
    assert full["cpu_ms_per_text"].keys() >= {"intent", "router", "kafka"}


def test_behind_a_backlog_as_many_texts_come_as_are_answered(installation: Installation) -> None:
    (row,) = measure_depths(installation, [400], 100)

    assert row["depth"] == row["unanswered"] == 400
    assert row["texts"] >= 100
    assert row["cpu_ms_per_text"]["intent"] > 0
