"""Reading dead letters, finding what was replayed before, and sending replays."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sprat.delivery import tolerant_records
from sprat.delivery.publisher import NotAcknowledged, OutRecord, Publisher, TooLarge
from sprat.errors import SpratError
from sprat.operating.dead_letters import Letter, digest, letter_of
from sprat.operating.reading import Progress, read_since, silent
from sprat.operating.replay import Mark, Replay, mark_of
from sprat_contracts.dead_letters import REPLAYS

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


async def read_letters(
    client: Mapping[str, Any], topic: str, since_ms: int | None, *, progress: Progress = silent
) -> AsyncIterator[Letter | NoLetter]:
    """Give every dead letter written at `since_ms` (epoch) or later, None: all.

    Raises:
        UserError: there is no such topic.
        TimeoutError: the broker gives nothing more.
    """
    tolerant_records.install()
    async for record in read_since(client, [topic], since_ms, progress=progress):
        try:
            yield letter_of(record)
        except ValueError as error:
            yield NoLetter(record.partition, record.offset, str(error))


async def replayed_before(
    client: Mapping[str, Any], replays: Sequence[Replay], *, progress: Progress = silent
) -> dict[Mark, str]:
    """Give the place of every replay that stands on the topics of these, since the first of their letters.

    Raises:
        UserError: a topic is missing.
        TimeoutError: the broker gives nothing more.
    """
    if not replays:
        return {}
    tolerant_records.install()
    since_ms = max(0, min(replay.letter.written_at for replay in replays) - _SKEW_MS)
    found: dict[Mark, str] = {}
    topics = sorted({replay.topic for replay in replays})
    async for record in read_since(client, topics, since_ms, progress=progress):
        if any(name == REPLAYS for name, _ in record.headers):
            mark = mark_of(record.topic, record.headers, digest(record.key, record.value))
            found.setdefault(mark, f"{record.topic} {record.partition}@{record.offset}")
    return found


class Unsent(SpratError):
    """Kafka did not acknowledge these in time; whether they stand there is not known."""

    def __init__(self, replays: Sequence[Replay], reason: str) -> None:
        super().__init__(f"{len(replays)} replays not acknowledged: {reason}")
        self.replays = tuple(replays)


async def send(
    publisher: Publisher, replays: Sequence[Replay], sent: Callable[[Replay], None], refused: Callable[[Replay], None]
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
            await publisher.publish([_record(replay) for replay in chunk], _HOLD_S)
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
            raise Unsent([chunk[place] for place in lost], next(iter(lost.values())))


def _record(replay: Replay) -> OutRecord:
    letter = replay.letter
    return OutRecord(replay.topic, letter.key, letter.value, replay.headers)
