"""The guardian on a real broker: what it closes and raises, killed anywhere, stopped, and beside another."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import psutil
import pytest

from conftest import Kafka
from sprat.kafka.publisher import OutRecord
from sprat.registry.announcements import announcement_record
from sprat_contracts import AlarmRaised, ReviewAsked, ReviewClosed, Topics, decode
from sprat_contracts.reviews import RIGHT, WRONG
from sprat_contracts.topics import DAY_MS
from sprat_guardian.shift import WINDOW
from sprat_guardian.writing import RecordWriter
from sprat_operations.feedback import feedback_record
from support.even_results import even_thresholds, result_of
from support.killed_guardian import MODULE, POINTS, killed
from support.review_logs import answer_to, asked_record, drawn
from support.router_records import announced
from support.stream import SECRET, SIGNATURES, eventually, lag, producing, read_all

POLICY = "tasks: {intent: {review: {share: 1, wait: 6d}}, ner: {review: {share: 1, wait: 2s}}}\n"
SESSION_MS = 6_000
WITHIN_S = 60

Start = Callable[..., subprocess.Popen]


@pytest.fixture
async def start(kafka: Kafka, topics: Topics, tmp_path: Path) -> AsyncIterator[Start]:
    """Return a way to start a guardian, by a name of its own."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    processes: list[subprocess.Popen] = []

    def started(name: str, module: str = "sprat_guardian", **more: str) -> subprocess.Popen:
        environment = os.environ | {
            "SPRAT_KAFKA__BOOTSTRAP": kafka.bootstrap,
            "SPRAT_KAFKA__PREFIX": topics.prefix,
            "SPRAT_KAFKA__PARTITIONS": "2",
            "SPRAT_KAFKA__SESSION_TIMEOUT_MS": str(SESSION_MS),
            "SPRAT_SECRET": SECRET,
            "SPRAT_HEALTH_PORT": "0",
            "SPRAT_POLICY": str(policy),
        }
        with (tmp_path / f"{name}.log").open("a") as log:
            processes.append(subprocess.Popen([sys.executable, "-m", module], env=environment | more, stderr=log))
        return processes[-1]

    yield started
    for process in processes:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


async def write(kafka: Kafka, records: Iterable[OutRecord]) -> None:
    async with producing(kafka.bootstrap) as producer:
        for each in records:
            await producer.send_and_wait(each.topic, each.value, each.key, headers=list(each.headers))


async def draw(kafka: Kafka, topics: Topics, *draws) -> None:
    await write(kafka, (asked_record(each, topics) for each in draws))


async def answer(kafka: Kafka, topics: Topics, *answers) -> None:
    await write(kafka, (feedback_record(each, topics.feedback) for each in answers))


async def closed(kafka: Kafka, topics: Topics) -> list[ReviewClosed]:
    return [decode(each, ReviewClosed).message for each in await read_all(kafka.bootstrap, topics.reviews_closed)]


async def alarms(kafka: Kafka, topics: Topics) -> list[AlarmRaised]:
    return [decode(each, AlarmRaised).message for each in await read_all(kafka.bootstrap, topics.alarms)]


async def has_closed(kafka: Kafka, topics: Topics, count: int) -> None:
    async def enough() -> bool:
        return len(await closed(kafka, topics)) >= count

    await eventually(enough, WITHIN_S)


@pytest.mark.long
async def test_wherever_it_is_killed_each_draw_is_closed_once_and_in_order_and_an_alarm_is_raised_once(
    kafka: Kafka, topics: Topics, start: Start, tmp_path: Path
) -> None:
    folder = tmp_path / "points"
    folder.mkdir()
    draws = [drawn(id=f"t-{number}") for number in range(60)]
    await draw(kafka, topics, *draws)
    await answer(kafka, topics, *(answer_to(each, "balance") for each in reversed(draws)))
    for _ in POINTS:  # the same member each time, so that nobody waits for the end of a session
        process = start("killed", MODULE, SPRAT_KAFKA__INSTANCE_ID="guardian-0", **killed(folder))
        assert await asyncio.to_thread(process.wait, WITHIN_S) == -signal.SIGKILL
    assert {each.name for each in folder.iterdir()} == set(POINTS)
    start("killed", MODULE, SPRAT_KAFKA__INSTANCE_ID="guardian-0", **killed(folder))
    await has_closed(kafka, topics, len(draws))
    await draw(kafka, topics, drawn(id="last"))
    await answer(kafka, topics, answer_to(drawn(id="last")))
    await has_closed(kafka, topics, len(draws) + 1)
    ends = await closed(kafka, topics)
    assert [each.text_id for each in ends] == [f"t-{number}" for number in range(60)] + ["last"]
    assert Counter(each.verdict for each in ends) == {"wrong": 60, "right": 1}

    async def both() -> bool:
        return len(await alarms(kafka, topics)) >= 2

    await eventually(both, WITHIN_S)
    raised = {each.cell.tenant: each for each in await alarms(kafka, topics)}
    assert len(await alarms(kafka, topics)) == 2
    assert {each.kind for each in raised.values()} == {"errors"}
    shop = raised["shop"]
    assert (shop.reviews, shop.errors, shop.number, shop.steps) == (54, 54, 1, 1), "its test bets after 50 reviews"
    assert raised[None].reviews < 10, "the whole task needs no least number"
    assert len(shop.texts) == 5
    assert await lag(kafka.bootstrap, f"{topics.prefix}.guardian", [topics.reviews]) == 0


async def test_a_draw_that_nobody_answers_is_closed_after_its_wait_and_answers_unlike_the_rows_are_told(
    kafka: Kafka, topics: Topics, start: Start, tmp_path: Path
) -> None:
    model = announced(thresholds=even_thresholds())
    await write(kafka, [announcement_record(topics, model, "intent", None, SIGNATURES)])
    start("alone")
    await draw(kafka, topics, drawn(id="t-1", task="ner"), drawn(id="t-2"))
    await has_closed(kafka, topics, 1)
    (end,) = await closed(kafka, topics)
    assert (end.text_id, end.task, end.verdict, end.by) == ("t-1", "ner", "unanswered", None)
    await eventually(lambda: "results are read" in (tmp_path / "alone.log").read_text())
    await write(kafka, (OutRecord(topics.results("intent"), None, result_of(0.1)) for _ in range(WINDOW)))

    async def is_told() -> bool:
        return bool(await alarms(kafka, topics))

    await eventually(is_told)
    (alarm,) = await alarms(kafka, topics)
    assert (alarm.kind, alarm.task, alarm.cell.language, alarm.model.version) == ("shift", "intent", "en", "v1")


@pytest.mark.long
async def test_while_one_hangs_another_takes_over_and_nothing_is_closed_twice(
    kafka: Kafka, topics: Topics, start: Start, tmp_path: Path
) -> None:
    processes = {name: start(name) for name in ("one", "other")}
    first, second, third = draws = [drawn(id=each) for each in ("a", "b", "c")]
    await draw(kafka, topics, *draws)
    await answer(kafka, topics, answer_to(first))
    await has_closed(kafka, topics, 1)
    (active,) = [name for name in processes if "active one" in (tmp_path / f"{name}.log").read_text()]
    (standby,) = set(processes) - {active}
    processes[active].send_signal(signal.SIGSTOP)
    await answer(kafka, topics, answer_to(second))
    await has_closed(kafka, topics, 2)
    assert "active one" in (tmp_path / f"{standby}.log").read_text()
    processes[active].send_signal(signal.SIGCONT)
    await answer(kafka, topics, answer_to(third))
    await has_closed(kafka, topics, 3)
    await asyncio.sleep(3)  # for what the one that hung would still write
    assert [each.text_id for each in await closed(kafka, topics)] == ["a", "b", "c"]
    assert all(process.poll() is None for process in processes.values())


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_thousand_results_cost_at_most_60_ms_of_cpu_and_a_year_of_reviews_100_mb(
    kafka: Kafka, topics: Topics, start: Start, tmp_path: Path
) -> None:
    """By a stream of 1,000 Results a second, with all that the guardian does meanwhile."""
    writer = RecordWriter(topics, "guardian", SIGNATURES)
    count, year_ms, now = 73_000, 365 * DAY_MS, int(time.time() * 1000)
    one = closed_like(drawn())
    ends = (
        one.model_copy(
            update={
                "text_id": f"t-{number}",
                "drawn_at": now - year_ms + number * year_ms // count,
                "verdict": RIGHT if number % 50 else WRONG,
            }
        )
        for number in range(count)
    )
    await write_fast(kafka, (writer.record(each) for each in ends))
    await write(
        kafka, [announcement_record(topics, announced(thresholds=even_thresholds()), "intent", None, SIGNATURES)]
    )
    process = psutil.Process(start("costs").pid)
    await eventually(lambda: "results are read" in (tmp_path / "costs.log").read_text(), 120)
    chance, seconds = random.Random(1), 20
    results = [OutRecord(topics.results("intent"), None, result_of(chance.random())) for _ in range(1_000)]
    before = cpu_s(process)
    for _ in range(seconds):
        began = time.monotonic()
        await write_fast(kafka, results)
        await asyncio.sleep(max(0, began + 1 - time.monotonic()))
    await asyncio.sleep(2)
    spent_ms = (cpu_s(process) - before) * 1000 / seconds
    memory_mb = process.memory_info().rss / 1e6
    assert (spent_ms <= 60, memory_mb <= 100) == (True, True), f"{spent_ms:.0f} ms, {memory_mb:.0f} MB"


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def closed_like(asked: ReviewAsked) -> ReviewClosed:
    of = asked.prediction
    route = {
        name: getattr(asked, name) for name in ("cell", "goal", "evidence", "level", "hash", "share", "least_share")
    }
    about = {"text_id": of.text_id, "text_source": of.text_source, "task": of.task, "model": of.model}
    return ReviewClosed(**about, **route, says="some", confidence=0.9, drawn_at=0, verdict=RIGHT, by="agent-1")


async def write_fast(kafka: Kafka, records: Iterable[OutRecord]) -> None:
    async with producing(kafka.bootstrap) as producer:
        for each in records:
            await producer.send(each.topic, each.value, each.key, headers=list(each.headers))
        await producer.flush()
