"""A limit on the faults of the service itself."""

from collections import deque

from sprat.errors import Fatal


class FailureBudget:
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
