"""Some minutes of a modelled service with faults at random, in a fraction of a second; a seed says what happens."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from aiokafka import TopicPartition

from sprat.base.retry import Deadline
from support.kafka_model import FATAL, FAULTS, Entry, GroupModel, KafkaModel
from support.modelled_handlers import KINDS, TOPICS, WRITTEN, causes_of
from support.modelled_service import ModelledProcess
from support.stream import settings_for
from support.virtual_time import VirtualTimeLoop
from support.wire_records import plain

CALM_S = 600.0
"""Within so long after the last fault, everything must be done."""
SETTINGS = settings_for("127.0.0.1:1", "sprat")
_REPEATING = FATAL | {"refused though appended", "killed", "frozen"}
"""Faults after which a record may be written again. It may be after a second rebalance, too."""


@dataclass(slots=True)
class Interleaving:
    """What has happened."""

    kafka: KafkaModel
    group: GroupModel
    records: int
    keys: int

    def check_outcome(self, *, ordered: bool) -> None:
        """Check that everything is committed, and that what is written is what had to be."""
        written = Counter(name for _, name in self.kafka.appended)
        expected = {name for entries in self.kafka.inputs.values() for entry in entries for name in entry.causes}
        assert written.keys() == expected
        if self.group.rebalances == 1 and not self.kafka.struck.keys() & _REPEATING:
            assert max(written.values(), default=1) == 1, "something is written twice"
        if ordered:
            self._check_order()

    def _check_order(self) -> None:
        """Check that the first events of the records of a key are in order."""
        last: dict[tuple[int, int], int] = {}
        for _, (topic, id) in dict.fromkeys(self.kafka.appended):
            if topic != WRITTEN or id.endswith("-second"):
                continue
            partition, offset = map(int, id.split("-"))
            key = partition, offset % self.keys
            assert last.get(key, -1) < offset, f"{id} is written after a later record of its key"
            last[key] = offset


def run(kind: str, seed: int, steps: int = 20) -> Interleaving:
    """Run one interleaving.

    Args:
        kind: `direct`, `model` or `concurrent`: the loop, and whether it has a model.
        seed: of all chance.
        steps: of the plan, each a second or two.

    Raises:
        AssertionError: something was committed early, or is not done long after the last fault.
    """
    random.seed(seed)  # the jitter of back-offs
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner, deadlines_in_virtual_time():
        return runner.run(_run(kind, random.Random(f"{kind} {seed}"), steps))


@contextmanager
def deadlines_in_virtual_time() -> Iterator[None]:
    """Let deadlines without a clock of their own use that of the running loop."""
    initial = Deadline.__init__.__defaults__
    Deadline.__init__.__defaults__ = (lambda: asyncio.get_running_loop().time(),)
    try:
        yield
    finally:
        Deadline.__init__.__defaults__ = initial


async def _run(kind: str, chance: random.Random, steps: int) -> Interleaving:
    strength = chance.choice((0.3, 1.0, 3.0))
    faults = {fault: strength * probability for fault, probability in FAULTS.items() if chance.random() < 0.5}
    partitions = [TopicPartition(TOPICS.texts, number) for number in range(chance.randint(1, 3))]
    kafka = KafkaModel(chance, faults, {partition: [] for partition in partitions})
    group = GroupModel(kafka)
    own = {"hold_s": chance.choice((0.5, 2.0, 10.0)), "max_records": chance.randint(1, 12)}
    settings = SETTINGS.model_copy(
        update={"drain_s": chance.choice((0.5, 5.0, 20.0)), "kafka": SETTINGS.kafka.model_copy(update=own)}
    )
    keys = chance.choice((1, 2, 3, 1_000))
    owners = _Owners()
    asyncio.get_running_loop().set_task_factory(owners.make_task)
    kafka.spawned = owners.disown
    kafka.spawn(group.watch_sessions())
    services = [
        _Service(f"service-{number}", partial(ModelledProcess, kafka=kafka, group=group, settings=settings, kind=kind))
        for number in range(chance.randint(1, 3))
    ]
    for service in services:
        kafka.spawn(service.keep_running(kafka, owners))
    records = 0
    for _ in range(steps):
        for partition in partitions:
            records += _arrive(kafka, partition, chance.randrange(5), keys)
        kafka.arrived.beat()
        await asyncio.sleep(chance.choice((0.0, 0.05, 1.0, 3.0)))
        if kafka.strikes("rebalance"):
            group.rebalance()
        if kafka.strikes("stopped"):
            chance.choice(services).process.stopping.set()
        _raise_violation(kafka)
    kafka.faults = {}
    ends_s = asyncio.get_running_loop().time() + CALM_S
    while any(group.committed[each] < len(entries) for each, entries in kafka.inputs.items()):
        await asyncio.sleep(1)
        _raise_violation(kafka)
        left = {each.partition: len(entries) - group.committed[each] for each, entries in kafka.inputs.items()}
        assert asyncio.get_running_loop().time() < ends_s, f"not done long after the last fault: {left}"
    return Interleaving(kafka, group, records, keys)


def _raise_violation(kafka: KafkaModel) -> None:
    if kafka.violation is not None:
        raise kafka.violation


def _arrive(kafka: KafkaModel, partition: TopicPartition, count: int, keys: int) -> int:
    """Append records of all kinds, and at times what no poll returns; return how many."""
    entries = kafka.inputs[partition]
    for _ in range(count):
        offset, kind = len(entries), kafka.chance.choice(KINDS)
        if kafka.chance.random() < 0.1:
            entries.append(Entry(None))
            continue
        value = b'{"text": "%s %d", "tasks": {"intent": {}}}' % (kind.encode(), offset % 7)
        record = plain(
            b"{" if kind == "broken" else value,
            topic=partition.topic,
            partition=partition.partition,
            offset=offset,
            key=b"%d %d" % (partition.partition, offset % keys),
        )
        entries.append(Entry(record, causes_of(kind, f"{partition.partition}-{offset}")))
    return count


class _Owners:
    """Knows whose each task is, as the system knows of threads: a process that is killed takes its own with it."""

    def __init__(self) -> None:
        self._processes: dict[asyncio.Task, ModelledProcess] = {}

    def make_task(self, loop, work, **options):
        task = asyncio.Task(work, loop=loop, **options)
        try:
            parent = asyncio.current_task(loop)
        except RuntimeError:
            parent = None
        if (process := self._processes.get(parent)) is not None:
            self.own(task, process)
        return task

    def own(self, task, process: ModelledProcess) -> None:
        self._processes[task] = process
        process.tasks.add(task)
        task.add_done_callback(self.disown)

    def disown(self, task) -> None:
        process = self._processes.pop(task, None)
        if process is not None:
            process.tasks.discard(task)


class _Service:
    """Starts a process again whenever it has ended, as a supervisor does."""

    def __init__(self, name: str, make) -> None:
        self._name = name
        self._make = make
        self.process = make(name)

    async def keep_running(self, kafka: KafkaModel, owners: _Owners) -> None:
        lives = 0
        while True:
            lives += 1
            self.process = self._make(f"{self._name}.{lives}")
            owners.own(asyncio.create_task(self.process.live()), self.process)
            await self.process.ended.wait()
            await asyncio.sleep(kafka.chance.uniform(0.2, 3.0))
