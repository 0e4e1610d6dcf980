"""One run of `sprat dlq replay`: what is planned, what was sent."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sprat.cli.dlq.telling import text_id
from sprat.cli.terminal import paint, printable, remark, say, say_json
from sprat.delivery.publisher import Publisher
from sprat.operating.replay import LeftOut, Plan, Replay
from sprat.operating.replaying import Unsent, send
from sprat.settings import KafkaSettings
from sprat_contracts.dead_letters import MAX_REPLAYS

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

    def show_plan_end(self) -> None:
        """Show what is left out, and say that nothing was sent."""
        self._show_left_out()
        count = len(self.planned.replays)
        if self._json:
            self._summary(sent=0, would_send=count)
        elif count:
            say(
                f"{_records(count)} would be sent, {len(self.planned.left_out):,} left out; nothing was sent: add --yes"
            )
        else:
            say(f"nothing to replay, {len(self.planned.left_out):,} left out")

    async def send(self) -> None:
        """Send all that is planned, and say what became of it, however it ends."""
        publisher = Publisher(self._kafka, "sprat-dlq")
        try:
            await publisher.start()
            await send(publisher, self.planned.replays, self._was_sent, self._was_refused)
        except Unsent as error:
            self.failed = True
            for replay in error.replays:
                self._tell("not_acknowledged", replay)
            remark(f"{error}; whether they stand there is not known: run it again, it leaves out what does")
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
            paint(f"{_records(sent)} sent", "red" if rest else "green")
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
            "too_large": self._refused,
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


def _by_code(left_out: Sequence[LeftOut]) -> str:
    counts = Counter(each.code for each in left_out)
    return ", ".join(f"{count:,} {code}" for code, count in counts.most_common())


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count:,} records"
