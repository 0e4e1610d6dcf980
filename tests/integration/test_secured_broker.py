"""The command line and a service on a broker that lets in whom it knows: users and passwords, over TLS."""

import asyncio
import gc
import json
import secrets
import subprocess
import sys
import time
from itertools import cycle

import pytest
from aiokafka.errors import TopicAuthorizationFailedError
from confluent_kafka.admin import AclOperation, ResourceType
from typer.testing import CliRunner

from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import client_arguments
from sprat.kafka.connection_errors import capture_refusals
from sprat.kafka.lag import LagMeter, topics_read_by
from sprat.registry.model_table import ModelTable
from sprat_cli.main import COMMANDS, app, load
from sprat_contracts import Topics
from sprat_operations.topics import create_topics
from sprat_router.group_metrics import GroupMetrics
from support.cli_records import environment
from support.secured_kafka import GUEST, Keys, SecuredKafka
from support.secured_system import BAD_PASSWORD, PUBLIC_KEY, TALKING, folder_of_commands, rows, said, serving
from support.stream import eventually, lag, publish
from support.system import POLICY

# aiokafka leaves the transport of a connection that fails in its TLS handshake to the garbage collector, which may come
# by in any later test of this file.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
PREFIX = "secured"
MISTAKES = {
    "wrong password": ({"SASL_PASSWORD": BAD_PASSWORD}, "SPRAT_KAFKA__SASL_USERNAME, SPRAT_KAFKA__SASL_PASSWORD"),
    "untrusted certificate": ({"SSL_CAFILE": ""}, "(self-signed certificate): look at SPRAT_KAFKA__SSL_CAFILE"),
    "plain text to TLS": ({"SECURITY_PROTOCOL": "PLAINTEXT"}, "this port speaks TLS: asked as PLAINTEXT, look at"),
}
LONGEST_S = 15


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with SecuredKafka(Keys(tmp_path_factory.mktemp("keys"))) as broker:
        yield broker


@pytest.fixture(scope="module", autouse=True)
def nothing_left_to_collect():
    """Collect what is left here, and not in the tests of another file."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def run(broker, tmp_path_factory):
    """Return a way to run a command in a folder without a `.env`, with these settings."""
    folder = folder_of_commands(tmp_path_factory.mktemp("work"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)

        def run(*arguments, **settings):
            env = environment("", PREFIX, SPRAT_KAFKA__PARTITIONS="2") | (settings or broker.settings())
            return CliRunner().invoke(app, list(arguments), env=env)

        yield run


@pytest.fixture(scope="module")
def services(broker, run):
    """Run a router and a service with a small model, over SASL_SSL, for as long as the tests of this file run."""
    assert run("topics", "create").exit_code == 0
    with serving(broker, PREFIX):
        yield


@pytest.fixture(scope="module")
def answered(services, run):
    """Return the Result of a text that went all the way."""
    (row,) = rows(run("send", "hello there", "--json", "--timeout", "20"))
    return row["result"]


def test_a_text_goes_through_both_services_and_both_commit(answered, broker):
    assert answered["output"]["label"] == "greet"

    async def behind():
        topics = Topics(PREFIX, 2)
        intent = await lag(broker.bootstrap, f"{PREFIX}.intent.default", [topics.texts])
        return intent + await lag(broker.bootstrap, f"{PREFIX}.router", [topics.texts, topics.predictions("intent")])

    deadline = time.monotonic() + 10
    while asyncio.run(behind()):
        assert time.monotonic() < deadline


def test_the_results_are_followed(answered, run):
    (seen,) = rows(run("watch", "--since", "1h", "--count", "1", "--json"))
    assert seen["result"]["text_id"] == answered["text_id"]


def test_a_text_is_traced(answered, run):
    *steps, _ = rows(run("trace", answered["text_id"], "--json"))
    assert {step["type"] for step in steps} == {"text", "prediction", "result"}


def test_groups_are_measured(answered, run):
    (group, *partitions) = rows(run("lag", "--group", "intent.default", "--over", "0.5", "--json"))
    assert (len(group["members"]), len(partitions)) == (1, 2)
    (looked,) = rows(run("top", "--count", "1", "--json"))
    assert looked["reachable"]
    assert {each["group"] for each in looked["groups"]} == {"router", "intent.default"}


def test_a_dead_letter_is_listed_shown_and_sent_again(answered, run, broker):
    asyncio.run(publish(broker.bootstrap, Topics(PREFIX).texts, [b"no JSON"]))
    deadline = time.monotonic() + 10
    while not (letters := rows(run("dlq", "list", "--json"))):
        assert time.monotonic() < deadline
    assert letters[0]["code"] == "invalid_json"
    assert rows(run("dlq", "count", "--json"))[-1]["count"] == 1
    assert rows(run("dlq", "show", letters[0]["letter"], "--validators-alone", "--json"))
    assert rows(run("dlq", "replay", letters[0]["letter"], "--yes", "--json"))[-1]["sent"] == 1


def test_models_are_listed_and_withdrawn(answered, run):
    assert [each["model"] for each in rows(run("models", "list", "--json"))] == ["default"]
    assert rows(run("models", "show", "intent/default", "--json"))
    (retired,) = rows(run("models", "retire", "intent/default", "--yes", "--wait", "20", "--json"))
    assert retired["texts_left"] == 0


def test_corrections_are_published_and_exported(answered, run):
    named = ("--text-id", answered["text_id"], "--source", answered["text_source"], "--task", "intent")
    assert rows(run("feedback", *named, "--label", "leave", "--by", "agent-17", "--json"))
    export = ("feedback", "export", "--output", "right.csv", "--json", "--allow-new-label", "leave")
    assert rows(run(*export))[0]["labels"] == {"leave": 1}


def test_what_left_is_summed_up(answered, run):
    assert rows(run("audit", "--json"))[-1]["calls"] == 0
    assert run("audit", "verify", "--public-key", PUBLIC_KEY).exit_code == 0


def test_doctor_looks_at_everything(answered, run):
    lines = list(map(json.loads, run("doctor", "--json").stdout.splitlines()))
    checks = {line["about"]: line["found"] for line in lines}
    assert [line["metrics"] for line in lines if line["about"] == "kafka"] == [{"sprat.kafka.reachable": 1}]
    router = next(line["metrics"] for line in lines if line["found"].startswith("router: "))
    assert router["sprat.group.members"] == 1
    assert router["sprat.group.lag"].keys() == set(topics_read_by("router", Topics(PREFIX)))
    assert "(SASL_SSL): 1 broker" in checks["kafka"]
    assert "give or take" in checks["clock"]
    assert "as they should be" in checks["topics"]


@pytest.mark.parametrize(
    ("protocol", "changes"),
    [
        ("SASL_SSL", {"SASL_MECHANISM": "PLAIN"}),
        ("SASL_SSL", {"SASL_MECHANISM": "SCRAM-SHA-256"}),
        ("SASL_PLAINTEXT", {}),
    ],
    ids=["plain over TLS", "scram-256 over TLS", "scram-512 without TLS"],
)
def test_every_way_of_a_password_leads_in(run, broker, protocol, changes):
    assert run("topics", "create", **broker.settings(protocol, **changes)).exit_code == 0


def test_a_certificate_of_the_client_leads_in_and_none_does_not(run, broker):
    mine = {"SSL_CERTFILE": str(broker.keys.client), "SSL_KEYFILE": str(broker.keys.client_key)}
    assert run("topics", "create", **broker.settings("SSL", **mine)).exit_code == 0
    refused = run("topics", "create", **broker.settings("SSL"))
    assert refused.exit_code == 2
    assert "look at SPRAT_KAFKA__SSL_CERTFILE, SPRAT_KAFKA__SSL_KEYFILE" in said(refused)


@pytest.mark.parametrize(("command", "mistake"), list(zip(TALKING, cycle(MISTAKES), strict=False)))
def test_a_mistake_is_one_line_that_names_the_variable(command, mistake, run, broker):
    changes, words = MISTAKES[mistake]
    began = time.monotonic()
    result = run(*TALKING[command], **broker.settings(**changes))
    assert time.monotonic() - began < LONGEST_S
    assert words in said(result)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"sprat: Kafka at {broker.address('SASL_SSL')} does not let you in: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize("mistake", MISTAKES)
def test_doctor_says_what_is_wrong_and_goes_on(mistake, run, broker):
    changes, words = MISTAKES[mistake]
    result = run("doctor", **broker.settings(**changes))
    assert words in said(result)
    assert result.exit_code == 1


def test_up_is_told_before_any_service_starts(broker, redis_server, tmp_path):
    changes, words = MISTAKES["wrong password"]
    env = environment("", PREFIX) | broker.settings(**changes) | {"SPRAT_REDIS__URL": redis_server.url}
    argv = [sys.executable, "-m", "sprat_cli", "up", "--bootstrap", broker.address("SASL_SSL")]
    ended = subprocess.run(
        argv, env=env, cwd=tmp_path, timeout=LONGEST_S * 2, capture_output=True, text=True, check=False
    )
    assert words in ended.stderr
    assert ended.stderr.startswith(f"sprat: Kafka at {broker.address('SASL_SSL')} does not let you in: ")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"SASL_MECHANISM": "PLAIN", "SASL_PASSWORD": BAD_PASSWORD}, "look at SPRAT_KAFKA__SASL_USERNAME"),
        ({"SECURITY_PROTOCOL": "SSL"}, "it hung up: asked as SSL, look at SPRAT_KAFKA__SECURITY_PROTOCOL"),
        ({"BOOTSTRAP": "localhost:{port}"}, "its certificate is another host's: look at SPRAT_KAFKA__BOOTSTRAP"),
        ({"BOOTSTRAP": "{plain}"}, "it hung up: asked as SASL_SSL, look at SPRAT_KAFKA__SECURITY_PROTOCOL"),
        ({"BOOTSTRAP": "{plain}", "SECURITY_PROTOCOL": "SASL_PLAINTEXT"}, "this port knows no users and passwords"),
    ],
    ids=["password of PLAIN", "no user", "other host", "TLS to plain text", "user to plain text"],
)
def test_other_mistakes_are_told_apart(changes, words, run, broker):
    places = {"port": broker.ports["SASL_SSL"], "plain": broker.bootstrap}
    changed = {name: value.format(**places) for name, value in changes.items()}
    result = run("topics", "list", **broker.settings(**changed))
    assert words in said(result)
    assert result.exit_code == 2


@pytest.mark.parametrize("command", [name for name in TALKING if name not in {"dlq show", "erase"}])
def test_a_user_without_rights_is_told_so(command, services, run, broker):
    result = run(*TALKING[command], **broker.settings(SASL_USERNAME=GUEST))
    assert "AuthorizationFailedError" in said(result)
    assert "check the ACLs" in said(result)
    assert result.exit_code == 2


def kafka_settings(broker, **changes):
    given = broker.settings(**changes)
    return KafkaSettings.model_validate(
        {name.removeprefix("SPRAT_KAFKA__").lower(): value for name, value in given.items()}
    )


async def test_groups_are_measured_as_far_as_the_rights_go(broker):
    """In the order of the documentation: what is denied is named and omitted, and the rest is measured."""
    topics = Topics("granted", 1)
    await create_topics({"bootstrap_servers": broker.bootstrap}, topics)
    await publish(broker.bootstrap, topics.texts, [b"{}"])
    kafka = kafka_settings(broker, SASL_USERNAME=GUEST, PREFIX=topics.prefix)

    async def measured():
        async with LagMeter(client_arguments(kafka), topics) as meter:
            found = await meter.with_ages(await meter.measure(known=["router", "frontier"]))
        return {name: (group.lag, group.oldest_age_s) for name, group in found.groups.items()}, meter.denied

    with pytest.raises(TopicAuthorizationFailedError):
        await measured()
    broker.permit(ResourceType.TOPIC, "granted.", AclOperation.DESCRIBE)
    assert await measured() == ({}, {f"Describe on the group granted.{name}" for name in ("router", "frontier")})
    broker.permit(ResourceType.GROUP, "granted.", AclOperation.DESCRIBE)
    assert await measured() == ({"router": (1, None), "frontier": (0, 0)}, {f"Read on the topic {topics.texts}"})
    broker.permit(ResourceType.TOPIC, "granted.", AclOperation.READ)
    groups, denied = await measured()
    assert denied == {"Describe on the cluster"}
    assert 0 < groups["router"][1] < 60
    broker.permit(ResourceType.BROKER, "kafka-cluster", AclOperation.DESCRIBE)
    groups, denied = await measured()
    assert denied == set()
    assert 0 < groups["router"][1] < 60


@pytest.mark.parametrize(
    ("changes", "words", "code"),
    [
        (*MISTAKES["wrong password"], 2),
        (*MISTAKES["untrusted certificate"], 2),
        ({"SASL_USERNAME": GUEST}, "ClusterAuthorizationFailedError; check the ACLs", 1),
    ],
    ids=["wrong password", "untrusted certificate", "no rights"],
)
def test_a_service_that_is_not_let_in_ends_and_says_why(changes, words, code, services, broker, tmp_path):
    own = {"SPRAT_SECRET": secrets.token_hex(16), "SPRAT_HEALTH_PORT": "0", "SPRAT_POLICY": str(POLICY)}
    env = environment("", PREFIX) | broker.settings(**changes) | own
    argv = [sys.executable, "-m", "sprat_router"]
    ended = subprocess.run(
        argv, env=env, cwd=tmp_path, timeout=LONGEST_S * 2, capture_output=True, text=True, check=False
    )
    last = ended.stderr.splitlines()[-1]
    assert words in json.loads(last)["message"]
    assert (ended.returncode, "Traceback" in ended.stderr, ended.stdout) == (code, False, "")
    assert BAD_PASSWORD not in ended.stderr


def test_every_command_that_takes_an_address_is_tried_here():
    def walk(name, command):
        yield name, command
        for below, each in getattr(command, "commands", {}).items():
            yield from walk(f"{name} {below}", each)

    every = [found for name in COMMANDS for found in walk(name, load(name))]
    taking = {name for name, command in every if any("--bootstrap" in each.opts for each in command.params)}
    assert taking == {name for name in TALKING if name != "send without waiting"} | {
        "acls print",  # it writes the address into what it prints
        "retrain",  # it reads corrections as `feedback export` does, after the files
        "doctor",
        "up",
        "demo",
    }


async def test_a_refused_reader_of_groups_does_not_stop_the_router(broker, metrics):
    kafka = kafka_settings(broker, SASL_PASSWORD=BAD_PASSWORD)
    stopping = []
    reader = GroupMetrics(lambda: LagMeter(kafka.client(), kafka.topics), "sprat", ModelTable(), lambda: True, 0.1)
    with capture_refusals(kafka, stopping.append):
        measuring = asyncio.create_task(reader.run())
        await eventually(lambda: metrics.value("sprat.kafka.reachable") == 0)
        assert not measuring.done()
        measuring.cancel()
        await asyncio.gather(measuring, return_exceptions=True)
    assert stopping == []
