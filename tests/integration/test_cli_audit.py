"""`sprat audit` on a real broker; `tests/security/test_audit_verify.py` has its `verify`."""

import json
import time

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from typer.testing import CliRunner

from sprat_cli.main import app
from sprat_contracts import EgressRecord, Envelope, Topics, Traceparent, encode
from sprat_local.processes.ports import free_port
from support.cli_records import environment, sprat
from support.frontier_parts import KEY

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
HOUR_MS = 3_600_000


@pytest.fixture
async def topic(kafka, prefix):
    """The egress topic, but with the producer's timestamps, so that a test can write into the past."""
    name = Topics(prefix).egress
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    config = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
    await admin.create_topics([NewTopic(name, 2, 1, topic_configs=config)])
    await admin.close()
    return name


@pytest.fixture
async def write(kafka, topic):
    """Write one phase of a call, as the frontier service does."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    now = int(time.time() * 1000)

    async def write(call_id, phase, ago_ms=0, **changes):
        fields = {
            "call_id": call_id,
            "phase": phase,
            "tenant": "acme",
            "task": "intent",
            "provider": "mistral",
            "region": "eu",
            "model": "small",
            "bytes_out": 1000,
            "text_hash": f"hash of {call_id}",
            "outcome": "answered" if phase == "outcome" else None,
            "masked": {"PERSON": 2, "IBAN": 1},
        }
        record = EgressRecord(**(fields | changes))
        value, headers = encode(record, Envelope(f"{call_id}-{phase}", "/test", Traceparent.parse(TRACEPARENT)))
        await producer.send_and_wait(
            topic, value, record.text_hash.encode(), headers=headers, timestamp_ms=now - ago_ms
        )

    yield write
    await producer.stop()


@pytest.fixture
def run(kafka, prefix, tmp_path):
    async def run(*arguments):
        return await sprat("audit", *arguments, env=environment(kafka.bootstrap, prefix), cwd=tmp_path)

    return run


def rows(out):
    return [json.loads(line) for line in out.splitlines()]


async def call(write, call_id, ago_ms=0, **changes):
    outcome = {name: changes.pop(name) for name in ("cost_eur", "outcome") if name in changes}
    await write(call_id, "attempt", ago_ms, **changes)
    await write(call_id, "outcome", ago_ms, **changes, **outcome)


async def test_calls_are_summed_up_by_tenant_provider_and_region(write, run):
    await call(write, "old", 2 * HOUR_MS, cost_eur=9.0)
    await call(write, "1", cost_eur=0.002)
    await call(write, "2", outcome="timeout")
    await call(write, "3", tenant="beta\x1b[2J", masked={}, cost_eur=0.001)
    code, out, err = await run("--since", "1h")
    assert (code, err) == (0, "")
    lines = [line.split("  ") for line in out.splitlines()]
    assert [[cell.strip() for cell in line if cell] for line in lines] == [
        ["TENANT", "PROVIDER", "REGION", "CALLS", "BYTES", "COST", "FAILED", "MASKED"],
        ["acme", "mistral", "eu", "2", "2,000", "€0.002", "1 (1 timeout)", "6 (4 PERSON, 2 IBAN)"],
        ["beta\ufffd[2J", "mistral", "eu", "1", "1,000", "€0.001", "0", "0"],
        ["all", "3", "3,000", "€0.003", "1 (1 timeout)", "6 (4 PERSON, 2 IBAN)"],
    ]
    code, out, _ = await run("--since", "1d", "--tenant", "acme", "--json")
    way, total = rows(out)
    assert code == 0
    assert way == {
        "type": "egress",
        "tenant": "acme",
        "provider": "mistral",
        "region": "eu",
        "calls": 3,
        "bytes_out": 3000,
        "masked": {"IBAN": 3, "PERSON": 6},
        "cost_eur": 9.002,
        "answered": 2,
        "failures": {"timeout": 1},
    }
    assert total["type"] == "total"
    assert total["calls"] == 3


async def test_where_nothing_left_it_is_said(topic, run):
    assert await run("--since", "999999999d") == (0, "nothing was sent to a provider in the last 999999999d\n", "")


async def test_a_record_that_is_none_is_told_and_makes_it_fail(kafka, topic, write, run):
    await call(write, "whole")
    await write("odd", "thought")
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    await producer.send_and_wait(topic, b"{}", b"key")
    await producer.stop()
    code, _, err = await run("--since", "1h")
    assert code == 1
    assert err.count("is not readable: ") == 2
    assert "neither attempt nor outcome" in err


def invoke(bootstrap, prefix, *arguments):
    return CliRunner().invoke(app, ["audit", *arguments], env=environment(bootstrap, prefix))


@pytest.mark.parametrize("arguments", [[], ["verify", "--no-reconcile", "--public-key", "public.pem"]])
def test_a_missing_topic_or_broker_is_one_line(kafka, prefix, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "public.pem").write_bytes(KEY.public_pem)
    result = invoke(kafka.bootstrap, prefix, *arguments)
    assert result.exit_code == 2
    assert result.stderr == f"sprat: there is no topic {prefix}.audit.egress.v1: run `sprat topics create`\n"
    result = invoke(f"127.0.0.1:{free_port()}", prefix, *arguments)
    assert result.exit_code == 2
    assert "cannot be reached: nothing listens there" in result.stderr
    assert result.stderr.count("\n") == 1
