"""The least rights on Kafka of every role around an installation, and the quotas of those who are not trusted.

The rights of services follow from the topics that they declare in `sprat.base.channels`, those of people and of other
systems from the commands and clients that they run. One table, `ROLES`, is what `sprat acls` prints, compares and
applies.
"""

import re
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, permutations
from typing import Final, Literal

from sprat.base.channels import (
    FRONTIER,
    GATEWAY,
    GUARDIAN,
    ROUTER,
    Channels,
    frontier_channels,
    gateway_channels,
    guardian_channels,
    router_channels,
    service_channels,
    specialist_channels,
)
from sprat.base.errors import UserError
from sprat_contracts import BUILT_IN, TaskTable, Topics

Resource = Literal["topic", "group", "cluster", "transactional-id", "delegation-token", "user"]
Operation = Literal[
    "All",
    "Read",
    "Write",
    "Create",
    "Delete",
    "Alter",
    "Describe",
    "ClusterAction",
    "DescribeConfigs",
    "AlterConfigs",
    "IdempotentWrite",
    "CreateTokens",
    "DescribeTokens",
    "TwoPhaseCommit",
]
CLUSTER: Final = "kafka-cluster"
"""The name under which Kafka keeps the entries of the cluster."""
ANYTHING: Final = "*"
_IMPLIED_BY: Final[Mapping[str, frozenset[str]]] = {
    "Describe": frozenset({"Read", "Write", "Delete", "Alter"}),
    "DescribeConfigs": frozenset({"AlterConfigs"}),
}
_POWERS: Final = frozenset({"All", "Alter", "AlterConfigs", "ClusterAction"})
"""On the cluster: to change rights, passwords and settings of brokers, or to act as a broker."""
_MIB: Final = 1024 * 1024
_COMMON_NAME: Final = re.compile(r"(?:^|,)\s*CN=([^,]+)")
_GROUP_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """Permission to do one thing to a resource, or to all whose name begins with `name`."""

    resource: Resource
    name: str
    operation: Operation
    prefixed: bool = False

    def __str__(self) -> str:
        where = "the cluster" if self.resource == "cluster" else f"{self.resource} {self.name}"
        return f"{self.operation} on {where}{ANYTHING if self.prefixed else ''}"

    @property
    def implied_by(self) -> frozenset[str]:
        """The operations whose permission includes this one."""
        return frozenset({"All", self.operation}) | _IMPLIED_BY.get(self.operation, frozenset())

    def covers_names_of(self, other: "Right") -> bool:
        """Return whether everything that the other right is about is among what this one is about."""
        if self.resource != other.resource:
            return False
        if self.name == ANYTHING and not self.prefixed:
            return True
        if self.prefixed:
            return other.name.startswith(self.name) and (other.prefixed or other.name != ANYTHING)
        return self.name == other.name and not other.prefixed

    def includes(self, other: "Right") -> bool:
        """Return whether who has this right has the other one, too."""
        return self.covers_names_of(other) and self.operation in other.implied_by


@dataclass(frozen=True, slots=True)
class Quota:
    """How much of each broker a user may take before the broker slows it down."""

    producer_byte_rate: int | None = None
    """Bytes a second, as they are sent."""
    consumer_byte_rate: int | None = None
    """Bytes a second."""
    request_percentage: int | None = None
    """Of the time of one thread of the broker; unpacking what was sent counts."""

    def settings(self) -> dict[str, int]:
        """Return the settings of Kafka."""
        every = {
            "producer_byte_rate": self.producer_byte_rate,
            "consumer_byte_rate": self.consumer_byte_rate,
            "request_percentage": self.request_percentage,
        }
        return {name: value for name, value in every.items() if value is not None}


WRITERS: Final = Quota(producer_byte_rate=_MIB, request_percentage=25)
"""1 MiB/s is a thousand texts of 1 KiB a second, several times what one installation on a few cores answers; a record
of the largest size still passes in half a second."""
READERS: Final = Quota(consumer_byte_rate=8 * _MIB, request_percentage=25)
"""8 MiB/s is some thousands of Results a second: a consumer that starts again reads a day's in minutes, and leaves most
of a network of 1 Gbit/s to the services."""
REVIEWERS: Final = replace(WRITERS, consumer_byte_rate=READERS.consumer_byte_rate)


@dataclass(frozen=True, slots=True)
class Role:
    """A kind of user, with what it may do."""

    purpose: str
    rights: Callable[[Topics, str], Iterable[Right]]
    """Takes the topics, and the name of the user without its type."""
    quota: Quota | None = None
    """None: services and operators, whose delay would delay everybody."""


def _on_topics(names: Iterable[str], *operations: Operation) -> Iterator[Right]:
    yield from (Right("topic", name, operation) for name in names for operation in operations)


def _service(channels: Channels, group: Right | None = None) -> Iterator[Right]:
    yield from _on_topics((*channels.reads, *channels.follows), "Read")
    # Who stores what it reads has to know how long a record stands.
    yield from _on_topics(channels.watches, "Read", "DescribeConfigs")
    yield from _on_topics(channels.writes, "Write")
    if group is not None:
        yield group


def _specialist(task: str) -> Role:
    def rights(topics: Topics, _: str) -> Iterator[Right]:
        # One group for each model of the task, among them those that are added later.
        group = Right("group", f"{topics.prefix}.{task}.", "Read", prefixed=True)
        yield from _service(specialist_channels(task, topics), group)

    return Role(f"the service {task}: reads texts, writes its predictions and announces its models", rights)


def _counting(topics: Topics) -> Iterator[Right]:
    """Yield what `sprat.kafka.lag` needs to count the records that wait: every group, and the ends of every topic."""
    yield Right("group", f"{topics.prefix}.", "Describe", prefixed=True)
    yield from _on_topics((topic.name for topic in topics.table()), "Describe")


def _measuring(topics: Topics) -> Iterator[Right]:
    """Yield what it needs besides to tell when they came."""
    yield from _counting(topics)
    yield from _on_topics((name for channels in service_channels(topics) for name in channels.reads), "Read")
    yield Right("cluster", CLUSTER, "Describe")


def _router(topics: Topics, _: str) -> Iterator[Right]:
    yield from _service(router_channels(topics), Right("group", f"{topics.prefix}.{ROUTER}", "Read"))
    yield from _measuring(topics)


def _frontier(topics: Topics, _: str) -> Iterator[Right]:
    yield from _service(frontier_channels(topics), Right("group", f"{topics.prefix}.{FRONTIER}", "Read"))


def _guardian(topics: Topics, _: str) -> Iterator[Right]:
    yield from _service(guardian_channels(topics), Right("group", f"{topics.prefix}.{GUARDIAN}", "Read"))


def _door(topics: Topics, _: str) -> Iterator[Right]:
    yield from _service(gateway_channels(topics, page=False))
    yield from _counting(topics)


def _page(topics: Topics, _: str) -> Iterator[Right]:
    of_door = gateway_channels(topics, page=False).watches
    whole = gateway_channels(topics)
    further = {name: kind for name, kind in whole.watches.items() if name not in of_door}
    # What the door writes is no right of the page's: a text is sent in the name of a key.
    answered = {name: kind for name, kind in whole.writes.items() if name != topics.texts}
    yield from _service(Channels(GATEWAY, "", reads={}, writes=answered, watches=further))
    yield from _measuring(topics)


def _upstream(topics: Topics, _: str) -> Iterator[Right]:
    yield from _on_topics([topics.texts], "Write")


def _consumer(topics: Topics, user: str) -> Iterator[Right]:
    yield from _on_topics(map(topics.results, topics.tasks), "Read")
    yield Right("group", user, "Read")
    yield Right("group", f"{user}.", "Read", prefixed=True)


def _reviewer(topics: Topics, _: str) -> Iterator[Right]:
    # What somebody else has answered is not asked again, also while the guardian holds it back.
    yield from _on_topics([topics.reviews, topics.reviews_closed, topics.feedback], "Read")
    yield from _on_topics([topics.feedback], "Write")


def _auditor(topics: Topics, _: str) -> Iterator[Right]:
    yield from _on_topics([topics.egress], "Read", "DescribeConfigs")


def _operator(topics: Topics, _: str) -> Iterator[Right]:
    names = [topic.name for topic in topics.table()]
    yield from _measuring(topics)
    yield from _on_topics(names, "Read", "DescribeConfigs", "Create")
    # What `dlq replay` sends again, `models retire` withdraws, `feedback` corrects, and `alarms clear` clears.
    replayed = [name for channels in service_channels(topics) for name in channels.reads]
    yield from _on_topics([*replayed, topics.models, topics.feedback, topics.alarms], "Write")
    yield Right("cluster", CLUSTER, "DescribeConfigs")


def roles(tasks: TaskTable) -> dict[str, Role]:
    """Return the roles of an installation with these tasks, by name. The simulator has none: it does not use Kafka."""
    return ROLES | {task: _specialist(task) for task in tasks.added}


ROLES: Final[dict[str, Role]] = {
    "upstream": Role("a system that publishes texts", _upstream, WRITERS),
    ROUTER: Role("the router: reads texts, predictions and answers, writes Results, measures all groups", _router),
    **{task: _specialist(task) for task in BUILT_IN},
    FRONTIER: Role("the frontier service: reads hard cases, writes answers and the record of what left", _frontier),
    GUARDIAN: Role(
        "the guardian: reads reviews, their answers and Results, writes how reviews end, and alarms", _guardian
    ),
    "door": Role("the gateway: writes texts, reads Results, dead letters and announcements, counts what waits", _door),
    "page": Role("the gateway's page: reads, beside what the door reads, all else; writes answers to reviews", _page),
    "consumer": Role("a system that reads Results, in groups NAME and NAME.… of its own", _consumer, READERS),
    "reviewer": Role("who reviews what is kept and corrects Results", _reviewer, REVIEWERS),
    "auditor": Role("who reads what left: sprat audit, audit verify --no-reconcile", _auditor, READERS),
    "operator": Role(
        "who runs the commands of sprat: doctor, lag, trace, dlq, alarms, models retire, topics", _operator
    ),
}
"""Those of every installation, by name."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A user of Kafka with its roles."""

    name: str
    """As Kafka writes it: `User:crm`."""
    roles: tuple[str, ...]

    @property
    def user(self) -> str:
        """The name without its type; of a certificate's subject, the common name."""
        name = self.name.partition(":")[2]
        found = _COMMON_NAME.search(name)
        return found[1].strip() if found else name

    def rights(self, topics: Topics) -> tuple[Right, ...]:
        """Return its rights, in order, without those that others of them include."""
        known = roles(topics.tasks)
        every = {right for role in self.roles for right in known[role].rights(topics, self.user)}
        return tuple(sorted(right for right in every if not any(other.includes(right) for other in every - {right})))

    def quota(self) -> Quota | None:
        """Return its quota; None if one of its roles has none."""
        quotas = [ROLES[role].quota if role in ROLES else None for role in self.roles]  # services have none
        if None in quotas:
            return None
        values: dict[str, int] = {}
        for quota in quotas:
            for setting, value in quota.settings().items() if quota else ():
                values[setting] = max(value, values.get(setting, 0))
        return Quota(**values)


def parse_principals(given: Sequence[str], topics: Topics) -> tuple[Principal, ...]:
    """Return the principals of `ROLE=User:NAME` arguments; one that is named several times has all these roles.

    Raises:
        UserError: a role is unknown, a name is not `User:NAME`, or a consumer's groups would be those of services.
    """
    known = roles(topics.tasks)
    given_roles: dict[str, list[str]] = {}
    for each in given:
        role, equals, name = each.partition("=")
        kind, _, user = name.partition(":")
        if not equals or kind != "User" or not user or user == ANYTHING:
            raise UserError(f"--principal {each}: must be ROLE=User:NAME, as in upstream=User:crm")
        if role not in known:
            raise UserError(f"--principal {each}: there is no role {role}; there are {', '.join(known)}")
        given_roles.setdefault(name, []).append(role)
    principals = tuple(Principal(name, tuple(dict.fromkeys(found))) for name, found in given_roles.items())
    consumers = [principal for principal in principals if "consumer" in principal.roles]
    for principal in consumers:
        _check_groups(principal, topics)
    for principal, other in permutations(consumers, 2):
        if f"{principal.user}.".startswith(f"{other.user}."):
            raise UserError(
                f"{principal.name} and {other.name}: the groups {other.user}.… would be those of both, and each could "
                "take the other's records; give one of them another name"
            )
    return principals


def _check_groups(principal: Principal, topics: Topics) -> None:
    user, services = principal.user, f"{topics.prefix}."
    if not _GROUP_NAME.fullmatch(user):
        raise UserError(f"{principal.name}: a consumer's groups have its name, and {user!r} cannot be that of a group")
    if f"{user}.".startswith(services) or services.startswith(f"{user}."):
        raise UserError(
            f"{principal.name}: the groups {user}.… are those of the services, which a consumer could take texts from; "
            "give it another name"
        )


_ADMIN: Final = ("--command-config", "admin.properties")


def acl_commands(principal: Principal, topics: Topics, bootstrap: str) -> Iterator[str]:
    """Yield the commands of Kafka that permit a principal what its roles need."""

    def alike(right: Right) -> tuple[str, bool, str]:
        return right.resource, right.prefixed, right.operation

    for _, rights in groupby(sorted(principal.rights(topics), key=alike), alike):
        yield _acl_command(bootstrap, ["--add", "--allow-principal", principal.name], list(rights))


def removal_command(entry: "Entry", bootstrap: str) -> str:
    """Return the command of Kafka that removes an entry."""
    kind = "allow" if entry.allows else "deny"
    host = [] if entry.host == ANYTHING else [f"--{kind}-host", entry.host]
    return _acl_command(bootstrap, ["--remove", f"--{kind}-principal", entry.principal, *host], [entry.right])


def _acl_command(bootstrap: str, action: Sequence[str], rights: Sequence[Right]) -> str:
    first = rights[0]
    names = ["--cluster"] if first.resource == "cluster" else [w for r in rights for w in (f"--{r.resource}", r.name)]
    pattern = ["--resource-pattern-type", "prefixed"] if first.prefixed else []
    start = ["kafka-acls.sh", "--bootstrap-server", bootstrap, *_ADMIN, *action]
    return shlex.join([*start, "--operation", first.operation, *names, *pattern])


def quota_command(principal: Principal, bootstrap: str) -> str | None:
    """Return the command of Kafka that limits a principal; None where its roles have no quota."""
    quota = principal.quota()
    if quota is None:
        return None
    values = ",".join(f"{name}={value}" for name, value in quota.settings().items())
    start = ["kafka-configs.sh", "--bootstrap-server", bootstrap, *_ADMIN, "--alter", "--add-config", values]
    return shlex.join([*start, "--entity-type", "users", "--entity-name", principal.name.partition(":")[2]])


@dataclass(frozen=True, slots=True)
class QuotaFinding:
    """A quota that a user lacks, or that one has who should have none."""

    principal: str
    setting: str
    expected: int | None
    """None: none, for whoever waits for this user would wait, too."""
    actual: float | None

    @property
    def kind(self) -> Literal["missing", "excessive"]:
        """`excessive` where there should be none."""
        return "excessive" if self.expected is None else "missing"

    @property
    def user(self) -> str:
        """The name of the user without its type."""
        return self.principal.partition(":")[2]

    def __str__(self) -> str:
        return f"quota {self.setting}={self.actual if self.expected is None else self.expected:g}"

    def removal_command(self, bootstrap: str) -> str:
        """Return the command of Kafka that removes it."""
        start = ["kafka-configs.sh", "--bootstrap-server", bootstrap, *_ADMIN, "--alter", "--delete-config"]
        return shlex.join([*start, self.setting, "--entity-type", "users", "--entity-name", self.user])


def compare_quotas(principals: Collection[Principal], quotas: Mapping[str, Mapping[str, float]]) -> list[QuotaFinding]:
    """Return which quotas are missing, and which should not be. Other numbers are the operator's choice."""
    found: list[QuotaFinding] = []
    for principal in principals:
        wanted, own = principal.quota(), quotas.get(principal.user, {})
        if wanted is None:
            found += [QuotaFinding(principal.name, setting, None, value) for setting, value in sorted(own.items())]
        else:
            found += [
                QuotaFinding(principal.name, setting, value, None)
                for setting, value in wanted.settings().items()
                if setting not in own
            ]
    return found


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """An entry of Kafka's access control lists."""

    principal: str
    right: Right
    host: str = ANYTHING
    allows: bool = True
    """False: it denies, and wins over every entry that allows."""

    def __str__(self) -> str:
        where = "" if self.host == ANYTHING else f" from {self.host}"
        return f"{'ALLOW' if self.allows else 'DENY'} {self.right}{where}"

    def applies_to(self, principal: str) -> bool:
        """Return whether it is about this principal, or about all."""
        return self.principal in {principal, f"User:{ANYTHING}"}

    def denies(self, right: Right) -> bool:
        """Return whether it takes this right away, at least for some of the names or from some of the hosts."""
        takes = self.right.operation == "All" or right.operation in self.right.implied_by
        return not self.allows and takes and (self.right.covers_names_of(right) or right.covers_names_of(self.right))


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A difference between what a principal should be permitted and what it is."""

    kind: Literal["missing", "denied", "excessive", "unknown"]
    """`unknown`: an entry of a principal that nobody named."""
    principal: str
    right: Right
    entry: Entry | None = None
    """The entry that is to blame; None where one is missing."""


def compare(principals: Collection[Principal], entries: Collection[Entry], topics: Topics) -> list[Finding]:
    """Return where the entries of the broker differ from the rights of these principals, in order.

    Entries about other topics and groups than the installation's are left alone.
    """
    found: list[Finding] = []
    for principal in principals:
        needed = principal.rights(topics)
        own = [entry for entry in entries if entry.applies_to(principal.name)]
        for right in needed:
            denying = next((entry for entry in own if entry.denies(right)), None)
            if denying is not None:
                found.append(Finding("denied", principal.name, right, denying))
            elif not any(entry.allows and entry.right.includes(right) for entry in own):
                found.append(Finding("missing", principal.name, right))
        found += [
            Finding("excessive", principal.name, entry.right, entry)
            for entry in own
            if entry.allows
            and entry.principal == principal.name
            and (entry.right.resource in {"cluster", "user"} or _concerns(entry.right, topics))
            and not any(right.includes(entry.right) for right in needed)
        ]
    known = {principal.name for principal in principals}
    found += [
        Finding("unknown", entry.principal, entry.right, entry)
        for entry in entries
        if entry.allows
        and entry.principal not in known
        and (_concerns(entry.right, topics) or _gives_power(entry.right, known))
    ]
    return sorted(found, key=lambda each: (each.principal, each.kind, each.right))


def _concerns(right: Right, topics: Topics) -> bool:
    """Return whether a right is about topics or groups of the installation."""
    if right.resource not in {"topic", "group"}:
        return False
    own = Right(right.resource, f"{topics.prefix}.", right.operation, prefixed=True)
    return own.covers_names_of(right) or right.covers_names_of(own)


def _gives_power(right: Right, known: Collection[str]) -> bool:
    """Return whether who has a right can give himself others, or act as one of the users of the installation."""
    if right.resource == "user":
        return right.operation in {"CreateTokens", "All"} and (right.name == ANYTHING or right.name in known)
    return right.resource == "cluster" and right.operation in _POWERS
