"""A store that is full: 100,000 pairs of one owner, and each screen within its time."""

import pytest

from sprat_contracts import BUILT_IN, Topics
from sprat_contracts.ids import TEXT, derive
from sprat_gateway.page.queries import (
    LiveFilter,
    WantedGoal,
    health,
    live,
    one_text,
    overview,
    privacy,
    to_label,
    what_if,
)
from sprat_gateway.page.records import RecordReader, TextSample
from sprat_gateway.page.retention import MOST_PAIRS
from sprat_gateway.page.schema import open_reader, open_writer
from sprat_gateway.page.store import LIMIT_S
from sprat_gateway.page.writing import StoreWriter
from support.page_store import OWN
from support.speed import cpu_s
from support.traced_records import BEGAN, TracedText

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

EVERY_MS = 60
END = BEGAN + MOST_PAIRS * EVERY_MS


def written(number, topics):
    """All records of a text, of which one in ten leaves the house."""
    text = TracedText(f"order-{number}", topics=topics)
    text.place, text.began = (topics.texts, number % 8, number), BEGAN + number * EVERY_MS
    made = [text.text(), text.prediction(offset=number)]
    if number % 10:
        return [*made, text.result(offset=number, decision="kept", reason="confident")]
    calls = [
        text.call(phase, 30, f"call-{number}", offset=number + end) for end, phase in enumerate(("attempt", "outcome"))
    ]
    return [*made, text.request(offset=number), *calls, text.answer(offset=number), text.result(offset=number)]


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    folder, topics = tmp_path_factory.mktemp("full"), Topics()
    reader, writer = RecordReader(topics, {}, TextSample()), StoreWriter(open_writer(folder), whole=True)
    for start in range(0, MOST_PAIRS, 500):
        records = (record for number in range(start, start + 500) for record in written(number, topics))
        writer.write([row for record in records for row in reader.read(record)], {})
    writer.connection.close()
    connection = open_reader(folder)
    yield connection
    connection.close()


QUERIES = {
    "overview of a minute": (overview, OWN, "minute", END),
    "overview of a day": (overview, OWN, "day", END),
    "the newest rows": (live, OWN, LiveFilter(), None, END),
    "rows behind a burst": (live, OWN, LiveFilter(), MOST_PAIRS - 20_000, END),
    "rows of a filter that none fits": (live, OWN, LiveFilter(status="unanswered"), None, END),
    "a text": (one_text, OWN, str(derive(TEXT, "/crm", f"order-{MOST_PAIRS - 10}")), END),
    "privacy of a day": (privacy, OWN, "day", END),
    "health": (health, OWN, END),
    "what waits for a label": (to_label, OWN, BUILT_IN, END),
    "what another goal would keep": (what_if, OWN, WantedGoal(goal=0.9), END),
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_full_store_answers_in_time(connection, name):
    query, *given = QUERIES[name]
    times = [cpu_s(lambda: query(connection, *given)) for _ in range(3)]
    assert query(connection, *given) is not None
    assert min(times) < LIMIT_S / 2


def test_it_shows_all_pairs(connection):
    seen = overview(connection, OWN, "day", END)
    assert (seen.texts, seen.counted.results, seen.counted.kept) == (MOST_PAIRS, MOST_PAIRS, MOST_PAIRS * 9 // 10)
    assert health(connection, OWN, END).store.pairs == MOST_PAIRS
