"""The cost of a text behind a long backlog, in a steady state: as many texts come as are answered."""

import json
import time
from collections.abc import Iterator, Sequence
from itertools import count, islice
from typing import Any, Final

from confluent_kafka import Consumer, Producer, TopicPartition

from sprat_local.bench.resources import meter_of
from sprat_local.installation.lifecycle import Installation
from tests.bench.scaling_loads import TASK, by_service, submitted

_TENANTS: Final = 100
_NEAR: Final = 0.01
"""The share of the backlog up to which the router may be behind the texts."""
_WAIT_S: Final = 600.0
_FLUSH_S: Final = 120.0
_QUEUE: Final = 2_000_000
"""Records that the producer keeps until they are sent."""


class SteadyBacklog:
    """Texts in front of an installation that nobody has answered, and the client that keeps their number."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        client = {"bootstrap.servers": installation.bootstrap}
        self._texts = installation.topics.texts
        self._values = (json.dumps(each).encode() for each in _submitted())
        self._producer = Producer(client | {"queue.buffering.max.messages": _QUEUE, "linger.ms": 5, "acks": "all"})
        self._router = Consumer(client | {"group.id": f"{installation.topics.prefix}.router"})
        self._results = Consumer(client | {"group.id": "nobody", "enable.auto.commit": False, "fetch.wait.max.ms": 50})
        partitions = range(installation.topics.partitions)
        self._places = [TopicPartition(self._texts, each) for each in partitions]
        results = [TopicPartition(installation.topics.results(TASK), each) for each in partitions]
        for each in results:
            each.offset = self._results.get_watermark_offsets(each)[1]  # earlier ones are of no text of this backlog
        self._results.assign(results)
        self.unanswered = 0

    def fill(self, unanswered: int) -> None:
        """Publish until so many texts are unanswered, and wait until the router has read them: it answers none.

        Raises:
            SystemExit: the broker does not take them, or the router does not come that far.
        """
        self._publish(unanswered - self.unanswered)
        if left := self._producer.flush(_FLUSH_S):
            raise SystemExit(f"Kafka has not acknowledged {left} texts within {_FLUSH_S:.0f} s")
        deadline = time.monotonic() + _WAIT_S
        while self._unread() > max(100, _NEAR * unanswered):
            self._publish(self._read(1.0))
            if time.monotonic() > deadline:
                raise SystemExit(f"the router has not read {unanswered} texts within {_WAIT_S:.0f} s")

    def window(self, texts: int) -> dict[str, Any]:
        """Measure until so many texts are answered; as many are published."""
        meter = meter_of(self._installation)
        before, others, began, answered = meter.cpu_s(), meter.others_s(), time.monotonic(), 0
        while answered < texts:
            if not (found := self._read(0.1)) and time.monotonic() - began > _WAIT_S:
                raise SystemExit(f"{texts - answered} of {texts} texts were not answered within {_WAIT_S:.0f} s")
            answered += found
            self._publish(found)
        seconds = time.monotonic() - began
        used = {name: spent - before[name] for name, spent in meter.cpu_s().items()}
        return {
            "unanswered": self.unanswered,
            "texts": answered,
            "texts_per_s": round(answered / seconds, 1),
            "cpu_ms_per_text": by_service(used, answered),
            "peak_mb": {name: round(peak) for name, peak in meter.peak_mb().items()},
            "others_cores": round((meter.others_s() - others) / seconds, 2),
        }

    def close(self) -> None:
        """Close the clients; what is unanswered stays."""
        self._producer.flush(_FLUSH_S)
        self._router.close()
        self._results.close()

    def _publish(self, number: int) -> None:
        for place, value in enumerate(islice(self._values, max(0, number))):
            self._producer.produce(self._texts, value, key=str(self.unanswered + place))
        self._producer.poll(0)
        self.unanswered += max(0, number)

    def _read(self, timeout_s: float) -> int:
        found = sum(each.error() is None for each in self._results.consume(500, timeout_s))
        self.unanswered -= found
        return found

    def _unread(self) -> int:
        """Return how many texts the router has not committed."""
        committed = self._router.committed(self._places)
        ends = (self._router.get_watermark_offsets(each, cached=False)[1] for each in self._places)
        return sum(end - max(0, each.offset) for end, each in zip(ends, committed, strict=True))


def measure_depths(installation: Installation, depths: Sequence[int], texts: int) -> list[dict[str, Any]]:
    """Measure so many texts at each length of the backlog."""
    backlog = SteadyBacklog(installation)
    rows = []
    try:
        backlog.fill(texts)
        backlog.window(texts)  # a warm-up
        for depth in depths:
            backlog.fill(depth)
            rows.append({"depth": depth} | backlog.window(texts))
            print(json.dumps(rows[-1]), flush=True)
    finally:
        backlog.close()
    return rows


def _submitted() -> Iterator[dict[str, Any]]:
    """Yield texts, each different."""
    return (submitted(number, "default", f"tenant-{number % _TENANTS}") for number in count())
