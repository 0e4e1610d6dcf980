"""One hop of the bare path: hands JSON on from topic to topic and commits after the acknowledgements. See floor.py."""

import asyncio
import json
import sys
import time
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

COMMIT_EVERY_S: Final = 0.1


async def hand_on(bootstrap: str, source: str, target: str) -> None:
    """Publish each record of `source` to `target`; commit offsets after the acknowledgements."""
    consumer = AIOKafkaConsumer(
        source,
        bootstrap_servers=bootstrap,
        group_id=target,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    committed_at = 0.0
    async with consumer, producer:
        while True:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                sent = [
                    await producer.send(target, json.dumps(json.loads(each.value)).encode(), each.key)
                    for each in records
                ]
                await asyncio.gather(*sent)
            if time.monotonic() - committed_at > COMMIT_EVERY_S:
                await consumer.commit()
                committed_at = time.monotonic()


if __name__ == "__main__":
    asyncio.run(hand_on(*sys.argv[1:4]))
