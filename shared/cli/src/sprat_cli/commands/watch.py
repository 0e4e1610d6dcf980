"""`sprat watch`: follow results and dead letters live."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Protocol

import typer

from sprat.base.errors import UserError
from sprat_cli.options import (
    Bootstrap,
    Json,
    Prefix,
    complete_task,
    kafka_settings,
    known_task,
    option,
    time_before_now,
)
from sprat_cli.render import (
    TASK_COLUMNS,
    asked,
    brief_dead_letter,
    brief_result,
    dead_letter,
    dead_letter_json,
    result_json,
    result_line,
    text_line,
)
from sprat_cli.terminal import columns, remark, say, say_json
from sprat_contracts import BUILT_IN
from sprat_operations.connection import explain_kafka_errors
from sprat_operations.dead_letters import DeadLetter
from sprat_operations.result_stream import ResultStream, Seen, StoredResult, TextLookup, UnreadableRecord

EPILOG = """\b
Examples:
  sprat watch
  sprat watch -v --since 1h
  sprat watch --task intent --status unanswered --status degraded --since 10m
  sprat watch --dead-letters --since 1d --json | jq .code
  sprat watch --since 1d --timeout 5 --json > results.jsonl
  sprat watch --status degraded --since 1h --with-text

\b
A line: time, status, task (intent@hr where the text asked for the model hr), answer, how sure, milliseconds, and the
text's id where the terminal is wide enough. A line is cut to the terminal's width; nothing is cut with -v and --json,
and where the output is no terminal. The code in brackets says why an answer is degraded. With -v also: model ·
kept or escalated and why · what the small model and each tier said · who received the text · cost · tenant · trace id.
Texts are shown only with --with-text, each below its result: it is read from the topic of texts, which this user must
be allowed to read, and it is said where it is no longer there.

\b
Exit codes:
  0  ended by Ctrl-C, which is how following ends, or after --count or --timeout
  2  wrong usage, or Kafka cannot be reached"""

_POLL_S = 1.0
_ASK_EVERY_S, _ASK_S = 2.0, 3.0


class BrokerProbe(Protocol):
    """Checks whether Kafka answers."""

    async def answers(self, timeout_s: float) -> bool:
        """Return whether Kafka answers in time."""
        ...


class _Form(StrEnum):
    """How a line is written."""

    BRIEF = "brief"
    LONG = "long"
    JSON = "json"


class Status(StrEnum):
    """How a text ended."""

    answered = "answered"
    degraded = "degraded"
    unanswered = "unanswered"


def watch(
    *,
    task: Annotated[
        list[str] | None,
        option(
            "TASK",
            f"{', '.join(BUILT_IN)}, or one from a file; can be repeated.",
            parser=known_task,
            autocompletion=complete_task,
        ),
    ] = None,
    tenant: Annotated[str | None, option("NAME", "Only results of this tenant.")] = None,
    status: Annotated[list[Status] | None, option("STATUS", "answered, degraded, unanswered; can be repeated.")] = None,
    since: Annotated[str | None, option("SPAN", "Start this long ago: 30s, 10m, 2h, 7d.")] = None,
    count: Annotated[int | None, option("N", "End after so many lines.", min=1)] = None,
    timeout: Annotated[float | None, option("SECONDS", "End when no line has come for this long.", min=0.1)] = None,
    dead_letters: Annotated[bool, typer.Option("--dead-letters", help="Show dead letters instead of results.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show all of each result: model, route, cost, tenant, trace.")
    ] = False,
    with_text: Annotated[bool, typer.Option("--with-text", help="Show the text of each result, too.")] = False,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Follow the results, or the dead letters, live, a line each, until Ctrl-C."""
    if dead_letters and (task or tenant is not None or status):
        raise UserError("--dead-letters shows no results: --task, --tenant and --status say which results")
    if dead_letters and with_text:
        raise UserError("--with-text is for results; `sprat dlq show` shows the record of a dead letter")
    since_ms = None if since is None else time_before_now(since)
    statuses = {each.value for each in status or ()}
    kafka = kafka_settings(bootstrap, prefix)

    def wanted(headers: Mapping[str, str]) -> bool:
        return (tenant is None or headers.get("ce_tenant") == tenant) and (
            not statuses or headers.get("ce_status") in statuses
        )

    tasks = () if dead_letters else task or tuple(kafka.topics.tasks)
    stream = ResultStream(kafka, tasks, dead_letters=dead_letters, wanted=wanted, without_new=not task)
    form = _Form.JSON if as_json else _Form.LONG if verbose else _Form.BRIEF
    with explain_kafka_errors(kafka):
        try:
            lookup = TextLookup(kafka) if with_text else None
            asyncio.run(_follow(stream, kafka.bootstrap, since_ms, Limits(count, timeout), form, lookup))
        except KeyboardInterrupt:
            raise typer.Exit(0) from None


@dataclass(frozen=True, slots=True)
class Limits:
    """When following ends; None: not by this."""

    count: int | None
    """After so many lines."""
    silence_s: float | None
    """When no line has come for this long."""

    def __str__(self) -> str:
        """Return how it ends, for the user."""
        ends = [] if self.count is None else [f"after {self.count:,}"]
        if self.silence_s is not None:
            ends.append(f"when nothing came for {self.silence_s:g} s")
        return f"ends {' or '.join(ends)}" if ends else "Ctrl-C ends"


async def _follow(
    stream: ResultStream,
    bootstrap: str,
    since_ms: int | None,
    limits: Limits,
    form: "_Form",
    lookup: TextLookup | None,
) -> None:
    probing = None
    try:
        await stream.start(since_ms)
        if lookup is not None:
            await lookup.start()
        if stream.left_out:
            made = "`sprat topics create`, or a restart of your `sprat up`, makes it"
            remark(f"not followed: {', '.join(stream.left_out)}, which is not there yet; {made}")
        if form is not _Form.JSON:
            remark(f"following; {limits}")
        probing = asyncio.create_task(report_outages(stream, bootstrap))
        await _show_all(stream, limits, form, lookup)
    finally:
        if probing is not None:
            probing.cancel()
        if lookup is not None:
            await lookup.stop()
        await stream.stop()


async def _show_all(stream: ResultStream, limits: Limits, form: "_Form", lookup: TextLookup | None) -> None:
    shown, last, printer = 0, time.monotonic(), _Printer(form, lookup)
    while limits.silence_s is None or time.monotonic() - last < limits.silence_s:
        for seen in await stream.read(_POLL_S if limits.silence_s is None else min(_POLL_S, limits.silence_s)):
            if await printer.show(seen):
                shown, last = shown + 1, time.monotonic()
            if shown == limits.count:
                return


async def report_outages(stream: BrokerProbe, bootstrap: str, *, ask_every_s: float = _ASK_EVERY_S) -> None:
    """Print one line on stderr when Kafka stops answering, and one when it answers again."""
    answered = True
    while True:
        await asyncio.sleep(ask_every_s)
        answers = await stream.answers(_ASK_S)
        if answered and not answers:
            remark(f"Kafka at {bootstrap} does not answer, waiting")
        elif answers and not answered:
            remark(f"Kafka at {bootstrap} answers again")
        answered = answers


@dataclass(slots=True)
class _Printer:
    """Prints what is seen; the column of tasks grows with the longest name so far."""

    form: _Form
    lookup: TextLookup | None
    task_columns: int = TASK_COLUMNS

    async def show(self, seen: Seen) -> bool:
        """Print it, with the text of a result where a lookup is given; return whether it was a result or a letter."""
        if isinstance(seen, UnreadableRecord):
            remark(f"{seen.topic} {seen.partition}@{seen.offset} is not readable: {seen.why}")
            return False
        if not isinstance(seen, StoredResult):
            self._show_letter(seen.letter)
        elif self.lookup is not None:
            await self._show_with_text(seen, self.lookup)
        elif self.form is _Form.JSON:
            say_json(result_json(seen))
        else:
            say(self._line(seen))
        return True

    def _show_letter(self, letter: DeadLetter) -> None:
        match self.form:
            case _Form.JSON:
                say_json(dead_letter_json(letter))
            case _Form.LONG:
                say(dead_letter(letter))
            case _Form.BRIEF:
                say(brief_dead_letter(letter, columns()))

    def _line(self, seen: StoredResult) -> str:
        if self.form is _Form.LONG:
            return result_line(seen)
        self.task_columns = max(self.task_columns, len(asked(seen.result)))
        return brief_result(seen, columns(), self.task_columns)

    async def _show_with_text(self, seen: StoredResult, lookup: TextLookup) -> None:
        text = await lookup.text_of(seen.result)
        if self.form is _Form.JSON:
            say_json({**result_json(seen), "text": text})
            return
        say(self._line(seen))
        say(text_line(text, lookup.topic, columns() if self.form is _Form.BRIEF else None))
