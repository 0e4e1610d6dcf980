"""Reading a topic as a log on a real broker: to exact ends, from a time, and anew where it was made anew."""

import asyncio

from conftest import Kafka
from sprat.kafka.log_reader import LogReader
from sprat_contracts import Topics
from support.stream import publish, read_all, settings_for


async def test_a_reading_ends_exactly_at_its_ends_and_the_next_one_goes_on_there(kafka: Kafka, topics: Topics) -> None:
    """An answer that is appended meanwhile must not be taken before the draw that it answers."""
    taken: list[bytes] = []
    reader = LogReader(
        settings_for(kafka.bootstrap, topics.prefix).kafka, (topics.feedback,), lambda r: taken.append(r.value)
    )
    await publish(kafka.bootstrap, topics.feedback, [b"1", b"2"], partition=0)
    await reader.start()
    try:
        ends = await reader.ends()
        await publish(kafka.bootstrap, topics.feedback, [b"3", b"4"], partition=0)
        await reader.catch_up(ends=ends)
        assert taken == [b"1", b"2"]
        await reader.catch_up()
        await reader.catch_up()
        assert taken == [b"1", b"2", b"3", b"4"]
    finally:
        await reader.stop()


async def test_a_reading_from_a_time_begins_with_what_was_appended_then(kafka: Kafka, topics: Topics) -> None:
    await publish(kafka.bootstrap, topics.feedback, [b"1"], partition=0)
    await asyncio.sleep(0.01)
    await publish(kafka.bootstrap, topics.feedback, [b"2"], partition=0)
    first, second = await read_all(kafka.bootstrap, topics.feedback)
    for since_ms, expected in ((second.timestamp, [b"2"]), (second.timestamp + 1, []), (first.timestamp, [b"1", b"2"])):
        taken: list[bytes] = []
        kafka_settings = settings_for(kafka.bootstrap, topics.prefix).kafka
        reader = LogReader(kafka_settings, (topics.feedback,), lambda record, to=taken: to.append(record.value))
        await reader.start(since_ms)
        try:
            await reader.catch_up()
        finally:
            await reader.stop()
        assert taken == expected
