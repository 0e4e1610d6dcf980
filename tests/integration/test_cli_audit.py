"""`sprat audit` and `sprat audit verify` on a real broker."""

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
    code, out, _ = await run("verify")
    assert code == 0
    assert out == "calls with attempt and outcome: 0; calls without an outcome: 0; outcomes without an attempt: 0\n"


async def test_complete_calls_verify(write, run):
    for number in range(700):
        await write(str(number), "attempt")
    for number in range(700):
        await write(str(number), "outcome")
    code, out, err = await run("verify", "--since", "1h")
    assert (code, err) == (0, "")
    assert out == "calls with attempt and outcome: 700; calls without an outcome: 0; outcomes without an attempt: 0\n"


async def test_what_is_alone_is_named_and_makes_it_fail(write, run):
    await call(write, "whole")
    await write("crashed", "attempt", 120_000, tenant="beta")
    await write("unannounced", "outcome", 60_000)
    code, out, _ = await run("verify")
    lines = out.splitlines()
    assert code == 1
    assert len(lines) == 3
    assert "call without an outcome  crashed  beta → mistral (eu)  · intent · small" in lines[0]
    assert "outcome without an attempt  unannounced  acme → mistral (eu)" in lines[1]
    assert lines[2] == "calls with attempt and outcome: 1; calls without an outcome: 1; outcomes without an attempt: 1"
    code, out, _ = await run("verify", "--json")
    first, second, end = rows(out)
    assert code == 1
    assert (first["type"], first["call_id"], first["tenant"]) == ("no_outcome", "crashed", "beta")
    assert (second["type"], second["call_id"]) == ("no_attempt", "unannounced")
    assert abs(first["at_ms"] - (time.time() * 1000 - 120_000)) < 60_000
    assert (end["fine"], end["paired"], end["no_outcome"], end["no_attempt"]) == (False, 1, 1, 1)
    assert (await run("verify", "--tenant", "gamma"))[0] == 0


async def test_calls_under_way_are_left_out_where_wanted(write, run):
    await write("under way", "attempt")
    assert (await run("verify"))[0] == 1
    code, out, _ = await run("verify", "--grace", "10m")
    assert code == 0
    assert out.endswith("; recent calls left out: 1\n")


async def test_at_the_edge_of_the_time_asked_for_nothing_is_called_alone_that_is_not(write, run):
    await write("long ago", "attempt", 90 * 60_000)
    await write("across", "attempt", 61 * 60_000)
    await write("across", "outcome", 59 * 60_000)
    code, out, _ = await run("verify", "--since", "1h")
    assert (code, out.splitlines()[-1][:62]) == (0, "calls with attempt and outcome: 1; calls without an outcome: 0")
    assert (await run("verify", "--since", "2h"))[0] == 1


async def test_a_record_that_is_none_is_told_and_makes_it_fail(kafka, topic, write, run):
    await call(write, "whole")
    await write("odd", "thought")
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    await producer.send_and_wait(topic, b"{}", b"key")
    await producer.stop()
    for arguments in (["--since", "1h"], ["verify"]):
        code, out, err = await run(*arguments)
        assert code == 1
        assert err.count("is not readable: ") == 2
        assert "neither attempt nor outcome" in err
    assert out.endswith("; records not readable: 2\n")


def invoke(bootstrap, prefix, *arguments):
    return CliRunner().invoke(app, ["audit", *arguments], env=environment(bootstrap, prefix))


@pytest.mark.parametrize("arguments", [[], ["verify"]])
def test_a_missing_topic_or_broker_is_one_line(kafka, prefix, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    result = invoke(kafka.bootstrap, prefix, *arguments)
    assert result.exit_code == 2
    assert result.stderr == f"sprat: there is no topic {prefix}.audit.egress.v1: run `sprat topics create`\n"
    result = invoke(f"127.0.0.1:{free_port()}", prefix, *arguments)
    assert result.exit_code == 2
    assert "cannot be reached: nothing listens there" in result.stderr
    assert result.stderr.count("\n") == 1
