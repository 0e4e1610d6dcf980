"""The names by which a person asks for dead letters, and why one of them leads to none."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from sprat.errors import UserError
from sprat.kafka.clients import client_arguments
from sprat.settings import KafkaSettings
from sprat_cli.options import time_before_now
from sprat_cli.progress import read_progress
from sprat_cli.terminal import printable, remark
from sprat_operations.dead_letters import DeadLetter
from sprat_operations.replay import NoLetter, read_dead_letters
from sprat_operations.topic_reader import TopicReader

Bounds = Mapping[int, tuple[int, int]]
"""Partition of the dead letters → the first offset that is still there, and the one that is written next."""

_PLACE: Final = re.compile(r"(\d{1,9}):(\d{1,18})", re.ASCII)
_LONGEST: Final = 80


def names_of(letter: DeadLetter) -> frozenset[str]:
    """Return the names by which a letter can be asked for: its place and the text's id."""
    identity = letter.identity
    return frozenset({letter.place} if identity is None else {letter.place, identity[1]})


def not_found(names: Iterable[str], bounds: Bounds, *, chosen: bool) -> str:
    """Return for each name why there is nothing of it; `chosen`: other options may leave it out."""
    told = "; ".join(f"{printable(name, _LONGEST)}: {_why(name, bounds, chosen=chosen)}" for name in names)
    return f"{told}. `sprat dlq list` shows what there is"


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
        last = f"the newest of partition {partition} is {partition}:{end - 1}" if end > begin else "none is there"
        return f"not yet written; {last}"
    if offset < begin:
        oldest = f"; the oldest of partition {partition} is {partition}:{begin}" if end > begin else ""
        return f"past its retention{oldest}"
    return "the other options leave it out" if chosen else "what stands there is no dead letter"


# Which dead letters a command is about, and reading them.

MOST_BYTES: Final = 512 * 1024 * 1024
"""Values that are held at once."""

Reasons = Annotated[
    list[str] | None,
    typer.Option("--reason", metavar="CODE", show_default=False, help="invalid_text, model_error, …; several times."),
]
Services = Annotated[
    list[str] | None,
    typer.Option("--service", metavar="NAME", show_default=False, help="Who failed: router, intent, …; several times."),
]
Since = Annotated[
    str | None,
    typer.Option(metavar="SPAN", show_default=False, help="Written in the last 10m, 2h, 7d. [default: all]"),
]
Until = Annotated[
    str | None, typer.Option(metavar="SPAN", show_default=False, help="Written at least 10m, 2h, 7d ago.")
]


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """What a person asks for."""

    reasons: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    since_ms: int | None = None
    until_ms: int | None = None
    names: frozenset[str] = frozenset()
    """Places and text ids; none means all."""

    def takes(self, letter: DeadLetter) -> bool:
        """Return whether a letter is one of those."""
        return (
            (not self.reasons or letter.reason.code in self.reasons)
            and (not self.services or letter.reason.service in self.services)
            and (self.since_ms is None or letter.written_at >= self.since_ms)
            and (self.until_ms is None or letter.written_at <= self.until_ms)
            and (not self.names or bool(self.names & names_of(letter)))
        )


@dataclass(slots=True)
class SelectedDeadLetters:
    """What was read."""

    chosen: list[DeadLetter]
    others: list[DeadLetter]
    """Without their values."""
    unreadable: int = 0
    missing: str = ""
    """Says which of the names asked for led to none, and why; empty where each led to one."""


def choice(
    reasons: Sequence[str] | None,
    services: Sequence[str] | None,
    since: str | None,
    until: str | None,
    names: Sequence[str] | None = None,
) -> DeadLetterFilter:
    """Read the options.

    Raises:
        UserError: a span is not one, or `--until` is before `--since`.
    """
    since_ms = None if since is None else time_before_now(since, "--since")
    until_ms = None if until is None else time_before_now(until, "--until")
    if since_ms is not None and until_ms is not None and until_ms < since_ms:
        raise UserError(f"--until {until} ends before --since {since} begins: nothing is between")
    return DeadLetterFilter(
        frozenset(reasons or ()), frozenset(services or ()), since_ms, until_ms, frozenset(names or ())
    )


async def read(
    kafka: KafkaSettings, wanted: DeadLetterFilter, *, values: bool, all_of_them: bool = False
) -> SelectedDeadLetters:
    """Read the dead letters, oldest first; where `all_of_them`, from the beginning and the others too.

    Raises:
        UserError: there is no such topic, or the values are more than fits in memory.
    """
    found = SelectedDeadLetters([], [])
    held = 0
    since_ms = None if all_of_them else wanted.since_ms
    topic = kafka.topics.dead_letters
    with read_progress("dead letters") as progress:
        async for each in read_dead_letters(client_arguments(kafka), topic, since_ms, progress=progress):
            if isinstance(each, NoLetter):
                found.unreadable += 1
                remark(f"{topic} {each.partition}@{each.offset} is not readable: {printable(each.why)}")
            elif wanted.takes(each):
                held += len(each.value or b"") * values
                if held > MOST_BYTES:
                    raise UserError(f"over {MOST_BYTES // 2**20} MiB of dead letters: take fewer with --since, --until")
                found.chosen.append(each if values else each.without_value())
            elif all_of_them:
                found.others.append(each.without_value())
    found.chosen.sort(key=lambda letter: letter.written_at)
    there = frozenset[str]().union(*map(names_of, found.chosen))
    if missing := sorted(wanted.names - there):
        async with TopicReader(client_arguments(kafka)) as reader:
            bounds = await reader.bounds(topic)
        found.missing = not_found(missing, bounds, chosen=wanted != DeadLetterFilter(names=wanted.names))
    return found


def check_names(found: SelectedDeadLetters) -> None:
    """Raise where a letter was asked for that is not there.

    Raises:
        UserError: it names each, and says why.
    """
    if found.missing:
        raise UserError(found.missing)
