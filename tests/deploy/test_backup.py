"""Backup and restore of the data folder, as the page says: what was in hand goes on, and what was answered stays."""

from pathlib import Path

import pytest

from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options
from support.chapters import Person, chapter, environment
from support.numbered_texts import final_results, one_each, publish, results
from support.readme import DOCS
from support.stream import read_all

LAPTOP = chapter(DOCS / "deploy/backup.md", "Back up and restore: laptop")
COUNT = 40

pytestmark = pytest.mark.timeout(180)


def installed(data: Path) -> Installation:
    """Return an installation with as few services as answer a text, for it starts three times."""
    return Installation(Options(data=data, services=("simulator", "router", "intent", "frontier")))


async def test_a_copy_of_the_data_folder_goes_on_where_the_installation_was(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "sprat-data", tmp_path / "elsewhere"
    elsewhere.mkdir()
    person = Person(LAPTOP, tmp_path, environment())
    answered, in_hand, later = range(COUNT), range(COUNT, 2 * COUNT), range(2 * COUNT, 2 * COUNT + 1)
    before, whole = range(in_hand.stop), range(later.stop)
    with installed(data) as first:
        kafka = first.bootstrap, first.topics
        await publish(*kafka, answered)
        assert await final_results(*kafka) == one_each(answered)
        first.stop_service("intent")
        await publish(*kafka, in_hand)
        assert await results(*kafka) == one_each(answered)
    person.follow("(umask 077; tar -czf sprat-data.tar.gz sprat-data)")
    with installed(data) as lost:  # what happens after the backup
        await publish(lost.bootstrap, lost.topics, later)
        assert await final_results(lost.bootstrap, lost.topics) == one_each(whole)

    person.follow("tar -xzf sprat-data.tar.gz --directory elsewhere")
    assert (elsewhere / "sprat-data/secret").read_bytes() == (data / "secret").read_bytes()
    with installed(elsewhere / "sprat-data") as restored:
        kafka = restored.bootstrap, restored.topics
        assert await final_results(*kafka) == one_each(before), "nothing is lost, and nothing done twice"
        # Published again, the text from after the backup has the Result that it had.
        await publish(*kafka, later)
        assert await final_results(*kafka) == one_each(whole)
        assert await read_all(restored.bootstrap, restored.topics.dead_letters) == []
    assert person.take("sprat up --data elsewhere/sprat-data")
    assert person.left == []
