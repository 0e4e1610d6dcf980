"""What `sprat doctor` finds: states here, and all that is said in one snapshot."""

import asyncio
import json
import time
from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import ClusterAuthorizationFailedError
from starlette.applications import Starlette
from typer.testing import CliRunner

from sprat.base.checks import Check, CheckStatus
from sprat.base.settings import KafkaSettings
from sprat.kafka.cluster import ConsumerGroup, GroupMember
from sprat.kafka.lag import GroupLag, LagSnapshot, PartitionLag, limit_to_owned
from sprat.registry.announcements import IgnoredRecord
from sprat_cli.main import app
from sprat_contracts import AlarmRaised, ChainPlace, ModelAnnounced, Record, ReviewCell
from sprat_gateway.http.server import tls_context
from sprat_operations.api_keys import FILE, add_key
from sprat_operations.doctor import kafka
from sprat_operations.doctor.gateway import address, check_gateway, keys_file
from sprat_operations.doctor.groups import check_groups
from sprat_operations.doctor.kafka import (
    ClockSkew,
    check_brokers,
    check_calls,
    check_checkpoints,
    check_clock,
    check_topics,
    check_transactions,
)
from sprat_operations.doctor.models import check_models, check_policy
from sprat_operations.doctor.reviews import check_alarms, check_guardian
from sprat_operations.doctor.settings import check_settings, check_tenants, find_policy
from sprat_operations.egress import recent_calls
from sprat_operations.local_run import GATEWAY_PORT, SIMULATED, LocalRun
from sprat_operations.models import RegisteredModels
from sprat_operations.topics import Difference, TopicState
from sprat_operations.transactions import OpenTransaction
from sprat_policy import Policy, TaskFile
from support.audit_log import attempt
from support.certificates import self_signed
from support.front_door import admission, door_app, served
from support.measured import thresholds
from support.snapshots import matches_snapshot

OK, WARNING, UNKNOWN, BROKEN = CheckStatus.ok, CheckStatus.warning, CheckStatus.unknown, CheckStatus.broken
KAFKA = KafkaSettings()
RUN = LocalRun(pid=17, folder="/run", redis_url="")


@pytest.fixture(autouse=True)
def a_shell_of_its_own(monkeypatch, tmp_path):
    """No setting of this shell, and times in UTC."""
    monkeypatch.chdir(tmp_path)
    for name in ("POLICY", "FRONTIER__BASE_URL", "FRONTIER__API_KEY"):
        monkeypatch.delenv(f"SPRAT_{name}", raising=False)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def told(name: str, checks: Iterable[Check]) -> list[CheckStatus]:
    """Return the states of checks, whose words are those of the snapshot."""
    checks = list(checks)
    said = [f"{check.status} {check.subject}: {check.finding}\n    → {check.fix or '-'}\n" for check in checks]
    assert matches_snapshot(f"doctor/{name}", "".join(said))
    return [check.status for check in checks]


async def all_of(checks: AsyncIterable[Check]) -> list[Check]:
    return [check async for check in checks]


# Kafka: brokers, topics, clocks, transactions.

FINE = {
    "queued.max.request.bytes": "67108864",
    "socket.request.max.bytes": "104857600",
    "group.max.session.timeout.ms": "1800000",
    "group.min.session.timeout.ms": "6000",
    "offsets.retention.minutes": "10080",
    "auto.create.topics.enable": "false",
    "unclean.leader.election.enable": "false",
}
WRONG = {
    "queued.max.request.bytes": ("-1", WARNING),
    "socket.request.max.bytes": ("1048576", BROKEN),
    "group.max.session.timeout.ms": ("9999", BROKEN),
    "group.min.session.timeout.ms": ("60000", BROKEN),
    "offsets.retention.minutes": ("1440", WARNING),
    "auto.create.topics.enable": ("true", WARNING),
    "unclean.leader.election.enable": ("true", BROKEN),
}


@dataclass
class Answer:
    resources: list


class Admin:
    """Tells what it was given of brokers and topics."""

    def __init__(self, configs=None, topics=(), brokers=1):
        self._configs = configs or {}
        self._topics = list(topics)
        self._brokers = brokers

    async def describe_configs(self, resources):
        config = self._configs[int(resources[0].name)]
        return [Answer([(0 if config is not None else 29, "", 4, "", list((config or {}).items()))])]

    async def describe_topics(self, names):
        return self._topics

    async def describe_cluster(self):
        return {"brokers": [{"node_id": number, "host": "h"} for number in range(self._brokers)]}


async def test_settings_of_brokers_are_compared_and_named_with_the_broker():
    for fine, state in ((FINE, OK), (None, OK)):
        (check,) = await all_of(check_brokers(KAFKA, Admin({1: fine, 2: fine}), [1, 2]))
        assert check.status is state
    second = FINE | {name: value for name, (value, _) in WRONG.items()}
    checks = await all_of(check_brokers(KAFKA, Admin({1: FINE, 2: second}), [1, 2]))
    assert told("brokers", checks) == [WRONG[check.finding.partition(" ")[0]][1] for check in checks]
    assert len(checks) == len(WRONG)


def described(leader=1, replicas=(1, 2, 3), isr=(1, 2, 3)):
    return {"topic": "t", "partitions": [{"partition": 0, "leader": leader, "replicas": replicas, "isr": isr}]}


async def test_copies_and_leaders_are_looked_at():
    states = [TopicState("t", "exists", 1)]
    found = []
    for topic, brokers in (
        (described(), 3),
        (described(replicas=(1,), isr=(1,)), 1),
        (described(replicas=(1,), isr=(1,)), 3),
        (described(isr=(1, 2)), 3),
        (described(leader=-1, isr=()), 3),
    ):
        found += (await all_of(check_topics(KAFKA, Admin(topics=[topic], brokers=brokers), states)))[1:]
    assert told("copies", found) == [OK, OK, WARNING, WARNING, BROKEN]


async def test_settings_of_topics_that_differ_have_a_line_each_with_the_command_that_fixes_them(monkeypatch):
    async def of(*differences, names=("sprat.a.v1", "sprat.b.v1"), state="differs"):
        states = [TopicState(name, state, 8, differences, 3, 1) for name in names]
        topics = [described()] if state == "differs" else []
        return [*await all_of(check_topics(KAFKA, Admin(topics=topics, brokers=3), states))][:1]

    found = await of(Difference("retention.ms", "604800000", "1"), names=["sprat.texts.v1"])
    for differ in (("2", "1"), ("2", "3"), ("1", "2")):
        found += await of(Difference("min.insync.replicas", *differ))
    found += await of(Difference("segment.ms", "21600000", "604800000"))
    found += await of(Difference("partitions", "8", "12"))
    found += await of(state="missing", names=["t"])
    monkeypatch.setattr(kafka.local_run, "find_by_kafka", lambda _: RUN)
    found += await of(state="missing", names=["t"])
    assert told("topics", found) == [BROKEN, WARNING, WARNING, BROKEN, WARNING, BROKEN, BROKEN, BROKEN]


async def test_a_clock_that_is_off_is_reported_with_its_effect():
    skews = [ClockSkew(2.0, 3.0), ClockSkew(1_500.0, 900.0), ClockSkew(2_500.0, 100.0), ClockSkew(-45_000.0, 0.0), None]
    found = []
    for skew in (*skews, ClusterAuthorizationFailedError()):

        async def measured(_, skew=skew):
            if isinstance(skew, Exception):
                raise skew
            return skew

        found.append(await check_clock(KAFKA, measured))
    assert told("clock", found) == [OK, OK, WARNING, BROKEN, OK, OK]


def test_a_transaction_that_is_open_for_too_long_is_broken():
    cases = [[], [59.0], [3.0, 600.0, None]]
    found = [
        check_transactions([OpenTransaction("sprat.texts.v1", n, n + 10, age) for n, age in enumerate(ages)])
        for ages in cases
    ]
    assert told("transactions", found) == [OK, OK, BROKEN]


# What left: checkpoints of the audit, and calls to providers.

NOW_S = 1_700_000_000


def outcomes(*codes, breaker="closed", age_s=0, provider="mistral_ai"):
    """Return the records of calls that ended so, the last one before `age_s` seconds."""
    chain = ChainPlace(
        writer="f-1", started_at=1, sequence=1, previous="", acknowledged=0, signed_at=(NOW_S - age_s) * 1000
    )
    outcome = attempt("call").model_copy(update={"phase": "outcome", "provider": provider, "chain": chain})
    return [outcome.model_copy(update={"outcome": code, "breaker": breaker}) for code in codes]


def test_an_audit_without_checkpoints_is_a_warning():
    place = ChainPlace(writer="frontier-1", started_at=1, sequence=1, previous="", acknowledged=0, signed_at=2)
    of = [
        attempt("call").model_copy(update={"chain": place.model_copy(update={"checkpoint": checkpoint})})
        for checkpoint in (0, None)
    ]
    assert told("checkpoints", map(check_checkpoints, [None, *of])) == [OK, OK, WARNING]


CALLS = [
    ([], []),
    ([attempt("call")], []),
    (outcomes("answered"), [OK]),
    (outcomes("server_error", "answered", breaker=None), [OK]),
    (outcomes(*["server_error"] * 3, breaker="open"), [BROKEN]),
    (outcomes("timeout", breaker="half_open"), [BROKEN]),
    (outcomes("timeout", breaker="open", age_s=3601), [WARNING]),
    (outcomes(*["unauthorised"] * 5), [BROKEN]),
    (outcomes(*["http_400"] * 6, breaker=None), [BROKEN]),
    (outcomes(*["http_400"] * 4), [OK]),
    (outcomes(*["http_400"] * 4, "refused", *["http_400"] * 4), [OK]),
    (outcomes(*["no_gold"] * 9), [OK]),
    (outcomes("answered", *["not_sent", "cancelled"] * 9), [OK]),
    ([*outcomes("answered"), *outcomes("timeout", breaker="open", provider="other")], [OK, BROKEN]),
]


def test_calls_that_fail_and_an_open_breaker_are_told_of_each_provider():
    found = [list(check_calls(recent_calls(records), NOW_S)) for records, _ in CALLS]
    assert [[check.status for check in checks] for checks in found] == [states for _, states in CALLS]
    told("calls", [check for checks in found for check in checks if check.status is not OK])


# Groups and models.


def group(name, members=1, lag=0):
    partition = TopicPartition("sprat.texts.v1", 0)
    state = ConsumerGroup(name, "Stable", (GroupMember("c", "h", (partition,)),) * members, {})
    return GroupLag(state, (PartitionLag(partition, lag, 0, 0),))


def measured(*groups):
    return LagSnapshot(0.0, {each.group.name: each for each in groups}, {})


def test_groups_without_members_are_warnings_and_required_ones_are_broken():
    found = measured(group("router"), group("ner.default", 0, lag=12))
    for standing in (RegisteredModels((ModelAnnounced(task="ner", version="1", owns_from=1),), {}), None):
        assert told("groups", check_groups(found, standing)) == [BROKEN, WARNING, OK]


def legal(members, lag, ends):
    """Return the checks of the group of a withdrawn model."""
    withdrawn = {"ner.legal": ends}
    found = limit_to_owned(
        measured(group("router"), group("frontier"), group("ner.legal", members, lag=lag)), withdrawn
    )
    return [check for check in check_groups(found, RegisteredModels((), withdrawn)) if "legal" in check.finding]


def test_the_service_of_a_retired_model_may_stop_once_it_has_answered_its_own():
    assert legal(0, 0, {0: 0}) == legal(0, 20, {0: 0}) == []
    cases = [(1, 20, {0: 12}), (1, 1, {0: 12}), (2, 0, {0: 12}), (0, 20, {0: 12}), (0, 20, {0: 1}), (0, 20, None)]
    found = [check for case in cases for check in legal(*case)]
    assert told("retired", found) == [OK, OK, OK, BROKEN, BROKEN, WARNING]


@pytest.mark.parametrize("standing", [None, RegisteredModels((), {"ner.default": {0: 300}})])
def test_a_member_that_commits_nothing_while_records_wait_is_broken_but_for_a_frontier_and_foreign_groups(standing):
    before = measured(group("ner.default", lag=300), group("router"), group("frontier", lag=2), group("crm", lag=2))
    after = replace(before, at_s=10.0)
    (alone,) = [check for check in check_groups(before, standing, before) if "ner" in check.finding]
    assert alone.metrics["sprat.group.lag"] == {"sprat.texts.v1": 300}
    found = [*check_groups(after, standing, before, RUN), alone]
    assert told("stalled", found) == [WARNING, WARNING, BROKEN, OK, BROKEN]


def test_partitions_that_no_member_of_a_stable_group_reads_are_broken():
    read, unread = TopicPartition("sprat.texts.v1", 0), TopicPartition("sprat.predictions.pii.v1", 0)
    lags = tuple(PartitionLag(each, 3, 0, 0) for each in (read, unread))
    found = []
    for state, run in (("Stable", RUN), ("Stable", None), ("PreparingRebalance", RUN)):
        of = GroupLag(ConsumerGroup("router", state, (GroupMember("c", "h", (read,)),), {}), lags)
        now = LagSnapshot(10.0, {"router": of}, {})
        checks = check_groups(now, None, replace(now, at_s=0.0), run)
        found += [check for check in checks if check.finding.startswith("router")]
    assert told("unread", found)[:2] == [BROKEN, BROKEN]
    assert "no member reads" not in found[2].finding


@pytest.mark.parametrize(("strict", "states"), [(0, [OK]), (3, [OK]), (1, [OK, WARNING]), (2, [OK, WARNING])])
def test_routers_that_judge_texts_differently_are_a_warning(strict, states):
    clients = [*["sprat-router.strict"] * strict, *["sprat-router"] * (3 - strict)]
    members = tuple(GroupMember(client, "h", ()) for client in clients)
    routers = LagSnapshot(0.0, {"router": GroupLag(ConsumerGroup("router", "Stable", members, {}), ())}, {})
    assert [each.status for each in check_groups(routers, None)] == [BROKEN, *states]


def announced(model="default", **fields):
    return ModelAnnounced(**{"task": "intent", "model": model, "version": "abcdef0123", "owns_from": 1} | fields)


def ignored(key, why):
    return IgnoredRecord(Record("sprat.models.v1", 0, 0, 0, key, b"x", ()), why)


def test_reviews_that_nobody_closes_and_errors_are_broken_and_other_alarms_are_warnings():
    reviewed = Policy.model_validate({"tasks": {"intent": {"review": {"share": 0.01}}}})
    alone, watched = measured(), measured(group("guardian"))
    alarm = AlarmRaised(kind="errors", task="intent", number=1, raised_at=1, detail="11 of 93 were wrong")
    shift = alarm.model_copy(update={"kind": "shift", "cell": ReviewCell(language="de"), "detail": ""})
    checks = [
        *check_guardian(Policy(), alone),
        *check_guardian(reviewed, alone),
        *check_guardian(reviewed, watched),
        *check_alarms([]),
        *check_alarms([alarm, shift]),
    ]
    assert told("reviews", checks) == [BROKEN, OK, OK, BROKEN, WARNING]
    found = check_groups(measured(group("guardian", 0)), None)
    assert [each.status for each in found if "guardian" in each.finding] == [OK], "it may be as the policy says"


def test_models_that_nobody_serves_or_that_are_ignored_are_told():
    models = (announced(), announced("legal", task="ner"), announced(task="translation", owns_from=None))
    found = [
        *check_models(RegisteredModels(models, {}), measured(group("intent.default"), group("ner.legal", 0, lag=12)))
    ]
    counts = {b"ner/legal": Record("sprat.models.v1", 0, 0, 0, b"ner/legal", b"x", ())}
    bad = [ignored(b"intent/hr", "invalid"), ignored(b"ner/legal", "invalid")]
    bad += [ignored(b"made/up", "unreadable"), ignored(b"\xff", "unreadable")]
    registered = RegisteredModels(models[1:2], {}, tuple(bad), counts, verified=False)
    found += check_models(registered, measured(group("intent.hr"), group("ner.legal")))
    assert told("models", found) == [WARNING, BROKEN, OK, UNKNOWN, BROKEN, WARNING]


# The policy: what it names and keeps, tenants and their keys.


def named(**intent):
    return Policy.model_validate({"tenants": {}, "tasks": {"intent": intent}})


def test_models_that_the_policy_names_and_what_it_keeps_are_told():
    rules = named(keep_at=0.72, models={"bnk": {"keep_at": 0.9}, "legal": {"keep_at": 0.9}, "hr": {}})
    found = [*check_policy(rules, [announced("bank"), announced("hr")])]
    found += check_policy(named(goal=0.995), [announced(thresholds=thresholds())])
    rules = named(goal=0.9, languages={"fr": {"keep_at": 0.7}}, models={"hr": {"goal": 0.99, "evidence": "certified"}})
    models = announced(thresholds=thresholds(estimated=0.6, german=0.95)), announced("hr", thresholds=thresholds())
    found += check_policy(rules, models)
    card = {"keep_at": 0.9, "keep_at_by_language": {"de": 1.0}}
    found += check_policy(Policy.model_validate({"tenants": {}}), [announced(task="ner", card=card)])
    assert told("policy", found) == [WARNING, WARNING, OK, OK, WARNING, OK, OK, OK, WARNING, OK, WARNING]
    tasks = {"pii": TaskFile(kind="pii"), "summary": TaskFile(kind="text", instruction="Sum up.")}
    assert not [*check_policy(Policy().with_added(tasks), [announced(task=task) for task in (*tasks, "unknown")])]


def test_the_sources_and_keys_of_tenants_are_shown_and_no_key():
    tenants = {
        "acme": {"sources": ["/crm/*", "/a", "/b", "/c"], "signing_keys": ["${NEW}", "${OLD}"]},
        "signs": {"signing_keys": ["${OTHER}"]},
        "bound": {"sources": ["*"]},
        "web": {"door_sources": ["/web"], "door_keys": ["${DOOR}"]},
        "free": {},
        "*": {},
    }
    rules = Policy.model_validate({"tenants": tenants})
    keys = {"NEW": "n" * 32, "OLD": "o" * 32, "OTHER": "x" * 32, "DOOR": "d" * 32}
    found = [*check_tenants(rules, keys), *check_tenants(rules, keys | {"OLD": "short"})]
    assert told("tenants", found) == [OK, WARNING, OK, OK, OK, UNKNOWN, WARNING, OK, OK, OK]
    assert found[3].finding == "web: texts of the HTTP door from /web, signed with DOOR"
    assert not [key for key in keys.values() for check in found if key in check.finding]


# The policy file, and the settings of services.


def test_the_policy_is_that_of_this_users_own_installation(tmp_path, monkeypatch):
    own, other = tmp_path / "own.yaml", tmp_path / "other.yaml"
    own.write_text("tenants: {acme: {frontier: deny}}\n")
    other.write_text("tenants: {one: {}, two: {}}\n")
    run = LocalRun(1, str(tmp_path), "", policy=str(own))
    check, rules = find_policy(None, run)
    assert (check.status, rules.tenant("acme").frontier) == (OK, "deny")
    assert find_policy(None, LocalRun(1, "", ""))[1] is None
    for given, status in ((own, OK), (other, WARNING)):
        monkeypatch.setenv("SPRAT_POLICY", given.name)
        check, rules = find_policy(None, run)
        assert (check.status, list(rules.tenants)) == (status, ["acme"])
    assert "SPRAT_POLICY names other.yaml, which is not used there" in check.finding
    assert find_policy(other, run)[0].finding == f"{other}: 2 tenants"


def test_files_that_changed_after_this_users_own_installation_read_them_are_named(tmp_path):
    policy, task = tmp_path / "own.yaml", tmp_path / "tasks" / "mood.yaml"
    task.parent.mkdir()
    policy.write_text("tenants: {acme: {frontier: deny}}\n")
    task.write_text("kind: classification\nlabels: {good: , bad: }\n")
    before = LocalRun(1, str(tmp_path), "", policy=str(policy), tasks=str(task.parent))
    run = replace(before, files=before.files_now())
    as_read = {file: file.read_text() for file in (policy, task)}
    for changed in (None, policy, task):
        for file, text in as_read.items():
            file.write_text(f"{text}{'# more' if file == changed else ''}")  # the same again has changed nothing
        check, _ = find_policy(None, run)
        assert check.status is (OK if changed is None else WARNING)
        assert changed is None or check.finding.endswith(f"; {changed} changed after your `sprat up` read it")


@pytest.mark.parametrize("frontier", [SIMULATED, "https://models.example/v1"])
def test_the_frontier_is_that_of_this_users_own_installation(tmp_path, frontier):
    (tmp_path / "own.yaml").write_text("tenants: {acme: {frontier: deny}}\n")
    run = LocalRun(1, str(tmp_path), "", policy=str(tmp_path / "own.yaml"), frontier=frontier)
    (check,) = (each for each in check_settings(*find_policy(None, run), run) if each.subject == "frontier")
    assert check.status is OK
    assert ("its simulator" if frontier == SIMULATED else frontier) in check.finding


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("localhost", True)])
@pytest.mark.parametrize("tiers", [[], [{"preset": "frontier"}]], ids=["no tiers", "a tier"])
def test_a_simulator_of_sprat_up_that_is_inside_by_its_host_is_warned_of(tmp_path, host, warned, tiers):
    """`inside: [127.0.0.1]` leaves it outside, so that a rehearsal shows what would leave."""
    file = tmp_path / "own.yaml"
    file.write_text(json.dumps({"tenants": {"vault": {"frontier": "deny"}}, "inside": [host], "tiers": tiers}))
    said = CliRunner().invoke(app, ["policy", "check", str(file)])
    assert said.exit_code == 0, said.output
    assert ("warning: the simulator that `sprat up` starts, region local: " in said.stderr) is warned
    run = LocalRun(1, str(tmp_path), "", policy=str(file), frontier=SIMULATED)
    (check,) = (each for each in check_settings(*find_policy(None, run), run) if each.subject == "frontier")
    assert check.status is (WARNING if warned else OK)
    assert ("List 127.0.0.1 instead" in check.fix) is warned


def test_policy_check_warns_of_servers_that_are_inside_by_their_host_and_said_to_be_elsewhere(tmp_path, monkeypatch):
    tiers = [{"preset": "ollama:phi", "region": "eu"}, {"preset": "ollama:phi", "name": "house"}]
    file = tmp_path / "policy.yaml"
    file.write_text(json.dumps({"tenants": {}, "inside": ["127.0.0.1"], "tiers": tiers}))
    monkeypatch.setenv("SPRAT_FRONTIER__BASE_URL", "http://127.0.0.1:8089/v1")
    monkeypatch.setenv("SPRAT_FRONTIER__REGION", "local")
    said = CliRunner().invoke(app, ["policy", "check", str(file)])
    assert said.exit_code == 0, said.output
    assert "warning: tier ollama, region eu: `inside` takes every server" in said.stderr
    assert "warning: the frontier (SPRAT_FRONTIER__BASE_URL), region local" in said.stderr
    assert "tier house" not in said.stderr


def test_policy_check_says_that_a_calibration_is_still_read_and_what_takes_its_place(tmp_path):
    calibration = {"intent": {"bias": 0, "slope": 1, "model": "phi", "texts": 90}}
    tiers = [
        {"preset": "ollama:phi", "region": "eu", "keep_at": 0.8, "calibration": calibration},
        {"preset": "frontier"},
    ]
    file = tmp_path / "policy.yaml"
    file.write_text(json.dumps({"tenants": {}, "tiers": tiers}))
    said = CliRunner().invoke(app, ["policy", "check", str(file)])
    assert said.exit_code == 0, said.output
    assert "tier ollama: its calibration is still read; a goal and sprat tiers calibrate take its place" in said.stderr
    assert "tier frontier" not in said.stderr


@pytest.mark.parametrize("tiers", [[], [{"preset": "frontier"}, {"preset": "vllm:http://gpu/v1", "model": "phi"}]])
def test_policy_check_names_a_frontier_of_the_settings_that_texts_of_deny_reach(tmp_path, monkeypatch, tiers):
    file = tmp_path / "own.yaml"
    file.write_text(json.dumps({"tenants": {"vault": {"frontier": "deny"}}, "inside": ["gpu"], "tiers": tiers}))
    monkeypatch.setenv("SPRAT_FRONTIER__BASE_URL", "http://gpu:8000/v1")
    said = CliRunner().invoke(app, ["policy", "check", str(file)]).stdout
    asked = "frontier, vllm" if tiers else "the frontier"
    assert f"  vault       deny  nothing leaves; hard cases go to {asked}, inside the house" in said
    assert ("the model of the settings, inside the house" in said) is bool(tiers)


BOUND = {"acme": {"frontier": "deny", "sources": ["/crm/*"]}, "default": {"frontier": "deny"}}


def test_who_is_let_in_by_the_gateway_and_whose_texts_the_policy_refuses(tmp_path):
    policy, path = Policy.model_validate({"tenants": BOUND}), Path(FILE)
    states = []

    def look(name: str) -> None:
        states.append(told(f"gateway-{name}", check_gateway(path, policy)))

    look("without-a-key")
    add_key(path, "default", "/web")
    add_key(path, "acme", "/web-of-acme")
    look("with-keys")
    path.write_text("{")
    look("broken")
    assert states == [[WARNING], [OK, WARNING], [BROKEN]]
    assert [*check_gateway(None, policy)] == []


def test_the_keys_of_the_gateway_are_those_of_the_users_own_one_else_of_the_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("SPRAT_GATEWAY__KEYS_FILE", "/etc/sprat/keys.json")
    run = replace(RUN, folder=str(tmp_path))
    assert [keys_file(run), keys_file(None)] == [None, Path("/etc/sprat/keys.json")]
    add_key(tmp_path / FILE, "default", "/web")
    assert keys_file(run) == tmp_path / FILE


def test_where_the_gateway_serves(tmp_path, monkeypatch):
    monkeypatch.setenv("SPRAT_GATEWAY__PORT", "8443")
    run = replace(RUN, folder=str(tmp_path))
    assert [address(run), address(None)] == [None, "http://127.0.0.1:8443"]
    (tmp_path / GATEWAY_PORT).write_text("8089")
    monkeypatch.setenv("SPRAT_GATEWAY__TLS_CERT", "cert.pem")
    assert [address(run), address(None)] == ["http://127.0.0.1:8089", "https://127.0.0.1:8443"]


async def test_whether_the_gateway_answers(tmp_path):
    add_key(path := tmp_path / FILE, "default", "/web")

    async def states(port: int, scheme: str = "http") -> list[tuple[CheckStatus, str]]:
        where = f"{scheme}://127.0.0.1:{port}"
        checks = await asyncio.to_thread(lambda: [*check_gateway(path, None, where)])
        return [(each.status, each.finding.partition(" at ")[0]) for each in checks[:1]]

    async with served(door_app(admission(path))) as port:
        assert await states(port) == [(OK, "it answers")]
    tls = tls_context(*self_signed(tmp_path / "door", "door", "127.0.0.1"))
    async with served(door_app(admission(path)), tls=tls) as port:
        assert await states(port, "https") == [(OK, "it answers")]
    assert await states(port) == [(WARNING, "it does not answer")]
    async with served(Starlette()) as port:  # 404
        assert await states(port) == [(WARNING, "another program answers")]
