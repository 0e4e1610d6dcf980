"""Select dead letters by options and names, and explain names that match none."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings
from sprat.base.words import printable
from sprat.kafka.clients import client_arguments
from sprat.kafka.signatures import Signatures
from sprat_operations.dead_letters import DeadLetter, without_copies
from sprat_operations.replay import NoLetter, read_dead_letters
from sprat_operations.topic_reader import ProgressOf, TopicReader, no_progress_of

Bounds = Mapping[int, tuple[int, int]]
"""Partition of the dead letters → the first offset that is still there, and the one that is written next."""

_PLACE: Final = re.compile(r"(\d{1,9}):(\d{1,18})", re.ASCII)
_LONGEST: Final = 80


def names_of(letter: DeadLetter) -> frozenset[str]:
    """Return the names of a letter: its place, those of its copies, and the text's id."""
    return frozenset({letter.place, *letter.copies, *([] if letter.text_id is None else [letter.text_id])})


def not_found(names: Iterable[str], bounds: Bounds, *, chosen: bool) -> str:
    """Return why each name matches nothing; `chosen`: other options may exclude it."""
    reasons = "; ".join(f"{printable(name, _LONGEST)}: {_why(name, bounds, chosen=chosen)}" for name in names)
    return f"{reasons}. `sprat dlq list` shows what there is"


def _why(name: str, bounds: Bounds, *, chosen: bool) -> str:
    place = _PLACE.fullmatch(name)
    if place is None:
        hidden = ", or the other options leave it out" if chosen else ""
        return f"neither PARTITION:OFFSET, as 3:17, nor the id of a text that has a dead letter here{hidden}"
    partition, offset = map(int, place.groups())
    if partition not in bounds:
        return f"no such partition; there are {len(bounds)}, from 0 on"
    begin, end = bounds[partition]
    if offset >= end:
        if end == begin:
            return f"partition {partition} has no dead letters"
        return f"not yet written; the newest of partition {partition} is {partition}:{end - 1}"
    if offset < begin:
        oldest = f"; the oldest of partition {partition} is {partition}:{begin}" if end > begin else ""
        return f"past its retention{oldest}"
    return "the other options leave it out" if chosen else "the record there is not a dead letter"


MOST_BYTES: Final = 512 * 1024 * 1024
"""The most bytes of values to hold in memory."""


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """The conditions that a dead letter must meet."""

    reasons: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    since_ms: int | None = None
    until_ms: int | None = None
    names: frozenset[str] = frozenset()
    """Places and text ids; none means all."""

    def takes(self, letter: DeadLetter) -> bool:
        """Return whether a letter meets all conditions."""
        return (
            (not self.reasons or letter.reason.code in self.reasons)
            and (not self.services or letter.reason.service in self.services)
            and (self.since_ms is None or letter.written_at >= self.since_ms)
            and (self.until_ms is None or letter.written_at <= self.until_ms)
            and (not self.names or bool(self.names & names_of(letter)))
        )


@dataclass(slots=True)
class SelectedDeadLetters:
    """The dead letters that were read."""

    chosen: list[DeadLetter]
    others: list[DeadLetter]
    """Without their values."""
    unreadable: list[str] = field(default_factory=list)
    """Records that are no dead letters: where they stand, and why."""
    missing: str = ""
    """Which names matched none, and why; empty if all matched."""


async def read(
    kafka: KafkaSettings,
    wanted: DeadLetterFilter,
    signatures: Signatures | None = None,
    *,
    values: bool,
    all_of_them: bool = False,
    progress_of: ProgressOf = no_progress_of,
) -> SelectedDeadLetters:
    """Read the dead letters, each once, oldest first; with `all_of_them` from the beginning, the others too.

    With `signatures`, each is verified.

    Raises:
        UserError: there is no such topic, or the values exceed `MOST_BYTES`.
    """
    found = SelectedDeadLetters([], [])
    held = 0
    since_ms = None if all_of_them else wanted.since_ms
    topic = kafka.topics.dead_letters
    with progress_of("dead letters") as progress:
        letters = read_dead_letters(client_arguments(kafka), topic, since_ms, signatures, progress=progress)
        async for each in letters:
            if isinstance(each, NoLetter):
                found.unreadable.append(
                    f"{topic} {each.partition}@{each.offset} is not readable: {printable(each.why)}"
                )
            elif wanted.takes(each):
                held += len(each.value or b"") * values
                if held > MOST_BYTES:
                    raise UserError(f"over {MOST_BYTES // 2**20} MiB of dead letters: take fewer with --since, --until")
                found.chosen.append(each if values else each.without_value())
            elif all_of_them:
                found.others.append(each.without_value())
    found.chosen = without_copies(found.chosen)
    there = frozenset[str]().union(*map(names_of, found.chosen))
    if missing := sorted(wanted.names - there):
        async with TopicReader(client_arguments(kafka)) as reader:
            bounds = await reader.bounds(topic)
        found.missing = not_found(missing, bounds, chosen=wanted != DeadLetterFilter(names=wanted.names))
    return found


def check_names(found: SelectedDeadLetters) -> None:
    """Raise if a name matched no dead letter.

    Raises:
        UserError: the message names each, with the reason.
    """
    if found.missing:
        raise UserError(found.missing)
