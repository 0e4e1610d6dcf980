"""`sprat review` on a real terminal and a real broker: one key a label, undo, no control character of a text."""

import asyncio
import os
import pty
import sys

import pytest

from conftest import Kafka
from sprat.kafka.publisher import OutRecord
from sprat.registry.announcements import announcement_record
from sprat_contracts import Envelope, FeedbackGiven, IntentOutput, ReviewClosed, Traceparent, decode, encode
from sprat_inference.serving import announcement
from sprat_operations.feedback import feedback_record
from sprat_operations.reviews import answer, read_waiting
from support.cli_records import environment
from support.reviews import draw_record, drawn
from support.stream import FORGED, SIGNATURES, card, eventually, made_topics, producing, read_all, settings_for

ESCAPE = "\x1b]0;owned\x07\x1b[2J"


@pytest.fixture
async def topics(kafka: Kafka, prefix: str):
    return await made_topics(settings_for(kafka.bootstrap, prefix))


async def put(kafka, *records):
    async with producing(kafka.bootstrap) as producer:
        for each in records:
            await producer.send_and_wait(each.topic, each.value, each.key, headers=each.headers)


class Sitting:
    """A person at a terminal."""

    def __init__(self, kafka, prefix, *arguments):
        self.seen = b""
        self._end, other = pty.openpty()
        self._environment = os.environ | environment(kafka.bootstrap, prefix)
        self._started = (sys.executable, "-m", "sprat_cli", "review", *arguments)
        self._other = other
        os.set_blocking(self._end, False)

    async def __aenter__(self):
        self.process = await asyncio.create_subprocess_exec(
            *self._started, stdin=self._other, stdout=self._other, stderr=self._other, env=self._environment
        )
        os.close(self._other)
        asyncio.get_running_loop().add_reader(self._end, self._read)
        return self

    async def __aexit__(self, *_):
        asyncio.get_running_loop().remove_reader(self._end)
        os.close(self._end)
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    def _read(self):
        try:
            self.seen += os.read(self._end, 65536)
        except OSError:  # it has ended
            asyncio.get_running_loop().remove_reader(self._end)

    async def press(self, key: str, until: str):
        """Press a key once a line is there, and wait for what follows it."""
        before = len(self.seen)
        os.write(self._end, key.encode())
        await eventually(lambda: until.encode() in self.seen[before:])

    async def sees(self, what: str):
        await eventually(lambda: what.encode() in self.seen, 60)


def announced_with(topics, *labels):
    return announcement_record(topics, announcement(card(labels=labels), "default"), "test", None, SIGNATURES)


async def test_a_label_is_found_by_its_beginning_however_quickly_it_is_typed(kafka, topics, prefix):
    labels = (*(f"pay_{number}" for number in range(9)), "pin_change")
    await put(kafka, announced_with(topics, *labels), draw_record(drawn("a"), topics, SIGNATURES))
    async with Sitting(kafka, prefix, "--by", "agent-17") as person:
        await person.sees("type the beginning of one of 10")
        await person.press("pin", "[pin]   1 pin_change")
        await person.press("1", "1 answers published")
    (given,) = [decode(each, FeedbackGiven).message for each in await read_all(kafka.bootstrap, topics.feedback)]
    assert given.output.label == "pin_change"


async def test_a_person_answers_with_one_key_and_takes_the_last_answer_back(kafka, topics, prefix):
    announced = announced_with(topics, "balance", "transfer")
    forged = draw_record(drawn("forged"), topics, FORGED)
    draws = [drawn("a", f"first{ESCAPE} text"), drawn("b", "second text"), drawn("c", "third text")]
    tier = drawn("t", "the tier's text", by="large")
    await put(kafka, announced, forged, *(draw_record(each, topics, SIGNATURES) for each in (*draws, tier)))
    async with Sitting(kafka, prefix, "--by", "agent-17") as person:
        await person.sees("1 balance   2 transfer   0 none   ? cannot tell")
        assert b"first" in person.seen
        assert b"the model" not in person.seen, "the model's answer is shown before the person's"
        assert ESCAPE.encode() not in person.seen
        await person.press("1", "second text")
        assert "the model said transfer" in person.seen.decode()
        await person.press("\x7f", "first")  # taken back
        await person.press("2", "second text")
        assert "as the model" in person.seen.decode()
        await person.press("?", "third text")
        await person.press("\x03", "1 still wait")
        assert await person.process.wait() == 0
    given = [decode(each, FeedbackGiven).message for each in await read_all(kafka.bootstrap, topics.feedback)]
    assert [(each.text_id, each.of, each.token, each.verdict, each.by) for each in given] == [
        ("a", "review", draws[0].token, None, "agent-17"),
        ("b", "review", draws[1].token, "cannot_tell", "agent-17"),
    ]
    assert given[0].output.label == "transfer"
    assert b"owned" not in person.seen.replace(b"]0;owned", b""), "the escape reached the terminal"


async def test_a_draw_waits_until_it_is_answered_or_closed(kafka, topics):
    draws = [drawn(each) for each in "abc"]
    closed = ReviewClosed(
        text_id="b",
        text_source="/test",
        task="intent",
        cell=draws[1].cell,
        model=None,
        says="some",
        confidence=0.9,
        hash=draws[1].hash,
        share=0.01,
        least_share=0.01,
        drawn_at=1,
        verdict="right",
    )
    value, headers = encode(closed, Envelope(id="1", source="/test", traceparent=Traceparent.root("/test", "1")))
    await put(
        kafka,
        *(draw_record(each, topics, SIGNATURES) for each in (*draws, drawn("a", "again"))),
        SIGNATURES.sign(OutRecord(topics.reviews_closed, b"intent", value, headers)),
        feedback_record(answer(draws[2], IntentOutput(label="balance"), "q"), topics.feedback),
    )
    settings = settings_for(kafka.bootstrap, topics.prefix)
    (waits,) = await read_waiting(settings.kafka)
    assert (waits.draw, waits.text) == (("/test", "a", "intent"), "please move 100 euros")
    assert await read_waiting(settings.kafka, "ner") == []
