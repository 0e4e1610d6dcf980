"""Backup and restore of the data folder, as the page says: what was in hand goes on, and what was answered stays."""

from collections import Counter
from pathlib import Path

import pytest

from sprat_contracts import Result, decode, ids
from sprat_local.installation import Installation
from sprat_local.options import Options
from support.chapters import Person, chapter, environment
from support.readme import DOCS
from support.stream import read_all
from support.traffic import record, settled, submit

LAPTOP = chapter(DOCS / "deploy/backup.md", "Back up and restore: laptop")
SOURCE = "/tests/backup"
COUNT = 40
MODELS = ("intent.default",)

pytestmark = pytest.mark.timeout(180)


def event(number: int) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return a text that the small model answers."""
    return record(SOURCE, str(number), {"text": f"please move {number} euros to my savings", "tasks": {"intent": {}}})


def installed(data: Path) -> Installation:
    """Return an installation with as few services as answer a text, for it starts three times."""
    return Installation(Options(data=data, services=("simulator", "router", "intent", "frontier")))


async def results(installation: Installation) -> Counter[str]:
    """Return how often each Result stands on the topic, by its id."""
    records = await read_all(installation.bootstrap, installation.topics.results("intent"))
    return Counter(str(decode(each, Result).envelope.id) for each in records)


def ids_of(*numbers: int) -> Counter[str]:
    return Counter(str(ids.derive(ids.RESULT, SOURCE, str(number), "intent")) for number in numbers)


async def test_a_copy_of_the_data_folder_goes_on_where_the_installation_was(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "sprat-data", tmp_path / "elsewhere"
    elsewhere.mkdir()
    person = Person(LAPTOP, tmp_path, environment())
    with installed(data) as first:
        await submit(first.bootstrap, first.topics, event, COUNT, over_s=0)
        await settled(first.bootstrap, first.topics, MODELS)
        first.stop_service("intent")  # the next texts are in hand when the backup is made
        await submit(first.bootstrap, first.topics, lambda number: event(COUNT + number), COUNT, over_s=0)
        assert await results(first) == ids_of(*range(COUNT))
    person.follow("(umask 077; tar -czf sprat-data.tar.gz sprat-data)")
    with installed(data) as lost:  # what happens after the backup
        await submit(lost.bootstrap, lost.topics, lambda number: event(2 * COUNT + number), 1, over_s=0)
        await settled(lost.bootstrap, lost.topics, MODELS)
        assert await results(lost) == ids_of(*range(2 * COUNT + 1))

    person.follow("tar -xzf sprat-data.tar.gz --directory elsewhere")
    assert (elsewhere / "sprat-data/secret").read_bytes() == (data / "secret").read_bytes()
    with installed(elsewhere / "sprat-data") as restored:
        await settled(restored.bootstrap, restored.topics, MODELS)
        assert await results(restored) == ids_of(*range(2 * COUNT)), "nothing is lost, and nothing done twice"
        # Published again, the text from after the backup has the Result that it had.
        await submit(restored.bootstrap, restored.topics, lambda number: event(2 * COUNT + number), 1, over_s=0)
        await settled(restored.bootstrap, restored.topics, MODELS)
        assert await results(restored) == ids_of(*range(2 * COUNT + 1))
        assert await read_all(restored.bootstrap, restored.topics.dead_letters) == []
    assert person.take("sprat up --data elsewhere/sprat-data")
    assert person.left == []
