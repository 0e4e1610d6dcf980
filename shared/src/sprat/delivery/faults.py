"""Faults: a switch for tests that kills the process at a point of its loop, and a limit on the service's own."""

import os
import signal
from collections import deque

from sprat.errors import Fatal
from sprat.settings import FaultSettings, Point


class KillSwitch:
    """Kills its own process, as a power cut would, at chosen points of the loop. Off unless the settings say so."""

    def __init__(self, settings: FaultSettings) -> None:
        self._folder = settings.folder
        self._after = settings.after_records
        self._seen = 0
        done = {path.name for path in self._folder.iterdir()} if self._folder else set()
        self._next = next((point for point in settings.kill_at if point not in done), None)

    def armed(self, point: Point) -> bool:
        """Is this where the process is to die?"""
        return self._next == point and self._seen >= self._after

    def passing(self, point: Point, records: int = 0) -> None:
        """Die here if armed. `records` are those that this life has begun to handle."""
        self._seen += records
        if self.armed(point):
            if self._folder is not None:
                (self._folder / point).touch()
            os.kill(os.getpid(), signal.SIGKILL)


class FaultLimit:
    """Stops a service that fails by its own fault too often. Bad input never counts.

    A bad deployment then leaves its backlog in Kafka instead of pouring it into the dead letters.
    """

    def __init__(self, consecutive: int = 20, ratio: float = 0.2, window: int = 500) -> None:
        self._consecutive = consecutive
        self._ratio = ratio
        self._recent: deque[bool] = deque(maxlen=window)
        self._run = 0

    def record(self, *, own_fault: bool) -> None:
        """Count one handled record.

        Raises:
            Fatal: the limit is passed; nothing of this batch may be committed.
        """
        self._run = self._run + 1 if own_fault else 0
        self._recent.append(own_fault)
        full = len(self._recent) == self._recent.maxlen
        if self._run >= self._consecutive or (full and sum(self._recent) > self._ratio * len(self._recent)):
            raise Fatal(
                f"this service fails by its own fault too often ({self._run} in a row, {sum(self._recent)} of the last "
                f"{len(self._recent)}): it stops, its backlog stays in Kafka; roll the model or the code back"
            )
