"""Kafka in memory, by the broker's rules: logs, idempotent producers and a group, with requests that fare badly.

It takes each commit apart: whatever precedes a committed offset must have been acknowledged.
"""

import asyncio
import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import OutOfOrderSequenceNumber

FAULTS: Final = {
    "appended late": 0.01,
    "acknowledged late": 0.03,
    "request lost": 0.05,
    "answer lost": 0.05,
    "refused": 0.03,
    "refused though appended": 0.03,
    "buffer full": 0.03,
    "no connection": 0.3,
    "commit lost": 0.1,
    "commit late": 0.03,
    "commit fails": 0.1,
    "poll fails": 0.003,
    "polled records dropped": 0.03,
    "killed": 0.002,
    "frozen": 0.002,
    "rebalance": 0.3,
    "stopped": 0.1,
    "service away": 0.05,
    "model slow": 0.05,
}
"""What may go wrong, with its probability: for a request, or for a step of the plan."""

FATAL: Final = frozenset({"poll fails", "polled records dropped"})
"""Faults after which a process stops by itself."""

SESSION_S: Final = 10.0
HEARTBEAT_S: Final = 3.0
REBALANCE_S: Final = 60.0
LATE_S: Final = 50.0

Name = tuple[str, str]
"""A topic and what identifies a record in it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An offset of a topic that is read, and what has to be acknowledged before it is committed."""

    record: Any
    """None: a marker of a transaction, or a record of one that was aborted. No poll returns it."""
    causes: frozenset[Name] = frozenset()


class Pulse:
    """Wakes all who wait at the moment."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def beat(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._event.wait()


@dataclass(slots=True)
class KafkaModel:
    """The broker, what it has done, and the chance that rules all delays and faults."""

    chance: random.Random
    faults: Mapping[str, float]
    inputs: dict[TopicPartition, list[Entry]]
    appended: list[tuple[tuple[str, int], Name]] = field(default_factory=list)
    """What the topics that are written hold: partition and record, in the order in which they came."""
    acknowledged: set[Name] = field(default_factory=set)
    struck: Counter[str] = field(default_factory=Counter)
    """How often each fault has happened."""
    arrived: Pulse = field(default_factory=Pulse)
    producer_ids: Any = field(default_factory=itertools.count)
    violation: BaseException | None = None
    """The first rule that was broken."""
    _sequences: dict[tuple[int, tuple[str, int]], int] = field(default_factory=lambda: defaultdict(int))
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _done: dict[TopicPartition, int] = field(default_factory=lambda: defaultdict(int))
    """Up to where everything is acknowledged, by partition."""
    spawned: Callable[["asyncio.Task[None]"], None] = lambda _: None
    """Called with each task that is the broker's, not that of the process that runs."""

    def strikes(self, fault: str) -> bool:
        """Return whether a fault happens now."""
        probability = self.faults.get(fault)
        if probability is None or self.chance.random() >= probability:
            return False
        self.struck[fault] += 1
        return True

    def failed(self, error: BaseException) -> None:
        """Check that a process has a reason to stop by itself."""
        if not self.struck.keys() & FATAL:
            self.violation = self.violation or error

    def spawn(self, work: Any) -> None:
        """Run something that goes on whatever becomes of the process that has begun it."""
        task = asyncio.create_task(work)
        self.spawned(task)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.violation = self.violation or error

    async def latency(self) -> None:
        """Take as long as one way through the network does: mostly turns of the loop, at times much longer."""
        kind = self.chance.random()
        if kind < 0.6:
            for _ in range(self.chance.randrange(6)):
                await asyncio.sleep(0)
        else:
            await asyncio.sleep(self.chance.uniform(0.0, 0.02 if kind < 0.95 else 1.5))

    async def call(
        self,
        process: Any,
        apply: Callable[[], Any],
        late_s: tuple[float, float] = (0.0, 0.0),
        connection: asyncio.Lock | None = None,
    ) -> Any:
        """Send a request and return the answer. It reaches the broker even where whoever waits for it is cancelled.

        Args:
            process: sends it; it may be killed or frozen before or after.
            apply: what the broker does, at one moment.
            late_s: how much longer than usual the request takes, and the answer.
            connection: requests that share it arrive in order.
        """
        await process.running()
        answer = asyncio.get_running_loop().create_future()
        self.spawn(self._deliver(process, apply, answer, late_s, connection or asyncio.Lock()))
        return await answer

    async def _deliver(
        self,
        process: Any,
        apply: Callable[[], Any],
        answer: "asyncio.Future[Any]",
        late_s: tuple[float, float],
        connection: asyncio.Lock,
    ) -> None:
        if self.strikes("killed"):
            process.kill()
        if self.strikes("frozen"):
            self.spawn(process.freeze(self.chance.uniform(5.0, 40.0)))
        async with connection:
            await self.latency()
            await asyncio.sleep(late_s[0])
        if process.killed and self.chance.random() < 0.5:
            return  # it had not left the process
        try:
            result, error = apply(), None
        except Exception as raised:
            if isinstance(raised, AssertionError):
                raise
            result, error = None, raised
        if self.strikes("killed"):
            process.kill()
        await self.latency()
        await asyncio.sleep(late_s[1])
        await process.running()
        if process.killed or answer.done():
            return
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)

    def append(self, producer: int, place: tuple[str, int], first: int, names: Sequence[Name]) -> bool:
        """Append a batch; return False where no answer comes, and the producer is to send it again.

        Raises:
            OutOfOrderSequenceNumber: it is refused.
        """
        expected = self._sequences[producer, place]
        if first > expected:
            raise OutOfOrderSequenceNumber
        if first < expected:
            return True  # it is there already
        if self.strikes("request lost"):
            return False
        if self.strikes("refused"):
            raise OutOfOrderSequenceNumber
        self.appended += [(place, name) for name in names]
        self._sequences[producer, place] += len(names)
        if self.strikes("refused though appended"):
            raise OutOfOrderSequenceNumber
        return not self.strikes("answer lost")

    def check(self, partition: TopicPartition, offset: int) -> None:
        """Check that all that precedes an offset is acknowledged: nobody would read it again."""
        entries, done = self.inputs[partition], self._done[partition]
        assert offset <= len(entries), f"{offset} of {partition.partition} is committed before anything is there"
        while done < len(entries) and entries[done].causes <= self.acknowledged:
            done += 1
        self._done[partition] = done
        missing = sorted(entries[done].causes - self.acknowledged) if done < offset else []
        assert not missing, f"{offset} of {partition.partition} is committed before {missing} is acknowledged"


class GroupModel:
    """The coordinator of one group: generations, sessions, and the committed offsets."""

    def __init__(self, kafka: KafkaModel) -> None:
        self._kafka = kafka
        self.committed = dict.fromkeys(kafka.inputs, 0)
        self.generation = 0
        self.rebalances = 0
        self._seen_s: dict[str, float] = {}
        """Member → when it was last heard of."""
        self._joining: dict[str, asyncio.Future[tuple[int, frozenset[TopicPartition]]]] = {}
        self._joined = Pulse()
        self._phase = "stable"

    def commit(self, member: str, generation: int, offsets: Mapping[TopicPartition, int]) -> str:
        """Commit and return `committed`, or `stale`, as a broker does that knows no partitions of members."""
        if member not in self._seen_s or generation != self.generation or self._phase == "completing":
            self._kafka.struck["stale commit"] += 1
            return "stale"
        for partition, offset in offsets.items():
            self._kafka.check(partition, offset)
            goes_back = offset < self.committed[partition] and self.rebalances == 1
            assert not goes_back, f"{offset} of {partition.partition} is committed after a later one"
        self.committed |= offsets
        return "committed"

    def heartbeat(self, member: str, generation: int) -> bool:
        """Return whether a member keeps its partitions."""
        if member not in self._seen_s:
            return False
        self._seen_s[member] = self._now_s()
        return self._phase == "stable" and generation == self.generation

    def join(self, member: str) -> "asyncio.Future[tuple[int, frozenset[TopicPartition]]]":
        """Return the future of the next generation and the member's partitions."""
        self._seen_s[member] = self._now_s()
        self._joining[member] = asyncio.get_running_loop().create_future()
        self.rebalance()
        self._joined.beat()
        return self._joining[member]

    def leave(self, member: str) -> None:
        """Remove a member."""
        if self._seen_s.pop(member, None) is not None:
            self._joining.pop(member, None)
            self.rebalance()
            self._joined.beat()

    def rebalance(self) -> None:
        """Ask all members to join again."""
        if self._phase == "stable":
            self._phase = "preparing"
            self._kafka.spawn(self._rebalance())

    async def watch_sessions(self) -> None:
        """Remove members that are not heard of for too long, as those are that were killed or are frozen."""
        while True:
            await asyncio.sleep(1)
            for member, seen_s in [*self._seen_s.items()]:
                if self._now_s() - seen_s > SESSION_S and member not in self._joining:
                    self.leave(member)

    async def _rebalance(self) -> None:
        ends_s = self._now_s() + REBALANCE_S
        while (remaining_s := ends_s - self._now_s()) > 0 and not self._seen_s.keys() <= self._joining.keys():
            await self._joined.wait(remaining_s)
        self.generation, self._phase, self.rebalances = self.generation + 1, "completing", self.rebalances + 1
        joining, self._joining = self._joining, {}
        self._seen_s = dict.fromkeys(joining, self._now_s())
        await self._kafka.latency()
        members = list(joining)
        self._kafka.chance.shuffle(members)
        own: dict[str, set[TopicPartition]] = {member: set() for member in members}
        if members:
            for partition, member in zip(self.committed, itertools.cycle(members), strict=False):
                own[member].add(partition)
        self._phase = "stable"
        for member, future in joining.items():
            if not future.done():
                future.set_result((self.generation, frozenset(own[member])))
        if self._joining:
            self.rebalance()

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()
