"""Sprat on the oldest and the newest Kafka that it is tested with, besides the one that is embedded.

Each file in `class_paths` was resolved as `sprat_local/kafka/class_path.txt` was.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sprat_contracts import Result, decode
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options
from sprat_local.kafka import jars
from sprat_local.processes.notices import DownloadError
from sprat_local.processes.service_process import ProcessState
from support.stream import eventually, read_all, transaction
from support.traffic import PAIRS, every_pair_ended, record, some_ended, submit

CLASS_PATHS = sorted((Path(__file__).parent / "class_paths").glob("*.txt"))
TEXTS = 300


@pytest.fixture(params=CLASS_PATHS, ids=[path.stem for path in CLASS_PATHS])
def version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start this version of Kafka wherever one is embedded."""
    monkeypatch.setattr(jars, "_CLASS_PATH", request.param)
    monkeypatch.setattr(jars, "KAFKA_VERSION", request.param.stem)
    jars.pinned.cache_clear()
    try:
        jars.class_path()
    except DownloadError as error:
        pytest.skip(f"the files of Kafka {request.param.stem} cannot be fetched: {error}")
    yield request.param.stem
    jars.pinned.cache_clear()


def event(number: int) -> tuple[bytes, list[tuple[str, bytes]]]:
    value = {"text": f"please move {number} euros to my savings", "tasks": {"intent": {}}, "deadline_ms": 240_000}
    return record(PAIRS, f"version-{number}", value)


@pytest.mark.timeout(300)
async def test_no_pair_is_lost_when_a_broker_of_this_version_is_killed(version: str) -> None:
    options = Options(services=("simulator", "router", "intent", "frontier"))
    with Installation(options) as installation:
        bootstrap, topics, kafka = installation.bootstrap, installation.topics, installation.servers["kafka"]
        await transaction(bootstrap, topics.texts, [event(0)[0]], commit=False)
        await submit(bootstrap, topics, event, TEXTS // 2, over_s=2)
        await some_ended(installation, "version")
        kafka.kill()
        await eventually(lambda: kafka.restarts and kafka.state is ProcessState.READY, 90)
        await submit(bootstrap, topics, lambda number: event(TEXTS // 2 + number), TEXTS // 2, over_s=2)
        await every_pair_ended(installation, "version", TEXTS, ["intent.default"])
        results = [decode(each, Result).message for each in await read_all(bootstrap, topics.results("intent"))]
        assert {each.text_id.partition("-")[0] for each in results} == {"version"}, "nothing of the aborted transaction"
        assert f"kafka_2.13-{version}.jar" in Path(f"/proc/{kafka.pid}/cmdline").read_text("utf-8")
