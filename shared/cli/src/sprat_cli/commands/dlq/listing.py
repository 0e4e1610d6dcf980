"""`sprat dlq list` and `sprat dlq count`: dead letters in words, never their values."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from sprat.kafka.signatures import Verdict
from sprat_cli.commands.dlq.options import Reasons, Services, Since, Until, choice, selected
from sprat_cli.options import Bootstrap, Json, Prefix, kafka_settings, option
from sprat_cli.render import dead_letter_json, when
from sprat_cli.terminal import columns, faint, printable, remark, say, say_json, table
from sprat_contracts.codes import ReasonCode
from sprat_operations.connection import explain_kafka_errors, reading_signatures
from sprat_operations.dead_letters import Cause, DeadLetter

SIGNED: Final[Mapping[Verdict, str]] = {"current": "yes", "previous": "yes", "unsigned": "no", "invalid": "wrong"}
"""What a dead letter's signature is, in a word."""
NEXT_STEPS: Final[Mapping[Cause, tuple[str, str]]] = {
    "record": ("the record itself is invalid", "correct it and publish it again; a replay fails again"),
    "settings": (
        "the settings or the policy do not accept it",
        "correct it and publish it again, or change them and replay it: sprat dlq replay",
    ),
    "fault": ("the service failed", "repair the cause, then replay it: sprat dlq replay"),
}
"""For each cause what it is, and what to do next."""
UNKNOWN_TASK: Final = (
    "the router knew no task that it asks for",
    "where the task has been added since, replay it: sprat dlq replay; else correct it and publish it again",
)
"""The same of a record that is invalid only until its task is added."""
_LONGEST_ID, _LONGEST_DETAIL = 40, 70


def lines(letters: Sequence[DeadLetter]) -> list[str]:
    """Return a header line, and a line for each; details are cut on a terminal alone."""
    longest = None if columns() is None else _LONGEST_DETAIL
    verified = any(letter.signed is not None for letter in letters)
    signed = ("SIGNED",) if verified else ()
    cells: list[tuple[str, ...]] = [("LETTER", "WRITTEN", *signed, "SERVICE", "REASON", "REPLAYS", "TEXT ID", "DETAIL")]
    cells += [
        (
            letter.place,
            when(letter.written_at),
            *(() if letter.signed is None else (SIGNED[letter.signed],)),
            printable(letter.reason.service, 20),
            printable(letter.reason.code, 30),
            str(letter.reason.replays),
            text_id(letter),
            printable(letter.reason.detail, longest),
        )
        for letter in letters
    ]
    head, *body = table(cells)
    return [faint(head), *body]


def next_steps(letters: Sequence[DeadLetter]) -> str:
    """Return in one line what to do next about letters, by their causes; counted where there are several causes."""
    counts = Counter(UNKNOWN_TASK if is_of_unknown_task(letter) else NEXT_STEPS[letter.cause] for letter in letters)
    parts = [
        f"{f'{counts[each]:,} × ' if len(counts) > 1 else ''}{': '.join(each)}"
        for each in (UNKNOWN_TASK, *NEXT_STEPS.values())
        if counts[each]
    ]
    return f"next: {'; '.join(parts)}"


def is_of_unknown_task(letter: DeadLetter) -> bool:
    """Return whether a record asked for no task that the router knew, which may have been added since."""
    return letter.reason.code == ReasonCode.NO_KNOWN_TASK


def text_id(letter: DeadLetter) -> str:
    """Return the printable id of the original, `-` if it has none."""
    return "-" if letter.text_id is None else printable(letter.text_id, _LONGEST_ID)


_EXITS = """\b
Exit codes:
  0  all was read
  1  a record of the topic is not a dead letter; it is named
  2  wrong usage, or Kafka cannot be reached"""
LIST = f"""\b
Examples:
  sprat dlq list --since 1h
  sprat dlq list --service intent --reason model_error --json | jq -r .letter

\b
LETTER is PARTITION:OFFSET on the dead letters' topic, the name that show and replay take; they take the text's id, too.
SIGNED is shown where SPRAT_SECRET is set: no, or wrong where the signature is not this installation's. Replay leaves
these out.

{_EXITS}"""
COUNT = f"""\b
Examples:
  sprat dlq count --since 1d
  sprat dlq count --by hour --by reason --json

{_EXITS}"""

_SHOWN = 50


class By(StrEnum):
    """A column that dead letters are counted by."""

    reason = "reason"
    service = "service"
    topic = "topic"
    hour = "hour"
    day = "day"


_KEYS: dict[By, Callable[[DeadLetter], str]] = {
    By.reason: lambda letter: letter.reason.code,
    By.service: lambda letter: letter.reason.service,
    By.topic: lambda letter: letter.reason.topic,
    By.hour: lambda letter: _local(letter).strftime("%Y-%m-%d %H:00"),
    By.day: lambda letter: _local(letter).strftime("%Y-%m-%d"),
}


def list_letters(
    *,
    reason: Reasons = None,
    service: Services = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int | None, option("N", f"The newest. [default: {_SHOWN}; with --json, all]", min=1)] = None,
    as_json_lines: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """List dead letters, a line each, oldest first: when, who failed, why, and which text. No text is shown."""
    wanted = choice(reason, service, since, until)
    kafka = kafka_settings(bootstrap, prefix)
    with explain_kafka_errors(kafka):
        found = asyncio.run(selected(kafka, wanted, reading_signatures(), values=False))
    most = limit or (len(found.chosen) if as_json_lines else _SHOWN)
    shown = found.chosen[-most:] if most else []
    if as_json_lines:
        for letter in shown:
            say_json(dead_letter_json(letter))
    elif not shown:
        say("no dead letters")
    else:
        for line in lines(shown):
            say(line)
        if len(shown) < len(found.chosen):
            remark(f"{_older(len(found.chosen) - len(shown))} not shown: --limit {len(found.chosen)}")
        remark(next_steps(shown))
    raise typer.Exit(1 if found.unreadable else 0)


def _older(count: int) -> str:
    return "1 older one is" if count == 1 else f"{count:,} older ones are"


def count_letters(
    *,
    by: Annotated[
        list[By] | None, typer.Option(show_default=False, help="Repeatable. [default: reason and service]")
    ] = None,
    reason: Reasons = None,
    service: Services = None,
    since: Since = None,
    until: Until = None,
    as_json_lines: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Count dead letters by reason and service, or by the columns of --by."""
    columns = list(dict.fromkeys(by or (By.reason, By.service)))
    wanted = choice(reason, service, since, until)
    kafka = kafka_settings(bootstrap, prefix)
    with explain_kafka_errors(kafka):
        found = asyncio.run(selected(kafka, wanted, values=False))
    counts = _counted(found.chosen, columns)
    if as_json_lines:
        for row in counts:
            say_json({"type": "dead_letters"} | row)
        say_json({"type": "total", "count": len(found.chosen), "unreadable": len(found.unreadable)})
    elif not counts:
        say("no dead letters")
    else:
        for line in _table(counts, columns, len(found.chosen)):
            say(line)
    raise typer.Exit(1 if found.unreadable else 0)


def _counted(letters: Sequence[DeadLetter], columns: Sequence[By]) -> list[dict[str, Any]]:
    """Return the counts, the largest first; in order of time if a column is a time."""
    counts: Counter[tuple[str, ...]] = Counter()
    first: dict[tuple[str, ...], int] = {}
    last: dict[tuple[str, ...], int] = {}
    for letter in letters:
        key = tuple(_KEYS[column](letter) for column in columns)
        counts[key] += 1
        first[key] = min(first.get(key, letter.written_at), letter.written_at)
        last[key] = max(last.get(key, letter.written_at), letter.written_at)
    by_time = bool({By.hour, By.day} & set(columns))
    keys = sorted(counts) if by_time else sorted(counts, key=lambda key: (-counts[key], key))
    return [
        dict(zip((column.value for column in columns), key, strict=True))
        | {"count": counts[key], "first_at": first[key], "last_at": last[key]}
        for key in keys
    ]


def _table(counts: Sequence[dict[str, Any]], columns: Sequence[By], total: int) -> list[str]:
    cells: list[tuple[str, ...]] = [(*(column.value.upper() for column in columns), "COUNT", "FIRST", "LAST")]
    cells += [
        (
            *(printable(row[column.value], 40) for column in columns),
            f"{row['count']:,}",
            when(row["first_at"]),
            when(row["last_at"]),
        )
        for row in counts
    ]
    if len(counts) > 1:
        cells.append(("all", *[""] * (len(columns) - 1), f"{total:,}", "", ""))
    head, *body = table(cells)
    return [faint(head), *body]


def _local(letter: DeadLetter) -> datetime:
    return datetime.fromtimestamp(letter.written_at / 1000).astimezone()
