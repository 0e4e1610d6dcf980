"""The brokers' own settings, as far as the promises depend on them."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from sprat.settings import KafkaSettings
from sprat_cli.doctor.check import Check, broken, good, warning
from sprat_contracts.topics import DAY_MS

_MINUTE_MS = 60_000
_ROOM_BYTES = 1024 * 1024
"""What a request holds beside its record."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a setting of a broker must be."""

    setting: str
    fits: Callable[[str], bool]
    wanted: str
    why: str
    breaks: bool = False
    """Do texts not get through otherwise, or not safely?"""


async def check_brokers(kafka: KafkaSettings, admin: AIOKafkaAdminClient, nodes: Sequence[int]) -> AsyncIterator[Check]:
    """Look at the settings of every broker; nothing is said twice where several have the same."""
    needs = _needs(kafka)
    told: dict[tuple[str, str], list[int]] = {}
    for node in nodes:
        config = await _config(admin, node)
        if config is None:
            yield good("brokers", "their settings cannot be read here (that needs the right to describe their configs)")
            return
        for need in needs:
            value = config.get(need.setting)
            if value is not None and not need.fits(value):
                told.setdefault((need.setting, value), []).append(node)
    by_name = {need.setting: need for need in needs}
    for (setting, value), where in told.items():
        need = by_name[setting]
        on = "" if len(where) == len(nodes) else f" on broker {', '.join(map(str, where))}"
        found = f"{setting} is {value}{on}: {need.why}"
        mend = f"{setting}={need.wanted} in server.properties"
        yield (broken if need.breaks else warning)("brokers", found, mend)
    if not told:
        yield good("brokers", f"{len(needs)} settings that matter here are as they should be")


async def _config(admin: AIOKafkaAdminClient, node: int) -> Mapping[str, str] | None:
    """Give a broker's settings; None where they are not for this user."""
    for response in await admin.describe_configs([ConfigResource(ConfigResourceType.BROKER, str(node))]):
        for code, _message, _type, _name, entries in response.resources:
            return None if code else {entry[0]: entry[1] for entry in entries if entry[1] is not None}
    return None


def _needs(kafka: KafkaSettings) -> list[Need]:
    largest = max(topic.max_batch_bytes for topic in kafka.topics.table()) + _ROOM_BYTES
    texts = next(topic.retention_ms or 0 for topic in kafka.topics.table() if topic.name == kafka.topics.texts)
    session = kafka.session_timeout_ms
    return [
        Need(
            "socket.request.max.bytes",
            lambda value: int(value) >= largest,
            f"{largest} or more",
            "the largest records are refused",
            breaks=True,
        ),
        Need(
            "group.max.session.timeout.ms",
            lambda value: int(value) >= session,
            f"{session} or more",
            f"services ask for {session} and cannot join",
            breaks=True,
        ),
        Need(
            "group.min.session.timeout.ms",
            lambda value: int(value) <= session,
            f"{session} or less",
            f"services ask for {session} and cannot join",
            breaks=True,
        ),
        Need(
            "offsets.retention.minutes",
            lambda value: int(value) * _MINUTE_MS >= texts,
            f"{texts // _MINUTE_MS} or more",
            f"a service stopped for longer forgets where it stood, while texts are kept {texts // DAY_MS} days",
        ),
        Need(
            "auto.create.topics.enable",
            lambda value: value == "false",
            "false",
            "a mistyped prefix makes topics with the wrong settings, and nobody says so",
        ),
        Need(
            "unclean.leader.election.enable",
            lambda value: value == "false",
            "false",
            "acknowledged records can be lost when a broker fails",
            breaks=True,
        ),
    ]
