"""Checks of `sprat doctor` without Kafka: brokers, copies, clocks, unserved models, the frontier."""

import json
from dataclasses import dataclass, replace

import pytest
from aiokafka.errors import ClusterAuthorizationFailedError
from typer.testing import CliRunner

from sprat.base.checks import CheckStatus
from sprat.base.settings import KafkaSettings
from sprat_cli.main import app
from sprat_contracts import ChainPlace
from sprat_operations.clock import ClockSkew
from sprat_operations.doctor import kafka as clock
from sprat_operations.doctor.kafka import (
    check_brokers,
    check_calls,
    check_checkpoints,
    check_topics,
    check_transactions,
)
from sprat_operations.doctor.settings import check_settings, check_tenants, find_policy
from sprat_operations.egress import recent_calls
from sprat_operations.local_run import SIMULATED, LocalRun
from sprat_operations.topics import Difference, TopicState
from sprat_operations.transactions import OpenTransaction
from sprat_policy import Policy
from support.audit_log import attempt

KAFKA = KafkaSettings()
FINE = {
    "queued.max.request.bytes": "67108864",
    "socket.request.max.bytes": "104857600",
    "group.max.session.timeout.ms": "1800000",
    "group.min.session.timeout.ms": "6000",
    "offsets.retention.minutes": "10080",
    "auto.create.topics.enable": "false",
    "unclean.leader.election.enable": "false",
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


async def checked(checks):
    return [(check.status, check.finding, check.fix) async for check in checks]


async def test_brokers_whose_settings_fit_are_one_good_line():
    (line,) = await checked(check_brokers(KAFKA, Admin({1: FINE, 2: FINE}), [1, 2]))
    assert line == (CheckStatus.ok, "7 settings that matter here are as they should be", "")


@pytest.mark.parametrize(
    ("setting", "value", "mark", "fix"),
    [
        ("socket.request.max.bytes", "1048576", CheckStatus.broken, "socket.request.max.bytes=4194304 or more"),
        ("group.max.session.timeout.ms", "9999", CheckStatus.broken, "group.max.session.timeout.ms=10000 or more"),
        ("group.min.session.timeout.ms", "60000", CheckStatus.broken, "group.min.session.timeout.ms=10000 or less"),
        ("offsets.retention.minutes", "1440", CheckStatus.warning, "offsets.retention.minutes=10080 or more"),
        ("auto.create.topics.enable", "true", CheckStatus.warning, "auto.create.topics.enable=false"),
        ("queued.max.request.bytes", "-1", CheckStatus.warning, "queued.max.request.bytes=a quarter of the heap"),
        ("unclean.leader.election.enable", "true", CheckStatus.broken, "unclean.leader.election.enable=false"),
    ],
)
async def test_a_wrong_setting_of_one_broker_is_reported_with_the_broker(setting, value, mark, fix):
    (line,) = await checked(check_brokers(KAFKA, Admin({1: FINE, 2: FINE | {setting: value}}), [1, 2]))
    assert line[0] is mark
    assert line[1].startswith(f"{setting} is {value} on broker 2: ")
    assert line[2] == f"{fix} in server.properties"


async def test_settings_that_may_not_be_read_are_said_to_be_so():
    (line,) = await checked(check_brokers(KAFKA, Admin({1: None}), [1]))
    assert line[0] is CheckStatus.ok
    assert "cannot be read here" in line[1]


def described(leader=1, replicas=(1, 2, 3), isr=(1, 2, 3)):
    return {"topic": "t", "partitions": [{"partition": 0, "leader": leader, "replicas": replicas, "isr": isr}]}


@pytest.mark.parametrize(
    ("topic", "brokers", "marks", "said"),
    [
        (described(), 3, [CheckStatus.ok], "3 of each record on 3 brokers"),
        (described(replicas=(1,), isr=(1,)), 1, [CheckStatus.ok], "1 of each record on 1 broker"),
        (
            described(replicas=(1,), isr=(1,)),
            3,
            [CheckStatus.warning],
            "1 of each record on 3 brokers: where one is lost",
        ),
        (described(isr=(1, 2)), 3, [CheckStatus.warning], "not all copies are up to date: t 0"),
        (described(leader=-1, isr=()), 3, [CheckStatus.broken], "no leader: t 0"),
    ],
)
async def test_copies_and_leaders_are_looked_at(topic, brokers, marks, said):
    states = [TopicState("t", "exists", 1)]
    lines = await checked(check_topics(KAFKA, Admin(topics=[topic], brokers=brokers), states))
    assert [line[0] for line in lines[1:]] == marks
    assert said in lines[1][1]


async def test_each_setting_of_a_topic_that_differs_is_reported_with_the_command_that_fixes_it():
    states = [TopicState("sprat.texts.v1", "differs", 8, (Difference("retention.ms", "604800000", "1"),))]
    lines = await checked(check_topics(KAFKA, Admin(topics=[described()], brokers=3), states))
    where = "--bootstrap-server 127.0.0.1:9092"
    assert lines[0] == (
        CheckStatus.broken,
        "sprat.texts.v1: retention.ms is 1, not 604800000",
        f"kafka-configs.sh {where} --alter --topic sprat.texts.v1 --add-config retention.ms=604800000",
    )


@pytest.mark.parametrize(
    ("differ", "mark", "effect"),
    [
        (
            Difference("min.insync.replicas", "2", "1"),
            CheckStatus.warning,
            "min.insync.replicas is 1, not 2: a lost broker can take acknowledged records with it",
        ),
        (
            Difference("min.insync.replicas", "2", "3"),
            CheckStatus.warning,
            "min.insync.replicas is 3, not 2: a lost broker stops all that write",
        ),
        (
            Difference("min.insync.replicas", "1", "2"),
            CheckStatus.broken,
            "min.insync.replicas is 2, not 1: there are fewer copies, so nothing can be written",
        ),
        (
            Difference("segment.ms", "21600000", "604800000"),
            CheckStatus.warning,
            "segment.ms is 604800000, not 21600000: a record may stand for so many milliseconds beyond its retention",
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, Difference) else "",
)
async def test_a_setting_that_differs_in_many_topics_is_one_line_with_its_effect(differ, mark, effect):
    states = [TopicState(name, "differs", 8, (differ,), 3, 1) for name in ("sprat.a.v1", "sprat.b.v1")]
    lines = await checked(check_topics(KAFKA, Admin(topics=[described()], brokers=3), states))
    alter = "kafka-configs.sh --bootstrap-server 127.0.0.1:9092 --alter --topic $topic --add-config"
    fix = f"for topic in sprat.a.v1 sprat.b.v1; do {alter} {differ.setting}={differ.expected}; done"
    assert lines[0] == (mark, f"sprat.a.v1, sprat.b.v1: {effect}", fix)


async def test_where_only_this_shell_has_another_count_of_partitions_one_line_says_which_to_set():
    differ = (Difference("partitions", "8", "12"),)
    states = [
        TopicState("sprat.texts.v1", "differs", 12, differ),
        TopicState("sprat.feedback.v1", "differs", 12, differ),
    ]
    lines = await checked(check_topics(KAFKA, Admin(topics=[described()], brokers=3), states))
    assert [line[2] for line in lines] == ["export SPRAT_KAFKA__PARTITIONS=12", ""]


@pytest.mark.parametrize(
    ("runs", "fix"),
    [
        ([], "sprat topics create"),
        (
            [LocalRun(1, "127.0.0.1:9092", "")],
            "sprat topics create, or restart your `sprat up`, which makes them and reads new task files",
        ),
    ],
)
async def test_what_makes_a_missing_topic_is_said(monkeypatch, runs, fix):
    monkeypatch.setattr(clock.local_run, "find_by_kafka", lambda _: next(iter(runs), None))
    lines = await checked(check_topics(KAFKA, Admin(topics=[], brokers=3), [TopicState("t", "missing", 1)]))
    assert lines == [(CheckStatus.broken, "1 of 1 missing: t", fix)]


@pytest.mark.parametrize(
    ("skew", "mark", "said"),
    [
        (ClockSkew(2.0, 3.0), CheckStatus.ok, "as Kafka's, give or take 3 ms"),
        (ClockSkew(1_500.0, 900.0), CheckStatus.ok, "as Kafka's, give or take 1500 ms"),
        (
            ClockSkew(2_500.0, 100.0),
            CheckStatus.warning,
            "2.4 s ahead of Kafka's: deadlines of hard cases are judged by as much too early",
        ),
        (
            ClockSkew(-45_000.0, 0.0),
            CheckStatus.broken,
            "45.0 s behind Kafka's: deadlines of hard cases are judged by as much too late",
        ),
        (None, CheckStatus.ok, "cannot be compared with Kafka's: the cluster does not report its time"),
    ],
)
async def test_a_clock_that_is_off_is_reported_with_its_effect(skew, mark, said):
    async def measured(_client):
        return skew

    check = await clock.check_clock(KAFKA, measured)
    assert check.status is mark
    assert check.finding.startswith(said)


async def test_a_user_who_may_not_read_the_clock_gets_a_line():
    async def refused(_client):
        raise ClusterAuthorizationFailedError

    check = await clock.check_clock(KAFKA, refused)
    assert (check.status, check.finding) == (
        CheckStatus.ok,
        "cannot be compared with Kafka's: ClusterAuthorizationFailedError",
    )


TENANTS = Policy.model_validate(
    {
        "tenants": {
            "acme": {"sources": ["/crm/*", "/a", "/b", "/c"], "signing_keys": ["${NEW}", "${OLD}"]},
            "signs": {"signing_keys": ["${OTHER}"]},
            "bound": {"sources": ["*"]},
            "free": {},
            "*": {},
        }
    }
)


def test_the_sources_and_keys_of_tenants_are_shown_and_no_key():
    keys = {"NEW": "n" * 32, "OLD": "o" * 32, "OTHER": "x" * 32}
    checks = list(check_tenants(TENANTS, keys))
    assert [check.status for check in checks] == [CheckStatus.ok, CheckStatus.warning, CheckStatus.ok, CheckStatus.ok]
    assert [check.finding for check in checks] == [
        "acme: texts from /crm/*, /a, /b and 1 more alone, signed with NEW or OLD",
        (
            "signs: texts from any free source, signed with OTHER; another tenant may use the same sources, and so the "
            "ids of its Results"
        ),
        "bound: texts from * alone, not signed",
        "neither sources nor keys: free, all others; whoever may write texts may write theirs",
    ]
    assert not [key for key in keys.values() for check in checks if key in check.finding]


def test_a_key_that_is_not_set_here_is_unknown():
    first, *_ = check_tenants(TENANTS, {"NEW": "n" * 32, "OLD": "short", "OTHER": "x" * 32})
    assert first.status is CheckStatus.unknown
    assert first.finding.endswith("signed with NEW or OLD; in this shell: no key of 32 bytes in OLD")
    assert "router and frontier do not start without these variables" in first.fix


@pytest.mark.parametrize(
    ("ages", "status", "said"),
    [
        ([], CheckStatus.ok, "none has been open for more than 60 s"),
        ([59.0], CheckStatus.ok, "none has been open for more than 60 s"),
        (
            [3.0, 600.0, None],
            CheckStatus.broken,
            "an open transaction, open for 600 s, holds back sprat.texts.v1 partition 1 from offset 11 (and 1 more)",
        ),
    ],
)
def test_a_transaction_that_is_open_for_too_long_is_broken(ages, status, said):
    found = [OpenTransaction("sprat.texts.v1", number, number + 10, age) for number, age in enumerate(ages)]
    check = check_transactions(found)
    assert check.status is status
    assert check.finding.startswith(said)
    if status is CheckStatus.broken:
        assert check.fix.endswith("abort --topic sprat.texts.v1 --partition 1 --start-offset 11")


@pytest.mark.parametrize(
    ("checkpoint", "status", "said"),
    [
        (0, CheckStatus.ok, "the frontier writes checkpoints"),
        (None, CheckStatus.warning, "the frontier writes no checkpoints"),
    ],
)
def test_an_audit_without_checkpoints_is_a_warning(checkpoint, status, said):
    place = ChainPlace(
        writer="frontier-1", started_at=1, sequence=1, previous="", acknowledged=0, signed_at=2, checkpoint=checkpoint
    )
    check = check_checkpoints(attempt("call").model_copy(update={"chain": place}))
    assert check.status is status
    assert check.finding.startswith(said)
    assert ("SPRAT_AUDIT__CHECKPOINTS" in check.fix) is (status is CheckStatus.warning)
    assert check_checkpoints(None).status is CheckStatus.ok


NOW_S = 1_700_000_000


def outcomes(*codes, breaker="closed", age_s=0, provider="mistral_ai"):
    """Return the records of calls that ended so, the last one before `age_s` seconds."""
    chain = ChainPlace(
        writer="f-1", started_at=1, sequence=1, previous="", acknowledged=0, signed_at=(NOW_S - age_s) * 1000
    )
    outcome = attempt("call").model_copy(update={"phase": "outcome", "provider": provider, "chain": chain})
    return [outcome.model_copy(update={"outcome": code, "breaker": breaker}) for code in codes]


@pytest.mark.parametrize(
    ("records", "status", "said", "fix"),
    [
        ([], None, "", ""),
        ([attempt("call")], None, "", ""),
        (outcomes("answered"), CheckStatus.ok, "ended with answered; its circuit breaker is closed", ""),
        (outcomes("server_error", "answered", breaker=None), CheckStatus.ok, "ended with answered", ""),
        (outcomes(*["server_error"] * 3, breaker="open"), CheckStatus.broken, "circuit breaker is open", "BreakerOpen"),
        (outcomes("timeout", breaker="half_open"), CheckStatus.broken, "circuit breaker is half-open", "BreakerOpen"),
        (outcomes("timeout", breaker="open", age_s=3601), CheckStatus.warning, "breaker is open", "BreakerOpen"),
        (outcomes(*["unauthorised"] * 5), CheckStatus.broken, "the last 5 calls failed", "RefusesCredential"),
        (outcomes(*["http_400"] * 6, breaker=None), CheckStatus.broken, "the last 6 calls failed", "ProviderDown"),
        (outcomes(*["http_400"] * 4), CheckStatus.ok, "ended with http_400", ""),
        (outcomes(*["http_400"] * 4, "refused", *["http_400"] * 4), CheckStatus.ok, "ended with http_400", ""),
        (outcomes(*["no_gold"] * 9), CheckStatus.ok, "ended with no_gold", ""),
        (outcomes("answered", *["not_sent", "cancelled"] * 9), CheckStatus.ok, "ended with answered", ""),
    ],
)
def test_calls_that_fail_and_an_open_breaker_are_told(records, status, said, fix):
    checks = list(check_calls(recent_calls(records), NOW_S))
    assert [check.status for check in checks] == ([] if status is None else [status])
    assert all(check.finding.startswith("mistral_ai: ") and said in check.finding for check in checks)
    assert all(fix in check.fix and bool(fix) is bool(check.fix) for check in checks)
    assert all(("SPRAT_FRONTIER__" in check.fix, "runbooks/" in check.fix) == (bool(fix), False) for check in checks)


def test_each_provider_has_a_line_of_its_own():
    records = [*outcomes("answered"), *outcomes("timeout", breaker="open", provider="other")]
    assert [check.status for check in check_calls(recent_calls(records), NOW_S)] == ["ok", "broken"]


def test_a_server_that_is_inside_by_its_host_and_said_to_be_elsewhere_is_warned_of(tmp_path, monkeypatch):
    """`inside: [127.0.0.1]` takes each server of the laptop inside, a simulator among them."""
    tiers = [{"preset": "ollama:phi", "region": "eu"}, {"preset": "ollama:phi", "name": "house"}]
    url = "http://127.0.0.1:8089/v1"
    file = tmp_path / "policy.yaml"
    file.write_text(json.dumps({"tenants": {}, "inside": ["127.0.0.1"], "tiers": tiers}))
    monkeypatch.setenv("SPRAT_FRONTIER__BASE_URL", url)
    monkeypatch.setenv("SPRAT_FRONTIER__REGION", "local")
    said = CliRunner().invoke(app, ["policy", "check", str(file)])
    assert said.exit_code == 0, said.output
    assert "warning: tier ollama, region eu: `inside` takes every server" in said.stderr
    assert "warning: the frontier (SPRAT_FRONTIER__BASE_URL), region local" in said.stderr
    assert "tier house" not in said.stderr


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("localhost", True)])
@pytest.mark.parametrize("tiers", [[], [{"preset": "frontier"}]], ids=["no tiers", "a tier"])
def test_a_simulator_of_sprat_up_that_is_inside_by_its_host_is_warned_of(tmp_path, monkeypatch, host, warned, tiers):
    """`inside: [127.0.0.1]` leaves it outside, so that a rehearsal shows what would leave."""
    monkeypatch.chdir(tmp_path)
    for name in ("POLICY", "FRONTIER__BASE_URL", "FRONTIER__API_KEY"):
        monkeypatch.delenv(f"SPRAT_{name}", raising=False)
    file = tmp_path / "own.yaml"
    file.write_text(json.dumps({"tenants": {"vault": {"frontier": "deny"}}, "inside": [host], "tiers": tiers}))
    said = CliRunner().invoke(app, ["policy", "check", str(file)])
    assert said.exit_code == 0, said.output
    warning = "warning: the simulator that `sprat up` starts, region local: `inside` takes every server on localhost"
    assert (warning in said.stderr) is warned
    run = LocalRun(1, str(tmp_path), "", policy=str(file), frontier=SIMULATED)
    (check,) = (each for each in check_settings(*find_policy(None, run), run) if each.subject == "frontier")
    assert check.status is (CheckStatus.warning if warned else CheckStatus.ok)
    assert ("List 127.0.0.1 instead" in check.fix) is warned


@pytest.mark.parametrize("tiers", [[], [{"preset": "frontier"}, {"preset": "vllm:http://gpu/v1", "model": "phi"}]])
def test_policy_check_names_a_frontier_of_the_settings_that_texts_of_deny_reach(tmp_path, monkeypatch, tiers):
    rules = {"tenants": {"vault": {"frontier": "deny"}}, "inside": ["gpu"], "tiers": tiers}
    file = tmp_path / "own.yaml"
    file.write_text(json.dumps(rules))
    monkeypatch.setenv("SPRAT_FRONTIER__BASE_URL", "http://gpu:8000/v1")
    said = CliRunner().invoke(app, ["policy", "check", str(file)]).stdout
    asked = "frontier, vllm" if tiers else "the frontier"
    assert f"  vault       deny  nothing leaves; hard cases go to {asked}, inside the house" in said
    assert ("the model of the settings, inside the house" in said) is bool(tiers)


def test_doctor_reads_the_policy_of_this_users_own_installation(tmp_path, monkeypatch):
    monkeypatch.delenv("SPRAT_POLICY", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text("tenants: {acme: {frontier: deny}}\n")
    (tmp_path / "other.yaml").write_text("tenants: {one: {}, two: {}}\n")
    own = tmp_path / "own.yaml"
    run = LocalRun(1, str(tmp_path), "", policy=str(own))
    check, rules = find_policy(None, run)
    assert (check.status, rules.tenant("acme").frontier) == (CheckStatus.ok, "deny")
    assert find_policy(None, LocalRun(1, "", ""))[1] is None
    used = f"the policy of your `sprat up`: {own}: 1 tenant"
    assert check.finding == used
    monkeypatch.setenv("SPRAT_POLICY", "own.yaml")
    assert find_policy(None, run)[0].finding == used
    monkeypatch.setenv("SPRAT_POLICY", "other.yaml")
    check, rules = find_policy(None, run)
    assert (check.status, list(rules.tenants)) == (CheckStatus.warning, ["acme"])
    assert check.finding == f"{used}; SPRAT_POLICY names other.yaml, which is not used there"
    assert find_policy(tmp_path / "other.yaml", run)[0].finding == f"{tmp_path / 'other.yaml'}: 2 tenants"


def test_doctor_says_which_files_changed_after_this_users_own_installation_read_them(tmp_path, monkeypatch):
    monkeypatch.delenv("SPRAT_POLICY", raising=False)
    monkeypatch.chdir(tmp_path)
    policy, task = tmp_path / "own.yaml", tmp_path / "tasks" / "mood.yaml"
    task.parent.mkdir()
    policy.write_text("tenants: {acme: {frontier: deny}}\n")
    task.write_text("kind: classification\nlabels: {good: , bad: }\n")
    told = LocalRun(1, str(tmp_path), "", policy=str(policy), tasks=str(task.parent))
    run = replace(told, files=told.files_now())
    as_read = {file: file.read_text() for file in (policy, task)}
    for changed in ("", policy, task):
        for file, text in as_read.items():
            file.write_text(f"{text}{'# more' if file == changed else ''}")  # the same again has changed nothing
        check, _ = find_policy(None, run)
        assert (check.status is CheckStatus.ok) is not bool(changed)
        said = f"; {changed} changed after your `sprat up` read it"
        assert check.finding.endswith(said if changed else ": 1 tenant")


@pytest.mark.parametrize(
    ("frontier", "said"),
    [
        ("simulated", "your `sprat up` asks its simulator"),
        (
            "https://models.example/v1",
            "your `sprat up` asks https://models.example/v1; its other settings are those",
        ),
    ],
)
def test_doctor_says_which_frontier_this_users_own_installation_asks(tmp_path, monkeypatch, frontier, said):
    for name in ("POLICY", "FRONTIER__BASE_URL", "FRONTIER__API_KEY"):
        monkeypatch.delenv(f"SPRAT_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text("tenants: {acme: {frontier: deny}}\n")
    run = LocalRun(1, str(tmp_path), "", policy=str(tmp_path / "own.yaml"), frontier=frontier)
    (check,) = (each for each in check_settings(*find_policy(None, run), run) if each.subject == "frontier")
    assert (check.status, check.finding.startswith(said)) == (CheckStatus.ok, True), check
