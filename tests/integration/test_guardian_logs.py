"""In which order the guardian reads its logs, so that no answer is lost and no draw closed twice."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer

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
from support.stream import SIGNATURES, eventually, producing, read_all, settings_for


async def write(kafka: Kafka, *records: OutRecord) -> None:
    async with producing(kafka.bootstrap) as producer:
        for each in records:
            await producer.send_and_wait(each.topic, each.value, each.key, headers=list(each.headers))


@asynccontextmanager
async def watching(kafka: Kafka, topics: Topics) -> AsyncIterator[tuple[Watch, GuardianState]]:
    """Start a watch, and stop it."""
    settings = settings_for(kafka.bootstrap, topics.prefix).kafka
    state = GuardianState(topics, SIGNATURES, lambda _: WAIT_MS, TOKENS.is_of)
    publisher = Publisher(settings, "guardian")
    results = ResultsReader(settings, SIGNATURES, state.warn)
    watch = Watch(settings, state, RecordWriter(topics, "guardian", SIGNATURES), publisher, results)
    await publisher.start()
    try:
        await watch.start()
        yield watch, state
    finally:
        await watch.stop()
        await publisher.stop()


async def test_a_draw_that_is_answered_while_the_guardian_starts_has_its_answer(
    kafka: Kafka, topics: Topics, monkeypatch: Any
) -> None:
    """A tier answers within milliseconds, and a start reads the closed draws of a year."""
    start = LogReader.start

    async def late(self: LogReader, since_ms: int | None = None) -> None:
        if since_ms is not None:  # the draws are read
            asked = drawn()
            await write(kafka, asked_record(asked, topics), feedback_record(answer_to(asked), topics.feedback))
        await start(self, since_ms)

    monkeypatch.setattr(LogReader, "start", late)
    async with watching(kafka, topics) as (watch, _):
        assert await watch.round()
    (record,) = await read_all(kafka.bootstrap, topics.reviews_closed)
    assert decode(record, ReviewClosed).message.verdict == "right"


async def test_what_an_open_transaction_holds_back_is_written_once(kafka: Kafka, topics: Topics) -> None:
    """Whoever may write to the topic can hold back what follows; it must not be filled meanwhile."""
    asked = drawn()
    await write(kafka, asked_record(asked, topics), feedback_record(answer_to(asked), topics.feedback))
    attacker = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=topics.prefix)
    await attacker.start()
    await attacker.begin_transaction()
    await attacker.send_and_wait(topics.reviews_closed, b"{}")
    async with watching(kafka, topics) as (watch, state):
        written = [await watch.round() for _ in range(4)]
        assert (written, state.queue.open) == ([True, False, False, False], {"intent": 1})
        await attacker.abort_transaction()

        async def is_read_back() -> bool:
            return not await watch.round() and state.queue.open == {"intent": 0}

        await eventually(is_read_back)
    await attacker.stop()
    assert len(await read_all(kafka.bootstrap, topics.reviews_closed)) == 1


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
