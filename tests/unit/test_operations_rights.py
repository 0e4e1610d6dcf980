"""Rights: what follows from the topics of the services, and how entries of the broker are judged."""

import shlex

import pytest

from sprat.base.channels import Channels, service_channels
from sprat.base.errors import UserError
from sprat_contracts import TASKS, IntentOutput, Message, TaskTable, Topics
from sprat_operations import rights
from sprat_operations.rights import (
    CLUSTER,
    ROLES,
    Entry,
    Principal,
    QuotaFinding,
    Right,
    acl_commands,
    compare,
    compare_quotas,
    parse_principals,
    quota_command,
    removal_command,
)

TOPICS = Topics("sprat", 2)
TEXTS = TOPICS.texts
UPSTREAM = Principal("User:crm", ("upstream",))
WRITES_TEXTS = Entry("User:crm", Right("topic", TEXTS, "Write"))


def judged(*entries: Entry, principal: Principal = UPSTREAM) -> list[tuple[str, str]]:
    return [(each.kind, each.principal) for each in compare([principal], entries, TOPICS)]


@pytest.mark.parametrize("channels", service_channels(TOPICS), ids=lambda channels: channels.service)
def test_a_service_may_use_the_topics_that_it_declares(channels: Channels) -> None:
    granted = ROLES[channels.service].rights(TOPICS, "any")
    topics = {(right.name, right.operation) for right in granted if right.resource == "topic"}

    assert {name for name, operation in topics if operation == "Write"} == {*channels.writes}
    assert {(name, "Read") for name in (*channels.reads, *channels.follows)} <= topics


def test_a_topic_that_a_service_declares_tomorrow_is_among_its_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    tomorrow = Channels("frontier", "", {TOPICS.frontier_requests: Message}, {TOPICS.egress: None}, {"new": Message})
    monkeypatch.setattr(rights, "frontier_channels", lambda _: tomorrow)

    assert {str(right) for right in ROLES["frontier"].rights(TOPICS, "any")} == {
        "Read on topic sprat.frontier.requests.v1",
        "Read on topic new",
        "Write on topic sprat.audit.egress.v1",
        "Read on group sprat.frontier",
    }


def test_every_service_that_uses_kafka_has_a_role() -> None:
    assert {channels.service for channels in service_channels(TOPICS)} <= ROLES.keys()
    assert ROLES.keys() - {"router", "frontier", "guardian", *TASKS} == {
        *("upstream", "door", "page", "consumer", "reviewer", "auditor", "operator"),
    }


def test_no_task_can_take_the_name_of_a_role() -> None:
    for name in ROLES.keys() | {"classify", "simulator", "kafka", "redis", "all"}:
        with pytest.raises(ValueError, match="cannot be the name of an added task"):
            TaskTable({name: IntentOutput})


def test_a_right_that_another_one_includes_is_not_granted() -> None:
    granted = Principal("User:x", ("router",)).rights(TOPICS)
    on_texts = [right.operation for right in granted if right.name == TEXTS]

    assert on_texts == ["Read"]  # `Describe` is part of it


def of(name: str, resource: str, on: str, operation: str, **more: object) -> Entry:
    prefixed = bool(more.pop("prefixed", False))
    return Entry(f"User:{name}", Right(resource, on, operation, prefixed=prefixed), **more)


JUDGED = {
    "": [  # as the role needs it, or not of this installation
        of("crm", "topic", TEXTS, "Describe"),
        of("crm", "topic", TEXTS, "Write", host="10.0.0.7"),
        of("crm", "topic", "payroll", "All"),
        of("crm", "topic", "sprat2.", "All", prefixed=True),
        of("other", "topic", "payroll", "All"),
        of("other", "cluster", CLUSTER, "Describe"),
        of("crm", "transactional-id", "crm", "Write", prefixed=True),
        of("crm", "topic", "payroll", "Write", allows=False),
        of("metrics", "cluster", CLUSTER, "Describe"),
        of("gate", "user", "User:somebody", "CreateTokens"),
    ],
    "excessive User:crm": [
        of("crm", "topic", "sprat.results.", "Read", prefixed=True),
        of("crm", "topic", TEXTS, "Read"),
        of("crm", "group", "sprat.router", "Read"),
        of("crm", "group", "*", "Read"),
        of("crm", "cluster", CLUSTER, "Alter"),
    ],
    "denied User:crm": [  # a denial wins over what is granted
        of("crm", "topic", TEXTS, "Write", allows=False),
        of("*", "topic", TEXTS, "All", allows=False),
        of("crm", "topic", "*", "Describe", allows=False),
        of("crm", "topic", "sprat.", "Write", prefixed=True, allows=False),
    ],
    "unknown User:rogue": [  # a stranger who can write texts, or give himself rights
        of("rogue", "topic", TEXTS, "Write"),
        of("rogue", "cluster", CLUSTER, "Alter"),
        of("rogue", "cluster", CLUSTER, "AlterConfigs"),
        of("rogue", "cluster", CLUSTER, "All"),
        of("rogue", "user", UPSTREAM.name, "CreateTokens"),
        of("rogue", "user", "*", "All"),
    ],
}
WIDER = [
    of("crm", "topic", TEXTS, "All"),
    of("crm", "topic", "*", "Write"),
    of("crm", "topic", "sprat.", "Write", prefixed=True),
    of("crm", "topic", "spr", "All", prefixed=True),
]


@pytest.mark.parametrize(
    ("entry", "verdict"),
    [(entry, verdict) for verdict, entries in JUDGED.items() for entry in entries],
    ids=str,
)
def test_an_entry_beside_what_the_role_needs_is_judged(entry: Entry, verdict: str) -> None:
    assert judged(WRITES_TEXTS) == []
    assert [" ".join(each) for each in judged(WRITES_TEXTS, entry)] == [*filter(None, [verdict])]


@pytest.mark.parametrize("entry", WIDER, ids=str)
def test_a_wider_entry_is_enough_and_too_much(entry: Entry) -> None:
    assert judged(entry) == [("excessive", "User:crm")]


def test_what_everybody_may_serves_the_user_but_is_nobodys_right() -> None:
    assert judged(of("*", "topic", TEXTS, "Write")) == [("unknown", "User:*")]


def test_a_denial_of_a_part_is_found() -> None:
    specialist = Principal("User:i", ("intent",))
    granted = [Entry("User:i", right) for right in specialist.rights(TOPICS)]
    denial = Entry("User:i", Right("group", "sprat.intent.default", "Read"), allows=False)

    assert judged(*granted, principal=specialist) == []
    assert judged(*granted, denial, principal=specialist) == [("denied", "User:i")]


def test_each_right_that_lacks_is_missing() -> None:
    assert [str(each.right) for each in compare([Principal("User:a", ("consumer",))], [], TOPICS)] == [
        "Read on group a",
        "Read on group a.*",
        *(f"Read on topic sprat.results.{task}.v1" for task in sorted(TASKS)),
    ]


def test_a_user_with_two_roles_has_the_rights_of_both_and_the_larger_quota() -> None:
    (both,) = parse_principals(["upstream=User:crm", "consumer=User:crm"], TOPICS)

    assert {right.operation for right in both.rights(TOPICS)} == {"Read", "Write"}
    assert quota_command(both, "kafka:9092") == (
        "kafka-configs.sh --bootstrap-server kafka:9092 --command-config admin.properties --alter --add-config "
        "producer_byte_rate=1048576,consumer_byte_rate=8388608,request_percentage=25 --entity-type users "
        "--entity-name crm"
    )


def test_services_and_operators_have_no_quota() -> None:
    services = {"router", "frontier", "guardian", "door", "page", *TASKS}
    assert {name for name, role in ROLES.items() if role.quota is None} == services | {"operator"}
    (mixed,) = parse_principals(["upstream=User:x", "operator=User:x"], TOPICS)
    assert quota_command(mixed, "kafka:9092") is None


def test_a_quota_is_missing_where_there_is_none_and_too_much_where_a_service_has_one() -> None:
    principals = parse_principals(["upstream=User:crm", "router=User:r", "consumer=User:billing"], TOPICS)
    quotas = {
        "crm": {"producer_byte_rate": 4096.0},
        "r": {"request_percentage": 5.0},
        "billing": {"consumer_byte_rate": 1.0, "request_percentage": 200.0},
        "stranger": {"request_percentage": 1.0},
    }
    found = compare_quotas(principals, quotas)
    assert found == [
        QuotaFinding("User:crm", "request_percentage", 25, None),
        QuotaFinding("User:r", "request_percentage", None, 5.0),
    ], "other numbers are a choice"
    assert [(each.kind, str(each)) for each in found] == [
        ("missing", "quota request_percentage=25"),
        ("excessive", "quota request_percentage=5"),
    ]
    assert (
        found[1]
        .removal_command("kafka:9092")
        .endswith("--alter --delete-config request_percentage --entity-type users --entity-name r")
    )


def test_the_groups_of_a_certificates_user_have_its_common_name() -> None:
    (certified,) = parse_principals(["consumer=User:CN=billing,OU=apps,O=Acme"], TOPICS)

    assert {right.name for right in certified.rights(TOPICS) if right.resource == "group"} == {"billing", "billing."}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("crm", "must be ROLE=User:NAME"),
        ("upstream=crm", "must be ROLE=User:NAME"),
        ("upstream=User:*", "must be ROLE=User:NAME"),
        ("boss=User:crm", "there is no role boss; there are upstream, router,"),
        ("consumer=User:sprat", "are those of the services"),
        ("consumer=User:sprat.app", "are those of the services"),
        ("consumer=User:the app", "cannot be that of a group"),
        ("consumer=User:crm and consumer=User:crm.eu", "would be those of both"),
        ("consumer=User:CN=crm,O=Acme and consumer=User:CN=crm,O=Evil", "would be those of both"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        parse_principals(given.split(" and "), TOPICS)


def test_commands_are_quoted_for_a_shell() -> None:
    (command,) = acl_commands(Principal("User:CN=a b;rm -rf", ("upstream",)), TOPICS, "kafka:9092")

    assert "User:CN=a b;rm -rf" in shlex.split(command)
    assert shlex.split(command)[-4:] == ["--operation", "Write", "--topic", TEXTS]


def test_the_command_that_removes_names_all_of_an_entry() -> None:
    entry = Entry("User:x", Right("cluster", CLUSTER, "All"), host="10.0.0.7", allows=False)
    prefixed = Entry("User:x", Right("group", "sprat.", "Read", prefixed=True))

    assert removal_command(entry, "kafka:9092") == (
        "kafka-acls.sh --bootstrap-server kafka:9092 --command-config admin.properties --remove --deny-principal "
        "User:x --deny-host 10.0.0.7 --operation All --cluster"
    )
    assert removal_command(prefixed, "k:1").endswith("--operation Read --group sprat. --resource-pattern-type prefixed")
