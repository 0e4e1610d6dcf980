"""The store of the page beside a real Kafka: what it reads, after what losses, and what it leaves to the services."""

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import make_consumer
from sprat_contracts.ids import TEXT, derive
from sprat_gateway.page.answers import PageAnswers
from sprat_gateway.page.groups import watch_groups
from sprat_gateway.page.ingest import Ingestion
from sprat_gateway.page.queries import LiveFilter, Viewer, health, live, one_text, overview
from sprat_gateway.page.schema import FILE
from sprat_gateway.page.store import PageStore, now_ms
from support.stream import eventually, open_transaction, producing
from support.traced_records import SAID, TracedText

OWN = Viewer("acme", "/crm", texts=True)


@pytest.fixture
def settings(kafka, prefix, topics):
    return KafkaSettings(bootstrap=kafka.bootstrap, prefix=prefix, partitions=2)


@asynccontextmanager
async def reading(settings, folder, *, whole=True, most_pairs=100_000):
    """A store that has caught up, and reads on."""
    async with PageStore(folder, whole=whole) as store:
        ingestion = Ingestion(settings, store, whole=whole, most_pairs=most_pairs)
        task = asyncio.create_task(ingestion.run())
        try:
            await asyncio.wait_for(ingestion.caught_up.wait(), 20)
            yield store
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def produce(settings, *records):
    """Publish records in their order; the broker gives them places and times."""
    async with producing(settings.bootstrap) as producer:
        for record in records:
            await producer.send_and_wait(
                record.topic, record.value, record.key, record.partition, headers=list(record.headers)
            )


def whole(number, topics, offset=0):
    """All that an escalated text causes, which is at this offset."""
    text = TracedText(f"order-{number}", topics=topics)
    text.place, text.began = (topics.texts, 0, offset), now_ms()
    calls = [text.call(phase, 0, f"call-{number}") for phase in ("attempt", "outcome")]
    return [text.text(), text.prediction(), text.request(), *calls, text.answer(), text.result()]


def uuid_of(number):
    return str(derive(TEXT, "/crm", f"order-{number}"))


async def shown(store, number):
    return await store.read(one_text, OWN, uuid_of(number), now_ms())


async def results_of(store):
    rows = await store.read(live, OWN, LiveFilter(), None, now_ms())
    return {row.id for row in rows.rows}


async def counted(store):
    """Return texts, Results and rows of the store."""
    seen = await store.read(overview, OWN, "day", now_ms())
    rows = await store.read(lambda connection: connection.execute("SELECT count(*) FROM results").fetchone()[0])
    return seen.texts, seen.counted.results, rows


def unfit(topics):
    """Records that are not what their topics hold."""
    good = whole(1, topics)
    return [
        replace(good[0], value=json.dumps({"text": 1, "tasks": [], "tenant": "acme"}).encode()),
        replace(good[-1], value=json.dumps(json.loads(good[-1].value) | {"tenant": ["acme"]}).encode()),
        replace(good[-1], value=json.dumps(json.loads(good[-1].value) | {"task": {}}).encode()),
        *(replace(record, value=b"\xff{") for record in good),
        replace(good[1], value=b"[" * 10_000),
    ]


async def groups_of(settings):
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    try:
        return [name for name, *_ in await admin.list_consumer_groups() if settings.prefix in name]
    finally:
        await admin.close()


async def test_reads_what_a_text_causes_and_goes_on_where_it_ended(settings, topics, tmp_path):
    await produce(settings, *unfit(topics), *whole(1, topics, offset=2))  # behind two that do not fit
    async with reading(settings, tmp_path) as store:
        text = await shown(store, 1)
        kinds = ["text", "text", "prediction", "request", "egress", "egress", "answer", "result"]
        assert ([str(hop.kind) for hop in text.hops], text.text, text.complete) == (kinds, SAID, True)
        assert [each.call_id for each in text.left] == ["call-1"]
        await produce(settings, *whole(2, topics))  # it reads on
        await eventually(lambda: _has(store, "order-2"))
    await produce(settings, *whole(3, topics))
    async with reading(settings, tmp_path) as store:
        assert await results_of(store) == {"order-1", "order-2", "order-3"}
        assert (await counted(store))[1:] == (3, 3)  # nothing twice
        assert await groups_of(settings) == []


async def _has(store, id):
    return id in await results_of(store)


async def test_a_lost_store_is_read_again_from_the_topics(settings, topics, tmp_path):
    await produce(settings, *whole(1, topics))
    async with reading(settings, tmp_path):
        pass
    (tmp_path / FILE).unlink()
    async with reading(settings, tmp_path) as store:
        assert len((await shown(store, 1)).hops) == 7
        assert await counted(store) == (1, 1, 1)


async def test_keeps_the_newest_pairs_and_begins_anew_behind_more_of_them(settings, topics, tmp_path, monkeypatch):
    monkeypatch.setattr("sprat_gateway.page.ingest._SWEEP_S", 0.1)
    async with reading(settings, tmp_path, most_pairs=3) as store:
        for number in range(1, 6):
            await produce(settings, *whole(number, topics))
        await eventually(lambda: _are(store, {"order-3", "order-4", "order-5"}))
        assert await shown(store, 1) is None
        assert (await counted(store))[:2] == (5, 5)  # the sums stay
    await produce(settings, *(record for number in range(6, 11) for record in whole(number, topics)))
    async with reading(settings, tmp_path, most_pairs=3) as store:
        assert await results_of(store) == {"order-8", "order-9", "order-10"}


async def _are(store, ids):
    return await results_of(store) == ids


async def test_without_a_page_it_holds_results_ids_and_digests_alone(settings, topics, tmp_path):
    rejected = TracedText("order-2", topics=topics)
    letter = rejected.letter(rejected.text(), code="invalid_text")
    await produce(settings, *whole(1, topics), letter)
    async with reading(settings, tmp_path, whole=False) as store:
        found = await PageAnswers(store, topics.tasks).find(uuid_of(1), "acme", "/crm")
        refused = await PageAnswers(store, topics.tasks).find(uuid_of(2), "acme", "/crm")
        kinds = await store.read(lambda connection: connection.execute("SELECT DISTINCT kind FROM records").fetchall())
    assert (found.outcome.tasks, found.outcome.complete) == (("intent",), True)
    assert found.outcome.results["intent"].output.label == "transfer"
    assert refused.outcome.refused.code == "invalid_text"
    assert [kind for (kind,) in kinds] == ["result"]
    assert SAID.encode() not in b"".join(file.read_bytes() for file in tmp_path.iterdir())
    async with reading(settings, tmp_path) as store:  # turned on: what it has left out is read now
        assert len((await shown(store, 1)).hops) == 7


async def test_what_an_open_transaction_holds_back_is_not_shown(settings, topics, tmp_path):
    text = TracedText("order-1", topics=topics)
    async with open_transaction(settings.bootstrap, topics.texts):
        await produce(settings, text.text())
        async with reading(settings, tmp_path) as store:
            assert await shown(store, 1) is None
    async with reading(settings, tmp_path) as store:
        assert (await shown(store, 1)).text == SAID


async def test_shows_the_groups_of_the_services(settings, topics, tmp_path, kafka):
    consumer = make_consumer(
        {"bootstrap_servers": kafka.bootstrap},
        topics.texts,
        group_id=f"{topics.prefix}.router",
        auto_offset_reset="earliest",
    )
    await consumer.start()
    async with PageStore(tmp_path, whole=True) as store:
        watching = asyncio.create_task(watch_groups(settings, store, every_s=0.1))
        try:
            await produce(settings, TracedText(topics=topics).text())
            await eventually(lambda: _row(store, ("router", 1, 1, False)))  # it commits nothing
            await consumer.getone()
            await consumer.commit()
            await eventually(lambda: _row(store, ("router", 1, 0, True)))
        finally:
            await consumer.stop()
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching


async def _row(store, wanted):
    seen = await store.read(health, OWN, now_ms())
    return wanted in [(row.name, row.members, row.lag, row.keeps_up) for row in seen.groups]
