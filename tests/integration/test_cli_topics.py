"""`sprat topics` on a real broker."""

import json

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from typer.testing import CliRunner

from sprat_cli.main import app
from sprat_contracts import Topics
from sprat_local.processes.ports import free_port
from support.cli_records import environment, sprat


@pytest.fixture
def run(kafka, prefix, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments, env=None):
        return CliRunner().invoke(app, list(arguments), env=environment(kafka.bootstrap, prefix) | (env or {}))

    return run


async def make(kafka, name, partitions, config):
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config)])
    await admin.close()


def test_what_is_missing_is_listed_and_what_to_do(run):
    listed = run("topics", "list")
    assert (listed.exit_code, "\x1b" in listed.stdout) == (1, False)
    assert listed.stdout.count("missing") == len(Topics().table()) + 1
    assert "→ create what is missing: sprat topics create" in listed.stdout


async def test_what_differs_is_listed_with_the_command_that_mends_it(kafka, prefix, tmp_path):
    await make(kafka, f"{prefix}.feedback.v1", 3, {"retention.ms": "1000", "message.timestamp.type": "LogAppendTime"})
    env = environment(kafka.bootstrap, prefix, SPRAT_KAFKA__PARTITIONS="2")
    code, out, _ = await sprat("topics", "create", env=env, cwd=tmp_path)
    assert code == 1
    assert "retention.ms: 1000, expected 34560000000" in out
    assert f"--alter --topic {prefix}.feedback.v1 --add-config retention.ms=34560000000" in out
    assert "partitions: 3, expected 2" in out
    assert "it cannot be changed without moving keys" in out
    code, out, _ = await sprat("topics", "list", "--json", env=env, cwd=tmp_path)
    assert code == 1
    (different,) = [row for row in map(json.loads, out.splitlines()) if row["status"] != "exists"]
    assert different["name"] == f"{prefix}.feedback.v1"
    assert {each["setting"]: each["actual"] for each in different["differences"]}["partitions"] == "3"
    assert all(each["mend"] for each in different["differences"])


async def test_a_time_of_the_operators_own_stops_no_service_and_too_small_a_record_does(kafka, prefix, tmp_path):
    own = {"delete.retention.ms": "86400000", "cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"}
    await make(kafka, f"{prefix}.models.v1", 1, {**own, "max.message.bytes": "2000000"})
    env = environment(kafka.bootstrap, prefix)
    code, out, _ = await sprat("topics", "create", env=env, cwd=tmp_path)
    assert code == 0
    assert "delete.retention.ms: 86400000, expected" in out
    assert (await sprat("topics", "list", env=env, cwd=tmp_path))[0] == 1
    await make(kafka, f"{prefix}x.models.v1", 1, {**own, "max.message.bytes": "1000"})
    code, out, _ = await sprat("topics", "create", "--prefix", f"{prefix}x", env=env, cwd=tmp_path)
    assert code == 1
    assert "max.message.bytes: 1000, expected" in out


def test_a_broker_that_is_not_there_is_named_in_one_line(run):
    address = f"127.0.0.1:{free_port()}"
    result = run("topics", "list", "--bootstrap", address)
    assert result.exit_code == 2
    assert result.stderr.startswith(
        f"sprat: Kafka at {address} cannot be reached: nothing listens there. Run `sprat up`"
    )
    assert result.stderr.count("\n") == 1


def test_sasl_settings_reach_the_client(run):
    """A broker without SASL says so: what is said names the setting to look at, and holds no password."""
    sasl = {
        "SPRAT_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "SPRAT_KAFKA__SASL_USERNAME": "me",
        "SPRAT_KAFKA__SASL_PASSWORD": "hidden-word",
    }
    result = run("topics", "list", env=sasl)
    assert result.exit_code == 2
    assert "asked as SASL_PLAINTEXT, look at SPRAT_KAFKA__SECURITY_PROTOCOL" in result.stderr
    assert "hidden-word" not in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        *("models list", "models show intent/default", "models retire intent/default --yes", "dlq list", "trace id"),
        *("lag --over 0.5", "top", "audit", "feedback export --output x.csv"),
    ],
)
def test_where_there_are_no_topics_each_command_says_what_to_do_in_one_line(run, prefix, command):
    result = run(*command.split())
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert f" {prefix}." in result.stderr
    assert result.stderr.endswith(": run `sprat topics create`\n")
