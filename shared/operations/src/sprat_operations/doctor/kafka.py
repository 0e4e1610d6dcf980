"""Checks of Kafka: brokers, clocks, topics, consumer groups; then of the models and the policy."""

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from sprat.base.checks import Check, broken, ok, some_of, warning
from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings
from sprat.base.words import counted
from sprat.kafka.clients import client_arguments, close_in_time
from sprat.kafka.cluster import Cluster
from sprat.telemetry import signals
from sprat_contracts import EgressRecord
from sprat_contracts.topics import DAY_MS
from sprat_operations import local_run
from sprat_operations.alarms import read_alarms
from sprat_operations.chosen_policy import chosen_tasks
from sprat_operations.connection import UnreachableError, explain_kafka_errors, reading_signatures
from sprat_operations.doctor.groups import check_groups, measure
from sprat_operations.doctor.models import check_models, check_policy
from sprat_operations.doctor.reviews import check_alarms, check_guardian
from sprat_operations.egress import RecentCalls, recent_calls, recent_egress
from sprat_operations.models import read_registered_models
from sprat_operations.topics import IN_SYNC, SEGMENT, Difference, TopicState, fix, list_topics
from sprat_operations.transactions import OpenTransaction, find_open_transactions
from sprat_policy import Policy


async def check_cluster(kafka: KafkaSettings, policy: Policy | None) -> AsyncIterator[Check]:
    """Check Kafka, then the models against the policy; stop if Kafka cannot be reached."""
    try:
        with explain_kafka_errors(kafka):
            client = client_arguments(kafka)
            admin = AIOKafkaAdminClient(**client)
            try:
                async for check in _check(kafka, policy, admin):
                    yield check
            finally:
                await close_in_time(admin.close)
    except UnreachableError as error:
        unreachable = broken("kafka", f"{_asked(kafka)} cannot be reached: {error.reason}", error.fix)
        yield replace(unreachable, metrics={signals.KAFKA_REACHABLE.name: 0})
    except UserError as error:
        yield broken("kafka", str(error), "permit this user to describe topics and groups")


async def _check(kafka: KafkaSettings, policy: Policy | None, admin: AIOKafkaAdminClient) -> AsyncIterator[Check]:
    began = time.monotonic()
    await admin.start()
    brokers = (await admin.describe_cluster())["brokers"]
    took_ms = (time.monotonic() - began) * 1000
    found = f"{_asked(kafka)}: {counted(len(brokers), 'broker')}, {took_ms:.0f} ms"
    yield replace(ok("kafka", found), metrics={signals.KAFKA_REACHABLE.name: 1})
    async for check in check_brokers(kafka, admin, [node for node, *_ in map(_fields, brokers)]):
        yield check
    yield await check_clock(kafka)
    client = client_arguments(kafka)
    states = await list_topics(client, kafka.topics)
    async for check in check_topics(kafka, admin, states):
        yield check
    open_transactions = await find_open_transactions(client, [state.name for state in states])
    yield check_transactions(open_transactions)
    for check in await _egress(kafka, states):
        yield check
    async for check in _check_services(kafka, policy, states):
        yield check


async def _check_services(
    kafka: KafkaSettings, policy: Policy | None, states: Sequence[TopicState]
) -> AsyncIterator[Check]:
    """Check groups, reviews, alarms and models, the latter against the policy."""
    registered = None
    if _exists(states, kafka.topics.models):
        registered = await read_registered_models(kafka, reading_signatures(kafka))
    before, measured = await measure(kafka, {} if registered is None else registered.withdrawn)
    run = local_run.find_by_kafka(kafka.bootstrap)
    for check in check_groups(measured, registered, before, run, kafka.topics.tasks):
        yield check
    rules = None if policy is None else policy.with_added(chosen_tasks(run))
    for check in () if rules is None else check_guardian(rules, measured):
        yield check
    for check in await _alarms(kafka, states):
        yield check
    if registered is None:
        return
    for check in check_models(registered, measured):
        yield check
    for check in () if rules is None else check_policy(rules, registered.announced):
        yield check


def _fields(broker: dict[str, Any]) -> tuple[int, str]:
    return broker["node_id"], broker["host"]


def _exists(states: Sequence[TopicState], name: str) -> bool:
    return any(state.name == name and state.status != "missing" for state in states)


def _asked(kafka: KafkaSettings) -> str:
    return f"{kafka.bootstrap} ({kafka.security_protocol})"


_MINUTE_MS = 60_000
_ROOM_BYTES = 1024 * 1024
"""The most that a request holds besides its record."""


@dataclass(frozen=True, slots=True)
class BrokerRequirement:
    """A condition on a broker setting."""

    setting: str
    fits: Callable[[str], bool]
    wanted: str
    why: str
    breaks: bool = False
    """Whether texts do not get through, or not safely, if it is not met."""


async def check_brokers(kafka: KafkaSettings, admin: AIOKafkaAdminClient, nodes: Sequence[int]) -> AsyncIterator[Check]:
    """Check the settings of every broker; report each wrong value once, with its brokers."""
    needs = _needs(kafka)
    reported: dict[tuple[str, str], list[int]] = {}
    for node in nodes:
        config = await _config(admin, node)
        if config is None:
            yield ok("brokers", "their settings cannot be read here (that needs permission to describe their configs)")
            return
        for need in needs:
            value = config.get(need.setting)
            if value is not None and not need.fits(value):
                reported.setdefault((need.setting, value), []).append(node)
    by_name = {need.setting: need for need in needs}
    for (setting, value), where in reported.items():
        need = by_name[setting]
        on = "" if len(where) == len(nodes) else f" on broker {', '.join(map(str, where))}"
        finding = f"{setting} is {value}{on}: {need.why}"
        fix = f"{setting}={need.wanted} in server.properties"
        yield (broken if need.breaks else warning)("brokers", finding, fix)
    if not reported:
        yield ok("brokers", f"{len(needs)} settings that matter here are as they should be")


async def _config(admin: AIOKafkaAdminClient, node: int) -> Mapping[str, str] | None:
    """Return a broker's settings; None if this user may not read them."""
    for response in await admin.describe_configs([ConfigResource(ConfigResourceType.BROKER, str(node))]):
        for code, _message, _type, _name, entries in response.resources:
            return None if code else {entry[0]: entry[1] for entry in entries if entry[1] is not None}
    return None


def _needs(kafka: KafkaSettings) -> list[BrokerRequirement]:
    largest = max(topic.max_batch_bytes for topic in kafka.topics.table()) + _ROOM_BYTES
    texts = next(topic.retention_ms or 0 for topic in kafka.topics.table() if topic.name == kafka.topics.texts)
    session = kafka.session_timeout_ms
    return [
        BrokerRequirement(
            "socket.request.max.bytes",
            lambda value: int(value) >= largest,
            f"{largest} or more",
            "the largest records are refused",
            breaks=True,
        ),
        BrokerRequirement(
            "queued.max.request.bytes",
            lambda value: int(value) > 0,
            "a quarter of the heap",
            "requests that wait may fill the heap; heap, quotas and ACLs: docs/kafka-security.md",
        ),
        BrokerRequirement(
            "group.max.session.timeout.ms",
            lambda value: int(value) >= session,
            f"{session} or more",
            f"services ask for {session} and cannot join",
            breaks=True,
        ),
        BrokerRequirement(
            "group.min.session.timeout.ms",
            lambda value: int(value) <= session,
            f"{session} or less",
            f"services ask for {session} and cannot join",
            breaks=True,
        ),
        BrokerRequirement(
            "offsets.retention.minutes",
            lambda value: int(value) * _MINUTE_MS >= texts,
            f"{texts // _MINUTE_MS} or more",
            f"a service stopped for longer loses its committed offsets, while texts are kept {texts // DAY_MS} days",
        ),
        BrokerRequirement(
            "auto.create.topics.enable",
            lambda value: value == "false",
            "false",
            "a mistyped prefix makes topics with the wrong settings without an error",
        ),
        BrokerRequirement(
            "unclean.leader.election.enable",
            lambda value: value == "false",
            "false",
            "acknowledged records can be lost when a broker fails",
            breaks=True,
        ),
    ]


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """How far this machine's clock is ahead of the cluster's; negative: behind."""

    ahead_ms: float
    uncertainty_ms: float
    """The difference may be larger or smaller by this much: half the time that the answer took."""

    @property
    def min_ms(self) -> float:
        """Return the smallest possible absolute difference."""
        return max(0.0, abs(self.ahead_ms) - self.uncertainty_ms)


async def clock_skew(client: Mapping[str, Any], clock: Callable[[], float] = time.time) -> ClockSkew | None:
    """Compare the clocks; return None where the cluster does not report its time (no KRaft, or a Kafka before 3.3).

    `client` holds the arguments of an aiokafka client.

    Raises:
        KafkaError: Kafka cannot be reached, or this user may not describe the cluster.
    """
    async with Cluster(client) as cluster:
        await cluster.time_ms()  # the first answer includes the time to connect to the controller
        sent_at = clock()
        leader_ms = await cluster.time_ms()
        answered_at = clock()
    if leader_ms is None:
        return None
    return ClockSkew((sent_at + answered_at) * 500 - leader_ms, (answered_at - sent_at) * 500)


_WORTH_SAYING_MS = 1_000
_DEADLINE_MS = 30_000
"""How long a hard case may wait if neither its text nor a policy sets a deadline."""
_FIX = (
    "synchronise both clocks over the network (chronyc tracking, timedatectl); check the machine of each service, too"
)


async def check_clock(
    kafka: KafkaSettings, measure: Callable[[Mapping[str, Any]], Awaitable[ClockSkew | None]] = clock_skew
) -> Check:
    """Compare the clocks, if Kafka reports its own."""
    try:
        skew = await measure(client_arguments(kafka))
    except KafkaError as error:
        return ok("clock", f"cannot be compared with Kafka's: {type(error).__name__}")
    if skew is None:
        return ok(
            "clock", "cannot be compared with Kafka's: the cluster does not report its time (that needs KRaft, 3.3)"
        )
    if skew.min_ms < _WORTH_SAYING_MS:
        return ok("clock", f"as Kafka's, give or take {max(1, skew.uncertainty_ms + skew.min_ms):.0f} ms")
    side = "ahead of" if skew.ahead_ms > 0 else "behind"
    finding = f"{skew.min_ms / 1000:,.1f} s {side} Kafka's: deadlines of hard cases are judged by as much too "
    finding += "early" if skew.ahead_ms > 0 else "late"
    return (broken if skew.min_ms >= _DEADLINE_MS else warning)("clock", finding, _FIX)


_TRANSACTION_S = 60
"""After so long Kafka ends a transaction, unless its producer asks for longer or hangs."""
_SAFE_COPIES = 3


async def check_topics(
    kafka: KafkaSettings, admin: AIOKafkaAdminClient, states: Sequence[TopicState]
) -> AsyncIterator[Check]:
    """Check the settings of all topics, then copies and leaders of those that exist."""
    missing = [state.name for state in states if state.status == "missing"]
    different = [state for state in states if state.status == "differs"]
    if missing:
        finding = f"{len(missing)} of {len(states)} missing: {some_of(missing)}"
        up = ", or restart your `sprat up`, which makes them and reads new task files"
        fix = f"sprat topics create{up if local_run.find_by_kafka(kafka.bootstrap) else ''}"
        yield broken("topics", finding, fix)
    for check in _differences(kafka, states, different):
        yield check
    if not missing and not different:
        yield ok("topics", f"all {len(states)} as they should be, prefix {kafka.prefix}")
    names = [state.name for state in states if state.status != "missing"]
    if names:
        described = await admin.describe_topics(names)
        brokers = len((await admin.describe_cluster())["brokers"])
        for check in _copies(described, brokers):
            yield check


def _differences(kafka: KafkaSettings, states: Sequence[TopicState], different: Sequence[TopicState]) -> list[Check]:
    """Return a check for each setting that differs; a single one if only the partition count differs everywhere."""
    single = {topic.name for topic in kafka.topics.table() if topic.partitions == 1}
    counts = {state.partitions for state in states if state.partitions is not None and state.name not in single}
    settings = {each.setting for state in different for each in state.differences}
    if settings == {"partitions"} and len(counts) == 1:
        (count,) = counts
        finding = f"they have {counted(count, 'partition')}, SPRAT_KAFKA__PARTITIONS says {kafka.partitions}"
        return [broken("topics", finding, f"export SPRAT_KAFKA__PARTITIONS={count}")]
    alike: dict[Difference, list[str]] = defaultdict(list)
    for state in different:
        for each in state.differences:
            alike[each].append(state.name)
    return [_difference(kafka, each, names) for each, names in alike.items()]


def _difference(kafka: KafkaSettings, each: Difference, names: Sequence[str]) -> Check:
    """Return the check of a setting that differs in the same way in these topics."""
    mark = warning if each.setting in {IN_SYNC, SEGMENT} and not each.breaks else broken
    finding = f"{some_of(names)}: {each.setting} is {each.actual}, not {each.expected}{each.effect}"
    if len(names) == 1:
        return mark("topics", finding, fix(names[0], each, kafka.bootstrap))
    return mark("topics", finding, f"for topic in {' '.join(names)}; do {fix('$topic', each, kafka.bootstrap)}; done")


def _copies(described: Sequence[dict[str, Any]], brokers: int) -> list[Check]:
    """Check whether every partition has a leader, all its copies, and enough of them."""
    parts = [(f"{each['topic']} {part['partition']}", part) for each in described for part in each["partitions"]]
    headless = [name for name, part in parts if part["leader"] < 0]
    behind = [name for name, part in parts if part["leader"] >= 0 and len(part["isr"]) < len(part["replicas"])]
    fewest = min((len(part["replicas"]) for _, part in parts), default=0)
    checks = []
    if headless:
        finding = f"no leader: {some_of(headless)}; nothing can be written there or read"
        checks.append(broken("copies", finding, "restart the brokers that have them"))
    if behind:
        finding = f"not all copies are up to date: {some_of(behind)}"
        checks.append(warning("copies", finding, "a broker is down or slow: look at its log"))
    if brokers > 1 and fewest < min(brokers, _SAFE_COPIES):
        wanted = min(brokers, _SAFE_COPIES)
        finding = f"{fewest} of each record on {brokers} brokers: where one is lost, texts and Results are lost with it"
        checks.append(
            warning(
                "copies",
                finding,
                f"kafka-reassign-partitions.sh to {wanted} replicas; new topics: sprat "
                f"topics create --replication-factor {wanted}",
            )
        )
    if not checks:
        checks.append(ok("copies", f"{fewest} of each record on {counted(brokers, 'broker')}"))
    return checks


def check_transactions(found: Sequence[OpenTransaction]) -> Check:
    """Check for transactions that are open for longer than a producer's default allows."""
    hanging = [each for each in found if each.age_s is None or each.age_s > _TRANSACTION_S]
    if not hanging:
        return ok("transactions", f"none has been open for more than {_TRANSACTION_S} s")
    more = f" (and {len(hanging) - 1} more)" if len(hanging) > 1 else ""
    return broken("transactions", f"{hanging[0]}{more}: no service sees what stands behind", hanging[0].fix)


async def _egress(kafka: KafkaSettings, states: Sequence[TopicState]) -> list[Check]:
    try:
        records = await recent_egress(kafka) if _exists(states, kafka.topics.egress) else []
    except TopicAuthorizationFailedError:
        return [ok("checkpoints", f"not known here: this user may not read {kafka.topics.egress}")]
    return [check_checkpoints(records[-1] if records else None), *check_calls(recent_calls(records), time.time())]


async def _alarms(kafka: KafkaSettings, states: Sequence[TopicState]) -> list[Check]:
    try:
        return [*check_alarms((await read_alarms(kafka)).standing)] if _exists(states, kafka.topics.alarms) else []
    except TopicAuthorizationFailedError:
        return [ok("alarms", f"not known here: this user may not read {kafka.topics.alarms}")]


_FAILED: Final = 5
"""Calls in a row."""
_RECENT_S: Final = 3600
_REACH: Final = (
    "does the frontier's host reach the address, is SPRAT_FRONTIER__BASE_URL, or the url of the tier, right?"
)
_NAMED: Final = "are SPRAT_FRONTIER__API_KEY and SPRAT_FRONTIER__MODEL of the frontier right?"


def check_calls(calls: Iterable[RecentCalls], now_s: float) -> Iterator[Check]:
    """Check whether the calls to each provider are answered, and the circuit breaker before it.

    A breaker changes by calls alone, so that the last call tells its state, unless the service was started since.
    """
    for each in calls:
        at = datetime.fromtimestamp(each.at_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        report = broken if now_s - each.at_ms / 1000 < _RECENT_S else warning
        last = f"the last call, at {at}, ended with {each.last.outcome}"
        if each.last.breaker is not None and each.last.breaker != "closed":
            state = each.last.breaker.replace("_", "-")
            finding = f"{each.provider}: its circuit breaker is {state}: {last}; cases wait, and their deadlines pass"
            yield report("calls", finding, f"{_REACH}; more: runbook SpratBreakerOpen")
        elif each.failures >= _FAILED:
            finding = f"{each.provider}: the last {each.failures} calls failed: {last}"
            refused = each.last.outcome in {"unauthorised", "no_such_model"}
            step, runbook = (_NAMED, "SpratProviderRefusesCredential") if refused else (_REACH, "SpratProviderDown")
            yield report("calls", finding, f"{step}; more: runbook {runbook}")
        else:
            breaker = "" if each.last.breaker is None else "; its circuit breaker is closed"
            yield ok("calls", f"{each.provider}: {last}{breaker}")


def check_checkpoints(last: EgressRecord | None) -> Check:
    """Check whether the frontier writes checkpoints of the audit: each of its records names the last one."""
    if last is None or last.chain is None:
        return ok("checkpoints", "nothing has left yet: the first record of the audit will tell whether there are any")
    if last.chain.checkpoint is not None:
        return ok("checkpoints", "the frontier writes checkpoints of the audit to a second place")
    return warning(
        "checkpoints",
        "the frontier writes no checkpoints of the audit: nobody finds that its end was removed",
        "SPRAT_AUDIT__CHECKPOINTS (a folder) or SPRAT_AUDIT__KAFKA__BOOTSTRAP of the frontier, at a place that whoever "
        "runs Kafka cannot write to",
    )
