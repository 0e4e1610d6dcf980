"""A service that kills its own process, as a power cut would: `python -m killed_service`.

`KILLED_SERVICE` names the runtime. `KILL_AT` is a JSON array of points, one for each of its lives; `KILL_AFTER` is how
many records each life begins to handle before it ends; `KILL_FOLDER` keeps a file for each point that is done.
"""

import asyncio
import json
import os
import runpy
import signal
from pathlib import Path

from sprat import runtime
from sprat.kafka.publisher import Acknowledged, OutRecord, Publisher

POINTS = ("decoded", "inferred", "behind", "publishing", "published", "committed")
"""Those of the loops, one where more records are decoded while those before them are published, and one in the middle
of publishing a part."""
NOT_PASSED = {"frontier": {"behind"}, "router": {"inferred", "behind"}}
"""What a loop never comes by: the records of the concurrent one do not wait for each other, and the router asks no
model, so that it polls nothing while it publishes."""
MODULE = "support.killed_service"
_HOLD_S = 1.0
"""How long records are held back before they are published, so that more are decoded meanwhile by a free model."""


def points_of(name: str) -> tuple[str, ...]:
    """Return the points of the loop of a service."""
    return tuple(point for point in POINTS if point not in NOT_PASSED.get(name, ()))


def killed(name: str, folder: Path, after: int) -> dict[str, str]:
    """Return the variables with which the service `name` dies once at each point."""
    return {
        "KILLED_SERVICE": name,
        "KILL_AT": json.dumps(points_of(name)),
        "KILL_FOLDER": str(folder),
        "KILL_AFTER": str(after),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }


class KillSwitch:
    """Kills its own process at the first point that is not done yet."""

    def __init__(self, points: list[str], folder: Path, after: int) -> None:
        self._folder = folder
        self._after = after
        self._seen = 0
        self._publishing = 0
        done = {path.name for path in folder.iterdir()}
        self._next = next((point for point in points if point not in done), None)

    def armed(self, point: str) -> bool:
        return self._next == point and self._seen >= self._after

    def passing(self, point: str, records: int) -> None:
        self._seen += records
        if point == "decoded" and self._publishing and self.armed("behind"):
            point = "behind"
        if self.armed(point):
            (self._folder / point).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def halve(self, publisher: Publisher, outside: frozenset[str]) -> None:
        """Let a publisher die when half of the records of a call are acknowledged; topics `outside` do not count."""
        publish = publisher.publish

        async def half(records: list[OutRecord], hold_s: float | None = None) -> list[Acknowledged]:
            if not records or {record.topic for record in records} & outside:
                return await publish(records, hold_s)
            if self.armed("publishing"):
                await publish(records[: (len(records) + 1) // 2], hold_s)
                self.passing("publishing", 0)
            self._publishing += 1
            try:
                if self.armed("behind"):
                    await asyncio.sleep(_HOLD_S)
                return await publish(records, hold_s)
            finally:
                self._publishing -= 1

        publisher.publish = half


def main() -> None:
    """Run the service's own `__main__`, with the switch put into what it builds."""
    switch = KillSwitch(
        json.loads(os.environ["KILL_AT"]), Path(os.environ["KILL_FOLDER"]), int(os.environ["KILL_AFTER"])
    )
    run = runtime.run_service

    def run_killed(name, version, settings_type, build, *more):
        async def build_killed(context, settings):
            topics = context.topics
            context.checkpoint = switch.passing
            switch.halve(context.publisher, frozenset({topics.egress, topics.models, topics.dead_letters}))
            return await build(context, settings)

        return run(name, version, settings_type, build_killed, *more)

    runtime.run_service = run_killed
    runpy.run_module(f"sprat_{os.environ['KILLED_SERVICE']}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
