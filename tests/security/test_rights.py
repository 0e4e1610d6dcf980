"""The rights that `sprat acls` grants: with exactly these everything works, and everything else is refused."""

import asyncio
import gc
import json
import shlex
import sqlite3
import subprocess
from contextlib import asynccontextmanager, suppress
from functools import partial

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    NoError,
    TopicAuthorizationFailedError,
    UnknownMemberIdError,
    for_code,
)
from aiokafka.protocol.commit import OffsetCommitRequest
from confluent_kafka.admin import AclOperation, ResourceType
from pydantic import SecretStr
from redis.asyncio import Redis
from typer.testing import CliRunner

from sprat.base.settings import KafkaSettings, RedisSettings
from sprat.kafka.clients import client_arguments
from sprat.kafka.cluster import Cluster
from sprat.kafka.lag import LagMeter
from sprat_cli.main import app
from sprat_contracts import TASKS, Topics
from sprat_gateway.page import schema as page
from sprat_gateway.runtime import open_door
from sprat_gateway.settings import GatewaySection, GatewaySettings
from sprat_local.kafka import jars, jvm
from sprat_operations.acls import read_quotas, set_missing_quotas
from sprat_operations.api_keys import FILE, add_key
from sprat_operations.gateway_stores import GatewayStore
from sprat_operations.rights import QuotaFinding
from sprat_operations.topics import kept_for
from support.cli_records import environment
from support.frontier_parts import simulator
from support.secured_kafka import GUEST, Keys, SecuredKafka
from support.secured_system import PUBLIC_KEY, folder_of_commands, rows, said, serving_by_rights
from support.stream import eventually

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
PREFIX = "rights"
TOPICS = Topics(PREFIX, 2)
USERS = {
    "upstream": "crm",
    "router": "the-router",
    "intent": "the-intent",
    "ner": "the-ner",
    "translation": "the-translation",
    "language-id": "the-language-id",
    "frontier": "the-frontier",
    "guardian": "the-guardian",
    "door": "the-door",
    "page": "the-page",
    "consumer": "billing",
    "reviewer": "agent",
    "auditor": "audit",
    "operator": "on-call",
}
GATEWAY = "the-gateway"
"""Its user has two roles."""
OWNERS = [*USERS.items(), ("door", GATEWAY), ("page", GATEWAY)]
PRINCIPALS = [word for role, user in OWNERS for word in ("--principal", f"{role}=User:{user}")]
RESULTS = {TOPICS.results(task) for task in TASKS}
PREDICTIONS = {TOPICS.predictions(task) for task in TASKS}
MEASURED = {TOPICS.texts, TOPICS.frontier_requests, TOPICS.frontier_answers, TOPICS.reviews}
"""Of these the age of what waits is measured."""
ALL = {topic.name for topic in TOPICS.table()}
# Written by hand, and not with the code under test.
WRITES = {
    "upstream": {TOPICS.texts},
    "router": RESULTS | {TOPICS.frontier_requests, TOPICS.reviews, TOPICS.dead_letters},
    **{task: {TOPICS.predictions(task), TOPICS.models, TOPICS.dead_letters} for task in TASKS},
    "frontier": {TOPICS.frontier_answers, TOPICS.feedback, TOPICS.egress, TOPICS.dead_letters},
    "guardian": {TOPICS.reviews_closed, TOPICS.alarms, TOPICS.dead_letters},
    "door": {TOPICS.texts},
    "page": {TOPICS.feedback},
    "consumer": set(),
    "reviewer": {TOPICS.feedback},
    "auditor": set(),
    "operator": ALL - RESULTS - {TOPICS.dead_letters, TOPICS.egress, TOPICS.reviews_closed},
}
READS = {
    "upstream": set(),
    "router": PREDICTIONS | MEASURED | {TOPICS.models, TOPICS.alarms},
    **{task: {TOPICS.texts, TOPICS.models} for task in TASKS},
    "frontier": {TOPICS.frontier_requests, TOPICS.reviews},
    "guardian": RESULTS | {TOPICS.reviews, TOPICS.reviews_closed, TOPICS.alarms, TOPICS.models, TOPICS.feedback},
    "door": RESULTS | {TOPICS.dead_letters, TOPICS.models},
    "page": PREDICTIONS | MEASURED | {TOPICS.egress, TOPICS.reviews_closed, TOPICS.alarms, TOPICS.feedback},
    "consumer": RESULTS,
    "reviewer": {TOPICS.reviews, TOPICS.reviews_closed, TOPICS.feedback},
    "auditor": {TOPICS.egress},
    "operator": ALL,
}
GROUPS = {
    "upstream": set(),
    "router": {"rights.router"},
    **{task: {f"rights.{task}.other"} for task in TASKS},
    "frontier": {"rights.frontier"},
    "guardian": {"rights.guardian"},
    "door": set(),
    "page": set(),
    "consumer": {"billing", "billing.second"},
    "reviewer": set(),
    "auditor": set(),
    "operator": set(),
}
EVERY_GROUP = sorted({"payroll", *(group for groups in GROUPS.values() for group in groups)})


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with SecuredKafka(Keys(tmp_path_factory.mktemp("keys")), [*USERS.values(), GATEWAY]) as broker:
        yield broker
    gc.collect()  # transports of refused connections, which aiokafka leaves


@pytest.fixture(scope="module")
def run(broker, tmp_path_factory):
    """Return a way to run a command as the user of a role, or another user; None: as a super user."""
    folder = folder_of_commands(tmp_path_factory.mktemp("work"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)

        def run(role, *arguments):
            user = {} if role is None else {"SASL_USERNAME": USERS.get(role, role)}
            env = environment(
                "", PREFIX, SPRAT_KAFKA__PARTITIONS="2", SPRAT_REDIS__URL="redis://127.0.0.1:1"
            ) | broker.settings(**user)
            return CliRunner().invoke(app, list(arguments), env=env)

        yield run


@pytest.fixture(scope="module")
def granted(run):
    """Create the topics as the operator, and grant everybody what `sprat acls` says."""
    missing = rows_of(run(None, "acls", "check", *PRINCIPALS, "--json"), 1)
    assert {each["type"] for each in missing} == {"missing"}
    dry = rows_of(run(None, "acls", "apply", *PRINCIPALS, "--dry-run", "--json"), 1)
    assert dry == missing
    assert len(rows(run(None, "acls", "apply", *PRINCIPALS, "--json"))) == len(missing)
    assert run("operator", "topics", "create").exit_code == 0


@pytest.fixture(scope="module")
def services(granted, broker, redis_server):
    with simulator() as provider, serving_by_rights(broker, PREFIX, USERS, redis_server.url, provider.base_url):
        yield


@pytest.fixture(scope="module")
def results(services, broker):
    """Return the Results of a text of the upstream, as the consumer reads them in its group."""

    async def answered():
        text = {
            "text": "hello there",
            "tasks": {"intent": {}, "ner": {}, "translation": {"target": "de"}, "language-id": {}},
            "tenant": "acme-bank",
            "frontier": "allow",
        }
        async with writing(broker, "upstream", enable_idempotence=True) as producer:
            await producer.send_and_wait(TOPICS.texts, json.dumps(text).encode())
            await producer.send_and_wait(TOPICS.texts, b"no JSON")
        consumer = AIOKafkaConsumer(
            *RESULTS,
            **client(broker, "consumer"),
            group_id="billing.second",
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        await consumer.start()
        found = {}
        try:
            async with asyncio.timeout(30):
                while len(found) < len(TASKS):
                    result = json.loads((await consumer.getone()).value)
                    found[result["task"]] = result
            await consumer.commit()
        finally:
            await consumer.stop()
        return found

    return asyncio.run(answered())


def kafka_settings(broker, role):
    given = {
        name.removeprefix("SPRAT_KAFKA__").lower(): value
        for name, value in broker.settings(**({"SASL_USERNAME": USERS.get(role, role)} if role else {})).items()
    }
    return KafkaSettings.model_validate({**given, "prefix": PREFIX, "partitions": 2})


def client(broker, role):
    return client_arguments(kafka_settings(broker, role))


@asynccontextmanager
async def writing(broker, role, **more):
    producer = AIOKafkaProducer(**client(broker, role), **more)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


def rows_of(result, code):
    assert result.exit_code == code, said(result)
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_texts_are_answered_by_small_models_and_by_the_frontier(results):
    assert {task: result["source"] for task, result in results.items()} == {
        "intent": "small",
        "ner": "frontier",
        "translation": "frontier",
        "language-id": "small",  # the frontier declines the task, so the small answer stands
    }
    degraded = {task for task, result in results.items() if result["status"] == "degraded"}
    assert degraded == {"language-id"}
    assert {result["status"] for task, result in results.items() if task not in degraded} == {"answered"}


def test_the_auditor_sums_up_and_verifies(results, run):
    assert rows(run("auditor", "audit", "--json"))[-1]["calls"] == 2
    verified = run("auditor", "audit", "verify", "--public-key", PUBLIC_KEY, "--no-reconcile", "--json")
    assert rows(verified)[-1]["calls"] == 2


def test_who_reconciles_the_audit_reads_answers_too(results, run):
    verify = ("audit", "verify", "--public-key", PUBLIC_KEY, "--json")
    assert rows(run("operator", *verify))[-1]["answers_that_left"] > 0
    refused = run("auditor", *verify)
    assert (refused.exit_code, "check the ACLs" in said(refused)) == (2, True)


def test_a_reviewer_corrects_a_result(results, run):
    which = ("--text-id", results["intent"]["text_id"], "--source", results["intent"]["text_source"])
    assert rows(run("reviewer", "feedback", *which, "--task", "intent", "--label", "leave", "--by", "agent", "--json"))


def test_the_operator_looks_at_everything(results, run):
    checks = rows(run("operator", "doctor", "--json"))
    found = {check["about"]: check["found"] for check in checks}
    assert {check["about"] for check in checks if check["mend"]} == {
        *("policy", "frontier", "redis"),
        "checkpoints",  # this frontier has no second place
    }
    assert "settings that matter here are as they should be" in found["brokers"]
    assert "as Kafka's" in found["clock"]
    lag = run("operator", "lag", "--over", "0.5", "--json")
    assert {each["group"] for each in rows(lag)} >= {"router", "frontier", "intent.default"}
    assert "deny" not in lag.stderr
    *steps, _ = rows(run("operator", "trace", results["ner"]["text_id"], "--json"))
    assert {step["type"] for step in steps} >= {"text", "prediction", "request", "egress", "answer", "result"}
    assert rows(run("operator", "watch", "--since", "1h", "--count", "1", "--json"))
    assert rows(run("operator", "topics", "list", "--json"))


def test_the_operator_replays_a_dead_letter(results, run):
    letters = rows(run("operator", "dlq", "list", "--json"))
    assert [letter["code"] for letter in letters] == ["invalid_json"]
    assert rows(run("operator", "dlq", "replay", letters[0]["letter"], "--yes", "--json"))[-1]["sent"] == 1


async def test_the_router_measures_every_group_and_age(results, broker):
    async with LagMeter(client(broker, "router"), TOPICS) as meter:
        measured = await meter.with_ages(await meter.measure(known=["ner.never"]))
    assert meter.denied == set()
    assert measured.groups.keys() >= {"router", "frontier", "ner.never"}


@pytest.mark.parametrize("role", ["door", "page"])
async def test_the_door_and_the_page_measure_what_waits_and_know_how_long_their_records_stand(role, results, broker):
    async with LagMeter(client(broker, role), TOPICS) as meter:
        measured = await meter.measure(known=["ner.never"])
        if role == "page":
            measured = await meter.with_ages(measured)
    assert meter.denied == set()
    assert measured.groups.keys() >= {"router", "frontier", "ner.never"}
    watched = READS[role] - {TOPICS.models, TOPICS.alarms}  # compacted: they keep for ever
    assert {name for name, kept in (await kept_for(client(broker, role), watched)).items() if kept} == watched


async def test_a_gateway_with_a_page_needs_no_more_than_both_roles(results, broker, redis_server, tmp_path, caplog):
    key, _ = add_key(tmp_path / FILE, "acme-bank", "/web")
    section = GatewaySection(port=0, keys_file=tmp_path / FILE, data=tmp_path, page="on")
    kafka = kafka_settings(broker, GATEWAY)
    redis = RedisSettings(url=SecretStr(redis_server.url))
    settings = GatewaySettings(kafka=kafka, redis=redis, gateway=section, health_port=0, _env_file=None)
    text = {"text": "hello door", "tasks": {"intent": {}}}
    caplog.set_level("WARNING", "sprat_gateway")
    shown = RESULTS | {TOPICS.texts, TOPICS.frontier_requests, TOPICS.frontier_answers, TOPICS.egress, TOPICS.models}

    def read():
        with sqlite3.connect(tmp_path / page.FILE) as store:
            return {name for (name,) in store.execute("SELECT topic FROM offsets")}

    async with open_door(settings) as door:
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as client:
            answer = await client.post(
                f"http://127.0.0.1:{door.port}/v1/texts", json=text, headers={"Prefer": "wait=20"}
            )
        await eventually(lambda: read() >= shown, 20)
        async with Redis.from_url(redis_server.url) as client:
            assert await client.get(GatewayStore.here(tmp_path).note(PREFIX)[0]), "so that `sprat erase` can name it"
    assert (answer.status_code, [*answer.json()["results"]]) == (200, ["intent"])
    assert caplog.messages == [], "nothing is denied"


def test_the_operator_retires_a_model(results, run):
    (retired,) = rows(run("operator", "models", "retire", "intent/default", "--yes", "--wait", "20", "--json"))
    assert retired["texts_left"] == 0


@pytest.mark.parametrize("role", USERS)
async def test_a_role_writes_its_own_topics_alone(role, services, broker):
    accepted = set()
    async with writing(broker, role) as producer:
        for topic in sorted(ALL):
            try:
                await producer.send_and_wait(topic, b"forged", b"forged")
                accepted.add(topic)
            except TopicAuthorizationFailedError:
                pass
    assert accepted == WRITES[role]


@pytest.mark.parametrize("role", USERS)
async def test_a_role_reads_its_own_topics_alone(role, services, broker):
    async with Cluster(client(broker, role)) as cluster:
        counts = await cluster.partition_counts(ALL)
        seen = {topic for topic, count in counts.items() if isinstance(count, int)}
        _, refused = await cluster.append_times({TopicPartition(topic, 0): 0 for topic in seen})
    assert seen - refused == READS[role]


async def ask_coordinator(cluster, group, request):
    return await cluster._send(request, await cluster._coordinator(group))


@pytest.mark.parametrize("role", USERS)
async def test_a_role_commits_for_its_own_groups_alone(role, services, broker):
    topic = min(READS[role], default=TOPICS.texts)
    joined = set()
    async with Cluster(client(broker, role)) as cluster:  # one connection for all groups
        for group in EVERY_GROUP:
            with suppress(GroupAuthorizationFailedError):
                commit = OffsetCommitRequest(group, -1, "", -1, [(topic, [(0, 0, "")])])
                answer = await cluster.settled(partial(ask_coordinator, cluster, group, commit))
                ((_, ((_, code),)),) = answer.topics
                if for_code(code) in {NoError, UnknownMemberIdError}:  # it may, but for the service that is a member
                    joined.add(group)
                else:
                    assert for_code(code) in {GroupAuthorizationFailedError, TopicAuthorizationFailedError}
    assert joined == GROUPS[role]


@pytest.mark.parametrize("role", USERS)
async def test_a_role_leaves_its_own_groups_alone_for_a_process_that_was_killed(role, services, broker):
    left = set()
    async with Cluster(client(broker, role)) as cluster:
        for group in EVERY_GROUP:
            with suppress(GroupAuthorizationFailedError):
                await cluster.settled(partial(cluster.leave, group, "gone"))
                left.add(group)
    assert left == GROUPS[role]


@pytest.mark.parametrize("role", USERS)
def test_a_role_neither_changes_rights_nor_topics(role, services, run, broker):
    refused = run(role, "acls", "apply", "--principal", f"upstream=User:{USERS[role]}-too")
    assert "ClusterAuthorizationFailedError" in said(refused)
    assert refused.exit_code == 2

    async def tried():
        admin = AIOKafkaAdminClient(**client(broker, role))
        await admin.start()
        try:
            made = await admin.create_topics([NewTopic(f"{PREFIX}.more.v1", 1, 1)])
            deleted = await admin.delete_topics([TOPICS.texts])
        finally:
            await admin.close()
        return {for_code(code) for _, code, *_ in (*made.topic_errors, *deleted.topic_error_codes)}

    assert asyncio.run(tried()) == {TopicAuthorizationFailedError}


def test_what_was_granted_is_right_and_what_is_added_is_found(granted, run, broker):
    good = run("operator", "acls", "check", *PRINCIPALS)
    assert "15 users have what their roles need" in said(good)
    assert good.exit_code == 0
    added = [
        broker.add_acl(ResourceType.TOPIC, "*", AclOperation.WRITE, "User:crm"),
        broker.add_acl(ResourceType.TOPIC, PREFIX, AclOperation.ALL, "User:*", prefixed=True),
        broker.add_acl(ResourceType.TOPIC, TOPICS.egress, AclOperation.DESCRIBE, "User:the-frontier", allows=False),
        broker.add_acl(ResourceType.TOPIC, "payroll", AclOperation.WRITE, "User:stranger"),
    ]
    try:
        found = rows_of(run("operator", "acls", "check", *PRINCIPALS, "--json"), 1)
        assert [(each["type"], each["principal"], each["name"], each["operation"]) for each in found] == [
            ("unknown", "User:*", PREFIX, "All"),
            ("excessive", "User:crm", "*", "Write"),
            ("denied", "User:the-frontier", TOPICS.egress, "Write"),
        ]
        shown = said(run("operator", "acls", "check", *PRINCIPALS))
        assert "--remove --deny-principal User:the-frontier --operation Describe" in shown
        assert run(None, "acls", "apply", *PRINCIPALS).exit_code == 1  # what is denied must be removed by hand
    finally:
        for each in added:
            broker.remove_acl(each)


def test_quotas_are_set_and_one_of_a_service_is_found(granted, run, broker):
    slowed = QuotaFinding("User:the-router", "request_percentage", 25, None)
    quotas = asyncio.run(read_quotas(client(broker, "operator")))
    writes, reads = {"producer_byte_rate": 2**20}, {"consumer_byte_rate": 8 * 2**20}
    share = {"request_percentage": 25}
    assert quotas == {
        "crm": writes | share,
        "agent": writes | reads | share,
        "billing": reads | share,
        "audit": reads | share,
    }
    assert run("operator", "acls", "check", *PRINCIPALS).exit_code == 0
    for role in USERS:
        with pytest.raises(ClusterAuthorizationFailedError):
            asyncio.run(set_missing_quotas(client(broker, role), [slowed]))
    asyncio.run(set_missing_quotas(client(broker, None), [slowed]))
    found = run("operator", "acls", "check", *PRINCIPALS)
    assert found.exit_code == 1
    assert "excessive  User:the-router: quota request_percentage=25" in said(found)
    assert "--delete-config request_percentage --entity-type users --entity-name the-router" in said(found)


def test_without_the_right_to_read_quotas_the_rest_is_compared_and_it_is_said(granted, run, broker):
    may = broker.add_acl(ResourceType.BROKER, "kafka-cluster", AclOperation.DESCRIBE)
    wide = broker.add_acl(ResourceType.TOPIC, "*", AclOperation.WRITE, "User:crm")
    try:
        compared = run(GUEST, "acls", "check", *PRINCIPALS)
        unread, found = rows_of(run(GUEST, "acls", "check", *PRINCIPALS, "--json"), 1)
        broker.remove_acl(wide)
        alone = run(GUEST, "acls", "check", *PRINCIPALS)
        nothing = run(GUEST, "acls", "apply", *PRINCIPALS)
    finally:
        for entry in (may, wide):
            broker.remove_acl(entry)
    assert "unread  quotas: this user may not read them, which needs DescribeConfigs on the cluster" in said(compared)
    assert "excessive  User:crm: " in said(compared)
    assert (unread["type"], unread["what"], unread["needs"]["operation"]) == ("unread", "quotas", "DescribeConfigs")
    assert (found["type"], found["principal"], found["name"]) == ("excessive", "User:crm", "*")
    assert "15 users have what their roles need, quotas not compared" in said(alone)
    assert (compared.exit_code, alone.exit_code, nothing.exit_code) == (1, 1, 1), "what nobody has read is not right"


def test_the_printed_quota_is_what_kafka_takes(broker, run, tmp_path):
    """Kafka's own tool sets the quotas; the one for rights is not among the embedded broker's files."""
    printed = said(run(None, "acls", "print", "--principal", "consumer=User:billing")).splitlines()
    (quota,) = [line for line in printed if line.startswith("kafka-configs.sh")]
    (tmp_path / "admin.properties").touch()
    words = shlex.split(quota)
    words[words.index("--bootstrap-server") + 1] = broker.bootstrap

    command = jvm.command(jars.class_path(print), "kafka.admin.ConfigCommand", *words[1:])
    subprocess.run(command, cwd=tmp_path, env=jvm.environment(), check=True, capture_output=True)
    quotas = asyncio.run(read_quotas(client(broker, None)))
    assert quotas["billing"] == {"consumer_byte_rate": 8 * 2**20, "request_percentage": 25}


def test_a_broker_without_an_authorizer_is_named(kafka, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in ("check", "apply"):
        env = environment(kafka.bootstrap, PREFIX)
        result = CliRunner().invoke(app, ["acls", command, "--principal", "upstream=User:crm"], env=env)
        assert result.exit_code == 2
        assert "has no authorizer, so everybody who reaches it may do everything" in said(result)


async def test_nothing_is_left_waiting(results, broker):
    """The forged records of the other tests end as dead letters or are skipped: no service stopped."""
    async with LagMeter(client(broker, "operator"), TOPICS, groups=["router", "frontier"]) as meter:

        async def quiet():
            return not sum(group.lag for group in (await meter.measure()).groups.values())

        await eventually(quiet)
