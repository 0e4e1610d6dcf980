"""The publisher: what counts as acknowledged, what is sent again, and when it goes on with a new producer."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka.errors import (
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NotLeaderForPartitionError,
    OutOfOrderSequenceNumber,
    TopicAuthorizationFailedError,
)

from sprat.base.errors import Fatal
from sprat.base.settings import KafkaSettings
from sprat.kafka.publisher import Acknowledged, NotAcknowledged, OutRecord, Publisher, TooLarge


class Producer:
    """Takes records and answers when it is told to, or at once with what `answers` holds for a value."""

    def __init__(self, answers):
        self.answers = answers
        self.taken = []
        self.stopped = asyncio.Event()

    async def send(self, topic, value, key, headers):
        future = asyncio.get_running_loop().create_future()
        self.taken.append((value, future))
        answer = self.answers.get(value)
        if isinstance(answer, list):
            answer = answer.pop(0) if answer else None
        if isinstance(answer, Exception):
            future.set_exception(answer)
        elif answer is not None:
            future.set_result(SimpleNamespace(partition=0, offset=answer, timestamp=1_000))
        return future

    async def stop(self):
        self.stopped.set()


class Publishing(Publisher):
    """A publisher whose producers are of memory."""

    def __init__(self, **answers):
        super().__init__(KafkaSettings(bootstrap="127.0.0.1:1", prefix="sprat"), "test")
        self.answers = {value.encode(): answer for value, answer in answers.items()}
        self.producers = []

    async def _connect(self):
        self.producers.append(Producer(self.answers))
        return self.producers[-1]


def record(value: bytes) -> OutRecord:
    return OutRecord("sprat.texts.v1", b"k", value)


async def test_each_record_is_acknowledged_with_its_own_place():
    publisher = Publishing(a=7, b=8)
    await publisher.start()
    found = await publisher.publish([record(b"a"), record(b"b")])
    assert found == [Acknowledged(0, 7, 1_000), Acknowledged(0, 8, 1_000)]


async def test_a_record_without_an_answer_is_not_acknowledged_and_is_waited_for_instead_of_sent_again():
    publisher = Publishing(a=7)
    await publisher.start()
    records = [record(b"a"), record(b"unanswered")]
    with pytest.raises(NotAcknowledged) as raised:
        await publisher.publish(records, hold_s=0.01)
    assert raised.value.places == (1,)
    (producer,) = publisher.producers
    (_, promise) = producer.taken[-1]
    promise.set_result(SimpleNamespace(partition=0, offset=8, timestamp=1_000))
    assert await publisher.publish(records[1:]) == [Acknowledged(0, 8, 1_000)]
    assert [value for value, _ in producer.taken] == [b"a", b"unanswered"]


async def test_records_behind_one_that_the_producer_does_not_take_in_time_are_sent_by_the_next_attempt():
    publisher = Publishing(a=7, b=8, c=9)
    await publisher.start()
    (producer,) = publisher.producers
    send, free = producer.send, asyncio.Event()

    async def send_when_free(topic, value, key, headers):
        if value == b"b":
            await free.wait()
        return await send(topic, value, key, headers)

    producer.send = send_when_free
    records = [record(b"a"), record(b"b"), record(b"c")]
    with pytest.raises(NotAcknowledged) as raised:
        await publisher.publish(records, hold_s=0.01)
    assert raised.value.places == (1, 2), "what was taken before is acknowledged"
    free.set()
    assert await publisher.publish(records[1:]) == [Acknowledged(0, 8, 1_000), Acknowledged(0, 9, 1_000)]
    assert [value for value, _ in producer.taken] == [b"a", b"b", b"c"]


async def test_a_record_does_not_overtake_one_that_the_producer_does_not_take():
    publisher = Publishing(a=7, b=8)
    await publisher.start()
    (producer,) = publisher.producers
    send, failures = producer.send, [KafkaTimeoutError()]

    async def send_at_the_second_time(*arguments, **options):
        if failures:
            raise failures.pop()
        return await send(*arguments, **options)

    producer.send = send_at_the_second_time
    await publisher.publish([record(b"a"), record(b"b")])
    assert [value for value, _ in producer.taken] == [b"a", b"b"]


async def test_after_a_refused_record_a_new_producer_sends_it_and_the_old_one_is_stopped():
    publisher = Publishing(a=[OutOfOrderSequenceNumber(), 7])
    await publisher.start()
    assert await publisher.publish([record(b"a")]) == [Acknowledged(0, 7, 1_000)]
    refused, renewed = publisher.producers
    assert [value for value, _ in refused.taken] == [value for value, _ in renewed.taken] == [b"a"]
    async with asyncio.timeout(1):
        await refused.stopped.wait()
    assert not renewed.stopped.is_set()
    publisher.answers[b"b"] = 8
    await publisher.publish([record(b"b")])
    assert publisher.producers == [refused, renewed], "once"


async def test_what_a_former_producer_holds_is_not_overtaken_by_a_later_record():
    publisher = Publishing(b=8)
    await publisher.start()
    first, second = record(b"a"), record(b"b")
    with pytest.raises(NotAcknowledged):
        await publisher.publish([first], hold_s=0)
    publisher.answers[b"other"] = [OutOfOrderSequenceNumber(), 6]
    await publisher.publish([record(b"other")])
    former, renewed = publisher.producers
    publishing = asyncio.create_task(publisher.publish([first, second]))
    await asyncio.sleep(0.01)
    assert [value for value, _ in renewed.taken] == [b"other"], "b before a is answered"
    publisher.answers[b"a"] = 7
    former.taken[0][1].set_exception(OutOfOrderSequenceNumber())
    assert await publishing == [Acknowledged(0, 7, 1_000), Acknowledged(0, 8, 1_000)]
    assert [value for value, _ in renewed.taken] == [b"other", b"a", b"b"]


async def test_of_a_failed_attempt_only_the_refused_record_is_sent_again():
    publisher = Publishing(a=7, b=[OutOfOrderSequenceNumber(), 8])
    await publisher.start()
    assert await publisher.publish([record(b"a"), record(b"b")]) == [
        Acknowledged(0, 7, 1_000),
        Acknowledged(0, 8, 1_000),
    ]
    assert [[value for value, _ in producer.taken] for producer in publisher.producers] == [[b"a", b"b"], [b"b"]]


async def test_what_is_too_large_is_named_and_not_tried_again():
    publisher = Publishing(a=7, large=MessageSizeTooLargeError())
    await publisher.start()
    with pytest.raises(TooLarge) as raised:
        await publisher.publish([record(b"a"), record(b"large")])
    assert list(raised.value.places) == [1]
    assert len(publisher.producers[0].taken) == 2


async def test_what_may_not_be_written_is_fatal_at_once():
    publisher = Publishing(a=TopicAuthorizationFailedError())
    await publisher.start()
    with pytest.raises(Fatal, match="does not let this service write"):
        await publisher.publish([record(b"a")])


async def test_a_stop_waits_until_the_producer_has_sent_what_it_has():
    publisher = Publishing()
    await publisher.start()
    await publisher.stop()
    assert publisher.producers[0].stopped.is_set()


class Refusing(Publisher):
    """Ends every attempt with one error for each record."""

    def __init__(self, *errors: BaseException) -> None:
        super().__init__(KafkaSettings(), "test")
        self._errors = errors

    async def _send(self, records, deadline):
        return list(self._errors)


async def test_each_reason_is_named_once():
    publisher = Refusing(NotLeaderForPartitionError(), KafkaTimeoutError(), KafkaTimeoutError())
    with pytest.raises(NotAcknowledged) as refused:
        await publisher.publish([OutRecord("t", None, b"x")] * 3, hold_s=0)
    assert str(refused.value) == "3 records not acknowledged: KafkaTimeoutError, NotLeaderForPartitionError"
    assert refused.value.places == (0, 1, 2)
