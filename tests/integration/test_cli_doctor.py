"""`sprat doctor` on a real broker and a real Redis."""

import asyncio
import itertools
import json
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from sprat.base.settings import KafkaSettings
from sprat.kafka.lag import topics_read_by
from sprat.registry.announcements import announcement_record
from sprat_contracts import ModelAnnounced, Topics
from sprat_local.processes.ports import free_port
from sprat_operations.connection import kafka_settings
from sprat_operations.doctor.examination import examine as all_checks
from sprat_operations.models import withdraw
from support.cli_records import environment, sprat
from support.stream import SECRET, SIGNATURES, publish

TOPICS = len(Topics().table())


@pytest.fixture
def examine(kafka, redis_server, prefix, tmp_path, monkeypatch):
    """Return whether something is broken, and the checks by subject, of a shell with these variables."""
    monkeypatch.chdir(tmp_path)
    settings = {"SPRAT_KAFKA__PARTITIONS": "2", "SPRAT_REDIS__URL": redis_server.url, "SPRAT_HEALTH_PORT": "0"}

    async def examine(policy=None, *, bootstrap=kafka.bootstrap, **more):
        with monkeypatch.context() as patch:
            for name, value in (environment(bootstrap, prefix, **(settings | more))).items():
                patch.setenv(name, value)
            found = [check async for check in all_checks(kafka_settings(None, None), policy)]
        assert "may-see" not in str(found)
        assert SECRET not in str(found)
        checks = {}
        for check in found:
            checks.setdefault(check.subject, []).append(check)
        return any(check.status == "broken" for check in found), checks

    return examine


async def join(kafka, topics, group, *reads):
    consumer = AIOKafkaConsumer(
        *(reads or topics_read_by(group, topics)),
        bootstrap_servers=kafka.bootstrap,
        group_id=f"{topics.prefix}.{group}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    await consumer.start()
    return consumer


async def announce(kafka, topics, model, text=b"{}"):
    record = announcement_record(topics, model, "test", None, SIGNATURES)
    await publish(kafka.bootstrap, record.topic, [record.value], record.headers, record.key)
    await publish(kafka.bootstrap, topics.texts, [text])


async def retire(kafka, topics, task, model):
    settings = KafkaSettings(bootstrap=kafka.bootstrap, prefix=topics.prefix)
    await withdraw(settings.client(), settings, task, model, SIGNATURES)


async def test_an_installation_that_is_well_has_nothing_broken(kafka, topics, examine):
    await announce(kafka, topics, ModelAnnounced(task="intent", version="0123456789", labels=("a", "b"), owns_from=1))
    members = [await join(kafka, topics, group) for group in ("router", "frontier", "intent.default")]
    record = await members[0].getone()
    assert record.topic == topics.texts
    for member in (members[0], members[2]):
        await member.commit({TopicPartition(record.topic, record.partition): 1})
    broken, checks = await examine()
    for member in members:
        await member.stop()
    assert [row for rows in checks.values() for row in rows if row.status == "broken"] == []
    assert not broken
    found = {row.finding for row in checks["groups"]}
    assert {"frontier: 1 member, 0 records behind", "router: 1 member, 0 records behind"} <= found
    assert checks["models"][0].finding == "intent/default 01234567, 2 labels"
    assert checks["topics"][0].finding == f"all {TOPICS} as they should be, prefix {topics.prefix}"
    assert checks["kafka"][0].finding.startswith(f"{kafka.bootstrap} (PLAINTEXT): 1 broker")
    assert checks["brokers"][0].finding == "7 settings that matter here are as they should be"
    assert checks["clock"][0].finding.startswith("as Kafka's, give or take ")
    assert checks["copies"][0].finding == "1 of each record on 1 broker"
    assert [row.finding for row in checks["alarms"]] == ["none stands"]
    assert checks["redis"][0].status == checks["redis memory"][0].status == "ok"


@pytest.mark.long
async def test_a_group_is_broken_while_it_commits_nothing_and_well_once_it_does(kafka, topics, examine):
    await publish(kafka.bootstrap, topics.texts, [b"{}"] * 300)
    member = await join(kafka, topics, "ner.default")
    record = await member.getone()
    place = TopicPartition(record.topic, record.partition)
    await member.commit({place: 0})
    broken, checks = await examine()
    (row,) = [row for row in checks["groups"] if row.finding.startswith("ner.default")]
    assert (broken, row.status) == (True, "broken")
    assert row.finding.startswith("ner.default: 1 member, 300 records behind, and committed nothing for ")
    assert row.fix.startswith("read the end of its log on that machine, and restart the service ner")

    async def go_on():
        for offset in itertools.count(1):
            await member.commit({place: offset})
            await asyncio.sleep(0.1)

    working = asyncio.create_task(go_on())
    _, checks = await examine()
    working.cancel()
    await member.stop()
    (row,) = [row for row in checks["groups"] if row.finding.startswith("ner.default")]
    assert row.status == "ok"


async def test_a_topic_that_no_member_of_the_router_reads_is_broken_with_the_cause(kafka, topics, examine):
    left_out = topics.predictions("ner")
    reads = [name for name in topics_read_by("router", topics) if name != left_out]
    member = await join(kafka, topics, "router", *reads)
    broken, checks = await examine()
    await member.stop()
    (row,) = [row for row in checks["groups"] if row.finding.startswith("router")]
    assert (broken, row.status) == (True, "broken")
    assert row.finding == (
        f"router: 1 member, 0 records behind; no member reads 2 partitions of {left_out}: what is there waits"
    )
    assert row.fix.startswith("its members read the topics that they knew when they started")


async def test_a_missing_topic_is_broken_and_what_mends_it_is_said(kafka, topics, examine):
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.delete_topics([topics.feedback])
    while topics.feedback in await admin.list_topics():  # the broker deletes it after it has answered
        await asyncio.sleep(0.05)
    await admin.close()
    broken, checks = await examine()
    assert broken
    (row,) = checks["topics"]
    assert row.status == "broken"
    assert row.finding == f"1 of {TOPICS} missing: {topics.feedback}"
    assert row.fix == "sprat topics create"


FOR_HR = b'{"text": "where is my payslip", "tasks": {"intent": {"model": "hr"}}}'


async def test_texts_that_a_retired_model_left_behind_are_broken(kafka, topics, examine):
    hr = ModelAnnounced(task="intent", model="hr", version="0123456789", owns_from=1)
    await announce(kafka, topics, hr, FOR_HR)
    service = await join(kafka, topics, "intent.hr")
    record = await service.getone()
    await service.commit({TopicPartition(record.topic, record.partition): 0})
    await service.stop()
    await retire(kafka, topics, "intent", "hr")
    broken, checks = await examine()
    (row,) = [row for row in checks["groups"] if "hr" in row.finding]
    assert (broken, row.status) == (True, "broken")
    assert row.finding.startswith("intent.hr is retired, 0 members: 1 text that was its own when it was retired waits")
    assert row.fix.startswith("start its service once more")
    assert "no service runs for" not in str(checks["models"])


async def test_texts_for_others_do_not_wait_for_a_retired_model(kafka, topics, examine):
    hr = ModelAnnounced(task="intent", model="hr", version="0123456789", owns_from=1)
    await announce(kafka, topics, hr, FOR_HR.replace(b"intent", b"ner"))
    service = await join(kafka, topics, "intent.hr")
    record = await service.getone()
    await service.commit({TopicPartition(record.topic, record.partition): 0})
    await service.stop()
    await retire(kafka, topics, "intent", "hr")
    _, checks = await examine()
    assert not [row for row in checks["groups"] if "hr" in row.finding]


async def test_what_came_after_a_model_was_retired_does_not_wait_for_it(kafka, topics, examine):
    service = await join(kafka, topics, "intent.hr")
    await service.commit({TopicPartition(topics.texts, number): 0 for number in range(2)})
    await service.stop()
    await retire(kafka, topics, "intent", "hr")
    await announce(kafka, topics, ModelAnnounced(task="intent", version="0123456789", owns_from=1))
    _, checks = await examine()
    assert [row for row in checks["groups"] if "hr" in row.finding] == []


async def test_the_policy_is_compared_with_what_is_announced(kafka, topics, examine, tmp_path):
    for name in ("bank", "hr"):
        model = ModelAnnounced(task="intent", model=name, version="0123456789", owns_from=1, card={"keep_at": 0.5})
        await announce(kafka, topics, model)
    rules = "tasks:\n  intent:\n    goal: 0.98\n    models: {bnk: {keep_at: 0.9}, bank: {keep_at: 0.5}}\n"
    (tmp_path / "policy.yaml").write_text(rules, "utf-8")
    for arguments, more in ((("policy.yaml",), {}), ((), {"SPRAT_POLICY": "policy.yaml"})):
        _, checks = await examine(*map(Path, arguments), **more)
        assert [(row.status, row.finding.partition(":")[0]) for row in checks["policy"]] == [
            ("ok", "policy.yaml"),
            ("warning", "tasks.intent.models.bnk"),
            ("ok", "intent/bank"),
            ("warning", "intent/hr"),
        ]


async def test_without_any_topic_it_ends_soon_and_says_what_to_do(examine):
    async with asyncio.timeout(8):
        broken, checks = await examine()
    assert broken
    assert checks["topics"][0].finding.startswith(f"{TOPICS} of {TOPICS} missing")
    assert checks["topics"][0].fix == "sprat topics create"


async def test_nothing_reachable_is_told_for_each_with_what_to_do(examine):
    kafka, redis = f"127.0.0.1:{free_port()}", f"redis://:hidden-word@127.0.0.1:{free_port()}/0"
    broken, checks = await examine(bootstrap=kafka, SPRAT_REDIS__URL=redis)
    assert broken
    assert checks["kafka"][0].finding == f"{kafka} (PLAINTEXT) cannot be reached: nothing listens there"
    assert checks["redis"][0].status == "warning"
    assert "hidden-word" not in str(checks)
    assert "topics" not in checks


async def test_a_redis_that_refuses_commands_says_why(examine):
    async def refuse(reader, writer):
        writer.write(b"-DENIED Redis is running in protected mode. In this mode it is of no use here.\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        _, checks = await examine(SPRAT_REDIS__URL=f"redis://127.0.0.1:{port}/0")
    found = checks["redis"][0].finding
    assert found.startswith(f"127.0.0.1:{port} refuses commands: DENIED Redis is running in protected mode; nothing is")


async def test_keys_are_never_shown_and_half_a_frontier_is_broken(topics, examine):
    _, checks = await examine(
        SPRAT_FRONTIER__BASE_URL="https://models.internal/v1", SPRAT_FRONTIER__API_KEY="hidden-word"
    )
    (row,) = checks["frontier"]
    assert row.status == "broken"
    assert "SPRAT_FRONTIER__REGION" in row.finding
    assert "hidden-word" not in str(checks)


async def test_a_policy_that_cannot_be_read_is_broken(topics, examine, tmp_path):
    (tmp_path / "policy.yaml").write_text("tasks:\n  intent: {keep_at: 7}\n", "utf-8")
    _, checks = await examine(SPRAT_POLICY="policy.yaml")
    (row,) = checks["policy"]
    assert row.status == "broken"
    assert "policy.yaml:2:" in row.finding


async def test_for_people_each_line_has_its_sign_and_for_machines_its_metrics(kafka, topics, tmp_path):
    env = environment(kafka.bootstrap, topics.prefix, SPRAT_KAFKA__PARTITIONS="2")
    broken, out, _ = await sprat("doctor", env=env, cwd=tmp_path)
    assert broken == 1
    assert "✓ kafka         " in out
    assert "✗ groups        router: 0 members" in out
    assert "                → start it: `sprat up`" in out
    assert "\x1b" not in out
    broken, out, err = await sprat("doctor", "--json", env=env, cwd=tmp_path)
    rows = {row["about"]: row for row in map(json.loads, out.splitlines())}
    assert (broken, err, rows["kafka"]["metrics"]) == (1, "", {"sprat.kafka.reachable": 1})
    assert set(rows["groups"]) == {"about", "state", "found", "mend"}
