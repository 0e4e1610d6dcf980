"""What the answers of tiers are worth: the files `thresholds/TIER.TASK.json` beside the policy."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from sprat.base.thresholds import LOOK_EVERY_S, ThresholdsFile
from sprat_contracts.thresholds import Thresholds
from sprat_policy import tier_thresholds

log = logging.getLogger(__name__)


class TierThresholds:
    """Opens them, and takes over those that change.

    A file that was measured with another model than the tier asks is void: it is logged, and nothing is kept by it.

    Args:
        policy: the policy file.
        tasks: the names of all tasks.
        every_s: how often they are looked at.
    """

    def __init__(self, policy: Path, tasks: Iterable[str], *, every_s: float = LOOK_EVERY_S) -> None:
        self._policy = policy
        self._tasks = tuple(tasks)
        self._every_s = every_s
        self._following: list[asyncio.Task[None]] = []

    def open(self, tier: str, model: str) -> Mapping[str, ThresholdsFile]:
        """Return those of a tier that asks a model, by task."""
        files = {
            task: ThresholdsFile(tier_thresholds(self._policy, tier, task), model_version=model) for task in self._tasks
        }
        for file in files.values():
            following = asyncio.create_task(file.follow(_taken_over, self._every_s))
            following.add_done_callback(_ended)
            self._following.append(following)
        return files

    async def stop(self) -> None:
        """Stop following them."""
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)


def _ended(following: asyncio.Task[None]) -> None:
    """Log why a file is no longer followed; its last content holds until the service is started again."""
    if not following.cancelled() and (error := following.exception()) is not None:
        log.error("a tier's thresholds are no longer followed: %s; start the service again", type(error).__name__)


async def _taken_over(thresholds: Thresholds) -> None:
    """Need no more: tiers take what is current."""
