"""A service of real loops on a Kafka in memory: a process that joins, polls, publishes, commits, and may be killed."""

import asyncio
import zlib
from collections import defaultdict, deque
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaConnectionError, KafkaError, KafkaTimeoutError

from sprat.base.keys import KeyedHash
from sprat.base.settings import ServiceSettings
from sprat.context import ServiceContext
from sprat.kafka.consumer import watch_polls
from sprat.kafka.offsets import TrailingOffsets
from sprat.kafka.publisher import Publisher
from sprat.kafka.rebalance import Assignment
from sprat.processing.cached_inference import CachedInference
from sprat.runtime import stop_work
from sprat.telemetry.tracing import Tracing
from support.kafka_model import HEARTBEAT_S, LATE_S, GroupModel, KafkaModel, Name
from support.modelled_handlers import (
    AskingHandler,
    CacheModel,
    DirectHandler,
    Refreshing,
    SlowHandler,
    Stages,
    name_of,
)


class ProducerModel:
    """An idempotent producer: of each partition, one batch at a time, sent until there is an answer."""

    def __init__(self, kafka: KafkaModel, process: "ModelledProcess") -> None:
        self._kafka = kafka
        self._process = process
        self._id = next(kafka.producer_ids)
        self._waiting: dict[tuple[str, int], deque[tuple[Name, asyncio.Future[Any]]]] = defaultdict(deque)
        self._sent: dict[tuple[str, int], int] = defaultdict(int)
        self._senders: dict[tuple[str, int], asyncio.Task[None]] = {}

    async def send(self, topic, value, key, headers):
        await self._process.running()
        if self._kafka.strikes("buffer full"):
            await asyncio.sleep(self._kafka.chance.choice((0.1, 0.1, 20.0)))
            raise KafkaTimeoutError
        place = topic, (zlib.crc32(key) if key is not None else self._kafka.chance.randrange(2)) % 2
        future = asyncio.get_running_loop().create_future()
        self._waiting[place].append((name_of(topic, headers), future))
        if place not in self._senders or self._senders[place].done():
            self._senders[place] = asyncio.create_task(self._send_all(place))
        return future

    async def _send_all(self, place: tuple[str, int]) -> None:
        waiting = self._waiting[place]
        await asyncio.sleep(0)
        while waiting:
            batch = [waiting.popleft() for _ in range(min(len(waiting), self._kafka.chance.randint(1, 8)))]
            names, error = [name for name, _ in batch], None
            append = partial(self._kafka.append, self._id, place, self._sent[place], names)
            self._sent[place] += len(batch)
            late_s = [LATE_S * self._kafka.strikes(fault) for fault in ("appended late", "acknowledged late")]
            try:
                while not await self._kafka.call(self._process, append, tuple(late_s)):
                    await asyncio.sleep(0.1)
            except KafkaError as refused:
                error = refused
            for name, future in batch:
                if error is None:
                    self._kafka.acknowledged.add(name)
                if future.done():
                    continue
                if error is None:
                    future.set_result(SimpleNamespace(partition=place[1], offset=0, timestamp=0))
                else:
                    future.set_exception(error)
                    future.exception()  # whoever waited may be gone

    async def stop(self) -> None:
        """Deliver what it has."""
        await asyncio.gather(*self._senders.values(), return_exceptions=True)


class ModelledPublisher(Publisher):
    """The real publisher with producers of the model."""

    def __init__(self, settings: ServiceSettings, kafka: KafkaModel, process: "ModelledProcess") -> None:
        super().__init__(settings.kafka, "model")
        self._model = kafka, process

    async def _connect(self) -> Any:
        kafka, process = self._model
        await kafka.call(process, lambda: None)
        if kafka.strikes("no connection"):
            raise KafkaConnectionError
        return ProducerModel(kafka, process)


class ConsumerModel:
    """A consumer as aiokafka's, and its membership: eager, and so slow to learn that it is a member no longer."""

    def __init__(self, kafka: KafkaModel, group: GroupModel, process: "ModelledProcess", listener: Assignment) -> None:
        self._kafka, self._group, self._process, self._listener = kafka, group, process, listener
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._generation = 0
        self._commit_lock, self._connection = asyncio.Lock(), asyncio.Lock()
        self._rejoin = asyncio.Event()
        self._rejoin.set()
        self._reassigning = False
        self._changed = kafka.arrived

    def assignment(self):
        return self._assigned

    def pause(self, *partitions):
        self._paused |= {*partitions}

    def seek(self, partition, offset):
        if partition not in self._assigned:
            raise IllegalStateError
        self._positions[partition] = offset
        self._changed.beat()

    async def position(self, partition):
        while True:
            if partition not in self._assigned:
                raise IllegalStateError
            if partition in self._positions:
                return self._positions[partition]
            await self._changed.wait(1.0)

    async def getmany(self, timeout_ms, max_records):
        await self._process.running()
        if self._kafka.strikes("poll fails"):
            self._take(max_records)  # of other partitions, lost with the error
            raise KafkaTimeoutError
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + timeout_ms / 1000
        while True:
            if not self._reassigning and (found := self._take(max_records)):
                return found
            if not self._reassigning and ends_s <= loop.time():
                return {}
            await self._changed.wait(max(0.01, ends_s - loop.time()))
            await self._kafka.latency()
            await self._process.running()

    def _take(self, max_records):
        """Return records of some partitions, and move the positions past them, and past what no poll returns."""
        found: dict[TopicPartition, list[Any]] = {}
        for partition in self._kafka.chance.sample(sorted(self._positions), len(self._positions)):
            if partition in self._paused or max_records == 0:
                continue
            entries, position, taken = self._kafka.inputs[partition], self._positions[partition], []
            most = self._kafka.chance.randint(1, max_records)
            while position < len(entries) and (entries[position].record is None or len(taken) < most):
                if entries[position].record is not None:
                    taken.append(entries[position].record)
                position += 1
            self._positions[partition] = position
            max_records -= len(taken)
            if taken:
                found[partition] = taken
        return found

    async def commit(self, offsets):
        assert offsets, "aiokafka takes no empty commit"
        if not offsets.keys() <= self._assigned:
            raise IllegalStateError
        if self._kafka.strikes("commit fails"):
            await self._kafka.latency()
            raise KafkaTimeoutError
        while True:
            async with self._commit_lock:
                commit = partial(self._group.commit, self._process.name, self._generation, offsets)
                late_s = (LATE_S * self._kafka.strikes("commit late"), 0.0)
                answer = await self._kafka.call(self._process, commit, late_s, self._connection)
            if answer == "stale":
                self._rejoin.set()
                raise CommitFailedError
            if not self._kafka.strikes("commit lost"):
                return
            await asyncio.sleep(0.1)

    async def keep_membership(self) -> None:
        """Join, and join again whenever the group asks for it."""
        beating = asyncio.create_task(self._beat())
        try:
            while True:
                await self._rejoin.wait()
                self._reassigning = True
                await self._listener.on_partitions_revoked({*self._assigned})
                joined = await self._kafka.call(self._process, partial(self._group.join, self._process.name))
                self._generation, self._assigned = await joined
                await self._process.running()
                self._positions, self._paused = {}, set()
                self._rejoin.clear()
                self._reassigning = False
                await self._listener.on_partitions_assigned({*self._assigned})
                committed = await self._kafka.call(self._process, self._group.committed.copy)
                for partition in self._assigned:
                    self._positions.setdefault(partition, committed[partition])
                self._changed.beat()
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            heartbeat = partial(self._group.heartbeat, self._process.name, self._generation)
            if not await self._kafka.call(self._process, heartbeat):
                self._rejoin.set()


class ModelledProcess:
    """One life of a service's process, as `sprat.runtime` runs it."""

    def __init__(self, name: str, kafka: KafkaModel, group: GroupModel, settings: ServiceSettings, kind: str) -> None:
        self.name = name
        self.killed = False
        self.tasks: set[asyncio.Task[Any]] = set()
        self.stopping = asyncio.Event()
        self.ended = asyncio.Event()
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._kafka, self._group, self._settings, self._kind = kafka, group, settings, kind

    async def running(self) -> None:
        """Return at once, unless this process is frozen; never, where it is killed."""
        if not self._thawed.is_set():
            await self._thawed.wait()
        if self.killed and asyncio.current_task() in self.tasks:
            raise asyncio.CancelledError

    def kill(self) -> None:
        """End it at once: nothing that it does from now on reaches the broker."""
        self.killed = True
        self.ended.set()
        self._thawed.set()
        for task in self.tasks:
            task.cancel()

    async def freeze(self, seconds: float) -> None:
        """Stop it for some time, as SIGSTOP does; its clock goes on."""
        self._thawed.clear()
        await asyncio.sleep(seconds)
        self._thawed.set()

    async def live(self) -> None:
        """Run until it is killed, told to stop, or has failed."""
        publisher = ModelledPublisher(self._settings, self._kafka, self)
        context = ServiceContext(
            "model", "1", self._settings, publisher, None, AsyncExitStack(), Tracing(exporting=False)
        )
        work = asyncio.create_task(self._work(context))
        ends = [asyncio.create_task(context.failure.wait()), asyncio.create_task(self.stopping.wait())]
        try:
            await asyncio.wait({work, *ends}, return_when=asyncio.FIRST_COMPLETED)
            if context.failure.error is not None:
                self._kafka.failed(context.failure.error)
            await stop_work(context, work)
        finally:
            self.ended.set()
            for task in ends:
                task.cancel()

    async def _work(self, context: ServiceContext) -> None:
        while True:
            with suppress(KafkaError):
                await context.publisher.start()
                break
            await asyncio.sleep(0.5)
        context.stack.push_async_callback(context.publisher.stop)
        loop = self._loop(context)
        assignment = Assignment(context.admission, context.failure, self._settings.drain_s, loop.release)
        consumer = ConsumerModel(self._kafka, self._group, self, assignment)
        trailing = TrailingOffsets(context.admission, every_s=0)
        assignment.started = trailing.forget
        context.consumers.append(consumer)
        trailing.follow(consumer)
        watch_polls(consumer, "model", context.progress, context.admission, context.failure)
        membership = asyncio.create_task(consumer.keep_membership())

        async def leave() -> None:
            membership.cancel()
            await self._kafka.call(self, partial(self._group.leave, self.name))

        context.stack.push_async_callback(leave)
        context.stack.push_async_callback(loop.release)
        while True:  # as FastStream does
            try:
                batches = await consumer.getmany(timeout_ms=1_000, max_records=self._settings.kafka.max_records)
            except KafkaError:
                await asyncio.sleep(5)
                continue
            if self._kafka.strikes("polled records dropped"):
                continue
            context.progress.taken = True
            await loop.handle(list(chain.from_iterable(batches.values())))

    def _loop(self, context: ServiceContext) -> Any:
        clock = asyncio.get_running_loop().time
        if self._kind == "concurrent":
            loop = context.concurrent_loop(SlowHandler(self._kafka), 8)
            loop.context = replace(loop.context, clock=clock)
            return loop
        if self._kind == "direct":
            refreshing = Refreshing(self._kafka)
            loop = context.batch_loop(DirectHandler(refreshing), refresh=refreshing.for_some_records())
        else:
            handler, stages = AskingHandler(), Stages(self._kafka)
            inference = CachedInference(handler, stages, stages, CacheModel(self._kafka), KeyedHash(b"a key"))
            loop = context.batch_loop(handler, inference, Refreshing(self._kafka).now_and_then())
        loop.steps.context = replace(loop.steps.context, clock=clock)
        return loop
