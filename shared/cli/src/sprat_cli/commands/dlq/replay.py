"""`sprat dlq replay`: send the originals again, to the services that could not handle them."""

import asyncio
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from sprat.base.settings import KafkaSettings
from sprat.base.words import counted
from sprat.kafka.clients import client_arguments
from sprat.kafka.publisher import Publisher
from sprat.kafka.signatures import Signatures
from sprat_cli.commands.dlq.listing import is_of_unknown_task, text_id
from sprat_cli.commands.dlq.options import Reasons, Services, Since, Until, choice, selected
from sprat_cli.options import Bootstrap, Json, Prefix, argument, kafka_settings
from sprat_cli.progress import read_progress
from sprat_cli.terminal import paint, printable, remark, say, say_json
from sprat_contracts.dead_letters import MAX_REPLAYS
from sprat_operations.connection import explain_kafka_errors, reading_signatures, writing_signatures
from sprat_operations.dead_letter_selection import DeadLetterFilter, check_names, names_of
from sprat_operations.replay import (
    Plan,
    Replay,
    ReplaysNotAcknowledged,
    SkippedReplay,
    find_sent_replays,
    plan,
    send,
    skip_sent,
)

_SHOWN = 20


class Run:
    """Shows the plan, sends it, and counts."""

    def __init__(self, kafka: KafkaSettings, planned: Plan, *, as_json: bool) -> None:
        self.planned = planned
        self.failed = False
        self._kafka = kafka
        self._json = as_json
        self._sent: Counter[str] = Counter()
        self._refused = 0

    def show_plan(self) -> None:
        """Show what would be sent."""
        for replay in self.planned.replays if self._json else self.planned.replays[:_SHOWN]:
            self._tell("would_replay", replay)
        if not self._json and len(self.planned.replays) > _SHOWN:
            say(f"… and {len(self.planned.replays) - _SHOWN:,} more: {_by_reason(self.planned)}")

    def warn(self) -> None:
        """Warn of records that will fail again; with --json the summary counts them."""
        count = self._invalid
        if count and not self._json:
            why = "the record itself is invalid" if count == 1 else "the records themselves are invalid"
            rest = "correct and publish again, sprat dlq list shows what is wrong"
            remark(f"{count:,} of {counted(len(self.planned.replays), 'record')} will fail again: {why}; {rest}")
        unknown = sum(is_of_unknown_task(replay.letter) for replay in self.planned.replays)
        if unknown and not self._json:
            of = counted(len(self.planned.replays), "record")
            remark(
                f"{unknown:,} of {of} asked for no task that the router knew: will fail again unless the task has been "
                "added since, and router and frontier restarted"
            )

    @property
    def _invalid(self) -> int:
        return sum(
            replay.letter.cause == "record" and not is_of_unknown_task(replay.letter) for replay in self.planned.replays
        )

    def show_plan_end(self) -> None:
        """Show what is left out, and that nothing was sent."""
        self._show_left_out()
        count = len(self.planned.replays)
        if self._json:
            self._summary(sent=0, would_send=count)
        elif count:
            left_out = len(self.planned.left_out)
            say(f"{counted(count, 'record')} would be sent, {left_out:,} left out; nothing was sent: add --yes")
        else:
            say(f"nothing to replay, {len(self.planned.left_out):,} left out")

    async def send(self) -> None:
        """Send all that is planned, and print the outcome even if it fails."""
        publisher = Publisher(self._kafka, "sprat-dlq")
        try:
            await publisher.start()
            await send(publisher, self.planned.replays, self._was_sent, self._was_refused)
        except ReplaysNotAcknowledged as error:
            self.failed = True
            for replay in error.replays:
                self._tell("not_acknowledged", replay)
            remark(f"{error}; they may have been written: run it again, it leaves out those that were")
        finally:
            await publisher.stop()
            self._show_left_out()
            self._say_end()

    def _was_sent(self, replay: Replay) -> None:
        self._sent[replay.replay_for or "all"] += 1
        if self._json or len(self.planned.replays) <= _SHOWN:
            self._tell("replayed", replay)

    def _was_refused(self, replay: Replay) -> None:
        self.failed = True
        self._refused += 1
        self._tell("too_large", replay)

    def _say_end(self) -> None:
        sent = self._sent.total()
        if self._json:
            self._summary(sent=sent, would_send=len(self.planned.replays))
            return
        whom = ", ".join(f"{count:,} for {printable(name)}" for name, count in self._sent.most_common())
        rest = len(self.planned.replays) - sent
        say(
            paint(f"{counted(sent, 'record')} sent", "red" if rest else "green")
            + (f" ({whom})" if whom else "")
            + (f", {rest:,} not sent" if rest else "")
            + f", {len(self.planned.left_out):,} left out; `sprat watch --dead-letters` shows what comes of it"
        )

    def _show_left_out(self) -> None:
        for each in self.planned.left_out:
            if self._json:
                say_json({"type": "left_out", **_json(each.letter.place), "code": each.code, "why": each.why})
        if self._json:
            return
        for each in self.planned.left_out[:_SHOWN]:
            say(f"{paint('left out', 'yellow')}  {each.letter.place}  {printable(each.why)}")
        rest = self.planned.left_out[_SHOWN:]
        if rest:
            say(f"… and {len(rest):,} more: {_by_code(rest)}")

    def _summary(self, *, sent: int, would_send: int) -> None:
        counts = {
            "planned": would_send,
            "sent": sent,
            "left_out": len(self.planned.left_out),
            "left_out_by": Counter(each.code for each in self.planned.left_out),
            "too_large": self._refused,
            "invalid": self._invalid,
        }
        say_json({"type": "summary", **counts, "sent_for": dict(self._sent)})

    def _tell(self, what: str, replay: Replay) -> None:
        letter = replay.letter
        if self._json:
            place = {"topic": replay.topic, "replay_for": replay.replay_for, "replay": replay.number}
            source, event_id = letter.identity or (None, None)
            say_json({"type": what, **_json(letter.place), **place, "text_id": event_id, "text_source": source})
            return
        words = what.replace("_", " ")
        colour = {"replayed": "green", "would_replay": "yellow"}.get(what, "red")
        say(
            f"{paint(words, colour)}  {letter.place}  {printable(letter.reason.code)}  → {printable(replay.topic)} for "
            f"{replay.replay_for or 'all'}, replay {replay.number} of {MAX_REPLAYS}  · {text_id(letter)}"
        )


def _json(place: str) -> Mapping[str, Any]:
    return {"letter": place}


def _by_reason(planned: Plan) -> str:
    counts = Counter((replay.letter.reason.code, replay.replay_for or "all") for replay in planned.replays)
    return ", ".join(f"{count:,} {printable(code)} for {whom}" for (code, whom), count in counts.most_common())


def _by_code(left_out: Sequence[SkippedReplay]) -> str:
    counts = Counter(each.code for each in left_out)
    return ", ".join(f"{count:,} {code}" for code, count in counts.most_common())


EPILOG = """\b
Examples:
  sprat dlq replay 3:17
  sprat dlq replay --service intent --reason model_error --since 2h --yes
  sprat dlq replay --reason defect --yes --at-most 5000 --json

\b
Fix the service first. Without --yes, it shows what would be sent, and on a terminal asks for confirmation. An original
goes to its original topic, unchanged and with its id, for the service that failed; what the router rejected goes to
all. Left out and named: what was replayed 3 times, what was replayed before (--again sends it), what came back as a
newer dead letter, duplicates, incomplete records. To find out what was replayed before, the topics are read since the
first of these dead letters. Records that are themselves invalid (invalid_text, invalid_json, …) fail again, unless
another version accepts them: they are sent, and counted beforehand (`invalid` in the summary of --json).

\b
SPRAT_SECRET must be that of the services: they take a replay that is not signed with it for a first record.
Dead letters whose signature is missing or wrong are left out: no service of this installation has written them. So are
predictions, requests and answers without their own signature. Those that a version without signatures has written are
sent with SPRAT_UNSIGNED_RECORDS=accept, also at the services.

\b
Consumers keep the first result with an output, so a text that was answered meanwhile does not change.

\b
Exit codes:
  0  sent, or shown what would be
  1  one that was named was not sent; or Kafka did not acknowledge all: each is listed
  2  wrong usage, or Kafka cannot be reached"""

_ASK_ABOVE = 100


def replay(
    names: Annotated[list[str] | None, argument("[PARTITION:OFFSET|TEXT_ID...]", "These. [default: all]")] = None,
    *,
    reason: Reasons = None,
    service: Services = None,
    since: Since = None,
    until: Until = None,
    yes: Annotated[bool, typer.Option("--yes", help="Send, without asking.")] = False,
    at_most: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="With --yes: if there are more, ask, or without a terminal send none."),
    ] = _ASK_ABOVE,
    again: Annotated[bool, typer.Option("--again", help="Also what was replayed before, as far as is known.")] = False,
    as_json_lines: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Replay dead letters: all that match the options, or those that are named. Show first what would be sent."""
    wanted = choice(reason, service, since, until, names)
    kafka = kafka_settings(bootstrap, prefix)
    signatures = writing_signatures() if yes else reading_signatures()
    with explain_kafka_errors(kafka):
        planned = asyncio.run(_plan(kafka, wanted, signatures, again=again))
        run = Run(kafka, planned, as_json=as_json_lines)
        asks = sys.stdin.isatty() and not as_json_lines and signatures is not None
        agreed = bool(planned.replays) and _agreed(run, yes=yes, at_most=at_most, asks=asks)
        if agreed:
            asyncio.run(run.send())
        else:
            run.show_plan_end()
    covered = frozenset[str]().union(*(names_of(each.letter) for each in planned.replays))
    raise typer.Exit(1 if run.failed or wanted.names - covered else 0)


async def _plan(kafka: KafkaSettings, wanted: DeadLetterFilter, signatures: Signatures | None, *, again: bool) -> Plan:
    found = await selected(kafka, wanted, signatures, values=True, all_of_them=True)
    check_names(found)
    planned = plan(found.chosen, [*found.chosen, *found.others], kafka.topics, signatures)
    if again or not planned.replays:
        return planned
    with read_progress("replayed before?") as progress:
        return skip_sent(planned, await find_sent_replays(client_arguments(kafka), planned.replays, progress=progress))


def _agreed(run: Run, *, yes: bool, at_most: int, asks: bool) -> bool:
    """Return whether to send: `yes` and not too many, or the user confirmed, where it `asks`."""
    count = len(run.planned.replays)
    if yes and count <= at_most:
        run.warn()
        return True
    run.show_plan()
    run.warn()
    if not asks:
        if yes:
            remark(f"{count:,} are more than {at_most:,}: nothing was sent; --at-most {count} sends them")
        return False
    if count <= _ASK_ABOVE:
        return typer.confirm(f"Send {'it' if count == 1 else f'these {count}'}?", err=True)
    return str(typer.prompt(f"These are {count:,}. To send them, type the number", err=True)).replace(",", "") == str(
        count
    )
