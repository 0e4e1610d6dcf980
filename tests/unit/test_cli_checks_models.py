"""What `sprat doctor` finds of consumer groups and of models: who serves them, which are retired."""

from dataclasses import replace

import pytest
from aiokafka import TopicPartition

from sprat.base.checks import CheckStatus
from sprat.kafka.cluster import ConsumerGroup, GroupMember
from sprat.kafka.lag import GroupLag, LagSnapshot, PartitionLag, limit_to_owned
from sprat.registry.announcements import IgnoredRecord
from sprat_contracts import ModelAnnounced, Record
from sprat_operations.doctor.groups import check_groups
from sprat_operations.doctor.models import check_models
from sprat_operations.local_run import LocalRun
from sprat_operations.models import RegisteredModels

RUN = LocalRun(pid=17, folder="/run", redis_url="")


def group(name, members=1, lag=0):
    partition = TopicPartition("sprat.texts.v1", 0)
    state = ConsumerGroup(name, "Stable", (GroupMember("c", "h", (partition,)),) * members, {})
    return GroupLag(state, (PartitionLag(partition, lag, 0, 0),))


def measured(*groups):
    return LagSnapshot(0.0, {each.group.name: each for each in groups}, {})


def test_groups_without_members_are_warnings_and_required_ones_are_broken():
    found = measured(group("router"), group("ner.default", 0, lag=12))
    for standing in (RegisteredModels((ModelAnnounced(task="ner", version="1", owns_from=1),), {}), None):
        assert [(check.status, check.finding) for check in check_groups(found, standing)] == [
            (CheckStatus.broken, "frontier: 0 members, 0 records behind"),
            (CheckStatus.warning, "ner.default: 0 members, 12 records behind"),
            (CheckStatus.ok, "router: 1 member, 0 records behind"),
        ]


@pytest.mark.parametrize(
    ("members", "lag", "said"),
    [
        (1, 20, "1 member: its service may stop once it has answered the 12 texts that came before"),
        (1, 1, "1 member: its service may stop once it has answered the 1 text that came before"),
        (2, 0, "2 members: its service may stop"),
    ],
)
def test_the_service_of_a_retired_model_may_stop_once_it_has_answered_its_own(members, lag, said):
    (line,) = legal(members, lag, {0: 12})
    assert (line.status, line.finding, line.fix) == (CheckStatus.ok, f"ner.legal is retired, {said}", "")


@pytest.mark.parametrize(
    ("lag", "ends", "mark", "said"),
    [
        (20, {0: 12}, CheckStatus.broken, "at most 12 texts that were its own when it was retired may wait, and"),
        (20, {0: 1}, CheckStatus.broken, "at most 1 text that was its own when it was retired may wait, and"),
        (20, None, CheckStatus.warning, "up to 20 texts from before it was retired may wait, and no service runs"),
    ],
)
def test_texts_that_a_retired_model_left_are_reported_with_a_fix(lag, ends, mark, said):
    (line,) = legal(0, lag, ends)
    assert line.status is mark
    assert line.finding.startswith(f"ner.legal is retired, 0 members: {said}")
    assert line.fix.startswith("start its service once more")
    assert "`sprat models retire ner/legal` again" in line.fix


@pytest.mark.parametrize("standing", [None, RegisteredModels((), {"ner.default": {0: 300}})])
def test_a_member_that_commits_nothing_while_records_wait_is_broken_with_what_to_do(standing):
    before = measured(group("ner.default", lag=300), group("router"), group("frontier"))
    line, *_ = (
        check for check in check_groups(replace(before, at_s=10.0), standing, before, RUN) if "ner" in check.finding
    )
    assert line.status is CheckStatus.broken
    assert line.finding == "ner.default: 1 member, 300 records behind, and committed nothing for 10 s: c@h"
    assert line.fix.startswith("read the end of /run/logs/ner*.log, and end its process: pkill -9 -P 17 -f sprat_ner (")
    (line,) = (each for each in check_groups(before, standing, before) if "ner" in each.finding)
    assert line.fix.startswith("read the end of its log on that machine, and restart the service ner; observability/")
    assert line.metrics["sprat.group.lag"] == {"sprat.texts.v1": 300}


@pytest.mark.parametrize("state", ["Stable", "PreparingRebalance"])
def test_partitions_that_no_member_of_a_stable_group_reads_are_broken_with_what_to_do(state):
    read, unread = TopicPartition("sprat.texts.v1", 0), TopicPartition("sprat.predictions.pii.v1", 0)
    members = (GroupMember("c", "h", (read,)),)
    lags = tuple(PartitionLag(each, 3, 0, 0) for each in (read, unread))
    found = LagSnapshot(10.0, {"router": GroupLag(ConsumerGroup("router", state, members, {}), lags)}, {})
    earlier = replace(found, at_s=0.0)
    (line,) = [each for each in check_groups(found, None, earlier, RUN) if each.finding.startswith("router")]
    if state != "Stable":
        assert "no member reads" not in line.finding
        return
    assert line.status is CheckStatus.broken
    assert line.finding.removeprefix("router: 1 member, 6 records behind; ") == (
        "no member reads 1 partition of sprat.predictions.pii.v1: what is there waits"
    )
    assert line.fix.endswith(
        "start it again, with the same options; this service alone: pkill -9 -P 17 -f sprat_router"
    )
    (line,) = [each for each in check_groups(found, None, earlier) if each.finding.startswith("router")]
    assert line.fix.endswith("restart every instance of router")


def test_a_frontier_with_work_may_wait_for_its_provider():
    before = measured(group("frontier", lag=2), group("router"))
    line, router = check_groups(replace(before, at_s=10.0), None, before)
    assert (line.status, router.status) == (CheckStatus.warning, CheckStatus.ok)
    assert line.fix.endswith("observability/runbooks/SpratProviderDown.md")


def test_a_consumer_that_is_none_of_the_services_is_a_warning():
    before = measured(group("crm", lag=2), group("frontier"), group("router"))
    line, *_ = check_groups(replace(before, at_s=10.0), None, before, RUN)
    assert (line.status, line.fix) == (
        CheckStatus.warning,
        "it is none of Sprat's services: look at whoever runs it",
    )


def legal(members, lag, ends):
    """What is found of the group of a withdrawn model."""
    withdrawn = {"ner.legal": ends}
    found = limit_to_owned(
        measured(group("router"), group("frontier"), group("ner.legal", members, lag=lag)), withdrawn
    )
    return [check for check in check_groups(found, RegisteredModels((), withdrawn)) if "legal" in check.finding]


def test_the_group_of_a_retired_model_that_left_nothing_is_left_out():
    assert legal(0, 0, {0: 0}) == []
    assert legal(0, 20, {0: 0}) == []


def test_a_model_that_is_announced_and_that_nobody_serves_is_broken():
    announced = [
        ModelAnnounced(task="intent", version="0123456789", owns_from=1),
        ModelAnnounced(task="ner", model="legal", version="abcdef0123", owns_from=1),
        ModelAnnounced(task="translation", version="fedcba", owns_from=None),
    ]
    groups = measured(group("intent.default"), group("ner.legal", 0, lag=12))
    starting, unserved = check_models(RegisteredModels(tuple(announced), {}), groups)
    assert starting.status is CheckStatus.warning
    assert unserved.status is CheckStatus.broken
    assert unserved.finding == (
        "ner/legal is announced, but no service runs for it: texts that ask for it get no Result; "
        "12 texts have come since, and at most so many of them wait for it"
    )
    assert "SPRAT_NER__MODEL=legal" in unserved.fix
    assert "sprat up --model ner/legal=DIR" in unserved.fix
    assert "sprat models retire ner/legal" in unserved.fix


@pytest.mark.parametrize(
    ("clients", "told"),
    [
        (["sprat-router", "sprat-router"], None),
        (["sprat-router.strict", "sprat-router.strict"], None),
        (["sprat-router.strict", "sprat-router", "sprat-router"], "router: 1 of 3 members is strict with texts"),
        (
            ["sprat-router.strict", "sprat-router.strict", "sprat-router"],
            "router: 2 of 3 members are strict with texts",
        ),
    ],
)
def test_routers_that_judge_texts_differently_are_a_warning(clients: list[str], told: str | None) -> None:
    group = ConsumerGroup("router", "Stable", tuple(GroupMember(client, "h", ()) for client in clients), {})
    found = check_groups(LagSnapshot(0.0, {"router": GroupLag(group, ())}, {}), None)
    warned = [check for check in found if check.status is CheckStatus.warning]
    assert [check.finding.partition(",")[0] for check in warned] == ([told] if told else [])
    assert [check.fix for check in warned] == (["give all routers the same SPRAT_STRICT_TEXTS"] if told else [])


def ignored(key, why):
    return IgnoredRecord(Record("sprat.models.v1", 0, 0, 0, key, b"x", ()), why)


def test_a_service_that_runs_and_is_ignored_is_broken_and_what_else_is_ignored_is_counted():
    counts = {b"ner/legal": Record("sprat.models.v1", 0, 0, 0, b"ner/legal", b"x", ())}
    bad = (
        ignored(b"intent/hr", "invalid"),
        ignored(b"ner/legal", "invalid"),
        ignored(b"made/up", "unreadable"),
        ignored(b"\xff", "unreadable"),
    )
    served = (ModelAnnounced(task="ner", model="legal", version="abcdef0123", owns_from=1),)
    groups = measured(group("intent.hr"), group("ner.legal"))
    first, hr, others = check_models(RegisteredModels(served, {}, bad, counts), groups)
    assert first.status is CheckStatus.ok
    assert (hr.status, hr.finding.split(":")[0]) == (CheckStatus.broken, "intent/hr")
    assert "its signature is not this installation's" in hr.finding
    assert "SPRAT_SECRET" in hr.fix
    assert (others.status, others.fix) == (CheckStatus.warning, "sprat models clean")
    assert others.finding == (
        "3 records of announcements that services ignore (1: its signature is not this installation's; "
        "2: it is no announcement): made/up, ner/legal, \ufffd"
    )


def test_that_announcements_are_not_verified_is_told():
    (_, line) = check_models(RegisteredModels((), {}, verified=False), measured())
    assert (line.status, line.fix) == (CheckStatus.unknown, "set SPRAT_SECRET to that of the services")
