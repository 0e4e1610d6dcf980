"""A person's desk: a folder with an owner's files, a shell, and a real `sprat up` with the model trained there."""

import asyncio
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sprat_contracts import Topics
from support import owner_files
from support.chapters import Chapter, Person, Said, environment
from support.letters import plain_record, rejected
from support.stream import SECRET, publish, settings_for
from support.traffic import DEFAULTS, settled
from support.up_process import UpProcess

TOPICS = Topics()
USUAL = "127.0.0.1:9092"
USUAL_REDIS = "127.0.0.1:6379"
SOMETHING_PERSONAL = "please transfer 100 euros to Anna Schmidt, anna.schmidt@example.org"


@dataclass(frozen=True)
class Desk:
    """What there is after the first two commands of `Bring your own labels`."""

    person: Person
    trained: Said
    up: UpProcess

    @property
    def bootstrap(self) -> str:
        return self.up.bootstrap

    def settle(self, *models: str) -> None:
        """Wait until all texts have their Results; `models` beside the shipped ones, as `intent.hr`."""
        asyncio.run(settled(self.bootstrap, TOPICS, models=[*DEFAULTS, *models]))


@contextmanager
def at_desk(followed: Chapter, folder: Path) -> Iterator[Desk]:
    """Follow the first two commands of the chapter; end what they started with the block, as Ctrl-C does."""
    owner_files.write_all(folder)
    # "Set it before `sprat up`": what is retired or replayed is signed.
    person = Person(followed, folder, environment(SPRAT_SECRET=SECRET))
    trained = person.follow("sprat train intent hr.csv")
    _, _, *arguments = shlex.split(person.take("sprat up --model intent/hr=hr").command)
    # "Your policy, which `sprat up` takes with `--policy`".
    up = UpProcess(*arguments, "--policy", "policy.yaml", cwd=folder, env=person.environment)
    try:
        up.wait_ready(within_s=150)
        if up.bootstrap != USUAL:  # somebody else has the port
            person.environment |= {"SPRAT_KAFKA__BOOTSTRAP": up.bootstrap}
        if USUAL_REDIS not in up.redis:
            person.environment |= {"SPRAT_REDIS__URL": up.redis}
        yield Desk(person, trained, up)
        code, _ = up.interrupt()
        assert code == 0, up.output
    finally:
        up.end()


async def something_goes_wrong(bootstrap: str) -> None:
    """A text in Swiss German, which no small model knows; and two dead letters, both in partition 0 of their topic."""
    value, headers = owner_files.submitted("t-3", "sperr mein konto, jetzt sofort!!", language="gsw", frontier="allow")
    await publish(bootstrap, TOPICS.texts, [value], headers)
    settings = settings_for(bootstrap, TOPICS.prefix)
    await rejected(settings, plain_record(TOPICS), partition=0)
    value, headers = owner_files.submitted("order-4711", SOMETHING_PERSONAL)
    failed = plain_record(TOPICS, value, offset=44, key=b"customer-17", headers=tuple(headers))
    detail = "the service has a defect: KeyError"
    await rejected(settings, failed, service="intent", code="defect", detail=detail, partition=0)
