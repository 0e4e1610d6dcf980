"""What stands where of a person or a tenant, until when, and the deletion of what can be: in Redis and by gateways.

A record of Kafka cannot be deleted by itself; it expires with its topic's retention. So the records are listed, with
the time until which each stands at most.
"""

import base64
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiokafka import ConsumerRecord
from aiokafka.errors import TopicAuthorizationFailedError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sprat.base.keys import KeyedHash, Keys
from sprat.base.settings import KafkaSettings, RedisSettings
from sprat.kafka.clients import client_arguments
from sprat.processing.cache import key_prefix
from sprat_contracts.dead_letters import ORIGIN_TOPIC, original_headers
from sprat_contracts.headers import decoded
from sprat_contracts.ids import TEXT, derive
from sprat_operations import gateway_stores
from sprat_operations.gateway_stores import ErasedStore, GatewayStore, erase_stores, gateway_namespace
from sprat_operations.record_summary import RecordKind, record_kinds
from sprat_operations.topic_reader import OnReadProgress, TopicReader, no_progress
from sprat_operations.topics import kept_for
from sprat_operations.trace_records import Identity, TraceQuery, read_step, submitted_in
from sprat_operations.transactions import OpenTransaction, find_open_transactions

HOLDS: Final[Mapping[RecordKind, str]] = {
    RecordKind.text: "the text",
    RecordKind.prediction: "the text and the small model's answer",
    RecordKind.request: "the text and the small model's answer",
    RecordKind.answer: "the text, also as it left, and the answers of both models",
    RecordKind.result: "the answer, the reference of the upstream system",
    RecordKind.dead_letter: "a record that could not be handled, as it was",
    RecordKind.review: "the text and the small model's answer",
    RecordKind.feedback: "a person's correction, or answer to a review",
    RecordKind.review_closed: "source and id of the text, who reviewed it; no text",
    RecordKind.alarm: "source and id of up to five texts; no text",
    RecordKind.egress: "a keyed hash of the text, counts and cost; no text",
}
"""What of a person stands in the records of each kind."""

_BY_TEXT_ALONE: Final = frozenset({RecordKind.feedback, RecordKind.review_closed, RecordKind.alarm})
"""Kinds that name neither the key nor the tenant of a text."""
_KEYED_OTHERWISE: Final = _BY_TEXT_ALONE | {RecordKind.request, RecordKind.review}
"""Kinds whose records have another key than the text."""
_PATHS: Final = (("submitted",), ("prediction", "submitted"), ("request", "prediction", "submitted"))
"""Where in a record what was submitted is; a text is it itself."""
_MASKED_ANSWERS: Final = (
    "answers of the frontier to masked texts, which hold placeholders, are found by tenant alone and expire after "
    "SPRAT_FRONTIER__ANSWER_TTL_S"
)
_GATEWAYS: Final = (
    "what a gateway has stored on another machine is named where that gateway has SPRAT_REDIS__URL; else run there: "
    f"{gateway_stores.PROGRAM}; what it has in memory, it answers for ten minutes more"
)
_RECENT: Final = "what is computed while this runs, or when a text in Kafka is read again, is stored anew"
_OLD_TEXTS: Final = (
    "answers to texts that no topic holds any more are found by tenant alone and expire after SPRAT_REDIS__TTL_S"
)
_FEEDBACK: Final = (
    "corrections, closed reviews and alarms name no key and no tenant: found by --text-id, or while another record of "
    "their text stands"
)
_DEFAULT_TENANT: Final = "default"
_SCAN: Final = 1000
_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Selection:
    """Whose data: all that is given must hold. At least one is given."""

    key: str | None = None
    """The key of the record that the upstream system published."""
    text_id: str | None = None
    tenant: str | None = None

    @property
    def is_tenant(self) -> bool:
        """Whether it is all of a tenant."""
        return self.tenant is not None and self.key is None and self.text_id is None


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record that holds data of the selection."""

    kind: RecordKind
    topic: str
    partition: int
    offset: int
    appended_at: int
    """Epoch milliseconds, the broker's clock."""
    identity: Identity | None
    """Source and id of the text."""
    tenant: str | None
    """None where it cannot be read, or where its kind names none."""

    @property
    def tenant_unknown(self) -> bool:
        """Whether it may be any tenant's, because the tenant cannot be read."""
        return self.tenant is None and self.kind not in _BY_TEXT_ALONE


@dataclass(frozen=True, slots=True)
class Expiry:
    """Until when a record stands: epoch milliseconds; None without end."""

    expires_at: int | None
    """When its topic's retention ends. Kafka deletes it soon afterwards, with the segment that it is in."""
    gone_by: int | None
    """When it is gone at the latest."""


@dataclass(slots=True)
class Stock:
    """All that was found."""

    records: list[StoredRecord] = field(default_factory=list)
    tenant_unknown: list[StoredRecord] = field(default_factory=list)
    """Of all of a tenant: records whose tenant cannot be read. They may be the tenant's."""
    kept: Mapping[str, tuple[int, int] | None] = field(default_factory=dict)
    unreadable_topics: dict[str, str] = field(default_factory=dict)
    held_back: list[OpenTransaction] = field(default_factory=list)
    """Transactions behind which records may stand that were not looked at."""
    texts: set[tuple[str, str]] = field(default_factory=set, repr=False)
    """Tenant and text."""
    cached: int = 0
    """Entries in Redis that were found."""
    deleted: int = 0
    redis_error: str | None = None
    """Why Redis could not be searched; None if it was."""
    noted: list[GatewayStore] = field(default_factory=list)
    """The stores that gateways have noted in Redis."""
    stores: list[ErasedStore] = field(default_factory=list)
    """What became of the stores of gateways."""

    def expiry(self, record: StoredRecord) -> Expiry:
        """Return until when a record stands."""
        kept = self.kept.get(record.topic)
        if kept is None:
            return Expiry(None, None)
        retention_ms, segment_ms = kept
        return Expiry(record.appended_at + retention_ms, record.appended_at + retention_ms + segment_ms)

    @property
    def by_topic(self) -> dict[str, int]:
        """Return how many records each topic holds."""
        return dict(Counter(record.topic for record in self.records))

    @property
    def count_unknown(self) -> int:
        """Return how many of all that are listed may be any tenant's."""
        return len(self.tenant_unknown) + sum(record.tenant_unknown for record in self.records)

    @property
    def unknown_by_topic(self) -> dict[str, int]:
        """Return how many records of an unknown tenant each topic holds."""
        return dict(Counter(record.topic for record in self.tenant_unknown))

    @property
    def complete(self) -> bool:
        """Return whether everything was looked at."""
        reached = self.redis_error is None and all(each.problem is None for each in self.stores)
        return not self.unreadable_topics and not self.held_back and reached

    @property
    def identities(self) -> set[Identity]:
        """Return source and id of every text that was found."""
        return {record.identity for record in self.records if record.identity is not None}


def remarks(selection: Selection) -> list[str]:
    """Return what a deletion by this selection does not find, for people."""
    answers = [] if selection.is_tenant else [_MASKED_ANSWERS, _OLD_TEXTS]
    return [*answers, *([] if selection.text_id else [_FEEDBACK]), _GATEWAYS, _RECENT]


async def erase(
    kafka: KafkaSettings,
    redis: RedisSettings,
    keys: Keys,
    selection: Selection,
    *,
    stores: Collection[Path] = (),
    dry_run: bool = False,
    progress: OnReadProgress = no_progress,
) -> Stock:
    """List all records of a selection; delete its answers in Redis, and what gateways of this machine have stored.

    Every topic is read to its present end. With `dry_run` nothing is deleted.

    Args:
        kafka: the broker and the topics.
        redis: where the services keep answers.
        keys: of the installation: the names of the answers are hashes with them.
        selection: whose data.
        stores: the folders in which gateways of this machine have their stores.
        dry_run: only count what would be deleted.
        progress: called while the topics are read.

    Raises:
        UserError: a topic's settings cannot be read.
        TimeoutError: the broker returns no more records.
        KafkaError: Kafka cannot be reached or refuses.
    """
    hashes = keys.accepted_hashes
    client = client_arguments(kafka)
    search = _StockSearch(kafka, selection, hashes)
    held_back = await find_open_transactions(client, list(search.kinds))
    async with TopicReader(client, progress) as reader:
        unreadable = await reader.unreadable_topics(list(search.kinds))
        for name in search.in_order:
            if name in unreadable:
                continue
            try:
                async for records in reader.read_since([name], None):
                    search.add(records)
            except TopicAuthorizationFailedError:
                unreadable[name] = "you may not read it"
    records, unknown = search.found(), search.of_unknown_tenant()
    kept = await kept_for(client, {record.topic for record in (*records, *unknown)})
    stock = Stock(records, unknown, kept, unreadable, held_back, search.texts)
    prefixes = _prefixes(kafka.prefix, selection, hashes, stock.texts)
    await _delete_answers(redis, kafka.prefix, prefixes, stock, dry_run=dry_run)
    given = {"key": selection.key, "text_id": selection.text_id, "tenant": selection.tenant}
    stock.stores = list(erase_stores(stores, stock.noted, stock.identities, **given, dry_run=dry_run))
    return stock


class _StockSearch:
    """Collects the records of a selection. Those that name no key are looked at last."""

    _LATER: Final = _BY_TEXT_ALONE | {RecordKind.egress}

    def __init__(self, kafka: KafkaSettings, selection: Selection, hashes: Sequence[KeyedHash]) -> None:
        self.kinds = record_kinds(kafka.topics)
        self.texts: set[tuple[str, str]] = set()
        self._selection = selection
        self._hashes = hashes
        self._query = None if selection.text_id is None else TraceQuery(selection.text_id)
        self._records: list[StoredRecord] = []
        self._unsure: list[StoredRecord] = []
        """Records of which not everything asked for is known."""
        self._text_hashes: frozenset[str] | None = None

    @property
    def in_order(self) -> list[str]:
        """The topics in the order in which to read them."""
        return sorted(self.kinds, key=lambda name: self.kinds[name] in self._LATER)

    def add(self, records: Sequence[ConsumerRecord]) -> None:
        """Keep the records of the selection. All are of one topic."""
        for record in records:
            kind = self.kinds[record.topic]
            step = read_step(kind, record, self.kinds)
            headers = decoded(record.headers)
            of_kind = kind
            if kind is RecordKind.dead_letter:
                of_kind = self.kinds.get(headers.get(ORIGIN_TOPIC, ""), kind)
                headers = decoded(original_headers(record.headers, record.value))
            of_text = of_kind is RecordKind.text
            readable = _json(submitted_in(headers, record.value) if of_text else record.value)
            value = readable or {}
            submitted = _submitted(of_kind, value)
            tenant = _tenant(submitted, step.tenant, headers)
            if of_text and readable is None:
                tenant = None
            for identity in _named_in(value) if kind is RecordKind.alarm else (step.identity,):
                place = (record.topic, record.partition, record.offset)
                stored = StoredRecord(kind, *place, record.timestamp, identity, tenant)
                self._judge(stored, record, value, submitted)

    def _judge(
        self,
        stored: StoredRecord,
        record: ConsumerRecord,
        value: Mapping[str, Any],
        submitted: Mapping[str, Any] | None,
    ) -> None:
        """Keep a record, or keep it in mind, by what it says of itself."""
        verdicts = tuple(self._verdicts(stored.kind, record, value, stored.identity, stored.tenant))
        if stored.kind is RecordKind.egress:
            if str(value.get("text_hash")) in self._hashes_of_texts() or (self._selection.is_tenant and all(verdicts)):
                self._records.append(stored)
        elif all(verdicts):
            self._records.append(stored)
            if submitted is not None and isinstance(submitted.get("text"), str) and stored.tenant is not None:
                self.texts.add((stored.tenant, submitted["text"]))
        elif False not in verdicts:
            self._unsure.append(stored)

    def found(self) -> list[StoredRecord]:
        """Return all records, those included whose text is one that was found."""
        identities = {record.identity for record in self._records} - {None}
        self._records += [record for record in self._unsure if record.identity in identities]
        self._unsure = [record for record in self._unsure if record.identity not in identities]
        return self._in_order(self._records)

    def of_unknown_tenant(self) -> list[StoredRecord]:
        """Return the other records of which only the tenant is asked for, and cannot be read."""
        unknown = (record for record in self._unsure if record.tenant_unknown)
        return self._in_order(unknown) if self._selection.is_tenant else []

    def _in_order(self, records: Iterable[StoredRecord]) -> list[StoredRecord]:
        order = {topic: number for number, topic in enumerate(self.kinds)}
        # An alarm that names several of the texts is one record.
        once = {(each.topic, each.partition, each.offset): each for each in records}
        return sorted(once.values(), key=lambda each: (order[each.topic], each.partition, each.offset))

    def _verdicts(
        self,
        kind: RecordKind,
        record: ConsumerRecord,
        value: Mapping[str, Any],
        identity: Identity | None,
        tenant: str | None,
    ) -> Iterator[bool | None]:
        """Return for each thing asked for whether it holds; None where the record does not say."""
        selection = self._selection
        if selection.key is not None:
            key = selection.key.encode()
            known = kind not in _KEYED_OTHERWISE
            yield (record.key == key if known else None) or _origin_key(value) == key or (False if known else None)
        if self._query is not None:
            yield self._query.matches(identity) if identity is not None else None
        if selection.tenant is not None:
            unknown = None if selection.is_tenant or kind in _BY_TEXT_ALONE else True
            yield unknown if tenant is None else tenant == selection.tenant

    def _hashes_of_texts(self) -> frozenset[str]:
        if self._text_hashes is None:
            self._text_hashes = frozenset(
                hash("egress-text", tenant, text) for hash in self._hashes for tenant, text in self.texts
            )
        return self._text_hashes


def _named_in(alarm: Mapping[str, Any]) -> Iterator[Identity]:
    """Yield source and id of the texts that an alarm names."""
    texts = alarm.get("texts")
    for each in texts if isinstance(texts, list) else ():
        source, id = (each.get("text_source"), each.get("text_id")) if isinstance(each, dict) else (None, None)
        if isinstance(source, str) and isinstance(id, str):
            yield source, id


def _json(value: bytes | None) -> Mapping[str, Any] | None:
    """Return the object that a value holds; None where it holds none, or cannot be read."""
    try:
        read = json.loads(value or b"")
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def _submitted(kind: RecordKind, value: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what was submitted, where a record holds it; the kind of a dead letter is that of its origin."""
    if kind is RecordKind.text:
        return value
    for path in _PATHS:
        part: Any = value
        for step in path:
            part = part.get(step) if isinstance(part, dict) else None
        if isinstance(part, dict):
            return part
    return None


def _tenant(submitted: Mapping[str, Any] | None, named: str | None, headers: Mapping[str, str]) -> str | None:
    """Return the tenant; that of a text that names none is the default one."""
    if submitted is not None:
        tenant = submitted.get("tenant", _DEFAULT_TENANT)
        return tenant if isinstance(tenant, str) else None
    return named or headers.get("ce_tenant")


def _origin_key(value: Mapping[str, Any]) -> bytes | None:
    """Return the key of the text that a record names as its origin."""
    request = value.get("request")
    prediction = (request if isinstance(request, dict) else value).get("prediction")
    origin = (prediction if isinstance(prediction, dict) else value).get("origin")
    key = origin.get("key") if isinstance(origin, dict) else None
    try:
        return base64.b64decode(key) if isinstance(key, str) else None
    except ValueError:
        return None


def _prefixes(
    namespace: str, selection: Selection, hashes: Iterable[KeyedHash], texts: Iterable[tuple[str, str]]
) -> tuple[str, ...]:
    """Return how the names begin of the selection's answers in Redis."""
    if selection.is_tenant and selection.tenant is not None:
        return tuple(f"{namespace}:{key_prefix(hash, selection.tenant)}" for hash in hashes)
    known = sorted(set(texts))
    return tuple(f"{namespace}:{key_prefix(hash, tenant, text)}" for hash in hashes for tenant, text in known)


async def _delete_answers(
    settings: RedisSettings, prefix: str, prefixes: Sequence[str], stock: Stock, *, dry_run: bool
) -> None:
    """Search all names once; delete those that begin like one of the prefixes, and what gateways keep of the texts."""
    wanted = frozenset(each.encode() for each in prefixes)
    colons = {each.count(b":") for each in wanted}
    kept = {f"{gateway_namespace(prefix)}{derive(TEXT, *identity)}".encode() for identity in stock.identities}
    notes = gateway_stores.notes(prefix).encode()
    client = Redis.from_url(
        settings.url.get_secret_value(), socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
    )
    try:
        await client.ping()
        names: list[bytes] = []
        noted: set[bytes] = set()
        async for name in client.scan_iter(match=f"{_escaped(prefix)}:*", count=_SCAN):
            parts = name.split(b":")
            if name in kept or any(b":".join(parts[:count]) + b":" in wanted for count in colons):
                names.append(name)
            elif name.startswith(notes):
                noted.add(name)
        found = [gateway_stores.read_note(await client.get(name)) for name in sorted(noted)]
        stock.noted = [store for store in found if store is not None]
        stock.cached = len(set(names))
        if names and not dry_run:
            for at in range(0, len(names), _SCAN):
                stock.deleted += await client.unlink(*names[at : at + _SCAN])
    except (RedisError, OSError) as error:
        stock.redis_error = type(error).__name__
    finally:
        await client.aclose()


def _escaped(pattern: str) -> str:
    """Return a name as a pattern of Redis that matches it alone."""
    return "".join(f"\\{character}" if character in "*?[]^-\\" else character for character in pattern)
