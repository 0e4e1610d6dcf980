"""A guardian that kills its own process, as a power cut would: `python -m support.killed_guardian`.

`KILL_FOLDER` keeps a file for each point at which it has died: it dies once at each.
"""

import os
import runpy
import signal
from collections.abc import Sequence
from pathlib import Path

from sprat.kafka.log_reader import LogReader
from sprat.kafka.publisher import Acknowledged, OutRecord, Publisher

POINTS = ("connected", "ends", "reading", "read", "publishing", "half", "published", "read back")
"""Between any two requests to Kafka: of the reading, and of the first writing."""
MODULE = "support.killed_guardian"


def killed(folder: Path) -> dict[str, str]:
    """Return the variables with which a guardian dies once at each point."""
    return {"KILL_FOLDER": str(folder), "PYTHONPATH": str(Path(__file__).parents[1])}


def main() -> None:
    """Run the guardian, with the switch around each request that it waits for."""
    folder = Path(os.environ["KILL_FOLDER"])
    written = False

    def passing(point: str) -> None:
        waits_for_more = point == "published" and not written
        if not (folder / point).exists() and not waits_for_more:
            (folder / point).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    ends, catch_up, publish = LogReader.ends, LogReader.catch_up, Publisher.publish

    async def killed_ends(self: LogReader):
        passing("connected")
        found = await ends(self)
        passing("ends")
        return found

    async def killed_catch_up(self: LogReader, *arguments, **options) -> None:
        passing("reading")
        await catch_up(self, *arguments, **options)
        passing("read back" if written else "read")

    async def killed_publish(self: Publisher, records: Sequence[OutRecord], hold_s=None) -> list[Acknowledged]:
        nonlocal written
        if not records:
            return []
        passing("publishing")
        done = await publish(self, records[: len(records) // 2], hold_s)
        passing("half")
        done += await publish(self, records[len(records) // 2 :], hold_s)
        written = True
        passing("published")
        return done

    LogReader.ends, LogReader.catch_up, Publisher.publish = killed_ends, killed_catch_up, killed_publish
    runpy.run_module("sprat_guardian", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
