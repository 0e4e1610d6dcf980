"""Services of an earlier commit and of this one side by side, under traffic: through an upgrade, and all the way back.

One kind of service at a time changes its version, in an order that leads through every mixture of two versions of the
router, the specialists and the frontier service. The upgrade starts new instances beside the old ones, in the same
groups; the way back stops one and starts the other.
"""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from sprat_contracts import TASKS, Result, decode, ids
from sprat_local.installation import Installation
from sprat_local.notices import Notice
from sprat_local.options import POLICY, Options, Simulation
from sprat_operations.services import instance_name
from support.old_version import NoHistoryError, earlier_commit, variables_of
from support.stream import eventually, read_all
from support.traffic import record, settled, submit

SPECIALISTS = ("intent", "ner", "translation")
KINDS = (("frontier",), SPECIALISTS, ("router",))
ALL = tuple(service for kind in KINDS for service in kind)
ORDER = (0, 1, 0, 2, 1, 0, 1)
"""Which of `KINDS` changes its version next; the last step makes all of them new."""
SOURCE = "/tests/upgrade"
SURE = "please move {} euros from checking to my savings account"
HARD = "för över {} euro till mitt sparkonto"
PER_S = 25
ENDED = 25
"""Pairs that end in each state, of texts that were published in it."""

pytestmark = pytest.mark.timeout(480)


def tasks_of(number: int) -> dict[str, dict[str, str]]:
    """Return what the n-th text asks for: an intent always, names for each second, a translation for each fifth."""
    more = {"ner": {}} if number % 2 else {}
    return {"intent": {}} | more | ({"translation": {"target": "de"}} if number % 5 == 0 else {})


def event(number: int) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return a text; every third is in a language that the small model declines, and may leave."""
    hard = number % 3 == 0
    value = {
        "text": (HARD if hard else SURE).format(number),
        "language": "sv" if hard else "en",
        "tasks": tasks_of(number),
        "tenant": "acme-bank",
        "frontier": "allow",
        "deadline_ms": 240_000,
    }
    return record(SOURCE, str(number), value)


def signs(earlier: dict[str, str]) -> bool:
    """Return whether services of the earlier commit sign what they write for each other."""
    return any(Path(folder, "sprat/signatures.py").is_file() for folder in earlier["PYTHONPATH"].split(os.pathsep))


def policy_of(earlier: dict[str, str]) -> Path:
    """Return the policy that the earlier commit ships: it refuses fields that it does not know.

    As docs/deploy/upgrade.md has it, a policy is changed after all services know its fields.
    """
    found = (Path(folder, "sprat_local", *POLICY.parts[-2:]) for folder in earlier["PYTHONPATH"].split(os.pathsep))
    return next(path for path in found if path.is_file())


class Traffic:
    """Texts at a steady rate until it is stopped, and the Results that come of them."""

    def __init__(self, installation: Installation) -> None:
        self._bootstrap = installation.bootstrap
        self._topics = installation.topics
        self.published = 0
        self.ended: Counter[str] = Counter()
        """How often each Result stands on the topics, by its id."""
        self.stopping = False

    async def publish(self) -> None:
        while not self.stopping:
            first = self.published
            self.published += PER_S
            await submit(self._bootstrap, self._topics, lambda n, first=first: event(first + n), PER_S, over_s=1)

    async def follow(self) -> None:
        consumer = AIOKafkaConsumer(
            *map(self._topics.results, TASKS),
            bootstrap_servers=self._bootstrap,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        async with consumer:
            async for found in consumer:
                self.ended[str(decode(found, Result).envelope.id)] += 1

    def pairs(self, first: int = 0) -> set[str]:
        """Return the ids of the Results that the texts from this one on must have."""
        return {
            str(ids.derive(ids.RESULT, SOURCE, str(number), task))
            for number in range(first, self.published)
            for task in tasks_of(number)
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
        await settled(installation.bootstrap, installation.topics)
        await eventually(lambda: traffic.ended.keys() >= traffic.pairs())
    finally:
        traffic.stopping = True
        following.cancel()
        await asyncio.gather(publishing, following, return_exceptions=True)


async def each(services: tuple[str, ...], work: Callable[[str], object]) -> None:
    """Do something that blocks for several services at a time."""
    await asyncio.gather(*(asyncio.to_thread(work, service) for service in services))


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the variables that run a service of the earlier commit."""
    try:
        commit = earlier_commit()
    except NoHistoryError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("earlier")
    variables = variables_of(commit, folder)
    for service in ALL:
        packages = ("sprat_contracts", "sprat", f"sprat_{service}")
        where = f"import {', '.join(packages)}; print(*(m.__file__ for m in ({', '.join(packages)})))"
        said = subprocess.check_output([sys.executable, "-P", "-c", where], env=os.environ | variables, text=True)
        assert all(path.startswith(str(folder)) for path in said.split()), said
    return variables


@pytest.fixture
def errors() -> list[str]:
    return []


@pytest.fixture
def installation(earlier: dict[str, str], errors: list[str]) -> Iterator[Installation]:
    def note(notice: Notice) -> None:
        if notice.level == "error":
            errors.append(f"{notice.service}: {notice.text}")

    # As docs/deploy/upgrade.md has it; a version that knows no signatures does not know the setting either.
    accepting = {} if signs(earlier) else {"SPRAT_UNSIGNED_RECORDS": "accept"}
    options = Options(
        policy=policy_of(earlier),
        simulation=Simulation(latency_ms=5, jitter_ms=5, invent=True),
        environment=accepting,
        service_environment=dict.fromkeys(ALL, earlier),
    )
    with Installation(options, on_notice=note) as running:
        yield running


async def test_versions_run_side_by_side_through_an_upgrade_and_back(
    installation: Installation, errors: list[str], earlier: dict[str, str]
) -> None:
    def is_earlier(process: str) -> bool:
        own = Path(f"/proc/{installation.processes[process].pid}/environ").read_text("utf-8").split("\0")
        return f"PYTHONPATH={earlier['PYTHONPATH']}" in own

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
        for services in (KINDS[index] for index in ORDER):
            if new.issuperset(services):
                await each(services, put_back)
            else:
                await each(services, add_beside)
                await traffic.goes_on()  # both versions in one group
                await each(services, installation.stop_service)
            new ^= frozenset(services)
            mixtures.add(new)
            await traffic.goes_on()
        await each(ALL, put_back)
        await traffic.goes_on()

    assert new == frozenset(ALL)
    assert len(mixtures) == 2 ** len(KINDS) - 1, "each mixture of versions was there"
    assert traffic.ended == Counter(traffic.pairs())
    assert await read_all(installation.bootstrap, installation.topics.dead_letters) == []
    assert errors == []
