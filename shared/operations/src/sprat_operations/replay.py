"""Replays of dead letters: read the letters, plan the replay, find what was replayed before, and send the rest.

A replayed record is the original one, with the same key, value, source and id, on its original topic. Two headers are
added: how often it was replayed, and for which service, with the installation's signature: without it, services take
the record for a first one. `plan` and `skip_sent` are pure functions.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sprat.base.errors import SpratError
from sprat.base.words import counted
from sprat.kafka.publisher import NotAcknowledged, OutRecord, Publisher, TooLarge
from sprat.kafka.signatures import Signatures
from sprat_contracts import TextSubmitted, Topics
from sprat_contracts.dead_letters import MAX_REPLAYS, REPLAY_FOR, REPLAYS, replays_of
from sprat_operations.dead_letters import DeadLetter, Headers, Subject, digest, identity_of, read_dead_letter
from sprat_operations.topic_reader import OnReadProgress, no_progress, read_since

ROUTER = "router"
FRONTIER = "frontier"
VALUE_LOST = "the value is too large to be kept"
"""The end of a dead letter's detail where it does not hold the value of the original."""

_UNSIGNED: Final = (
    "the dead letter is not signed: anybody may have written it; if a version without signatures has, look at it with "
    "`sprat dlq show`, and set SPRAT_UNSIGNED_RECORDS=accept for this replay"
)
_WRONG: Final = (
    "the dead letter's signature is not this installation's: somebody else has written or changed it, or it is from "
    "before a rotation of the secret"
)
_CHUNK: Final = 100
_HOLD_S: Final = 20.0
_SKEW_MS: Final = 60_000
"""The largest expected difference between the clocks of two brokers."""

ReplayKey = tuple[str, str, int, Subject]
"""Topic, service, number of the replay, and subject: equal for all replays of one letter, and for no others."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A record to send again."""

    letter: DeadLetter
    topic: str
    headers: Headers = field(repr=False)
    replay_for: str | None
    """The service that is to handle it; None: all that read the topic."""

    @property
    def number(self) -> int:
        """Return the number of this replay of the record, from 1."""
        return self.letter.reason.replays + 1

    @property
    def size(self) -> int:
        """Return an upper bound of the record's size in bytes."""
        return OutRecord(self.topic, self.letter.key, self.letter.value, self.headers).size

    @property
    def mark(self) -> ReplayKey:
        """Return the key that distinguishes this replay from others."""
        return replay_key(self.topic, self.headers, self.letter.digest)


@dataclass(frozen=True, slots=True)
class SkippedReplay:
    """A letter that is not replayed."""

    letter: DeadLetter
    code: str
    """For machines: letter_unsigned, letter_wrongly_signed, at_limit, value_lost, too_large, foreign_topic,
    unknown_service, not_signed, came_back, replayed, duplicate, goes_to_all.
    """
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The replays to send, in the order of the originals, and the letters that are left out."""

    replays: Sequence[Replay]
    left_out: Sequence[SkippedReplay]


def plan(
    chosen: Iterable[DeadLetter], known: Iterable[DeadLetter], topics: Topics, signatures: Signatures | None
) -> Plan:
    """Plan the replay of the chosen letters; `known` are all letters that were read, the later ones in particular.

    Without `signatures`, the plan is to be shown alone: what it would send is neither verified nor signed.
    """
    later = _by_subject(letter for letter in known if _unverified(letter, signatures) is None)
    limits = {topic.name: topic.max_batch_bytes for topic in topics.table()}
    left_out: list[SkippedReplay] = []
    replays: dict[ReplayKey, Replay] = {}
    to_all: dict[tuple[str, Subject], str] = {}
    for letter in sorted(chosen, key=_original_order):
        reason = _unverified(letter, signatures) or _refusal(letter, topics, signatures) or _came_back(letter, later)
        if reason is not None:
            left_out.append(SkippedReplay(letter, *reason))
            continue
        replay = _replay(letter, signatures)
        if replay.size > limits[replay.topic]:
            left_out.append(
                SkippedReplay(letter, "too_large", f"{replay.size:,} bytes are more than {replay.topic} takes")
            )
            continue
        first = replays.setdefault(replay.mark, replay)
        if first is not replay:
            left_out.append(SkippedReplay(letter, "duplicate", f"the same record as {first.letter.place}"))
        elif replay.replay_for is None:
            to_all[replay.topic, letter.subject] = letter.place
    kept: list[Replay] = []
    for replay in replays.values():
        place = to_all.get((replay.topic, replay.letter.subject))
        if place is None or replay.replay_for is None:
            kept.append(replay)
        else:
            left_out.append(SkippedReplay(replay.letter, "goes_to_all", f"{place} goes to all services, this one too"))
    return Plan(kept, left_out)


def skip_sent(planned: Plan, sent: Mapping[ReplayKey, str]) -> Plan:
    """Leave out what was replayed before; `sent` holds the place of each replay that is on its topic."""
    kept: list[Replay] = []
    left_out = list(planned.left_out)
    for replay in planned.replays:
        topic, _, number, subject = replay.mark
        place = sent.get(replay.mark) or sent.get((topic, "", number, subject))
        if place is None:
            kept.append(replay)
        else:
            left_out.append(SkippedReplay(replay.letter, "replayed", f"replayed before, as {place}"))
    return Plan(kept, left_out)


def replay_key(topic: str, headers: Headers, digest: str) -> ReplayKey:
    """Return the key of a replayed record; `digest` is that of its key and value, also of an identity in the value."""
    known = [(name, value or b"") for name, value in headers]
    replay_for = dict(known).get(REPLAY_FOR, b"").decode("utf-8", "replace")
    return topic, replay_for, replays_of(known), (*(identity_of(known, None) or ("", "")), digest)


def origins(topics: Topics) -> Mapping[str, Collection[str]]:
    """Return the topics that services read, and for each the services that a replay can name."""
    return {
        topics.texts: tuple(topics.tasks),
        **{topics.predictions(task): () for task in topics.tasks},
        topics.frontier_requests: (FRONTIER,),
        topics.frontier_answers: (),
    }


def _unverified(letter: DeadLetter, signatures: Signatures | None) -> tuple[str, str] | None:
    """Return code and reason where no service of this installation has written a letter; None where one has."""
    if signatures is None or (letter.signed is not None and signatures.accepts_verdict(letter.signed)):
        return None
    return ("letter_wrongly_signed", _WRONG) if letter.signed == "invalid" else ("letter_unsigned", _UNSIGNED)


def _refusal(letter: DeadLetter, topics: Topics, signatures: Signatures | None) -> tuple[str, str] | None:
    """Return code and reason where a letter cannot be replayed; None where it can."""
    reason = letter.reason
    services = origins(topics).get(reason.topic)
    if services is None:
        return "foreign_topic", f"no service of this installation reads {reason.topic}"
    if reason.service != ROUTER and reason.service not in services:
        return "unknown_service", f"{reason.service} is no service that reads {reason.topic}"
    if reason.detail.endswith(VALUE_LOST):
        return "value_lost", "the dead letter does not hold the value, which was too large; publish it again"
    if reason.replays >= MAX_REPLAYS:
        return "at_limit", f"replayed {reason.replays} times, {MAX_REPLAYS} is the limit; fix it and publish it again"
    if reason.topic != topics.texts and signatures is not None and not signatures.accepts(_original(letter)):
        return "not_signed", "its signature is missing or not this installation's: services would ignore it"
    return None


def _original(letter: DeadLetter) -> OutRecord:
    return OutRecord(letter.reason.topic, letter.key, letter.value, letter.original_headers)


def _by_subject(known: Iterable[DeadLetter]) -> dict[tuple[str, Subject], list[DeadLetter]]:
    by_subject: dict[tuple[str, Subject], list[DeadLetter]] = {}
    for letter in known:
        by_subject.setdefault((letter.reason.topic, letter.subject), []).append(letter)
    return by_subject


def _came_back(letter: DeadLetter, later: Mapping[tuple[str, Subject], Sequence[DeadLetter]]) -> tuple[str, str] | None:
    """Return code and reason where a replay of the letter became a dead letter again: the later one is replayed."""
    reason = letter.reason
    back = [
        other
        for other in later.get((reason.topic, letter.subject), ())
        if other.reason.replays > reason.replays and reason.service in {ROUTER, other.reason.service}
    ]
    if not back:
        return None
    last = max(back, key=lambda other: (other.reason.replays, other.written_at))
    return "came_back", f"replayed before, and came back as {last.place}"


def _replay(letter: DeadLetter, signatures: Signatures | None) -> Replay:
    reason = letter.reason
    replay_for = None if reason.service == ROUTER else reason.service
    headers = letter.original_headers
    if letter.is_plain_text and letter.identity is not None:
        # Without these headers it would be another text at its new place.
        source, event_id = letter.identity
        headers += [
            ("ce_specversion", b"1.0"),
            ("ce_id", event_id.encode()),
            ("ce_source", source.encode()),
            ("ce_type", TextSubmitted.event_type.encode()),
        ]
    headers.append((REPLAYS, str(reason.replays + 1).encode()))
    record = OutRecord(reason.topic, letter.key, letter.value, headers)
    if replay_for is not None:
        record.headers = [*headers, (REPLAY_FOR, replay_for.encode())]
        if signatures is not None:
            signatures.sign_replay(record)
    return Replay(letter, reason.topic, record.headers, replay_for)


def _original_order(letter: DeadLetter) -> tuple[str, int, int, int]:
    reason = letter.reason
    return reason.topic, reason.partition, reason.offset, letter.written_at


@dataclass(frozen=True, slots=True)
class NoLetter:
    """A record on the topic of dead letters that is not a dead letter."""

    partition: int
    offset: int
    why: str


async def read_dead_letters(
    client: Mapping[str, Any],
    topic: str,
    since_ms: int | None,
    signatures: Signatures | None = None,
    *,
    progress: OnReadProgress = no_progress,
) -> AsyncIterator[DeadLetter | NoLetter]:
    """Return every dead letter written at `since_ms` (epoch) or later, None: all; verified with `signatures`.

    Raises:
        UserError: there is no such topic.
        TimeoutError: the broker returns no more records.
    """
    async for record in read_since(client, [topic], since_ms, progress=progress):
        try:
            yield read_dead_letter(record, signatures)
        except ValueError as error:
            yield NoLetter(record.partition, record.offset, str(error))


async def find_sent_replays(
    client: Mapping[str, Any], replays: Sequence[Replay], *, progress: OnReadProgress = no_progress
) -> dict[ReplayKey, str]:
    """Return the place of every replay on the topics of `replays` since the first of their letters.

    Raises:
        UserError: a topic is missing.
        TimeoutError: the broker returns no more records.
    """
    if not replays:
        return {}
    since_ms = max(0, min(replay.letter.written_at for replay in replays) - _SKEW_MS)
    found: dict[ReplayKey, str] = {}
    topics = sorted({replay.topic for replay in replays})
    async for record in read_since(client, topics, since_ms, progress=progress):
        if any(name == REPLAYS for name, _ in record.headers):
            mark = replay_key(record.topic, record.headers, digest(record.key, record.value))
            found.setdefault(mark, f"{record.topic} {record.partition}@{record.offset}")
    return found


class ReplaysNotAcknowledged(SpratError):
    """Kafka did not acknowledge these in time; they may have been written."""

    def __init__(self, replays: Sequence[Replay], reason: str) -> None:
        super().__init__(f"{counted(len(replays), 'replay')} not acknowledged: {reason}")
        self.replays = tuple(replays)


async def send(
    publisher: Publisher,
    replays: Sequence[Replay],
    sent: Callable[[Replay], None],
    refused: Callable[[Replay], None],
    *,
    hold_s: float = _HOLD_S,
) -> None:
    """Send the replays in order; call `sent` with each acknowledged one, `refused` with each that is too large.

    Raises:
        ReplaysNotAcknowledged: some were not acknowledged; those after them were not sent.
        Fatal: this user may not write to the topic.
    """
    for start in range(0, len(replays), _CHUNK):
        chunk = replays[start : start + _CHUNK]
        lost: Mapping[int, str] = {}
        too_large: frozenset[int] = frozenset()
        try:
            await publisher.publish([_record(replay) for replay in chunk], hold_s)
        except TooLarge as error:
            too_large = frozenset(error.places)
        except NotAcknowledged as error:
            lost = dict.fromkeys(error.places, str(error))
            too_large = frozenset(error.too_large)
        for place, replay in enumerate(chunk):
            if place in too_large:
                refused(replay)
            elif place not in lost:
                sent(replay)
        if lost:
            raise ReplaysNotAcknowledged([chunk[place] for place in lost], next(iter(lost.values())))


def _record(replay: Replay) -> OutRecord:
    letter = replay.letter
    return OutRecord(replay.topic, letter.key, letter.value, replay.headers)
