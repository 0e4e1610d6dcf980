"""An installation of containers for tests: the stack of `sprat_testing`, with the traffic of the demo through it.

The images come from `make images`, or are the ones that compose/.env names, as those of Kafka and Redis.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from dotenv import dotenv_values

from sprat_local.demo.report import DemoReport
from sprat_local.demo.samples import load_samples
from sprat_local.demo.session import Demo
from sprat_local.demo.target import DemoTarget
from sprat_local.installation.options import DEMO_FOLDER
from sprat_testing.containers import SERVICES, SpratStack, docker
from support.readme import ROOT

__all__ = ["DOCKER", "SERVICES", "Compose", "images"]

DOCKER = docker()
UP_S = 300
UNDER_WAY = 40
"""Results and dead letters, of 421, after which the commands run: the others are on their way, or still to be sent."""


def images() -> dict[str, str]:
    """Return what compose/.env says about images."""
    own = dotenv_values(ROOT / "compose" / ".env")
    return {
        name: value for name in ("SPRAT_IMAGES", "SPRAT_TAG", "KAFKA_IMAGE", "REDIS_IMAGE") if (value := own.get(name))
    }


class Compose(SpratStack):
    """One installation of containers."""

    def __init__(self) -> None:
        super().__init__(variables=images())

    async def demo(self, *during: Sequence[str], pause_s: float = 3.0) -> DemoReport:
        """Send the samples through it; while they are under way, run these `docker compose` commands with a pause."""
        target = replace(await DemoTarget.running(self.kafka), alone=True)
        counts = [(0, 1)]
        demo = Demo(target, load_samples(DEMO_FOLDER), lambda *count: counts.append(count), timeout_s=UP_S)
        work = asyncio.create_task(demo.run())
        try:
            while during and counts[-1][0] < UNDER_WAY and not work.done():
                await asyncio.sleep(0.02)
            done, total = counts[-1]
            assert done < total
            for arguments in during:
                await asyncio.to_thread(self, *arguments)
                await asyncio.sleep(pause_s)
            return await work
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
