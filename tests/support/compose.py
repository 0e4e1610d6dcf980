"""An installation of containers, as compose/compose.yaml describes it, under a project name of its own.

`DOCKER` names the client. Without an engine, or without Sprat's images, the tests are skipped and say so. The images
come from `make images`; those of Kafka and Redis are the ones that compose/.env names, if there is one.
"""

import asyncio
import os
import secrets
import shutil
import subprocess
from collections.abc import Sequence

from sprat.settings import KafkaSettings
from sprat_local.demo.report import DemoReport
from sprat_local.demo.samples import load_samples
from sprat_local.demo.session import Demo
from sprat_local.demo.target import DemoTarget
from sprat_local.options import DEMO_FOLDER
from sprat_local.processes.ports import free_port
from support.readme import ROOT

DOCKER = shutil.which(os.environ.get("DOCKER", "docker"))
SERVICES = ("router", "intent", "ner", "translation", "frontier")
UP_S = 300
UNDER_WAY = 40
"""Results and dead letters, of 421, after which the commands run: the others are on their way, or still to be sent."""


class Compose:
    """One installation of containers."""

    def __init__(self, project: str) -> None:
        self.port = free_port()
        self.variables = {
            "COMPOSE_PROJECT_NAME": project,
            "COMPOSE_PROFILES": "simulator",
            "SPRAT_SECRET": secrets.token_hex(16),
            "SPRAT_KAFKA_PORT": str(self.port),
        }

    def __call__(self, *arguments: str) -> str:
        """Run `docker compose` and return what it prints."""
        done = subprocess.run(
            [str(DOCKER), "compose", "--project-directory", str(ROOT / "compose"), *arguments],
            env=os.environ | self.variables,
            capture_output=True,
            text=True,
            timeout=UP_S,
            check=False,
        )
        assert done.returncode == 0, f"docker compose {' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def up(self) -> None:
        """Start what does not run, and wait until all is ready."""
        self("up", "--detach", "--wait", "--no-build")

    @property
    def kafka(self) -> KafkaSettings:
        """How this process reaches its Kafka."""
        return KafkaSettings(bootstrap=f"127.0.0.1:{self.port}")

    async def demo(self, *during: Sequence[str], pause_s: float = 3.0) -> DemoReport:
        """Send the samples through it; while they are under way, run these `docker compose` commands with a pause."""
        target = await DemoTarget.running(self.kafka)
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


def unavailable() -> str | None:
    """Return why the tests cannot run here."""
    if DOCKER is None:
        return "there is no docker client: DOCKER names one"
    needed = [["compose", "version"], ["info"], *(["image", "inspect", f"sprat/{name}:0.1.0"] for name in SERVICES)]
    for arguments in needed:
        done = subprocess.run([DOCKER, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            return f"docker {' '.join(arguments)}: {done.stderr.strip().splitlines()[-1]}"
    return None
