"""Waits for the draw of a kept answer, as those who review read it."""

import asyncio
from typing import Final

from sprat.base.settings import KafkaSettings
from sprat_contracts import ReviewAsked
from sprat_operations.reviews import read_waiting

_PAUSE_S: Final = 0.2


async def wait_for_draw(kafka: KafkaSettings, text_id: str, task: str | None, timeout_s: float) -> ReviewAsked | None:
    """Return the draw of a text, for one task or for any; None where it is not drawn within `timeout_s`."""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                for each in await read_waiting(kafka, task):
                    if each.asked.prediction.text_id == text_id:
                        return each.asked
                await asyncio.sleep(_PAUSE_S)
    except TimeoutError:
        return None
