"""Finds what was decided about a text while this door did not listen: it reads the topics from the text's time on."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import NO_ANSWER
from sprat_gateway.replies.reader import with_seen
from sprat_gateway.replies.waiters import TextOutcome, result_id
from sprat_operations.result_stream import ResultStream

log = logging.getLogger(__name__)

_LONGEST_S: Final = 5.0
_POLL_S: Final = 0.5
_AT_ONCE: Final = 2


class ReplySearch:
    """Reads topics for one text, which may take seconds: a few at a time.

    Args:
        kafka: names the topics.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def complete(self, outcome: TextOutcome, place: tuple[int, int] | None, since_ms: int) -> TextOutcome:
        """Return what is known of a text with what the topics say; as it was where they cannot be read in time.

        Args:
            outcome: what is known.
            place: partition and offset of the text; None where they are not known.
            since_ms: when the text was appended.
        """
        given, known = outcome, tuple(each for each in outcome.rejected if each.task is not None)
        if given.refused is not None:  # it may have been replayed since: a Result counts more
            outcome = replace(outcome, rejected=known)
        missing = [each for each in outcome.tasks if each not in outcome.results and each in self._kafka.topics.tasks]
        wanted = {result_id(outcome, task) for task in missing}

        def is_wanted(headers: Mapping[str, str]) -> bool:
            return headers.get("ce_id") in wanted

        stream = ResultStream(
            self._kafka, missing, dead_letters=given.refused is None, wanted=is_wanted, without_new=True
        )
        try:
            async with self._turn, asyncio.timeout(_LONGEST_S):
                await stream.start(since_ms)
                while not outcome.complete:
                    caught_up = await stream.caught_up()
                    for seen in await stream.read(_POLL_S):
                        outcome = with_seen(outcome, place, seen, self._kafka.topics)
                    if caught_up:
                        break
        except (UserError, *NO_ANSWER) as error:
            log.warning("what came before this gateway listened is not found: %s", type(error).__name__)
        finally:
            await stream.stop()
        return outcome if outcome.results or given.refused is None else given
