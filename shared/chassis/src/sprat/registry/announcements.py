"""The compacted `models` topic: announcing a model, and reading what others announce."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from sprat.base.errors import Fatal, Retryable
from sprat.base.retry import OnceAMinute
from sprat.base.settings import KafkaSettings
from sprat.kafka.log_reader import CATCH_UP_S, LogReader
from sprat.kafka.publisher import OutRecord, Publisher
from sprat.kafka.signatures import Refusal, Signatures, Verdict
from sprat.registry.model_table import model_key
from sprat.registry.retirement import Ends, Retirement, owned_until, owned_until_header, withdraws_header
from sprat_contracts import Envelope, KafkaRecord, ModelAnnounced, Topics, Traceparent, WireError, decode, encode
from sprat_contracts.ids import derive

log = logging.getLogger(__name__)

_STALE_MS = 60_000
"""A first announcement that no second one follows within this time belongs to a failed start."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """A record of the models topic; `announced` is None for a tombstone."""

    key: bytes | None
    announced: ModelAnnounced | None
    appended_at: int
    owned_until: Ends | None = None
    """The ends that the record itself carries, see `sprat.registry.retirement`."""
    retirement: Retirement = field(default_factory=Retirement)
    """The state of the model after this record."""
    verdict: Verdict | None = None
    """With which secret it is signed; None where that was not verified."""
    record: KafkaRecord | None = None
    """As Kafka holds it."""


Ignored = Refusal | Literal["unreadable", "key"]
"""Why a record does not count. `unreadable`: it is no announcement. `key`: its key is not its own `task/model`, so that
it could never be withdrawn."""


@dataclass(frozen=True, slots=True)
class IgnoredRecord:
    """A record of the models topic that does not count, and that no valid one under its key has followed."""

    record: KafkaRecord
    why: Ignored

    @property
    def name(self) -> str:
        """Its key, which is `task/model` where a service wrote it."""
        return (self.record.key or b"").decode("utf-8", "replace")


OnIgnored = Callable[[Sequence[IgnoredRecord]], object]


@dataclass(frozen=True, slots=True)
class Ownership:
    """Which texts a model owns."""

    owns_from: int
    """Those appended at or after this time, epoch milliseconds."""
    left: Ends = field(default_factory=dict)
    """Also those before these offsets: they were its own when it was last withdrawn, and may not be answered yet."""


class ModelsReader:
    """Reads the models topic from its beginning; each `catch_up` reads to the end at that moment.

    Args:
        settings: of Kafka.
        signatures: verify the records; None: all are read as they are, by tools that decide nothing.
        apply: gets each record in turn.
        on_ignored: gets the records that do not count, after each reading; None: they are counted and logged.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        signatures: Signatures | None,
        apply: Callable[[Announcement], object],
        on_ignored: OnIgnored | None = None,
    ) -> None:
        self._on_ignored = on_ignored or self._report
        self._line = OnceAMinute()
        self._unsaid = Counter[str]()
        """Reasons of ignored records that no line of the log has counted yet."""
        self._topic = settings.topics.models
        self._signatures = signatures
        self._apply = apply
        self._retirements: dict[bytes | None, Retirement] = {}
        self._log = LogReader(settings, (self._topic,), self._take, self._retirements.clear)
        self._ignored: dict[bytes | None, IgnoredRecord] = {}
        """Since the last reading, the last one under each key, unless a valid one has come since: then it stays until
        compaction removes it."""

    async def start(self) -> None:
        """Connect and read to the end.

        Raises:
            Fatal: the topic does not exist.
        """
        await self._log.start()
        await self.catch_up()

    async def catch_up(self, within_s: float = CATCH_UP_S) -> None:
        """Read to the current end of the topic.

        Raises:
            Retryable: Kafka does not answer within `within_s`.
        """
        await self._log.catch_up(within_s)
        ignored = tuple(self._ignored.values())
        self._ignored.clear()
        self._on_ignored(ignored)

    def _report(self, ignored: Sequence[IgnoredRecord]) -> None:
        for each in ignored:
            self._unsaid[each.why] += 1
            match each.why:
                case "unreadable" | "key":
                    pass
                case why if self._signatures is not None:
                    self._signatures.refused(each.record, why)
        if self._unsaid and self._line.due():
            reasons = ", ".join(f"{count} {why}" for why, count in self._unsaid.items())
            log.warning(
                "records on %s that are ignored: %d (%s); `sprat models clean` names and removes them",
                self._topic,
                self._unsaid.total(),
                reasons,
            )
            self._unsaid.clear()

    async def stop(self) -> None:
        """Disconnect."""
        await self._log.stop()

    def _take(self, record: ConsumerRecord) -> None:
        verdict = None if self._signatures is None else self._signatures.verdict(record)
        before = self._retirements.get(record.key, Retirement())
        announced: ModelAnnounced | None = None
        why: Ignored | None = self._refusal(record, verdict, before)
        if why is None and record.value is not None:
            announced, why = _read(record)
        if why is not None:
            self._ignored[record.key] = IgnoredRecord(record, why)
            return
        self._ignored.pop(record.key, None)
        ends = owned_until(record.headers)
        if announced is None:
            after = before.after_tombstone(ends)
        else:
            after = before.after_announcement(ends, announced.owns_from)
        self._retirements[record.key] = after
        self._apply(Announcement(record.key, announced, record.timestamp, ends, after, verdict, record))

    def _refusal(self, record: ConsumerRecord, verdict: Verdict | None, before: Retirement) -> Refusal | None:
        if verdict is not None and self._signatures is not None and not self._signatures.accepts_verdict(verdict):
            return verdict
        return "outdated" if record.value is None and before.outdates(record.headers) else None


def _read(record: ConsumerRecord) -> tuple[ModelAnnounced | None, Ignored | None]:
    """Return the announcement in a record, or why it is none that counts."""
    try:
        announced = decode(record, ModelAnnounced).message
    except WireError:
        return None, "unreadable"
    return (announced, None) if record.key == model_key(announced.task, announced.model) else (None, "key")


MakeReader = Callable[[KafkaSettings, Signatures, Callable[[Announcement], object]], ModelsReader]


async def announce(
    settings: KafkaSettings,
    publisher: Publisher,
    model: ModelAnnounced,
    service: str,
    signatures: Signatures,
    make_reader: MakeReader = ModelsReader,
) -> Ownership:
    """Announce a model and return what it owns.

    Its `owns_from` is that of an earlier announcement. If there is none, a first announcement carries null; the
    broker's timestamp of it becomes `owns_from`, and a second announcement carries that at once. Replicas that start
    together agree, because they use the earliest first announcement that is not stale.

    Each announcement repeats the ends of the last withdrawal: compaction removes the tombstone that carried them. One
    that is not signed with the current secret is announced again, so that it outlives an upgrade and a rotation.

    Raises:
        Fatal: the topic does not exist, or does not hold the announcement that was just written.
        Retryable: Kafka does not answer.
    """
    key = model_key(model.task, model.model)
    history: list[Announcement] = []
    reader = make_reader(settings, signatures, lambda seen: history.append(seen) if seen.key == key else None)
    await reader.start()
    try:
        owns_from = _agreed(history, None)
        if owns_from is None:
            unowned = model.model_copy(update={"owns_from": None})
            record = announcement_record(settings.topics, unowned, service, _left(history), signatures)
            (first,) = await publisher.publish([record])
            await reader.catch_up()
            owns_from = _agreed(history, first.timestamp_ms)
        if owns_from is None:
            raise Fatal("the announcement was not found on the models topic")
        ours = model.model_copy(update={"owns_from": owns_from})
        left = _left(history)
        last = history[-1]
        same = last.announced is not None and last.announced.model_dump() == ours.model_dump()
        if not same or last.owned_until != left or last.verdict in {"previous", "unsigned"}:
            await publisher.publish([announcement_record(settings.topics, ours, service, left, signatures)])
    finally:
        await reader.stop()
    return Ownership(owns_from, left or {})


async def announce_again(
    settings: KafkaSettings,
    publisher: Publisher,
    model: ModelAnnounced,
    service: str,
    signatures: Signatures,
    make_reader: MakeReader = ModelsReader,
) -> None:
    """Announce what has changed beside a model that this service has announced; `model` has its `owns_from`.

    Nothing is announced where the model was withdrawn meanwhile, or where another process has announced another version
    of it: that would put back what somebody has replaced.

    Raises:
        Fatal: the topic does not exist.
        Retryable: Kafka does not answer.
    """
    key = model_key(model.task, model.model)
    history: list[Announcement] = []
    reader = make_reader(settings, signatures, lambda seen: history.append(seen) if seen.key == key else None)
    try:
        await reader.start()
    except KafkaError as error:
        raise Retryable(f"the models topic cannot be read: {type(error).__name__}") from None
    finally:
        await reader.stop()
    last = history[-1].announced if history else None
    if last is None or (last.version, last.owns_from) != (model.version, model.owns_from):
        log.warning("%s/%s was withdrawn or replaced meanwhile: it is not announced again", model.task, model.model)
    elif last.model_dump() != model.model_dump():
        await publisher.publish([announcement_record(settings.topics, model, service, _left(history), signatures)])


def _left(history: list[Announcement]) -> Ends | None:
    return history[-1].retirement.left if history else None


def _agreed(history: list[Announcement], first_at: int | None) -> int | None:
    """Return the `owns_from` announced since the last tombstone.

    If there is none and `first_at` is the time of our own first announcement: the time of the earliest first
    announcement that is not stale.
    """
    since: list[Announcement] = []
    for record in history:
        since = [] if record.announced is None else [*since, record]
    for record in reversed(since):
        if record.announced is not None and record.announced.owns_from is not None:
            return record.announced.owns_from
    if first_at is None:
        return None
    return min((record.appended_at for record in since if first_at - record.appended_at < _STALE_MS), default=None)


def announcement_record(
    topics: Topics, model: ModelAnnounced, service: str, left: Ends | None, signatures: Signatures
) -> OutRecord:
    """Return the signed record that announces a model; `left` is what was its own when it was last withdrawn."""
    source = f"/{topics.prefix}/{service}"
    id = str(derive("announcement", source, f"{model.task}/{model.model}", model.version))
    value, headers = encode(model, Envelope(id=id, source=source, traceparent=Traceparent.root(source, id)))
    carried = [] if left is None else [owned_until_header(left)]
    record = OutRecord(topics.models, model_key(model.task, model.model), value, [*headers, *carried])
    return signatures.sign(record)


def tombstone_record(
    topics: Topics, task: str, model: str, ends: Ends | None, signatures: Signatures, owns_from: int | None = None
) -> OutRecord:
    """Return the signed record that withdraws a model, announced with `owns_from`; `ends` make it the second one."""
    headers = [withdraws_header(owns_from), *([] if ends is None else [owned_until_header(ends)])]
    return signatures.sign(OutRecord(topics.models, model_key(task, model), None, headers))


def unannounced_record(topics: Topics, key: bytes | None, signatures: Signatures) -> OutRecord:
    """Return the signed tombstone for a key under which no model is announced; one that is meanwhile is kept."""
    return signatures.sign(OutRecord(topics.models, key, None, [withdraws_header(None)]))
