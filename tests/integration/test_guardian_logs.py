"""In which order the guardian reads its logs, so that no answer is lost and no draw closed twice."""

from collections.abc import Sequence
from typing import Any

from conftest import Kafka
from sprat.kafka.log_reader import LogReader
from sprat.kafka.publisher import OutRecord, Publisher
from sprat_contracts import KafkaRecord, ReviewClosed, Topics, decode
from sprat_guardian.results import ResultsReader
from sprat_guardian.state import GuardianState
from sprat_guardian.watch import Watch
from sprat_guardian.writing import RecordWriter
from sprat_operations.feedback import feedback_record
from support.review_logs import TOKENS, WAIT_MS, answer_to, asked_record, drawn
from support.stream import SIGNATURES, producing, read_all, settings_for


async def write(kafka: Kafka, *records: OutRecord) -> None:
    async with producing(kafka.bootstrap) as producer:
        for each in records:
            await producer.send_and_wait(each.topic, each.value, each.key, headers=list(each.headers))


async def test_a_draw_that_is_answered_while_the_guardian_starts_has_its_answer(
    kafka: Kafka, topics: Topics, monkeypatch: Any
) -> None:
    """A tier answers within milliseconds, and a start reads the closed draws of a year."""
    settings = settings_for(kafka.bootstrap, topics.prefix).kafka
    ignored: list[str] = []
    state = GuardianState(topics, SIGNATURES, lambda _: WAIT_MS, TOKENS.is_of, ignored.append)
    start = LogReader.start

    async def late(self: LogReader, since_ms: int | None = None) -> None:
        if since_ms is not None:  # the draws are read
            asked = drawn()
            await write(kafka, asked_record(asked, topics), feedback_record(answer_to(asked), topics.feedback))
        await start(self, since_ms)

    monkeypatch.setattr(LogReader, "start", late)
    publisher = Publisher(settings, "guardian")
    await publisher.start()
    results = ResultsReader(settings, SIGNATURES, state.warn)
    watch = Watch(settings, state, RecordWriter(topics, "guardian", SIGNATURES), publisher, results)
    try:
        await watch.start()
        assert await watch.round()
    finally:
        await watch.stop()
        await publisher.stop()
    (record,) = await read_all(kafka.bootstrap, topics.reviews_closed)
    assert decode(record, ReviewClosed).message.verdict == "right"
    assert ignored == []


async def test_topics_are_read_in_the_order_that_is_asked_for(kafka: Kafka, topics: Topics) -> None:
    order = (topics.reviews, topics.reviews_closed, topics.alarms)
    await write(kafka, *(OutRecord(each, b"key", b"{}", ()) for each in order))
    assert await read_by(kafka, topics, order) == [*order]
    assert await read_by(kafka, topics, order[::-1]) == [*order[::-1]]


async def read_by(kafka: Kafka, topics: Topics, order: Sequence[str]) -> list[str]:
    """Return the topics of the records that a reader takes, in turn."""
    taken: list[KafkaRecord] = []
    reader = LogReader(settings_for(kafka.bootstrap, topics.prefix).kafka, order, taken.append)
    try:
        await reader.start()
        await reader.catch_up()
    finally:
        await reader.stop()
    return [each.topic for each in taken]
