"""What a replay sends, and what it leaves out and why. Pure: nothing is read or sent here.

A replayed record is the original one, with the same key, value, source and id, on the topic where it stood. Two
headers are added: how often it was replayed, and for whom.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sprat.errors import SpratError
from sprat.kafka.compat import install_tolerant_records
from sprat.kafka.publisher import NotAcknowledged, OutRecord, Publisher, TooLarge
from sprat_contracts import TASKS, TextSubmitted, Topics
from sprat_contracts.dead_letters import MAX_REPLAYS, REPLAY_FOR, REPLAYS, replays_of
from sprat_operations.dead_letters import DeadLetter, Headers, Subject, digest, identity_of, read_dead_letter
from sprat_operations.topic_reader import OnReadProgress, no_progress, read_since

ROUTER = "router"
FRONTIER = "frontier"
VALUE_LOST = "the value is too large to be kept"
"""How the detail of a dead letter ends that does not hold the value of the original."""

ReplayKey = tuple[str, str, int, Subject]
"""Topic, for whom, which time, and of what: the same for all replays of one letter, and for no others."""


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
        """Return which replay of this record it is, from 1."""
        return self.letter.reason.replays + 1

    @property
    def size(self) -> int:
        """Return the bytes of the record at the most."""
        return OutRecord(self.topic, self.letter.key, self.letter.value, self.headers).size

    @property
    def mark(self) -> ReplayKey:
        """Return what tells this replay from others."""
        return replay_key(self.topic, self.headers, self.letter.digest)


@dataclass(frozen=True, slots=True)
class SkippedReplay:
    """A letter that is not replayed."""

    letter: DeadLetter
    code: str
    """For machines: at_limit, value_lost, too_large, foreign_topic, unknown_service, came_back, replayed, duplicate,
    goes_to_all.
    """
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent, in the order in which the originals stood, and what is not."""

    replays: Sequence[Replay]
    left_out: Sequence[SkippedReplay]


def plan(chosen: Iterable[DeadLetter], known: Iterable[DeadLetter], topics: Topics) -> Plan:
    """Plan the replay of the chosen letters; `known` are all that are known, the later ones in particular."""
    later = _by_subject(known)
    limits = {topic.name: topic.max_batch_bytes for topic in topics.table()}
    left_out: list[SkippedReplay] = []
    replays: dict[ReplayKey, Replay] = {}
    to_all: dict[tuple[str, Subject], str] = {}
    for letter in sorted(chosen, key=_as_they_stood):
        reason = _refusal(letter, topics) or _came_back(letter, later)
        if reason is not None:
            left_out.append(SkippedReplay(letter, *reason))
            continue
        replay = _replay(letter)
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
    """Leave out what was replayed before; `sent` gives the place of each replay that stands on its topic."""
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
    """Return the mark of a replayed record; `digest` is that of its key and value."""
    known = [(name, value or b"") for name, value in headers]
    replay_for = dict(known).get(REPLAY_FOR, b"").decode("utf-8", "replace")
    return topic, replay_for, replays_of(known), (*(identity_of(known) or ("", "")), digest)


def origins(topics: Topics) -> Mapping[str, Collection[str]]:
    """Return the topics that services read, and for each the services that a replay can name."""
    return {
        topics.texts: TASKS,
        **{topics.predictions(task): () for task in TASKS},
        topics.frontier_requests: (FRONTIER,),
        topics.frontier_answers: (),
    }


def _refusal(letter: DeadLetter, topics: Topics) -> tuple[str, str] | None:
    """Return why a letter cannot be replayed, whatever else is known."""
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
    return None


def _by_subject(known: Iterable[DeadLetter]) -> dict[tuple[str, Subject], list[DeadLetter]]:
    by_subject: dict[tuple[str, Subject], list[DeadLetter]] = {}
    for letter in known:
        by_subject.setdefault((letter.reason.topic, letter.subject), []).append(letter)
    return by_subject


def _came_back(letter: DeadLetter, later: Mapping[tuple[str, Subject], Sequence[DeadLetter]]) -> tuple[str, str] | None:
    """Return whether a replay of the letter became a dead letter again: then that one is to be replayed."""
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


def _replay(letter: DeadLetter) -> Replay:
    reason = letter.reason
    replay_for = None if reason.service == ROUTER else reason.service
    headers = letter.original_headers
    if letter.is_plain_text and letter.identity is not None:
        # At its new place it would be another text.
        source, event_id = letter.identity
        headers += [
            ("ce_specversion", b"1.0"),
            ("ce_id", event_id.encode()),
            ("ce_source", source.encode()),
            ("ce_type", TextSubmitted.event_type.encode()),
        ]
    headers.append((REPLAYS, str(reason.replays + 1).encode()))
    if replay_for is not None:
        headers.append((REPLAY_FOR, replay_for.encode()))
    return Replay(letter, reason.topic, headers, replay_for)


def _as_they_stood(letter: DeadLetter) -> tuple[str, int, int, int]:
    reason = letter.reason
    return reason.topic, reason.partition, reason.offset, letter.written_at


# Reading dead letters, finding what was replayed before, and sending replays.

_CHUNK: Final = 100
_HOLD_S: Final = 20.0
_SKEW_MS: Final = 60_000
"""How far the clocks of two brokers may be apart."""


@dataclass(frozen=True, slots=True)
class NoLetter:
    """A record of the dead letters' topic that is none."""

    partition: int
    offset: int
    why: str


async def read_dead_letters(
    client: Mapping[str, Any], topic: str, since_ms: int | None, *, progress: OnReadProgress = no_progress
) -> AsyncIterator[DeadLetter | NoLetter]:
    """Return every dead letter written at `since_ms` (epoch) or later, None: all.

    Raises:
        UserError: there is no such topic.
        TimeoutError: the broker gives nothing more.
    """
    install_tolerant_records()
    async for record in read_since(client, [topic], since_ms, progress=progress):
        try:
            yield read_dead_letter(record)
        except ValueError as error:
            yield NoLetter(record.partition, record.offset, str(error))


async def find_sent_replays(
    client: Mapping[str, Any], replays: Sequence[Replay], *, progress: OnReadProgress = no_progress
) -> dict[ReplayKey, str]:
    """Return the place of every replay that stands on the topics of these, since the first of their letters.

    Raises:
        UserError: a topic is missing.
        TimeoutError: the broker gives nothing more.
    """
    if not replays:
        return {}
    install_tolerant_records()
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
        super().__init__(f"{len(replays)} replays not acknowledged: {reason}")
        self.replays = tuple(replays)


async def send(
    publisher: Publisher,
    replays: Sequence[Replay],
    sent: Callable[[Replay], None],
    refused: Callable[[Replay], None],
    *,
    hold_s: float = _HOLD_S,
) -> None:
    """Send the replays in their order; tell each that Kafka acknowledged, and each that is too large for its topic.

    Raises:
        Unsent: some were not acknowledged; what comes after them was not sent.
        Fatal: Kafka does not let us write.
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
