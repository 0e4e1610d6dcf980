"""The steps of the batch loop, beside each other: a key keeps its order, and commits are joined."""

import asyncio
from dataclasses import replace

import pytest

from sprat.base.errors import Retryable
from sprat.processing.batch_steps import COMMIT_EVERY_S, MANY_ANSWERS, STORE_EVERY_S
from sprat.processing.records import receive, trace_context
from sprat_contracts import TextSubmitted, Traceparent
from support.batch_parts import (
    ONE,
    TWO,
    Answering,
    batch_parts,
    begun,
    consume,
    turns,
    two_in_progress,
)
from support.wire_records import plain

TYPE = TextSubmitted.event_type


@pytest.fixture
def parts():
    return batch_parts()


async def test_the_next_records_are_with_the_model_while_those_before_are_published(parts):
    handling = await two_in_progress(parts)
    assert parts.happened == [("model", "1-0"), ("model", "1-1", "2-0")]
    assert parts.admission.in_progress == 1
    parts.broker.open.set()
    parts.model.open.set()
    await handling
    assert parts.happened[2:] == [
        ("acknowledged", "1-0"),
        ("commit", {1: 1}),
        ("acknowledged", "1-1", "2-0"),
        ("commit", {1: 2, 2: 1}),
    ]
    assert parts.admission.in_progress == 0


async def test_what_the_first_stage_answers_is_published_while_others_are_with_the_model(parts):
    parts.model.easy = {"1-1", "2-0"}
    parts.model.open.clear()
    parts.consumer.arrive(one=3, two=1)
    handling = await begun(parts)
    await turns()
    assert sorted(parts.happened[:2]) == [("acknowledged", "1-1", "2-0"), ("model", "1-0", "1-2")]
    assert parts.happened[2:] == [("commit", {2: 1})]
    parts.model.open.set()
    await handling
    assert parts.happened[3:] == [("acknowledged", "1-0", "1-2"), ("commit", {1: 3})]


async def test_one_call_to_the_broker_at_a_time_and_those_behind_it_together(parts):
    handling = await two_in_progress(parts)
    parts.model.open.set()
    parts.consumer.arrive(one=1)
    await turns()
    assert parts.happened == [("model", "1-0"), ("model", "1-1", "2-0"), ("model", "1-2")]
    parts.broker.open.set()
    await handling
    assert [each for each in parts.happened if each[0] == "acknowledged"] == [
        ("acknowledged", "1-0"),
        ("acknowledged", "1-1", "2-0", "1-2"),
    ]
    assert parts.consumer.committed == {ONE: 3, TWO: 1}


async def test_the_cache_is_asked_while_the_model_is_busy(parts):
    parts.model.open.clear()
    parts.consumer.arrive(one=1)
    handling = await begun(parts)
    parts.consumer.arrive(one=1)
    await turns()
    assert parts.model.looked_up == ["1-0", "1-1"]
    assert parts.happened == [("model", "1-0")]
    parts.model.open.set()
    await handling


async def test_what_is_cached_is_published_while_others_are_with_the_model(parts):
    parts.model.open.clear()
    parts.model.cached = {"1-1", "2-0"}
    parts.consumer.arrive(one=1)
    handling = await begun(parts)
    parts.consumer.arrive(one=1, two=1)
    await turns()
    assert parts.broker.taken == ["1-1", "2-0"]
    parts.model.open.set()
    await handling
    assert parts.happened[0] == ("model", "1-0")
    assert parts.consumer.committed == {ONE: 2, TWO: 1}


async def test_a_look_up_that_fails_loses_and_doubles_nothing(parts):
    parts.model.open.clear()
    parts.model.cache_failures = [None, Retryable("away")]
    parts.consumer.arrive(one=1)
    handling = await begun(parts)
    parts.consumer.arrive(one=1)
    await turns()
    assert parts.happened == [("model", "1-0")]
    parts.model.open.set()
    await handling
    handling = await begun(parts)
    await handling
    assert parts.broker.taken == ["1-0", "1-1"]
    assert parts.consumer.committed[ONE] == 2


async def test_what_comes_while_the_model_is_busy_and_others_are_published_is_one_batch(parts):
    handling = await two_in_progress(parts)
    polls = parts.consumer.polls
    for _ in range(3):
        parts.consumer.arrive(one=1)
        await turns()
    assert parts.consumer.polls == polls
    parts.broker.open.set()
    parts.model.open.set()
    await handling
    assert [each for each in parts.happened if each[0] == "model"][2:] == [("model", "1-2", "1-3", "1-4")]


async def test_without_a_model_what_comes_while_others_are_published_is_one_batch(parts):
    parts.loop.steps.inference = None
    parts.loop.steps.handler = Answering()
    parts.broker.open.clear()
    parts.consumer.arrive(one=1)
    handling = await begun(parts)
    for _ in range(3):
        await turns()
        parts.consumer.arrive(one=1)
    assert parts.consumer.positions[ONE] == 1
    parts.broker.open.set()
    await handling
    assert [each for each in parts.happened if each[0] == "acknowledged"] == [
        ("acknowledged", "1-0"),
        ("acknowledged", "1-1", "1-2", "1-3"),
    ]


async def test_no_more_records_are_polled_while_so_many_are_in_progress(parts, monkeypatch):
    monkeypatch.setattr("sprat.processing.batch_loop.MOST_RECORDS", 6)
    parts.model.open.clear()
    parts.consumer.arrive(one=9)
    handling = await begun(parts)
    await turns()
    assert parts.consumer.positions[ONE] == 8, "two polls of four"
    parts.model.open.set()
    await handling
    assert parts.consumer.committed[ONE] == 9


async def test_what_the_model_answered_is_cached_beside_the_next_records(parts):
    parts.model.storing.clear()
    parts.consumer.arrive(one=1)
    handling = await begun(parts)
    await turns()
    parts.consumer.arrive(one=1)
    await turns(60)
    assert parts.consumer.committed[ONE] == 2, "nobody waits for the cache"
    assert not handling.done()
    parts.model.storing.set()
    await handling
    assert parts.model.stored == ["1-0", "1-1"]


async def test_answers_are_stored_together_and_all_of_them_before_the_loop_returns(parts):
    parts.consumer.most = 1
    parts.consumer.arrive(one=6)
    await (await begun(parts))
    assert parts.model.stored == [f"1-{offset}" for offset in range(6)]
    assert parts.model.stores == 2, "the first at once, those after it at the end"


async def test_answers_are_stored_where_they_have_waited_or_are_many(parts):
    steps, model = parts.loop.steps, parts.model
    assert not steps.is_store_due(model, is_idle=True), "there are none"
    model.unstored = {"1": None}
    await steps.store(model)
    model.unstored = {"2": None}
    assert not steps.is_store_due(model, is_idle=False)
    assert steps.is_store_due(model, is_idle=True)
    parts.clock.now += STORE_EVERY_S
    assert steps.is_store_due(model, is_idle=False)
    await steps.store(model)
    model.unstored = dict.fromkeys(range(MANY_ANSWERS))
    assert steps.is_store_due(model, is_idle=False)


async def test_commits_are_joined_and_the_first_and_the_last_wait_for_no_other_records(parts):
    parts.consumer.most = 1
    parts.consumer.arrive(one=4)
    await (await begun(parts))
    commits = [each[1] for each in parts.happened if each[0] == "commit"]
    assert commits == [{1: 1}, {1: 4}]


async def test_a_commit_waits_for_the_next_records_no_longer_than_its_limit(parts):
    publish = parts.broker.publish

    async def slow(records, hold_s=None):
        parts.clock.now += 0.6 * COMMIT_EVERY_S
        return await publish(records, hold_s)

    async def never(_seconds):
        await asyncio.Event().wait()

    parts.broker.publish = slow
    parts.loop.steps.context = replace(parts.loop.steps.context, sleep=never)
    consuming = asyncio.create_task(consume(parts))
    for _ in range(4):
        parts.consumer.arrive(one=1)
        await turns()
    assert len(parts.broker.taken) == 4
    commits = [each[1] for each in parts.happened if each[0] == "commit"]
    assert commits == [{1: 1}, {1: 3}], "the fourth waits"
    consuming.cancel()


async def test_without_new_records_the_loop_returns_when_all_is_committed(parts):
    parts.consumer.arrive(one=2)
    await asyncio.wait_for(await begun(parts), 1)
    assert parts.consumer.committed == {ONE: 2, TWO: 0}
    parts.consumer.arrive(one=1)
    await asyncio.wait_for(await begun(parts), 1)
    assert parts.broker.taken == ["1-0", "1-1", "1-2"], "the poll that was ended took no records with it"


async def test_records_that_a_poll_returns_although_it_is_ended_are_handled(parts):
    parts.consumer.arrive(one=1)
    records = await parts.consumer.poll()

    async def late():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            parts.loop.poll = parts.consumer.poll
            return [plain(partition=1, offset=1, key=b"1")]

    parts.loop.poll = late
    await parts.loop.handle(records)
    assert parts.broker.taken == ["1-0", "1-1"]
    assert parts.consumer.committed[ONE] == 2


async def test_work_that_goes_on_for_long_advances(parts):
    """The watchdog takes work that does not advance for stuck."""
    handling = await two_in_progress(parts)
    parts.admission.changed_at = 0.0
    parts.broker.open.set()
    await turns()
    assert parts.admission.changed_at > 0.0
    parts.admission.changed_at = 0.0
    parts.model.open.set()
    await handling
    assert parts.admission.changed_at > 0.0


@pytest.mark.parametrize("given", [None, "derived"], ids=["no trace", "that of sprat send"])
def test_a_text_that_is_sent_twice_is_one_trace_with_two_roots(given):
    root = Traceparent.root("/crm", "t-1")
    headers = [("ce_specversion", b"1.0"), ("ce_id", b"t-1"), ("ce_source", b"/crm"), ("ce_type", TYPE.encode())]
    headers += [("traceparent", str(root).encode())] if given else []
    contexts = []
    for offset in (7, 8, 8):
        record = replace(plain(b'{"text": "hi", "tasks": {"intent": {}}}', headers=tuple(headers)), offset=offset)
        context, derived = trace_context(record, receive(record, TextSubmitted))
        assert derived
        contexts.append(context)
    assert {context.trace_id for context in contexts} == {root.trace_id}
    first, second, again = (context.parent_id for context in contexts)
    assert first != second
    assert second == again, "every service that reads the record derives the same"


def test_a_senders_own_span_stays_the_parent():
    own = f"00-{'a' * 32}-{'b' * 16}-01"
    record = plain(b'{"text": "hi", "tasks": {"intent": {}}}', headers=(("traceparent", own.encode()),))
    context, derived = trace_context(record, receive(record, TextSubmitted))
    assert (str(context), derived) == (own, False)
