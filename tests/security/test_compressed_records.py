"""A small record that unpacks to a large one ends as one dead letter, and stops neither the broker nor a reader."""

import pytest
from aiokafka.errors import UnknownError

from conftest import Kafka, Redis
from sprat_operations.topic_reader import read_since
from support.compressed import CODECS, SNAPPY, bomb, forged_snappy
from support.stream import send_batches
from support.system import System, whole_system

TEXT = {"text": "what is my balance", "tasks": {"intent": {}}, "language": "en"}


async def answered(system: System) -> None:
    place = await system.submit(TEXT)
    result = await system.result(place)
    assert (result.status, result.output.label) == ("answered", "balance")


async def test_records_that_unpack_to_much_more_end_as_dead_letters(
    kafka: Kafka, redis_server: Redis, prefix: str
) -> None:
    async with whole_system(kafka.bootstrap, redis_server.url, prefix) as system:
        await answered(system)
        bombs = [bomb(codec, 30_000_000, key=b"customer 7") for codec in CODECS]
        assert max(map(len, bombs)) < 1024 * 1024, "the limit of the topic applies to what is compressed"
        places = await send_batches(kafka.bootstrap, system.topics.texts, bombs)
        await answered(system)
        for place, codec in zip(places, CODECS, strict=True):
            record, reason = await system.letter(place)
            assert (reason.code, reason.service) == ("too_large", "router")
            assert "unpacked" in reason.detail
            assert (record.value, record.key) == (b"", None if codec == SNAPPY else b"customer 7")
        await system.settled()
        assert len(system.letters) == len(bombs)
        read = [
            record async for record in read_since({"bootstrap_servers": kafka.bootstrap}, [system.topics.texts], None)
        ]
        assert len(read) == 2 + len(bombs), "and the commands' reader passes them as well"


async def test_a_size_that_is_only_claimed_is_refused_by_the_broker_which_goes_on(
    kafka: Kafka, redis_server: Redis, prefix: str
) -> None:
    async with whole_system(kafka.bootstrap, redis_server.url, prefix) as system:
        for size in (150_000_000, 2**31 - 1):
            with pytest.raises(UnknownError):
                await send_batches(kafka.bootstrap, system.topics.texts, [forged_snappy(size)])
        await answered(system)
