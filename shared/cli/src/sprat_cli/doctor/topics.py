"""The topics against the table of the contracts, and how they stand on the brokers."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from sprat.settings import KafkaSettings
from sprat_cli.doctor.check import Check, broken, good, warning
from sprat_cli.topics.command import mend
from sprat_operations.topics import TopicState

_FEW = 3
_SAFE_COPIES = 3


async def check_topics(
    kafka: KafkaSettings, admin: AIOKafkaAdminClient, states: Sequence[TopicState]
) -> AsyncIterator[Check]:
    """Look at settings, then at copies and leaders of those that exist."""
    missing = [state.name for state in states if state.status == "missing"]
    different = [state for state in states if state.status == "differs"]
    if missing:
        found = f"{len(missing)} of {len(states)} missing: {_some(missing)}"
        yield broken("topics", found, "sprat topics create")
    for check in _differences(kafka, states, different):
        yield check
    if not missing and not different:
        yield good("topics", f"all {len(states)} as they should be, prefix {kafka.prefix}")
    names = [state.name for state in states if state.status != "missing"]
    if names:
        described = await admin.describe_topics(names)
        brokers = len((await admin.describe_cluster())["brokers"])
        for check in _copies(described, brokers):
            yield check


def _differences(kafka: KafkaSettings, states: Sequence[TopicState], different: Sequence[TopicState]) -> list[Check]:
    """Give a check for each setting that differs; one where it is only the count that this shell does not know."""
    counts = {
        state.partitions for state in states if state.partitions is not None and state.name != kafka.topics.models
    }
    settings = {each.setting for state in different for each in state.differences}
    if settings == {"partitions"} and len(counts) == 1:
        (count,) = counts
        found = f"they have {count} partitions, SPRAT_KAFKA__PARTITIONS says {kafka.partitions}"
        return [broken("topics", found, f"export SPRAT_KAFKA__PARTITIONS={count}")]
    return [
        broken(
            "topics",
            f"{state.name}: {each.setting} is {each.actual}, not {each.expected}",
            mend(state.name, each, kafka.bootstrap),
        )
        for state in different
        for each in state.differences
    ]


def _copies(described: Sequence[dict[str, Any]], brokers: int) -> list[Check]:
    """Look whether every partition has a leader, all its copies, and enough of them."""
    parts = [(f"{each['topic']} {part['partition']}", part) for each in described for part in each["partitions"]]
    headless = [name for name, part in parts if part["leader"] < 0]
    behind = [name for name, part in parts if part["leader"] >= 0 and len(part["isr"]) < len(part["replicas"])]
    fewest = min((len(part["replicas"]) for _, part in parts), default=0)
    checks = []
    if headless:
        found = f"no leader: {_some(headless)}; nothing can be written there or read"
        checks.append(broken("copies", found, "bring the broker back that has them"))
    if behind:
        found = f"not all copies are up to date: {_some(behind)}"
        checks.append(warning("copies", found, "a broker is down or slow: look at its log"))
    if brokers > 1 and fewest < min(brokers, _SAFE_COPIES):
        wanted = min(brokers, _SAFE_COPIES)
        found = f"{fewest} of each record on {brokers} brokers: where one is lost, texts and Results are lost with it"
        checks.append(
            warning(
                "copies",
                found,
                f"kafka-reassign-partitions.sh to {wanted} replicas; new topics: sprat "
                f"topics create --replication-factor {wanted}",
            )
        )
    if not checks:
        checks.append(good("copies", f"{fewest} of each record on {brokers} broker{'s' * (brokers != 1)}"))
    return checks


def _some(names: Sequence[str], most: int = _FEW) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
