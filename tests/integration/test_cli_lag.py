"""`sprat lag` and `sprat top` on a real broker."""

import asyncio
import json
import re
import signal
import time

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from sprat.base.settings import KafkaSettings
from sprat.registry.announcements import tombstone_record
from sprat_contracts import Topics, Traceparent
from sprat_operations.models import withdraw
from sprat_operations.topics import create_topics
from support.cli_records import environment, kept, result_record, sprat, start_sprat
from support.stream import SIGNATURES

TRACEPARENT = Traceparent("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


@pytest.fixture
async def join(kafka, prefix):
    """Return a member of a group, with what it has committed."""
    members = []

    async def join(group, topic, committed, *, name=None):
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=kafka.bootstrap,
            group_id=name or f"{prefix}.{group}",
            client_id=f"sprat-{group}",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            isolation_level="read_committed",
        )
        members.append(consumer)
        await consumer.start()
        await consumer.commit({TopicPartition(topic, number): offset for number, offset in committed.items()})
        return consumer

    yield join
    for member in members:
        await member.stop()


@pytest.fixture
def run(kafka, prefix, tmp_path):
    async def run(*arguments):
        return await sprat(*arguments, env=environment(kafka.bootstrap, prefix), cwd=tmp_path)

    return run


def without_age(row):
    """Return the words of a row without the age, which depends on how long the command took to start."""
    at = row.index("s")
    assert int(row[at - 1]) < 60
    return row[: at - 1] + row[at + 1 :]


async def fill(producer, topic, count, partition=0):
    for _ in range(count):
        await producer.send_and_wait(topic, b"{}", partition=partition)


async def test_each_group_and_partition_has_its_lag_its_reader_and_its_prospects(topics, producer, join, run):
    await fill(producer, topics.texts, 5)
    await join("intent.default", topics.texts, {0: 2, 1: 0})
    gone = await join("crm", topics.results("intent"), {0: 0, 1: 0})
    await gone.stop()
    code, out, err = await run("lag", "--over", "0.5")
    rows = [line.split() for line in out.splitlines()]
    assert code == 1
    assert [line.split(":")[0] for line in err.splitlines()] == [
        "intent.default has committed nothing between the two measurements",
        *(f"there is no consumer group {topics.prefix}.{name}" for name in ("router", "frontier")),
    ]
    assert rows[1] == ["crm", "0", "0", "0/s", "0/s", "nobody"]
    assert without_age(rows[2]) == ["intent.default", "1", "3", "0/s", "0/s", "never"]
    assert without_age(rows[3])[:7] == [topics.texts, "0", "2", "5", "3", "0/s", "0/s"]
    assert rows[3][-1].startswith("sprat-intent.default@")
    assert len(rows) == 4
    code, out, err = await run("lag", "--over", "0.5", "--group", "crm", "--group", "crn", "--json")
    assert (code, len(out.splitlines())) == (1, 3)
    assert err.startswith(f"there is no consumer group {topics.prefix}.crn: is it running")
    await join("shop-js", topics.results("intent"), {0: 0}, name="shop-js")
    code, out, err = await run("lag", "--over", "0.5", "--group", "shop-js")
    assert (code, out) == (1, "")
    assert err.startswith(
        f"there is no consumer group {topics.prefix}.shop-js, but shop-js: only groups with the prefix"
    )
    code, out, _ = await run("lag", "--over", "0.5", "--group", f"{topics.prefix}.crm", "--json")  # as metrics name it
    group, *partitions = map(json.loads, out.splitlines())
    assert code == 0
    assert (group["type"], group["lag"], group["drained_in_s"], group["members"]) == ("group", 0, 0.0, [])
    assert {(each["topic"], each["read_by"]) for each in partitions} == {(topics.results("intent"), None)}


async def test_a_frontier_with_work_is_not_said_to_hang(topics, producer, join, run):
    await fill(producer, topics.frontier_requests, 3)
    await join("frontier", topics.frontier_requests, {0: 0})
    await join("frontier", topics.reviews, {0: 0})
    code, out, err = await run("lag", "--over", "0.5", "--group", "frontier")
    assert (code, out.splitlines()[1].split()[-1]) == (1, "never")
    assert err.startswith("the frontier may well be at work: it finishes no hard case before the provider answers")
    await join("intent.default", topics.texts, {0: 0})
    await fill(producer, topics.texts, 1)
    _, _, err = await run("lag", "--over", "0.5", "--group", "intent.default")
    assert err == (
        "intent.default has committed nothing between the two measurements: look at its log, and restart it if it says "
        "nothing or tries again and again; observability/runbooks/SpratTextsWaitTooLong.md\n"
    )


async def test_a_model_that_nobody_serves_while_texts_wait_is_named(topics, producer, join, run):
    await fill(producer, topics.texts, 2)
    service = await join("ner.hr", topics.texts, {0: 0})
    await service.stop()
    code, _, err = await run("lag", "--over", "0.5", "--group", "ner.hr")
    assert code == 1
    assert err.startswith("2 texts came, and no service runs for ner/hr")
    assert "sprat models retire ner/hr" in err


async def test_of_a_retired_model_only_the_texts_from_before_count(topics, producer, join, run, kafka):
    for model in ("hr", "hr", "default"):
        text = f'{{"text": "x", "tasks": {{"intent": {{"model": "{model}"}}}}}}'
        await producer.send_and_wait(topics.texts, text.encode(), partition=0)
    service = await join("intent.hr", topics.texts, {0: 1, 1: 0})
    settings = KafkaSettings(bootstrap=kafka.bootstrap, prefix=topics.prefix)
    await service.stop()
    await withdraw(settings.client(), settings, "intent", "hr", SIGNATURES)
    await fill(producer, topics.texts, 5)
    code, out, _ = await run("lag", "--over", "0.5", "--group", "intent.hr")
    assert code == 1
    row = without_age(out.splitlines()[1].split())
    assert row == ["intent.hr", "0", "1", "0/s", "0/s", "never", "nobody,", "retired"]
    again = await join("intent.hr", topics.texts, {0: 2})
    await again.stop()
    code, out, _ = await run("lag", "--over", "0.5", "--group", "intent.hr")
    assert (code, out.splitlines()[1].split()) == (0, ["intent.hr", "0", "0", "0/s", "0/s", "nobody,", "retired"])
    _, out, _ = await run("lag", "--over", "0.5")
    assert "intent.hr" not in out
    _, out, _ = await run("lag", "--over", "0.5", "--all")
    assert "intent.hr" in out
    _, out, _ = await run("lag", "--over", "0.5", "--group", "intent.hr", "--json")
    assert (json.loads(out.splitlines()[0])["retired"], json.loads(out.splitlines()[0])["lag"]) == (True, 0)
    first = tombstone_record(topics, "intent", "hr", None, SIGNATURES)
    await producer.send_and_wait(first.topic, None, key=first.key, headers=first.headers)
    code, _, _ = await run("lag", "--over", "0.5", "--group", "intent.hr")
    assert code == 1, "no record says where its own texts end: any may wait for it"


async def test_groups_of_another_installation_whose_prefix_begins_with_ours_are_left_out(kafka, topics, join, run):
    other = Topics(f"{topics.prefix}.test", 2)
    await create_topics({"bootstrap_servers": kafka.bootstrap}, other)
    await join("test.crm", other.texts, {0: 0})
    code, out, err = await run("lag", "--over", "0.5")
    assert (code, out) == (1, "")
    assert err.startswith(f"there is no consumer group {topics.prefix}.…: is anything running")


async def test_what_a_group_works_off_between_the_measurements_says_when_it_is_done(topics, producer, join, run):
    await fill(producer, topics.texts, 200)
    member = await join("intent.default", topics.texts, {0: 0, 1: 0})
    running = asyncio.create_task(run("lag", "--over", "3", "--group", "intent.default", "--json"))
    for offset in range(10_000):
        if running.done():
            break
        await member.commit({TopicPartition(topics.texts, 0): min(offset, 199)})
        await asyncio.sleep(0.1)
    code, out, _ = await running
    group = json.loads(out.splitlines()[0])
    assert code == 0
    assert group["going_per_s"] > 0
    assert group["drained_in_s"] == pytest.approx(group["lag"] / group["going_per_s"], rel=0.05)
    assert group["members"][0]["client"] == "sprat-intent.default"


async def test_top_counts_what_goes_through_and_shows_who_is_behind(topics, producer, join, kafka, tmp_path):
    await fill(producer, topics.texts, 3)
    await join("intent.default", topics.texts, {0: 1, 1: 0})
    env = environment(kafka.bootstrap, topics.prefix)
    process = await start_sprat("top", "--json", "--every", "0.5", env=env, cwd=tmp_path)
    first = json.loads(await process.stdout.readline())
    value, headers = result_record(kept(), TRACEPARENT)
    await producer.send_and_wait(topics.results("intent"), value, headers=headers)
    await fill(producer, topics.texts, 2)
    await fill(producer, topics.dead_letters, 1)
    async with asyncio.timeout(60):
        while (last := json.loads(await process.stdout.readline()))["dead_letters"] < 1 or last["results"] < 1:
            pass
    process.terminate()
    await process.wait()
    assert (first["texts"], first["results"], first["dead_letters"]) == (0, 0, 0)
    assert (last["texts"], last["results"], last["kept"], last["dead_letters"]) == (2, 1, 1, 1)
    (group,) = last["groups"]
    assert (group["group"], group["members"], group["lag"]) == ("intent.default", 1, 4)
    assert group["metrics"] == {"sprat.group.members": 1, "sprat.group.lag": {topics.texts: 4}}
    assert last["metrics"] == {"sprat.kafka.reachable": 1}
    assert 0 <= time.time() - last["since"] / 1000 < 120, "from when on it counts"


async def test_ctrl_c_is_a_clean_end_of_top(topics, kafka, tmp_path):
    process = await start_sprat("top", env=environment(kafka.bootstrap, topics.prefix), cwd=tmp_path)
    await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert (process.returncode, out, err) == (0, b"", b"")


async def test_top_ends_after_count(topics, run):
    code, out, err = await run("top", "--count", "1")
    assert (code, err) == (0, "")
    since, figures = out.split("  ", 1)
    assert re.fullmatch(r"since \d\d:\d\d:\d\d", since)
    routed = "kept 0  escalated 0 (of these degraded 0, unanswered 0)"
    assert figures == f"texts 0  {routed}  lag 0  cost 0.0000 EUR  dead letters 0\n"
