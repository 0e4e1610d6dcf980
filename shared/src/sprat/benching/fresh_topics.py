"""Deleting the topics that a benchmark made on somebody's own Kafka."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code

from sprat.local.closing import close_in_time
from sprat_contracts import Topics

_PATIENCE_S: Final = 15.0


async def delete_topics(client: Mapping[str, Any], topics: Topics) -> None:
    """Delete all topics of this prefix that are there. Kafka forgets the groups that read them by itself.

    Raises:
        KafkaError: the broker refuses or is gone.
        TimeoutError: it takes too long.
    """
    admin = AIOKafkaAdminClient(**client)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await admin.start()
            described = await admin.describe_topics([topic.name for topic in topics.table()])
            there = [each["topic"] for each in described if not each["error_code"]]
            response = await admin.delete_topics(there) if there else None
            for _name, code in response.topic_error_codes if response is not None else ():
                if code:
                    raise for_code(code)
    finally:
        await close_in_time(admin.close)
