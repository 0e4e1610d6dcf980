"""The file of the page's store: who may read it, what damages it, what goes from it, and how long a query may take."""

import asyncio
import os
import sqlite3
import stat
import time
from dataclasses import replace

import pytest

from sprat.base.errors import UserError
from sprat_contracts.ids import TEXT, derive
from sprat_contracts.topics import DAY_MS
from sprat_gateway.answers.kept import KeptText, digest_of
from sprat_gateway.audit_note import note_verified
from sprat_gateway.page.answers import PageAnswers
from sprat_gateway.page.queries import LiveFilter, live, one_text, overview, privacy
from sprat_gateway.page.retention import clear, sweep
from sprat_gateway.page.schema import FILE
from sprat_gateway.page.store import LIMIT_S, PageStore, QueryTooSlow
from sprat_gateway.replies.waiters import TextOutcome
from support.page_store import NOW, OWN, filled_store
from support.traced_records import BEGAN, SAID, TracedText

UUID = str(derive(TEXT, "/crm", "order-7"))


async def test_only_its_owner_may_read_the_file(tmp_path):
    folder, before = tmp_path / "data", os.umask(0)
    try:
        async with filled_store(folder, *TracedText().whole()) as filled:
            await filled.show(one_text, OWN, UUID, NOW)
            assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        os.umask(before)


def _of_another_version(file):
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()


@pytest.mark.parametrize(
    "damage", [lambda file: file.write_bytes(b"no database" * 1000), _of_another_version], ids=["garbage", "version"]
)
async def test_a_file_that_cannot_be_used_is_made_anew(tmp_path, damage):
    async with filled_store(tmp_path, *TracedText().whole()):
        pass
    damage(tmp_path / FILE)
    async with filled_store(tmp_path) as filled:
        assert await filled.show(one_text, OWN, UUID, NOW) is None
        await filled.put(*TracedText().whole())
        assert await filled.show(one_text, OWN, UUID, NOW) is not None


async def test_a_query_that_takes_long_is_ended_and_others_go_on(tmp_path):
    forever = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    async with filled_store(tmp_path, *TracedText().whole()) as filled:
        began = time.monotonic()
        slow = asyncio.create_task(filled.show(lambda connection: connection.execute(forever).fetchone()))
        assert await filled.show(one_text, OWN, UUID, NOW) is not None
        with pytest.raises(QueryTooSlow):
            await slow
        assert LIMIT_S <= time.monotonic() - began < LIMIT_S + 2


async def test_a_query_of_a_screen_may_wait_for_a_core_and_is_ended_when_it_computes_or_waits_long(tmp_path):
    steps = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?) SELECT count(*) FROM n"
    computed = []

    def after(pause_s, count):
        def query(connection):
            time.sleep(pause_s)  # as a thread that gets no core
            began = time.thread_time()
            try:
                return connection.execute(steps, (count,)).fetchone()[0]
            finally:
                computed.append(time.thread_time() - began)

        return query

    async with filled_store(tmp_path) as filled:
        assert await filled.store.read_for_screen(after(1.5 * LIMIT_S, 10_000)) == 10_000
        with pytest.raises(QueryTooSlow):
            await filled.store.read(after(1.5 * LIMIT_S, 10_000))
        with pytest.raises(QueryTooSlow):
            await filled.store.read_for_screen(after(1.1, 10_000))
        with pytest.raises(QueryTooSlow):
            await filled.store.read_for_screen(after(0, 10**12))
        assert computed[-1] < LIMIT_S + 0.1


async def test_a_query_cannot_write(tmp_path):
    async with filled_store(tmp_path) as filled:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await filled.show(lambda connection: connection.execute("DELETE FROM texts"))


async def sweep_at(filled, now, **more):
    await filled.store.write(sweep, now, 7 * DAY_MS, **more)


async def test_a_part_goes_when_its_topic_lets_it_go(tmp_path):
    async with filled_store(tmp_path, *TracedText().whole()) as filled:
        kinds = {}
        for days in (1, 3, 8, 401):
            now = BEGAN + days * DAY_MS
            unswept = await filled.show(one_text, OWN, UUID, now)
            await sweep_at(filled, now)
            swept = await filled.show(one_text, OWN, UUID, now)
            assert unswept == swept  # what has expired is not shown, also before it is deleted
            kinds[days] = None if swept is None else [str(hop.kind) for hop in swept.hops]
        left = await filled.show(lambda connection: connection.execute("SELECT count(*) FROM calls").fetchone()[0])
    assert kinds == {
        1: ["text", "prediction", "request", "egress", "egress", "answer", "result"],
        3: ["text", "result", "egress", "egress"],
        8: None,
        401: None,
    }
    assert left == 0


async def test_what_has_gone_stands_in_no_file(tmp_path):
    secret = "Hortensia Quittenbaum"
    texts = [TracedText(f"order-{number}") for number in range(50)]
    records = [
        replace(record, offset=1000 * number + record.offset)
        for number, text in enumerate(texts)
        for record in text.whole()
    ]
    records = [replace(each, value=each.value.replace(SAID.encode(), secret.encode())) for each in records]
    async with filled_store(tmp_path, *records) as filled:
        assert secret.encode() in _content(tmp_path)
        await sweep_at(filled, BEGAN + 8 * DAY_MS)
        assert secret.encode() not in _content(tmp_path)


def _content(folder):
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def test_the_newest_pairs_stay(tmp_path):
    async with filled_store(tmp_path) as filled:
        for number in range(5):
            text = TracedText(f"order-{number}")
            text.place = (text.topics.texts, 0, number)
            await filled.put(text.text(), text.result(offset=number, decision="kept"))
        await sweep_at(filled, NOW, most_pairs=2)
        rows = (await filled.show(live, OWN, LiveFilter(), None, NOW)).rows
        texts = await filled.show(lambda connection: connection.execute("SELECT count(*) FROM records").fetchone()[0])
        assert ([row.id for row in rows], texts) == (["order-4", "order-3"], 4)
        assert (await filled.show(overview, OWN, "hour", NOW)).texts == 5


async def test_a_file_that_grows_too_large_loses_its_oldest_texts(tmp_path):
    async with filled_store(tmp_path) as filled:
        for number in range(100):
            text = TracedText(f"order-{number}")
            text.place = (text.topics.texts, 0, number)
            long = replace(text.text(), value=text.text().value.replace(SAID.encode(), b"long " * 3_000))
            await filled.put(long, text.result(offset=number, decision="kept"))
        await sweep_at(filled, NOW)
        before = (tmp_path / FILE).stat().st_size
        for _ in range(5):
            await sweep_at(filled, NOW, most_bytes=700_000)
        rows = await filled.show(lambda connection: connection.execute("SELECT text_id FROM texts").fetchall())
        ids = [id for (id,) in rows]
        assert ids == [f"order-{number}" for number in range(100 - len(ids), 100)]
        assert 20 < len(ids) < 60
        for number in range(100, 160):
            text = TracedText(f"order-{number}")
            text.place = (text.topics.texts, 0, number)
            await filled.put(replace(text.text(), value=text.text().value.replace(SAID.encode(), b"long " * 3_000)))
    assert (tmp_path / FILE).stat().st_size < before * 1.2  # what is free is used again


async def test_a_redelivered_result_counts_once_and_one_with_an_output_wins(tmp_path):
    text = TracedText()
    none = text.result(offset=1, output=None, status="unanswered", source="none")
    async with filled_store(tmp_path, text.text(), none) as filled:
        await filled.put(text.result(offset=2), text.result(offset=3, decision="kept"))
        shown = await filled.show(one_text, OWN, UUID, NOW)
        sums = await filled.show(overview, OWN, "hour", NOW)
    assert (shown.tasks[0].answer.status, shown.tasks[0].answer.decision) == ("answered", "escalated")
    assert (sums.counted.results, sums.waiting) == (1, 0)


async def test_a_redelivered_result_counts_once_also_beyond_the_sample(tmp_path):
    text = TracedText()
    async with filled_store(tmp_path) as filled:
        filled.sample.one_in = 1 << 16
        for offset in (5, 6):
            await filled.put(text.result(decision="kept", offset=offset))
        await filled.put(text.result(decision="kept", offset=7), text.result(decision="kept", offset=8))
        sums = await filled.show(overview, OWN, "minute", NOW)
    assert sums.counted.kept == 1


async def test_a_text_that_is_published_again_is_one_text_until_the_store_is_made_anew(tmp_path):
    text, again = TracedText(), TracedText()
    again.place = (again.topics.texts, 0, 50)
    async with filled_store(tmp_path) as filled:
        filled.sample.one_in = 64
        await filled.put(text.text(), again.text(after_ms=5))
        await filled.store.write(sweep, NOW, 7 * DAY_MS)
        await filled.put(again.text(after_ms=6))
        assert (await filled.show(overview, OWN, "hour", NOW)).texts == 1
        await filled.store.write(clear)
        await filled.put(text.text())
        assert (await filled.show(overview, OWN, "hour", NOW)).texts == 1


async def test_texts_beyond_the_sample_are_counted_and_what_escalates_is_whole(tmp_path):
    kept, asked = TracedText("order-1"), TracedText()
    kept.place = (kept.topics.texts, 1, 1)
    for text in (kept, asked):
        assert int(text.traceparent.trace_id[-4:], 16) % 64
    async with filled_store(tmp_path) as filled:
        filled.sample.one_in = 64
        await filled.put(kept.text(), kept.prediction(), kept.result(offset=8, decision="kept"), *asked.whole())
        sums = await filled.show(overview, OWN, "hour", NOW)
        left_out = await filled.show(one_text, OWN, str(derive(TEXT, "/crm", "order-1")), NOW)
        whole = await filled.show(one_text, OWN, UUID, NOW)
    assert (sums.texts, sums.counted.kept, sums.counted.escalated) == (2, 1, 1)
    assert left_out is None
    assert whole.text == SAID
    assert [hop.kind for hop in whole.hops if hop.kind != "egress"] == ["text", "request", "answer"]


async def test_texts_of_the_door_are_found_also_beyond_the_sample(tmp_path):
    text = TracedText()
    sent = KeptText(TextOutcome(UUID, text.source, text.id, text.tenant, text.tasks), digest_of(text.text().value))
    async with filled_store(tmp_path) as filled:
        answers = PageAnswers(filled.store, text.topics.tasks, lambda: NOW)
        await answers.keep([sent])
        assert (await answers.find(UUID, "acme", "/crm")).outcome == sent.outcome
        filled.sample.one_in = 64
        await filled.put(text.result(decision="kept"))
        again = await answers.find(UUID, "acme", "/crm")
    assert (again.digest, again.outcome.complete, list(again.outcome.results)) == (sent.digest, True, ["intent"])


async def test_the_digest_of_a_text_that_came_by_kafka_is_that_of_the_door(tmp_path):
    text = TracedText()
    async with filled_store(tmp_path, text.text()) as filled:
        found = await PageAnswers(filled.store, text.topics.tasks, lambda: NOW).find(UUID, "acme", "/crm")
    assert (found.digest, found.outcome.tasks, found.place[0]) == (digest_of(text.text().value), ("intent",), 0)


@pytest.mark.parametrize("order", ["before", "after"])
async def test_a_dead_letter_of_another_record_with_its_id_does_not_end_a_text(tmp_path, order):
    """Its cause may have been repaired; and whoever may write texts can make one."""
    text, other = TracedText(), TracedText()
    other.place = (other.topics.texts, 0, 40 if order == "before" else 42)
    forged = replace(
        other.text(after_ms=-5 if order == "before" else 5), value=other.text().value.replace(b"words", b"lies")
    )
    letter = other.letter(forged, code="bad_signature")
    sent = KeptText(TextOutcome(UUID, text.source, text.id, text.tenant, text.tasks), digest_of(text.text().value))
    async with filled_store(tmp_path) as filled:
        answers = PageAnswers(filled.store, text.topics.tasks, lambda: NOW)
        await answers.keep([sent])
        await filled.put(text.text(), forged, letter)
        waits = await answers.find(UUID, "acme", "/crm")
        await filled.put(text.result())
        done = await answers.find(UUID, "acme", "/crm")
    assert (waits.outcome.refused, waits.outcome.complete, waits.place) == (None, False, (0, 41))
    assert (done.outcome.refused, done.outcome.complete) == (None, True)


@pytest.mark.parametrize("whole", [True, False], ids=["page", "no page"])
async def test_the_place_that_kafka_acknowledged_says_which_letter_is_the_texts(tmp_path, whole):
    """Also where the record beside it says the same, and where texts are not read."""
    text, other = TracedText(), TracedText()
    other.place = (other.topics.texts, 0, 42)
    forged = other.text(after_ms=5)
    sent = TextOutcome(UUID, text.source, text.id, text.tenant, text.tasks)
    async with filled_store(tmp_path, whole=whole) as filled:
        answers = PageAnswers(filled.store, text.topics.tasks, lambda: NOW)
        await answers.keep([KeptText(sent, digest_of(forged.value))])  # before it was acknowledged
        await answers.keep([KeptText(sent, digest_of(forged.value), (0, 41), BEGAN)])
        if whole:
            await filled.put(text.text(), forged)
        await filled.put(other.letter(forged, code="bad_signature"))
        waits = await answers.find(UUID, "acme", "/crm")
        await filled.put(text.letter(text.text(), code="bad_signature", offset=8))
        refused = await answers.find(UUID, "acme", "/crm")
    assert (waits.outcome.refused, waits.place) == (None, (0, 41))
    assert refused.outcome.refused.code == "bad_signature"


@pytest.mark.parametrize("known_by", ["Kafka's acknowledgement", "a Result"])
async def test_a_forged_record_with_its_id_is_not_shown_as_the_text(tmp_path, known_by):
    text, other = TracedText(), TracedText()
    other.place = (other.topics.texts, 0, 42)
    forged = replace(other.text(after_ms=5), value=other.text().value.replace(SAID.encode(), b"a lie"))
    async with filled_store(tmp_path) as filled:
        if known_by != "a Result":
            sent = TextOutcome(UUID, text.source, text.id, text.tenant, text.tasks)
            answers = PageAnswers(filled.store, text.topics.tasks, lambda: NOW)
            await answers.keep([KeptText(sent, digest_of(text.text().value), (0, 41), BEGAN)])
        await filled.put(text.text(), forged, other.letter(forged, code="bad_signature"))
        if known_by == "a Result":
            await filled.put(text.result())
        shown = await filled.show(one_text, OWN, UUID, NOW)
    assert (shown.text, shown.rejections) == (SAID, ())


async def test_another_text_under_the_same_id_has_its_own_digest(tmp_path):
    text = TracedText()
    async with filled_store(tmp_path) as filled:
        answers = PageAnswers(filled.store, text.topics.tasks, lambda: NOW)
        for digest in ("first", "second"):
            await answers.keep([KeptText(TextOutcome(UUID, "/crm", "order-7", "acme", ("intent",)), digest)])
        found = await answers.find(UUID, "acme", "/crm")
    assert found.digest == "second"


async def test_a_new_text_is_known_in_the_same_thread_also_while_the_store_is_locked(tmp_path, monkeypatch):
    text = TracedText()
    async with filled_store(tmp_path, text.text()) as filled:
        answers = PageAnswers(filled.store, text.topics.tasks, lambda: NOW)
        monkeypatch.setattr(filled.store, "_reading", None)
        with sqlite3.connect(tmp_path / FILE, isolation_level=None) as other:
            other.execute("BEGIN EXCLUSIVE")
            assert await answers.find(str(derive(TEXT, "/crm", "another")), "acme", "/crm") is None
            other.execute("ROLLBACK")
        monkeypatch.undo()
        assert (await answers.find(UUID, "acme", "/crm")).outcome.id == "order-7"


async def test_a_store_that_fails_is_a_text_that_is_not_found(tmp_path):
    async with PageStore(tmp_path, whole=True) as store:
        await store.read(lambda connection: connection.execute("SELECT 1"))
        await store.write(lambda writer: writer.connection.execute("DROP TABLE texts"))
        answers = PageAnswers(store, TracedText().topics.tasks)
        assert await answers.find(UUID, "acme", "/crm") is None
        await answers.keep([KeptText(TextOutcome(UUID, "/crm", "order-7", "acme", ("intent",)), "")])


@pytest.mark.parametrize("uuid", ["", "x", UUID.upper(), UUID.replace("-", ""), f"{{{UUID}}}", "é" * 36])
async def test_an_address_is_a_uuid_in_its_usual_form(tmp_path, uuid):
    async with filled_store(tmp_path, *TracedText().whole()) as filled:
        assert await filled.show(one_text, OWN, uuid, NOW) is None


async def test_notes_when_the_audit_was_verified_beside_a_running_door(tmp_path):
    async with filled_store(tmp_path) as filled:
        for findings in (3, 0):
            note_verified(tmp_path, NOW, findings)
        seen = await filled.show(privacy, OWN, "day", NOW)
    assert (seen.verified.at_ms, seen.verified.findings) == (NOW, 0)


async def test_where_there_is_no_store_no_verification_is_noted(tmp_path):
    note_verified(tmp_path, NOW, 0)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match="cannot be changed"):
        note_verified(tmp_path, NOW, 0)
