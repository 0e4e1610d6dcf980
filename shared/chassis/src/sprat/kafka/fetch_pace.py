"""How often a consumer fetches: at once, unless its records wait longer than lately; then less often, for batches.

Topics that can wait are fetched ten times a second while records come.

It relies on private parts of aiokafka, of which no option makes a fetch wait: `aiokafka.consumer.consumer.Fetcher`, its
`_get_actions_per_node`, `_fetch_max_wait_ms`, `_fetch_min_bytes`, `_fetch_max_bytes`, `_isolation_level` and
`_client_rack`, and a consumer's `_fetcher`.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.consumer import consumer as consumer_module
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.protocol.fetch import FetchRequest

from sprat.kafka.fetch_sessions import SessionClient

APART_S: Final = 0.03
"""Between the beginnings of two fetches from one broker by a consumer that is behind."""
BEHIND_MS: Final = 25.0
"""A consumer whose records wait so much longer than the least of lately is behind. As fetches that are apart let the
oldest record wait nearly `APART_S`, it counts as behind for some seconds longer than it is."""
CAN_WAIT_S: Final = 0.1
"""After a poll with records of a topic that can wait, its next ones are not fetched for so long."""
_SHARE: Final = 0.03
"""Weight of the last poll in the average."""
_RISE: Final = 0.001
"""Share of the difference by which the least wait rises at each poll: clocks are set, and records may have any time."""
_MOST_MS: Final = 8 * BEHIND_MS
"""No poll counts for more, so that the average forgets a backlog within a few hundred polls."""


@dataclass(slots=True)
class FetchPace:
    """Paces the fetches of one consumer by how long its records waited.

    A fetch, and the batch that comes of it, costs milliseconds whatever its size, in the broker, too. Where processors
    are short, a consumer that fetches each record as it comes makes small batches of a backlog that grows elsewhere.

    The wait is that above the least of lately: the broker's clock, which stamps records, need not agree with this one.
    So a wait that stays the same for minutes does not count.
    """

    _least_ms: float | None = None
    _average_ms: float = 0.0
    _began_s: dict[int, float] = field(default_factory=dict)
    """Broker → when the last fetch from it began."""

    def observe(self, appended_ms: float, now_ms: float) -> None:
        """Take up a poll.

        Args:
            appended_ms: when the oldest of its records was appended, epoch milliseconds.
            now_ms: now, epoch milliseconds.
        """
        wait_ms = now_ms - appended_ms
        least_ms = wait_ms if self._least_ms is None else self._least_ms
        self._least_ms = min(wait_ms, least_ms + _RISE * (wait_ms - least_ms))
        above_ms = min(wait_ms - self._least_ms, _MOST_MS)
        self._average_ms += _SHARE * (above_ms - self._average_ms)

    def pause_s(self, broker: int, now_s: float) -> float:
        """Return how many seconds to wait before the next fetch from a broker; 0: it begins now.

        Args:
            broker: its number.
            now_s: monotonic seconds.
        """
        if self._average_ms > BEHIND_MS:
            pause_s = self._began_s.get(broker, float("-inf")) + APART_S - now_s
            if pause_s > 0:
                return pause_s
        self._began_s[broker] = now_s
        return 0.0


def install_paced_fetches() -> None:
    """Let every consumer of this process that is behind fetch less often."""
    consumer_module.Fetcher = PacedFetcher


def let_wait(consumer: Any, topics: Collection[str]) -> None:
    """Fetch these topics of a consumer, which has started, ten times a second at most while their records come."""
    consumer._fetcher.can_wait = frozenset(topics)  # noqa: SLF001 - aiokafka has no option for it


class PacedFetcher(Fetcher):  # type: ignore[misc] # aiokafka has no types
    """Fetches within sessions, when its pace allows it. What is there meanwhile comes with the next fetch."""

    def __init__(self, client: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(SessionClient(client), *arguments, **options)
        self._pace = FetchPace()
        self.can_wait: frozenset[str] = frozenset()
        """Topics that are fetched less often."""
        self._waits_until_s = float("-inf")

    def _get_actions_per_node(self, assignment: Any) -> tuple[list[Any], Any, float, Any, Any]:
        if (blocked_s := self._blocked_s()) is not None:
            return [], {}, blocked_s, False, []
        requests, resets, timeout_s, *others = super()._get_actions_per_node(assignment)
        now_s = time.monotonic()
        if now_s < self._waits_until_s:
            hurried = [(broker, self._hurried(request)) for broker, request in requests]
            requests = [each for each in hurried if each[1].topics]
            if len(requests) < len(hurried):
                timeout_s = min(timeout_s, self._waits_until_s - now_s)
        pauses_s = [self._pace.pause_s(broker, now_s) for broker, _ in requests]
        now = [request for request, pause_s in zip(requests, pauses_s, strict=True) if not pause_s]
        return now, resets, min([timeout_s, *filter(None, pauses_s)]), *others

    def _hurried(self, request: Any) -> FetchRequest:
        """Return a request without the topics that can wait. It ends soon, so that the next one may have them."""
        topics = [each for each in request.topics if each[0] not in self.can_wait]
        wait_ms = min(self._fetch_max_wait_ms, int(1000 * CAN_WAIT_S))
        limits = self._fetch_min_bytes, self._fetch_max_bytes
        return FetchRequest(wait_ms, *limits, self._isolation_level, topics, self._client_rack or "")

    def _blocked_s(self) -> float | None:
        """Return for how long no broker is fetched from, since each has a fetch in flight or records to be polled.

        None: one may be. aiokafka goes through all partitions to find that out, each time that records have come. What
        else it would find waits with the records, for at most its back-off of 0.1 s.
        """
        waits_s: dict[int, float] = {}
        for place, fetched in self._records.items():
            broker = self._select_read_replica(place)
            waits_s[broker] = max(waits_s.get(broker, 0.0), fetched.calculate_backoff())
        if not waits_s or not all(waits_s.values()):
            return None
        brokers = {broker.nodeId for broker in self._client.cluster.brokers()}
        return min(waits_s.values()) if brokers <= waits_s.keys() | self._in_flight else None

    async def fetched_records(self, *arguments: Any, **options: Any) -> Mapping[TopicPartition, list[Any]]:
        """Return records that were fetched, and note how long the oldest has waited."""
        batches: Mapping[TopicPartition, list[Any]] = await super().fetched_records(*arguments, **options)
        hurried = [records[0].timestamp for place, records in batches.items() if place.topic not in self.can_wait]
        if hurried:
            self._pace.observe(min(hurried), time.time() * 1000)
        if len(hurried) < len(batches):
            self._waits_until_s = time.monotonic() + CAN_WAIT_S
        return batches
