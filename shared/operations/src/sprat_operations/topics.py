"""The topics of an installation: create those that are missing, compare the others with the table."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from sprat.base.errors import UserError
from sprat.base.retry import Deadline
from sprat.kafka.clients import missing_topics
from sprat_contracts.topics import Topic, Topics

Status = Literal["created", "exists", "differs", "missing"]

_BROKERS_DEFAULT = -1
SEGMENT: Final = "segment.ms"
_OF_THIS_VERSION: Final = frozenset({"compression.type", SEGMENT})
"""Settings that topics of an earlier version lack."""
_PROMISES_REST_ON: Final = frozenset({"partitions", "cleanup.policy", "message.timestamp.type"})
_MAX_BATCH: Final = "max.message.bytes"
IN_SYNC: Final = "min.insync.replicas"
_DURABLE_COPIES: Final = 3
_LEADERS_TIMEOUT_S = 10.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting of a topic that differs from the table."""

    setting: str
    expected: str
    actual: str

    @property
    def breaks(self) -> bool:
        """Whether services cannot keep their promises with it; how long records are kept is the operator's choice."""
        if self.setting == _MAX_BATCH and self.actual.isdecimal():
            return int(self.actual) < int(self.expected)
        if self.setting == IN_SYNC:
            # More than there are copies: nothing can be written. One of three works until a broker is lost.
            return self.expected == "1"
        return self.setting in _PROMISES_REST_ON or self.setting == _MAX_BATCH

    @property
    def effect(self) -> str:
        """What follows, where the names do not say it: a clause for the end of a sentence, or nothing."""
        if self.setting == SEGMENT:
            return ": a record may stand for so many milliseconds beyond its retention"
        if self.setting != IN_SYNC:
            return ""
        if self.breaks:
            return ": there are fewer copies, so nothing can be written"
        lost = int(self.actual) < int(self.expected)
        return ": a lost broker " + ("can take acknowledged records with it" if lost else "stops all that write")


def fix(name: str, difference: Difference, bootstrap: str) -> str:
    """Return what to do about a difference."""
    if difference.setting == "partitions":
        return (
            "it cannot be changed without moving keys to other partitions: set "
            f"SPRAT_KAFKA__PARTITIONS={difference.actual} if all topics have as many, else choose another --prefix"
        )
    change = f"{difference.setting}={difference.expected}"
    return f"kafka-configs.sh --bootstrap-server {bootstrap} --alter --topic {name} --add-config {change}"


@dataclass(frozen=True, slots=True)
class TopicState:
    """The state of a topic of the table on the broker."""

    name: str
    status: Status
    partitions: int | None
    """How many it has; None where it is missing."""
    differences: tuple[Difference, ...] = ()
    copies: int | None = None
    """Of each record, where the partition with the fewest has it; None where the topic is missing."""
    in_sync: int | None = None
    """How many copies must have a record before it is acknowledged."""

    @property
    def usable(self) -> bool:
        """Whether services can work with it."""
        return self.status != "missing" and not any(difference.breaks for difference in self.differences)


async def create_topics(
    client: Mapping[str, Any], topics: Topics, *, replication_factor: int = _BROKERS_DEFAULT
) -> tuple[TopicState, ...]:
    """Create the missing topics and return the state of all, in the table's order. A second run changes nothing.

    Existing topics are never changed: what differs is reported. `client` holds the arguments of an aiokafka client;
    a `replication_factor` of -1 takes the broker's default. With three copies or more, two must have a record before
    it is acknowledged: then the loss of any one broker loses nothing, and stops nothing.

    Raises:
        UserError: the broker cannot be reached or refuses; or a missing topic must have as many partitions as
            existing ones that differ from the setting. Nothing is created in that case.
    """
    async with _Admin(client) as admin:
        before = await _states(admin, topics.table())
        _check_equal_partitions(before, topics)
        missing = {state.name for state in before if state.status == "missing"}
        if not missing:
            return before
        await _create(admin, [topic for topic in topics.table() if topic.name in missing], replication_factor)
        after = await _states_with(admin, topics.table(), missing)
    return tuple(replace(state, status="created") if _is_new(state, missing) else state for state in after)


async def keep_current(
    client: Mapping[str, Any], topics: Topics, states: Sequence[TopicState]
) -> tuple[TopicState, ...]:
    """Return the states after topics of an earlier version were given the settings that this version added.

    Their other settings stay as they are.

    Raises:
        UserError: the broker cannot be reached or refuses.
    """
    table = {topic.name: topic for topic in topics.table()}
    outdated = [state for state in states if any(each.setting in _OF_THIS_VERSION for each in state.differences)]
    if not outdated:
        return tuple(states)
    async with _Admin(client) as admin:
        configs = await _configs(admin, [state.name for state in outdated])
        for name, differences in ((state.name, state.differences) for state in outdated):
            # What this request does not name, the broker sets to its default.
            kept = {each: configs[name][each] for each in [*table[name].config(), IN_SYNC]}
            new = {each.setting: each.expected for each in differences if each.setting in _OF_THIS_VERSION}
            resource = ConfigResource(ConfigResourceType.TOPIC, name, kept | new)
            for answer in await admin.alter_configs([resource]):
                for code, message, *_ in answer.resources:
                    if code:
                        raise for_code(code)(f"{name}: {message}")
    return tuple(_without(state, _OF_THIS_VERSION) for state in states)


async def list_topics(client: Mapping[str, Any], topics: Topics, *, only: str | None = None) -> tuple[TopicState, ...]:
    """Return the state of every topic of the table, in its order; or only of the one of this name.

    Raises:
        UserError: the broker cannot be reached or refuses.
    """
    async with _Admin(client) as admin:
        return await _states(admin, [topic for topic in topics.table() if only in {None, topic.name}])


async def kept_for(client: Mapping[str, Any], names: Iterable[str]) -> dict[str, tuple[int, int] | None]:
    """Return for each topic how long its records are kept, and how much longer at most: milliseconds.

    Kafka deletes a segment when its last record is that old: so the second number is how long a segment may grow. None
    for a topic whose records are kept without end.

    Raises:
        UserError: the broker cannot be reached or refuses.
    """
    async with _Admin(client) as admin:
        configs = await _configs(admin, names)
    kept: dict[str, tuple[int, int] | None] = {}
    for name, config in configs.items():
        retention_ms = int(config.get("retention.ms", "-1"))
        endless = retention_ms < 0 or "delete" not in config.get("cleanup.policy", "delete")
        kept[name] = None if endless else (retention_ms, int(config.get("segment.ms", "0")))
    return kept


class _Admin:
    """An admin client for the time of a block; its errors become UserErrors."""

    def __init__(self, client: Mapping[str, Any]) -> None:
        self._client = client

    async def __aenter__(self) -> AIOKafkaAdminClient:
        self._admin = AIOKafkaAdminClient(**self._client)
        try:
            await self._admin.start()
        except KafkaError as error:
            await self._admin.close()
            raise UserError(f"Kafka at {self._where} cannot be reached: {error}") from error
        return self._admin

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await self._admin.close()
        if isinstance(error, KafkaError):
            raise UserError(f"Kafka at {self._where} refuses: {type(error).__name__}: {error}") from error

    @property
    def _where(self) -> str:
        servers = self._client["bootstrap_servers"]
        return servers if isinstance(servers, str) else ",".join(servers)


def _is_new(state: TopicState, missing: set[str]) -> bool:
    return state.name in missing and not state.differences


async def _states(admin: AIOKafkaAdminClient, table: Sequence[Topic]) -> tuple[TopicState, ...]:
    deadline = Deadline(_LEADERS_TIMEOUT_S)
    while True:
        described = await admin.describe_topics([topic.name for topic in table])
        missing = missing_topics(described)
        found = {each["topic"]: each["partitions"] for each in described if each["topic"] not in missing}
        try:
            configs = await _configs(admin, found)
        except UnknownTopicOrPartitionError:
            # Each request goes to any of the brokers: one knew a new topic, and another does not know it yet.
            if deadline.passed:
                raise
            await asyncio.sleep(_POLL_S)
        else:
            return tuple(_state(topic, found.get(topic.name), configs.get(topic.name, {})) for topic in table)


async def _configs(admin: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    if not resources:
        return {}
    found: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(resources):
        for code, message, _type, name, entries in response.resources:
            if code:
                raise for_code(code)(f"{name}: {message}")
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


def _state(topic: Topic, partitions: Sequence[Mapping[str, Any]] | None, config: Mapping[str, str]) -> TopicState:
    if partitions is None:
        return TopicState(topic.name, "missing", None)
    copies = min((len(each["replicas"]) for each in partitions), default=0)
    expected = {"partitions": str(topic.partitions), **topic.config()}
    actual = {"partitions": str(len(partitions)), **config}
    differences = [
        Difference(setting, value, actual.get(setting, "unknown"))
        for setting, value in expected.items()
        if actual.get(setting) != value and not _is_shorter_segment(setting, actual.get(setting), value)
    ]
    in_sync = int(config[IN_SYNC]) if config.get(IN_SYNC, "").isdecimal() else None
    if in_sync is not None and not _is_durable(copies, in_sync):
        differences.append(Difference(IN_SYNC, str(_in_sync(copies)), str(in_sync)))
    status: Status = "differs" if differences else "exists"
    return TopicState(topic.name, status, len(partitions), tuple(differences), copies, in_sync)


def _without(state: TopicState, settings: Collection[str]) -> TopicState:
    left = tuple(each for each in state.differences if each.setting not in settings)
    return (
        state if left == state.differences else replace(state, status="differs" if left else "exists", differences=left)
    )


def _is_shorter_segment(setting: str, actual: str | None, expected: str) -> bool:
    return setting == SEGMENT and actual is not None and int(actual) <= int(expected)


def _in_sync(copies: int) -> int:
    """Return how many copies must have a record before it is acknowledged."""
    return 2 if copies >= _DURABLE_COPIES else 1


def _is_durable(copies: int, in_sync: int) -> bool:
    """Return whether a lost broker takes no acknowledged record with it and stops nothing, if the copies allow that."""
    return 2 <= in_sync < copies if copies >= _DURABLE_COPIES else in_sync <= copies


def _check_equal_partitions(states: Iterable[TopicState], topics: Topics) -> None:
    """Raise UserError where a new topic would differ from its existing siblings: equal keys need equal partitions."""
    names = {topics.texts, *(name(task) for task in topics.tasks for name in (topics.predictions, topics.results))}
    wanted = {topic.name: topic.partitions for topic in topics.table() if topic.name in names}
    siblings = [state for state in states if state.name in wanted]
    other = [state for state in siblings if state.partitions not in {None, wanted[state.name]}]
    missing = [state.name for state in siblings if state.status == "missing"]
    if other and missing:
        raise UserError(
            f"{other[0].name} has {other[0].partitions} partitions, the setting says {topics.partitions}: texts, "
            f"predictions and results need equal counts, so {', '.join(missing)} cannot be made. "
            f"Set SPRAT_KAFKA__PARTITIONS={other[0].partitions}, or choose another prefix."
        )


async def _create(admin: AIOKafkaAdminClient, missing: Iterable[Topic], replication_factor: int) -> None:
    copies = await _default_copies(admin) if replication_factor == _BROKERS_DEFAULT else replication_factor
    new = [_new_topic(topic, replication_factor, copies) for topic in missing]
    response = await admin.create_topics(new)
    for name, code, message in response.topic_errors:
        # Another process may have created it meanwhile: it is compared with the table like any other.
        if code and code != TopicAlreadyExistsError.errno:
            raise for_code(code)(f"{name}: {message}")


async def _default_copies(admin: AIOKafkaAdminClient) -> int | None:
    """Return the brokers' default; None where this user may not read it: then what differs is reported."""
    brokers = (await admin.describe_cluster())["brokers"]
    resource = ConfigResource(ConfigResourceType.BROKER, str(brokers[0]["node_id"]))
    for response in await admin.describe_configs([resource]):
        for code, _message, _type, _name, entries in response.resources:
            values = {} if code else {entry[0]: entry[1] for entry in entries}
            return int(values["default.replication.factor"]) if "default.replication.factor" in values else None
    return None


def _new_topic(topic: Topic, replication_factor: int, copies: int | None) -> NewTopic:
    # Two copies: the broker's default decides between no loss and no pause when one is away.
    in_sync = {} if copies is None or copies == 2 else {IN_SYNC: str(_in_sync(copies))}
    new = NewTopic(topic.name, topic.partitions, 1, topic_configs=topic.config() | in_sync)
    new.replication_factor = replication_factor  # the constructor refuses -1, by which brokers use their default
    return new


async def _states_with(admin: AIOKafkaAdminClient, table: Sequence[Topic], new: set[str]) -> tuple[TopicState, ...]:
    """Return all states once clients can use the new topics; a slow cluster is left to the clients' own retries."""
    deadline = Deadline(_LEADERS_TIMEOUT_S)
    while True:
        described = await admin.describe_topics([*new])
        leaders = [part["leader"] for each in described for part in each["partitions"] or [{"leader": -1}]]
        states = await _states(admin, table)
        if deadline.passed or (min(leaders) >= 0 and "missing" not in {state.status for state in states}):
            return states
        await asyncio.sleep(_POLL_S)
