"""The topics of an installation: create those that are missing, compare the others with the table."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from sprat.errors import UserError
from sprat.kafka.clients import missing_topics
from sprat_contracts.topics import Topic, Topics

Status = Literal["created", "exists", "differs", "missing"]

_BROKERS_DEFAULT = -1
_COMPRESSION = "compression.type"
_PROMISES_REST_ON: Final = frozenset({"partitions", "cleanup.policy", "message.timestamp.type"})
_MAX_BATCH: Final = "max.message.bytes"
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
        return self.setting in _PROMISES_REST_ON or self.setting == _MAX_BATCH


@dataclass(frozen=True, slots=True)
class TopicState:
    """The state of a topic of the table on the broker."""

    name: str
    status: Status
    partitions: int | None
    """How many it has; None where it is missing."""
    differences: tuple[Difference, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether services can work with it."""
        return self.status != "missing" and not any(difference.breaks for difference in self.differences)


async def create_topics(
    client: Mapping[str, Any], topics: Topics, *, replication_factor: int = _BROKERS_DEFAULT
) -> tuple[TopicState, ...]:
    """Create the missing topics and return the state of all, in the table's order. A second run changes nothing.

    Existing topics are never changed: what differs is reported. `client` holds the arguments of an aiokafka client;
    a `replication_factor` of -1 takes the broker's default.

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
        await _wait_for_leaders(admin, missing)
        after = await _states(admin, topics.table())
    return tuple(
        TopicState(state.name, "created", state.partitions) if _is_new(state, missing) else state for state in after
    )


async def keep_compressed(client: Mapping[str, Any], states: Iterable[TopicState]) -> tuple[str, ...]:
    """Let the broker keep batches as they were compressed, in topics of an earlier version that makes it unpack them.

    Of the settings of the table, the others stay as they are.

    Returns:
        The names of the topics that were changed.

    Raises:
        UserError: the broker cannot be reached or refuses.
    """
    unpacked = [state for state in states if any(each.setting == _COMPRESSION for each in state.differences)]
    if not unpacked:
        return ()
    names = tuple(state.name for state in unpacked)
    async with _Admin(client) as admin:
        configs = await _configs(admin, names)
        settings = [*Topic("", None, "delete", 0, 0, 0).config()]
        for name in names:
            config = {each: configs[name][each] for each in settings} | {_COMPRESSION: "producer"}
            for answer in await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, config)]):
                for code, message, *_ in answer.resources:
                    if code:
                        raise for_code(code)(f"{name}: {message}")
    return names


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
    described = await admin.describe_topics([topic.name for topic in table])
    missing = missing_topics(described)
    counts = {each["topic"]: len(each["partitions"]) for each in described if each["topic"] not in missing}
    configs = await _configs(admin, counts)
    return tuple(_state(topic, counts.get(topic.name), configs.get(topic.name, {})) for topic in table)


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


def _state(topic: Topic, partitions: int | None, config: Mapping[str, str]) -> TopicState:
    if partitions is None:
        return TopicState(topic.name, "missing", None)
    expected = {"partitions": str(topic.partitions), **topic.config()}
    actual = {"partitions": str(partitions), **config}
    differences = tuple(
        Difference(setting, value, actual.get(setting, "unknown"))
        for setting, value in expected.items()
        if actual.get(setting) != value
    )
    return TopicState(topic.name, "differs" if differences else "exists", partitions, differences)


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
    new = [_new_topic(topic, replication_factor) for topic in missing]
    response = await admin.create_topics(new)
    for name, code, message in response.topic_errors:
        # Another process may have created it meanwhile: it is compared with the table like any other.
        if code and code != TopicAlreadyExistsError.errno:
            raise for_code(code)(f"{name}: {message}")


def _new_topic(topic: Topic, replication_factor: int) -> NewTopic:
    new = NewTopic(topic.name, topic.partitions, 1, topic_configs=topic.config())
    new.replication_factor = replication_factor  # the constructor refuses -1, by which brokers use their default
    return new


async def _wait_for_leaders(admin: AIOKafkaAdminClient, names: Iterable[str]) -> None:
    """Wait until clients can use the new topics; a slow cluster is left to the clients' own retries."""
    deadline = asyncio.get_running_loop().time() + _LEADERS_TIMEOUT_S
    wanted = list(names)
    while asyncio.get_running_loop().time() < deadline:
        described = await admin.describe_topics(wanted)
        if all(part["leader"] >= 0 for each in described for part in each["partitions"] or [{"leader": -1}]):
            return
        await asyncio.sleep(_POLL_S)
