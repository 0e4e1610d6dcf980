"""What of reviews and alarms stands in the page's store: until when, whose it is, and what `sprat erase` deletes."""

import sqlite3
from dataclasses import replace

import pytest

from sprat_contracts import ReviewCell
from sprat_contracts.reviews import TextName
from sprat_contracts.topics import DAY_MS
from sprat_gateway.erasure import erase
from sprat_gateway.page.retention import clear, sweep
from sprat_gateway.page.schema import FILE
from support.page_reviews import alarm, closed, draw, given
from support.page_store import filled_store
from support.traced_records import BEGAN, SAID, TracedText

TABLES = ("draws", "closed", "given")


def rows(folder, table, columns="*"):
    with sqlite3.connect(folder / FILE) as connection:
        return connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1").fetchall()


def counts(folder):
    return tuple(len(rows(folder, table)) for table in TABLES)


async def test_each_part_stands_as_long_as_its_topic_keeps_it(tmp_path):
    text = TracedText()
    async with filled_store(tmp_path, draw(text), given(text), closed(text), alarm(text)) as filled:
        found = {}
        for days in (6, 8, 399, 401):
            await filled.store.write(sweep, BEGAN + days * DAY_MS, 7 * DAY_MS)
            found[days] = counts(tmp_path)
        assert rows(tmp_path, "closed", "tenant") == []
    assert found == {6: (1, 1, 1), 8: (0, 1, 1), 399: (0, 1, 1), 401: (0, 0, 0)}
    assert len(rows(tmp_path, "alarms")) == 1  # it stands until it is cleared


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["drawn first", "closed first"])
async def test_a_review_is_of_the_tenant_of_its_draw_also_after_that_has_expired(tmp_path, order):
    text = TracedText(tenant="globex")
    records = [draw(text), closed(text, cell=ReviewCell(tenant="default"))]
    async with filled_store(tmp_path) as filled:
        for number in order:
            await filled.put(records[number])
        await filled.store.write(sweep, BEGAN + 8 * DAY_MS, 7 * DAY_MS)
    assert rows(tmp_path, "closed", "tenant, cell_tenant") == [("globex", "default")]


async def test_the_first_record_of_a_draw_counts_and_a_dispute_is_noted(tmp_path):
    text = TracedText()
    records = [closed(text), closed(text, "wrong", offset=2), closed(text, "wrong", offset=3, disputed=True)]
    async with filled_store(tmp_path, draw(text), draw(text, offset=2, by="a-tier"), *records):
        pass
    assert rows(tmp_path, "draws", "by") == [("people",)]
    assert rows(tmp_path, "closed", "verdict, disputed") == [("right", 1)]


async def test_a_review_is_a_tiers_where_that_was_asked_also_if_it_gave_no_answer(tmp_path):
    text, other = TracedText(), TracedText("order-8")
    records = [closed(text, "unanswered"), draw(text, by="large"), closed(other, by="tier:other", offset=2)]
    async with filled_store(tmp_path, *records):
        pass
    assert sorted(rows(tmp_path, "closed", "tier")) == [("large",), ("other",)]


async def test_an_alarm_that_is_out_of_date_changes_nothing(tmp_path):
    text = TracedText()
    records = [alarm(text, 1), alarm(text, 2, offset=2, state="cleared"), alarm(text, 1, offset=3)]
    async with filled_store(tmp_path, *records) as filled:
        assert rows(tmp_path, "alarms", "number, value") == [(2, None)]
        await filled.put(alarm(text, 3, offset=4))
        assert rows(tmp_path, "alarms", "number, value IS NOT NULL") == [(3, 1)]
        await filled.put(replace(alarm(text, 3, offset=5), value=None))
        assert rows(tmp_path, "alarms") == []


async def test_a_record_that_does_not_fit_is_left_out_and_counted(tmp_path):
    text = TracedText()
    broken = [replace(each, value=b"{}") for each in (draw(text), closed(text), given(text), alarm(text))]
    async with filled_store(tmp_path, *broken, replace(alarm(text), key=b"errors/ner/*/*")) as filled:
        assert filled.reader.left_out == 5
    assert counts(tmp_path) == (0, 0, 0)


async def test_a_store_that_begins_anew_reads_them_again(tmp_path):
    text = TracedText()
    async with filled_store(tmp_path, draw(text), closed(text), given(text), alarm(text)) as filled:
        await filled.store.write(clear)
    assert (counts(tmp_path), rows(tmp_path, "alarms")) == ((0, 0, 0), [])


@pytest.mark.parametrize(
    ("selected", "left"),
    [
        ({"text_id": "order-7", "tenant": "acme"}, {"order-8", "order-9"}),
        ({"text_id": "order-7"}, {"order-8", "order-9"}),
        ({"tenant": "acme"}, {"order-9"}),
        ({"key": "nobody", "identities": [("/crm", "order-8")]}, {"order-7", "order-9"}),
    ],
    ids=["id and tenant", "id", "tenant", "identity"],
)
@pytest.mark.parametrize("draws_expired", [False, True], ids=["", "after the draw"])
async def test_erasing_takes_the_reviews_of_a_text(tmp_path, selected, left, draws_expired):
    texts = [
        TracedText(f"order-{number}", tenant=tenant) for number, tenant in ((7, "acme"), (8, "acme"), (9, "nordic"))
    ]
    made = [each for n, text in enumerate(texts) for each in (draw(text, offset=n), closed(text, offset=n))]
    made += [given(text, offset=n) for n, text in enumerate(texts)]
    async with filled_store(tmp_path, *made) as filled:
        if draws_expired:
            await filled.store.write(sweep, BEGAN + 8 * DAY_MS, 7 * DAY_MS)
        chosen = {"key": None, "text_id": None, "tenant": None} | selected
        assert erase(tmp_path, **chosen, dry_run=True) == 3 - len(left)
        assert erase(tmp_path, **chosen) == 3 - len(left)
    for table in TABLES[draws_expired:]:
        assert {id for (id,) in rows(tmp_path, table, "text_id")} == left, table
    if draws_expired:
        return
    assert (b"order-7" in b"".join(path.read_bytes() for path in tmp_path.iterdir())) is ("order-7" in left)


async def test_erasing_takes_a_text_out_of_alarms_and_a_tenant_with_its_alarms(tmp_path):
    text = TracedText()
    names = tuple(TextName(text_source="/crm", text_id=id) for id in ("order-7", "order-8"))
    async with filled_store(tmp_path, draw(text), alarm(text, texts=names)):
        erase(tmp_path, key=None, text_id="order-7", tenant=None)
        ((value,),) = rows(tmp_path, "alarms", "value")
        assert ("order-7" in value, "order-8" in value) == (False, True)
        erase(tmp_path, key=None, text_id=None, tenant="acme")
        assert rows(tmp_path, "alarms") == []


async def test_what_a_draw_says_stands_in_no_file_once_it_has_expired(tmp_path):
    text = TracedText()
    async with filled_store(tmp_path, draw(text), closed(text)) as filled:
        assert SAID.encode() in b"".join(path.read_bytes() for path in tmp_path.iterdir())
        await filled.store.write(sweep, BEGAN + 8 * DAY_MS, 7 * DAY_MS)
        assert SAID.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
