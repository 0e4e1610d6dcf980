"""Publishing texts and waiting for their results, as `sprat send` does."""

import asyncio
import time
from collections.abc import Awaitable, Mapping, Sequence

from sprat.base.errors import UserError
from sprat.base.model import display_name
from sprat.base.settings import KafkaSettings
from sprat.kafka.publisher import Acknowledged, NotAcknowledged, OutRecord, Publisher, TooLarge
from sprat_cli.commands.send.submission import Submission
from sprat_cli.render import dead_letter, dead_letter_json, result_json, result_lines
from sprat_cli.terminal import paint, printable, remark, say, say_json
from sprat_contracts import Traceparent
from sprat_operations.result_stream import ResultStream, Seen, SeenDeadLetter, StoredResult, UnreadableRecord

_CHUNK = 200
_POLL_S = 0.25
_ROUTER = "router"
_SIBLINGS_GO_ON = "unknown_task"


class SendRun:
    """One run of the command: publishes the texts and waits for their results."""

    def __init__(self, kafka: KafkaSettings, submissions: Sequence[Submission], *, as_json: bool) -> None:
        self._kafka = kafka
        self._submissions = submissions
        self._json = as_json
        self._by_trace = {each.trace_id: each for each in submissions}
        self._models = {
            (each.envelope.id, task): options.model
            for each in submissions
            for task, options in each.message.tasks.known_to(kafka.topics.tasks).items()
        }
        """Text and task → the requested model, which a Result does not hold."""
        self._awaited = set(self._models)
        self._all_answered = True
        self._masked = False
        """Whether values of a text that was shown were masked on its way to a provider."""
        self._publisher = Publisher(kafka, "sprat-send")

    async def only_publish(self) -> bool:
        """Publish and print the place of each record."""
        try:
            await self._publisher.start()
            for each, record in zip(self._submissions, await self._publish(), strict=True):
                self._show_sent(each, record)
        finally:
            await self._publisher.stop()
        return True

    async def run(self, timeout_s: float) -> bool:
        """Subscribe, publish, and show results until all is answered; return whether all was."""
        tasks = sorted({task for _, task in self._awaited})
        stream = ResultStream(self._kafka, tasks, dead_letters=True, wanted=self._is_ours)
        publishing = None
        try:
            await _both(self._publisher.start(), stream.start())
            publishing = asyncio.create_task(self._publish())
            await self._follow(stream, publishing, timeout_s)
        finally:
            if publishing is not None:
                publishing.cancel()
                await asyncio.gather(publishing, return_exceptions=True)
            await asyncio.gather(self._publisher.stop(), stream.stop())
        for pair in sorted(self._awaited):
            self._show_missing(*pair, timeout_s)
        if self._masked and not self._json:
            remark("`sprat mask TEXT` shows what is masked of a text; nothing is sent")
        return self._all_answered and not self._awaited

    async def _follow(
        self, stream: ResultStream, publishing: asyncio.Task[list[Acknowledged]], timeout_s: float
    ) -> None:
        last = time.monotonic()
        while self._awaited and time.monotonic() - last < timeout_s:
            taken = [self._take(seen) for seen in await stream.read(_POLL_S)]
            if any(taken) or not publishing.done():
                last = time.monotonic()
            if publishing.done():
                publishing.result()
        await publishing

    async def _publish(self) -> list[Acknowledged]:
        topic = self._kafka.topics.texts
        records = [OutRecord(topic, each.key, each.value, each.headers) for each in self._submissions]
        done: list[Acknowledged] = []
        try:
            for start in range(0, len(records), _CHUNK):
                done += await self._publisher.publish(records[start : start + _CHUNK])
        except TooLarge as error:
            raise UserError(f"the broker takes no record so large: {error}") from None
        except NotAcknowledged as error:
            raise UserError(f"Kafka at {self._kafka.bootstrap}: {error}; is there a topic {topic}?") from None
        return done

    def _is_ours(self, headers: Mapping[str, str]) -> bool:
        """Return whether a record belongs to this run, before it is decoded."""
        traceparent = Traceparent.parse(headers.get("traceparent"))
        return traceparent is not None and traceparent.trace_id in self._by_trace

    def _take(self, seen: Seen) -> bool:
        """Show a record of this run; return whether it was one."""
        if isinstance(seen, UnreadableRecord):
            remark(f"{seen.topic} {seen.partition}@{seen.offset} is not readable: {seen.why}")
            return False
        submission = self._by_trace.get(seen.trace_id or "")
        if submission is None:
            return False
        if isinstance(seen, SeenDeadLetter):
            self._take_dead_letter(seen, submission)
            return True
        pair = (seen.result.text_id, seen.result.task)
        if pair not in self._awaited:  # a redelivery: the first one counts
            return False
        self._awaited.discard(pair)
        self._all_answered &= seen.result.output is not None
        sent = (seen.result.egress, *(step.egress for step in seen.result.tiers))
        self._masked |= any(each.masked for each in sent if each is not None)
        self._show_result(seen, submission)
        return True

    def _take_dead_letter(self, seen: SeenDeadLetter, submission: Submission) -> None:
        """Show a dead letter; stop waiting if the router rejected the text, else its Results still come."""
        self._all_answered = False
        if seen.reason.service == _ROUTER and seen.reason.code != _SIBLINGS_GO_ON:
            self._awaited = {pair for pair in self._awaited if pair[0] != submission.envelope.id}
        if self._json:
            say_json(dead_letter_json(seen.letter))
        else:
            say(dead_letter(seen.letter))

    def _show_result(self, seen: StoredResult, submission: Submission) -> None:
        task, model = seen.result.task, self._models[seen.result.text_id, seen.result.task]
        if self._json:
            say_json({**result_json(seen), "asked_model": model, **_line_of(submission)})
            return
        about = f"“{printable(submission.message.text, 40)}”" if len(self._submissions) > 1 else ""
        for line in result_lines(seen, about, display_name(task, model)):
            say(line)

    def _show_sent(self, each: Submission, record: Acknowledged) -> None:
        place = {"topic": self._kafka.topics.texts, "partition": record.partition, "offset": record.offset}
        names = {"text_id": each.envelope.id, "text_source": each.envelope.source, "trace_id": each.trace_id}
        if self._json:
            say_json({"type": "sent", **names, **place, "appended_at": record.timestamp_ms, **_line_of(each)})
        else:
            say(f"sent {each.envelope.id} to {place['topic']} {record.partition}@{record.offset} trace {each.trace_id}")

    def _show_missing(self, id: str, task: str, timeout_s: float) -> None:
        model = self._models[id, task]
        if self._json:
            say_json({"type": "missing", "text_id": id, "task": task, "asked_model": model, "waited_s": timeout_s})
        else:
            words = f"no result within {timeout_s:g} s; `sprat doctor` says whether a service is missing"
            say(f"{display_name(task, model):11}  {paint(words, 'red')}  text {id}")


def _line_of(submission: Submission) -> dict[str, int]:
    """Return the line that a text stands in, for JSON; nothing where it is no line of several."""
    return {} if submission.line is None else {"line": submission.line}


async def _both(*starting: Awaitable[None]) -> None:
    """Wait for all, so that none is left running when another fails."""
    for outcome in await asyncio.gather(*starting, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
