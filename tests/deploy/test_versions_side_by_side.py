"""Services of an earlier commit and of this one side by side, under traffic: through an upgrade, and all the way back.

One kind of service at a time changes its version, in an order that leads through every mixture of two versions of the
router, the specialists and the frontier service. The upgrade starts new instances beside the old ones, in the same
groups; the way back stops one and starts the other.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from sprat_contracts import Result, decode, ids
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options, Simulation
from sprat_local.processes.notices import Notice
from sprat_operations.services import instance_name
from sprat_policy import NO_FILES, TaskFiles, load_task_files
from support.old_version import EarlierVersion
from support.stream import eventually, read_all
from support.traffic import DEFAULTS, record, settled, submit

SPECIALISTS = ("intent", "ner", "translation")
ORDER = (0, 1, 0, 2, 1, 0, 1)
"""Which kind of service changes its version next; the last step makes all of them new."""
TASK = "desk"
TASK_FILE = """
kind: classification
labels: {transfer: money is to be moved, balance: how much money is there, card: a card is lost or blocked}
languages: [en]
keep_at: 0.5
"""
"""Without examples: the nearest label answers."""
TIERS = """
tiers:
  - {name: unsure, preset: frontier, keep_at: 0.9, tasks: [intent, desk]}
  - {name: last, preset: frontier}
"""
SOURCE = "/tests/upgrade"
SURE = "please move {} euros from checking to my savings account"
HARD = "för över {} euro till mitt sparkonto"
PER_S = 10
"""Texts. So few that a busy machine keeps up: a frontier service with a backlog does cases again after a stop."""
ENDED = 25
"""Pairs that end in each state, of texts that were published in it."""

pytestmark = pytest.mark.timeout(900)


def tasks_of(number: int, added: Iterable[str] = ()) -> dict[str, dict[str, str]]:
    """Return what the n-th text asks for: an intent always, names for each second, others for some.

    Args:
        number: of the text.
        added: the tasks from files.
    """
    asked: dict[str, dict[str, str]] = {"intent": {}}
    if number % 2:
        asked["ner"] = {}
    if number % 5 == 0:
        asked["translation"] = {"target": "de"}
    return asked | ({task: {} for task in added} if number % 4 == 0 else {})


def event(number: int, added: Iterable[str] = ()) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return a text; every seventh is in a language that the small model declines, and may leave."""
    hard = number % 7 == 0
    value = {
        "text": (HARD if hard else SURE).format(number),
        "language": "sv" if hard else "en",
        "tasks": tasks_of(number, added),
        "tenant": "acme-bank",
        "frontier": "allow",
        "deadline_ms": 240_000,
    }
    return record(SOURCE, str(number), value)


class Traffic:
    """Texts at a steady rate until it is stopped, and the Results that come of them."""

    def __init__(self, installation: Installation) -> None:
        self._bootstrap = installation.bootstrap
        self._topics = installation.topics
        self._added = installation.topics.tasks.added
        self.published = 0
        self.ended: Counter[str] = Counter()
        """How often each Result stands on the topics, by its id."""
        self.climbs: Counter[tuple[str, ...]] = Counter()
        """How often tiers have said what to a hard case."""
        self.stopping = False

    async def publish(self) -> None:
        while not self.stopping:
            first = self.published
            self.published += PER_S
            await submit(
                self._bootstrap, self._topics, lambda n, first=first: event(first + n, self._added), PER_S, over_s=1
            )

    async def follow(self) -> None:
        consumer = AIOKafkaConsumer(
            *map(self._topics.results, self._topics.tasks),
            bootstrap_servers=self._bootstrap,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        async with consumer:
            async for found in consumer:
                result = decode(found, Result)
                self.ended[str(result.envelope.id)] += 1
                if result.message.source == "frontier":
                    self.climbs[tuple(step.outcome for step in result.message.tiers)] += 1

    def pairs(self, first: int = 0) -> set[str]:
        """Return the ids of the Results that the texts from this one on must have."""
        return {
            str(ids.derive(ids.RESULT, SOURCE, str(number), task))
            for number in range(first, self.published)
            for task in tasks_of(number, self._added)
        }

    async def goes_on(self) -> None:
        """Wait until texts that are published from now on have Results."""
        first = self.published
        await eventually(lambda: len(self.pairs(first) & self.ended.keys()) >= ENDED, 60)


@asynccontextmanager
async def traffic_through(installation: Installation) -> AsyncIterator[Traffic]:
    """Publish while the block runs; then wait until all is done."""
    traffic = Traffic(installation)
    publishing, following = asyncio.create_task(traffic.publish()), asyncio.create_task(traffic.follow())
    try:
        yield traffic
        traffic.stopping = True
        await publishing
        added = [f"{task}.default" for task in installation.topics.tasks.added]
        await settled(installation.bootstrap, installation.topics, [*DEFAULTS, *added])
        await eventually(lambda: traffic.ended.keys() >= traffic.pairs())
    finally:
        traffic.stopping = True
        following.cancel()
        await asyncio.gather(publishing, following, return_exceptions=True)


async def each(services: tuple[str, ...], work: Callable[[str], object]) -> None:
    """Do something that blocks for several services at a time."""
    await asyncio.gather(*(asyncio.to_thread(work, service) for service in services))


@pytest.fixture
def errors() -> list[str]:
    return []


@pytest.fixture
def task_files(earlier: EarlierVersion, tmp_path: Path) -> TaskFiles:
    """Return a task from a file, where the earlier version knows such."""
    if not earlier.knows("sprat_policy/task_files.py"):
        return NO_FILES
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / f"{TASK}.yaml").write_text(TASK_FILE, encoding="utf-8")
    return load_task_files(folder)


@pytest.fixture
def installation(
    earlier: EarlierVersion, task_files: TaskFiles, tmp_path: Path, errors: list[str]
) -> Iterator[Installation]:
    def note(notice: Notice) -> None:
        if notice.level == "error":
            errors.append(f"{notice.service}: {notice.text}")

    policy = tmp_path / "policy.yaml"
    tiers = TIERS if earlier.knows("sprat_policy/tiers.py") and task_files else ""
    policy.write_text(earlier.policy.read_text("utf-8") + tiers, encoding="utf-8")
    own = dict.fromkeys((*services_of(task_files), "router", "frontier"), earlier.variables)
    options = Options(
        policy=policy,
        task_files=task_files,
        simulation=Simulation(latency_ms=5, jitter_ms=5, invent=True),
        environment=earlier.accepting,
        service_environment=own | {"simulator": {"SPRAT_SIMULATOR_CONFIDENCE": "0.6"}},
        ready_timeout_s=180,
    )
    with Installation(options, on_notice=note) as running:
        yield running


def services_of(task_files: TaskFiles) -> tuple[str, ...]:
    """Return the specialists."""
    return *SPECIALISTS, *task_files


async def test_versions_run_side_by_side_through_an_upgrade_and_back(
    installation: Installation, errors: list[str], earlier: EarlierVersion
) -> None:
    kinds = (("frontier",), services_of(installation.options.task_files), ("router",))
    everything = tuple(service for kind in kinds for service in kind)

    def is_earlier(process: str) -> bool:
        own = Path(f"/proc/{installation.processes[process].pid}/environ").read_text("utf-8").split("\0")
        return f"PYTHONPATH={earlier.variables['PYTHONPATH']}" in own

    def add_beside(service: str) -> None:
        installation.start_service(service, instance=2)
        assert (is_earlier(service), is_earlier(instance_name(service, 2))) == (True, False)

    def put_back(service: str) -> None:
        installation.stop_service(instance_name(service, 2))
        installation.start_service(service)
        assert is_earlier(service)

    new: frozenset[str] = frozenset()
    mixtures = set()
    async with traffic_through(installation) as traffic:
        await traffic.goes_on()
        for services in (kinds[index] for index in ORDER):
            if new.issuperset(services):
                await each(services, put_back)
            else:
                await each(services, add_beside)
                await traffic.goes_on()  # both versions in one group
                await each(services, installation.stop_service)
            new ^= frozenset(services)
            mixtures.add(new)
            await traffic.goes_on()
        await each(everything, put_back)
        await traffic.goes_on()

    assert new == frozenset(everything)
    assert len(mixtures) == 2 ** len(kinds) - 1, "each mixture of versions was there"
    assert traffic.ended == Counter(traffic.pairs())
    if installation.options.task_files:
        assert traffic.climbs["unsure", "kept"] > ENDED, "hard cases climbed"
    assert await read_all(installation.bootstrap, installation.topics.dead_letters) == []
    assert errors == []
