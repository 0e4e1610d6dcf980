"""`sprat audit verify` on a real broker: written by the real writer, changed as whoever runs Kafka can change it."""

import asyncio
import json
import os
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.records_to_delete import RecordsToDelete

from sprat.audit.keys import SigningKey
from sprat.audit.settings import AuditSettings
from sprat.base.errors import UserError
from sprat.kafka.publisher import Publisher
from sprat_contracts import Envelope, Traceparent, encode
from sprat_frontier.egress_audit import KafkaEgressAudit
from sprat_gateway.page.queries import Viewer, privacy
from sprat_gateway.page.store import PageStore, now_ms
from sprat_operations.doctor.kafka import check_checkpoints
from sprat_operations.egress import recent_calls, recent_egress
from support import frontier_parts as parts
from support.cli_records import environment, sprat
from support.stream import SECRET, made_topics, open_transaction, producing, publish, settings_for

TEXTS = [f"please move {amount} euros" for amount in range(8)]


@pytest.fixture
def settings(kafka, prefix):
    return settings_for(kafka.bootstrap, prefix)


@pytest.fixture
def place(tmp_path):
    """The second place: a folder."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    return folder


@asynccontextmanager
async def frontier(settings, audit):
    """Run the handler with the real audit on the real broker; it stops cleanly."""
    async with AsyncExitStack() as stack:
        publisher = Publisher(settings.kafka, "test")
        await publisher.start()
        stack.push_async_callback(publisher.stop)
        harness = parts.FrontierHarness()
        harness.audit = await KafkaEgressAudit.open(publisher, settings.kafka.topics, "frontier", 30, audit, stack)
        harness.restart()
        yield harness


async def answer(settings, harness, texts):
    """Answer texts, and publish the answers as the service does."""
    answers = await asyncio.gather(*(harness.answer(parts.request(text, id=text)) for text in texts))
    async with producing(settings.kafka.bootstrap) as producer:
        for answered in answers:
            value, headers = encode(answered, Envelope("a", "/test", Traceparent("1" * 32, "2" * 16)))
            await producer.send_and_wait(settings.kafka.topics.frontier_answers, value, b"k", headers=headers)


@pytest.fixture
async def written(settings, place):
    """Two replicas have answered texts, and stopped."""
    await made_topics(settings)
    audit = parts.AUDIT.model_copy(update={"checkpoints": place})
    async with frontier(settings, audit) as first, frontier(settings, audit) as second:
        await asyncio.gather(answer(settings, first, TEXTS[:4]), answer(settings, second, TEXTS[4:]))


@pytest.fixture
def verify(kafka, prefix, tmp_path, place):
    (tmp_path / "public.pem").write_bytes(parts.KEY.public_pem)

    async def verify(*arguments, checkpoints=True, **variables):
        where = ("--checkpoints", str(place)) if checkpoints else ()
        variables = environment(kafka.bootstrap, prefix) | variables
        return await sprat(
            "audit", "verify", "--public-key", "public.pem", *where, *arguments, env=variables, cwd=tmp_path
        )

    return verify


@asynccontextmanager
async def administering(settings):
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def test_what_two_replicas_have_written_verifies_and_it_says_what_was_checked(written, verify, tmp_path):
    async with PageStore(tmp_path / "door", whole=True) as store:  # the page shows when that was
        code, out, err = await verify(SPRAT_GATEWAY__DATA=str(tmp_path / "door"))
        seen = await store.read(privacy, Viewer("default", "/test"), "day", now_ms())
    assert (code, err) == (0, "")
    assert (seen.verified.findings, seen.verified.at_ms <= now_ms()) == (0, True)
    assert "records of the audit: 16, of which unsigned: 0" in out
    assert "calls with attempt and outcome: 8" in out
    assert "answers and Results: 8, of which left: 8" in out
    assert out.count(": 8 records, ") == 2
    assert out.count(f"key {parts.KEY.id}, stopped") == 2
    assert out.endswith("fine: nothing is missing or changed\n")


async def test_foreign_records_have_an_exit_code_of_their_own(written, verify, settings):
    await publish(settings.kafka.bootstrap, settings.kafka.topics.egress, [b"{}"] * 3)
    code, out, _ = await verify()
    assert (code, "unreadable (3, foreign): " in out) == (3, True)
    assert "findings: 3, all of foreign records, which no given key signed; nothing signed is missing" in out
    code, out, _ = await verify(checkpoints=False)
    assert (code, "findings: 3, all of foreign records" in out, "nothing signed" in out) == (3, True, False)
    code, out, _ = await verify("--json")
    *_, end = (json.loads(line) for line in out.splitlines())
    assert (code, end["fine"], end["findings"], end["foreign"]) == (3, False, 3, 3)


async def test_with_another_public_key_it_claims_nothing(written, verify, tmp_path):
    (tmp_path / "public.pem").write_bytes(SigningKey.generate().public_pem)
    code, out, _ = await verify("--no-reconcile", checkpoints=False)
    assert (code, "nothing signed" in out) == (1, False)
    assert out.endswith("findings: 16; no given key signed any record: is --public-key the right one?\n")


async def test_records_that_were_deleted_are_found_with_writer_and_numbers(written, verify, settings):
    egress = settings.kafka.topics.egress
    async with administering(settings) as admin:
        await admin.delete_records({TopicPartition(egress, each): RecordsToDelete(-1) for each in range(2)})
    code, out, _ = await verify()
    assert code == 1
    assert "records 1 to 8 missing (8)" in out
    assert "truncated (2): the end of the log was removed: find out who may delete records" in out
    code, out, _ = await verify("--json")
    found = [json.loads(line) for line in out.splitlines()]
    assert {each["kind"] for each in found if each["type"] == "finding"} == {"truncated", "no_call"}
    assert found[-1]["fine"] is False
    assert all(each["advice"] and each["where"] for each in found if each["type"] == "finding")
    # Without checkpoints only the answers tell, and it says what it cannot see.
    code, out, _ = await verify(checkpoints=False)
    assert code == 1
    assert "no_call (8)" in out
    assert "without checkpoints (--checkpoints), a log whose end was removed looks whole" in out
    assert (await verify("--no-reconcile", checkpoints=False))[0] == 0


async def configure(settings, **changes):
    """Change settings of the topic of the audit."""
    (topic,) = [each for each in settings.kafka.topics.table() if each.name == settings.kafka.topics.egress]
    config = topic.config() | {name.replace("_", "."): value for name, value in changes.items()}
    async with administering(settings) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, config)])


async def test_a_shorter_retention_of_the_topic_is_a_finding_unless_it_is_wanted(written, verify, settings):
    await configure(settings, retention_ms=str(90 * 86_400_000))
    code, out, _ = await verify()
    assert code == 1
    assert "it keeps records for 90 days, not 400" in out
    assert (await verify("--retention", "90d"))[0] == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cleanup_policy": "compact,delete"}, "cleanup.policy is compact,delete, not delete"),
        ({"message_timestamp_type": "CreateTime"}, "message.timestamp.type is CreateTime, not LogAppendTime"),
    ],
    ids=["compaction", "the writer's clock"],
)
async def test_settings_of_the_topic_that_prove_less_are_a_finding(written, verify, settings, changes, said):
    await configure(settings, **changes)
    code, out, _ = await verify()
    assert code == 1
    assert "settings (1): records can be removed, or dated by their writer" in out
    assert said in out


async def test_what_an_open_transaction_holds_back_is_not_judged(settings, place, verify):
    topics = await made_topics(settings)
    audit = parts.AUDIT.model_copy(update={"checkpoints": place})
    async with frontier(settings, audit) as harness:
        await answer(settings, harness, TEXTS[:2])
        async with open_transaction(settings.kafka.bootstrap, topics.egress) as offset:
            await answer(settings, harness, [f"text {number} behind it" for number in range(12)])
            await harness.audit.checkpoint()
            code, out, _ = await verify("--json")
    found = [json.loads(line) for line in out.splitlines()]
    findings = {each["kind"]: each for each in found if each["type"] == "finding"}
    assert code == 1
    assert findings.keys() == {"held_back", "not_judged"}
    assert findings["held_back"]["where"] == f"{topics.egress} 0@{offset}"
    assert f"kafka-transactions.sh --bootstrap-server … abort --topic {topics.egress}" in findings["held_back"]["what"]
    assert findings["not_judged"]["what"].endswith("it may be held back")
    assert (await verify())[0] == 0, "the transaction was aborted"


@pytest.mark.parametrize("checkpoints", [True, False])
async def test_doctor_learns_from_the_last_record_whether_there_are_checkpoints(settings, place, checkpoints):
    await made_topics(settings)
    assert await recent_egress(settings.kafka) == []
    async with frontier(
        settings, parts.AUDIT.model_copy(update={"checkpoints": place if checkpoints else None})
    ) as one:
        await answer(settings, one, TEXTS)
    records = await recent_egress(settings.kafka)
    assert check_checkpoints(records[-1]).status == ("ok" if checkpoints else "warning")
    (calls,) = recent_calls(records)
    assert (calls.provider, calls.failures, calls.last.breaker) == ("simulated", 0, "closed")


async def test_checkpoints_on_another_kafka(settings, kafka, prefix, verify):
    await made_topics(settings)
    other = settings.kafka.model_copy(update={"prefix": f"{prefix}-other"})
    async with administering(settings) as admin:
        await admin.create_topics([NewTopic(f"{other.prefix}.audit.checkpoints.v1", 1, 1)])
    audit: AuditSettings = parts.AUDIT.model_copy(update={"kafka": other})
    async with frontier(settings, audit) as harness:
        await answer(settings, harness, TEXTS[:2])
    variables = {
        "SPRAT_AUDIT__KAFKA__BOOTSTRAP": kafka.bootstrap,
        "SPRAT_AUDIT__KAFKA__PREFIX": other.prefix,
    }
    code, out, err = await verify(checkpoints=False, **variables)
    assert (code, err) == (0, "")
    assert f"checkpoints: 3 from {kafka.bootstrap}" in out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "SPRAT_AUDIT__KEY_FILE or SPRAT_AUDIT__KEY is not set"),
        ({"key_file": "/nowhere/key.pem"}, "/nowhere/key.pem: No such file or directory"),
    ],
    ids=["no key", "no file"],
)
async def test_an_audit_that_cannot_sign_is_not_opened(given, said, settings):
    async with AsyncExitStack() as stack:
        publisher = Publisher(settings.kafka, "test")
        with pytest.raises(UserError, match=said):
            await KafkaEgressAudit.open(publisher, settings.kafka.topics, "frontier", 30, AuditSettings(**given), stack)


async def test_a_frontier_that_cannot_write_checkpoints_does_not_start(settings, kafka, prefix, tmp_path):
    await made_topics(settings)
    policy = tmp_path / "policy.yaml"
    policy.write_text("tenants: {}\n")
    own = {
        "SPRAT_KAFKA__BOOTSTRAP": kafka.bootstrap,
        "SPRAT_KAFKA__PREFIX": prefix,
        "SPRAT_REDIS__URL": "redis://127.0.0.1:1/0",
        "SPRAT_SECRET": SECRET,
        "SPRAT_HEALTH_PORT": "0",
        "SPRAT_POLICY": str(policy),
        "SPRAT_FRONTIER__API_KEY": "k",
        "SPRAT_FRONTIER__PRICES": '{"mistral-medium-latest": {"input_eur": 0.4, "output_eur": 2}}',
        "SPRAT_AUDIT__KEY": parts.KEY.der_base64,
        "SPRAT_AUDIT__CHECKPOINTS": "/nowhere",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sprat_frontier", env=os.environ | own, cwd=tmp_path, stderr=subprocess.PIPE
    )
    _, err = await asyncio.wait_for(process.communicate(), 60)
    last = err.decode().splitlines()[-1]
    assert process.returncode == 2
    assert "the checkpoints of the audit cannot be written: /nowhere: No such file or directory" in last
    assert parts.KEY.der_base64 not in err.decode()
