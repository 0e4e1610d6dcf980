"""The door without a broker: who sees what, what is published, and what is kept."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from aiokafka import TopicPartition

from sprat.base.settings import KafkaSettings
from sprat.kafka.cluster import ConsumerGroup
from sprat.kafka.lag import GroupLag, LagSnapshot, PartitionLag
from sprat.kafka.publisher import Acknowledged, NotAcknowledged, OutRecord
from sprat.processing.records import root_at
from sprat.telemetry.spans import export_spans
from sprat_contracts import DeadLetterReason, Envelope, Record, Result, TextSubmitted, Traceparent, decode
from sprat_gateway.answers.kept import KeptText, TextStores
from sprat_gateway.door import Door
from sprat_gateway.http.callers import Caller
from sprat_gateway.http.problems import Problem
from sprat_gateway.replies import waiters as waiters_module
from sprat_gateway.replies.forecast import waits_s
from sprat_gateway.replies.reader import with_seen
from sprat_gateway.replies.waiters import TextOutcome, TextRefusal, Waiters
from sprat_gateway.shapes.texts import wait_of
from sprat_operations.dead_letters import read_dead_letter
from sprat_operations.result_stream import SeenDeadLetter, StoredResult
from sprat_policy import DoorSigner, Policy
from support.door_stream import result_of
from support.spans import Spans

KAFKA = KafkaSettings()
TOPICS = KAFKA.topics
OWN = Caller("k1", "bank", "/web", frozenset({"send"}))
OTHERS = [
    pytest.param(Caller("k2", "globex", "/web", frozenset({"send"})), id="another tenant"),
    pytest.param(Caller("k3", "bank", "/app", frozenset({"send"})), id="another source"),
]
BODY = b'{"text": "hi", "tasks": {"intent": {}}}'


class FakePublisher:
    """Acknowledges what it is given, while Kafka is there."""

    def __init__(self) -> None:
        self.published: list[OutRecord] = []
        self.is_there = True

    async def publish(self, records: Sequence[OutRecord], _hold_s: float) -> list[Acknowledged]:
        await asyncio.sleep(0)
        self.published += records
        if not self.is_there:
            records[0].sending = asyncio.get_running_loop().create_future()
            raise NotAcknowledged((0,), "TimeoutError")
        return [Acknowledged(1, 7, 1000) for _ in records]


class Kept:
    """A store that returns a text whoever asks: what the door alone would let out."""

    def __init__(self) -> None:
        self.texts: dict[str, KeptText] = {}

    async def find(self, uuid: str, _tenant: str, _source: str) -> KeptText | None:
        return self.texts.get(uuid)

    async def keep(self, changed: Sequence[KeptText]) -> None:
        self.texts |= {each.outcome.uuid: each for each in changed}


class House:
    """A door and its parts."""

    def __init__(self, most: int = 10, unattended: int = 10, **options: Any) -> None:
        self.publisher = FakePublisher()
        self.waiters = Waiters(most, unattended)
        self.kept = Kept()
        signer = DoorSigner(Policy(), {})
        self.door = Door(KAFKA, self.publisher, self.waiters, signer, self.kept, **options)  # type: ignore[arg-type]

    async def submit(self, body: bytes = BODY, id: str | None = "t-1", wait_s: float = 0) -> TextOutcome:
        return await self.door.submit(OWN, body, id=id, wait_s=wait_s)

    def forget(self) -> None:
        """Forget as a restart does."""
        for waiter in self.waiters.all():
            self.waiters.forget(waiter.outcome.uuid)


def seen_result(body: bytes = BODY, task: str = "intent", **changed: Any) -> StoredResult:
    text = decode(Record(TOPICS.texts, 1, 7, 1000, None, body), TextSubmitted).message
    text = text.model_copy(update={"tenant": "bank"})
    envelope = Envelope("t-1", "/web", Traceparent.root("/web", "t-1"))
    record: Any = Record(TOPICS.texts, 1, 7, 1000, None, body)
    result: Result = result_of(text, envelope, record, task).model_copy(update=changed)
    return StoredResult(envelope, result, 1000)


def seen_letter(code: str = "foreign_source", service: str = "router", offset: int = 7) -> SeenDeadLetter:
    reason = DeadLetterReason(code, "the detail", TOPICS.texts, 1, offset, 1000, service, "1")
    headers = reason.headers([("ce_id", b"t-1"), ("ce_source", b"/web"), ("ce_specversion", b"1.0")])
    return SeenDeadLetter(read_dead_letter(Record(TOPICS.dead_letters, 0, 0, 1000, None, BODY, headers)))


def outcome(**fields: Any) -> TextOutcome:
    return TextOutcome(
        **({"uuid": "u", "source": "/web", "id": "t-1", "tenant": "bank", "tasks": ("intent",)} | fields)
    )


@pytest.mark.parametrize("restarted", [False, True], ids=["followed", "from the store"])
@pytest.mark.parametrize("caller", OTHERS)
async def test_nobody_sees_anothers_text(caller: Caller, *, restarted: bool) -> None:
    house = House()
    uuid = (await house.submit()).uuid
    if restarted:
        house.forget()
    assert await house.door.find(OWN, uuid) is not None
    assert await house.door.find(caller, uuid) is None
    assert [each async for each in house.door.events(caller, uuid)] == []


async def test_what_the_store_knows_better_than_the_door_is_found() -> None:
    house = House()
    asked = await house.submit()
    known = with_seen(asked, None, seen_result(), TOPICS)
    house.kept.texts[asked.uuid] = KeptText(known, house.kept.texts[asked.uuid].digest)
    found = await house.door.find(OWN, asked.uuid)
    assert found is not None
    assert found.complete
    assert (await house.submit()).complete


async def test_a_refused_text_that_was_replayed_has_its_result_also_where_redis_alone_keeps_it() -> None:
    house = House()
    asked = await house.submit()
    kept = house.kept.texts[asked.uuid]
    refused = replace(asked, rejected=(TextRefusal("foreign_source", "the detail"),))
    house.kept.texts[asked.uuid] = replace(kept, outcome=refused)

    class Search:
        async def complete(self, outcome: TextOutcome, place: object, _since_ms: int) -> TextOutcome:
            return with_seen(outcome, kept.place, seen_result(), TOPICS)

    later = House(search=Search())
    later.kept.texts |= house.kept.texts
    found = await later.door.find(OWN, asked.uuid)
    assert found is not None
    assert (found.refused, [*found.results]) == (None, ["intent"])


@pytest.mark.parametrize("restarted", [False, True], ids=["followed", "from the store"])
async def test_an_id_with_another_text_is_409_and_published_once(*, restarted: bool) -> None:
    house = House()
    await house.submit()
    if restarted:
        house.forget()
    same = json.dumps(json.loads(BODY)).replace(" ", "  ").encode()
    assert (await house.submit(same)).id == "t-1"
    with pytest.raises(Problem) as caught:
        await house.submit(BODY.replace(b"hi", b"ho"))
    assert (caught.value.status, len(house.publisher.published)) == (409, 1)


async def test_a_text_without_an_id_is_always_a_new_one() -> None:
    house = House()
    first, second = await house.submit(id=None), await house.submit(id=None)
    assert first.uuid != second.uuid
    assert len(house.publisher.published) == 2


async def test_texts_at_the_same_time_with_one_id_and_two_bodies_are_one_text() -> None:
    house = House()
    bodies = [BODY, BODY, BODY.replace(b"hi", b"ho")]
    answers = await asyncio.gather(*(house.submit(body) for body in bodies), return_exceptions=True)
    assert [getattr(each, "status", 200) for each in answers] == [200, 200, 409]
    assert len(house.publisher.published) == 1


async def test_while_kafka_is_away_nothing_more_is_handed_over() -> None:
    house = House()
    house.publisher.is_there = False
    for id in ("t-1", "t-2"):
        with pytest.raises(Problem) as caught:
            await house.submit(id=id)
        assert (caught.value.status, caught.value.body["id"]) == (503, id)
    (held,) = house.publisher.published
    assert len(house.waiters.all()) == 0
    assert held.sending is not None
    held.sending.set_result(None)
    house.publisher.is_there = True
    assert (await house.submit()).id == "t-1"
    assert [each.key for each in house.publisher.published] == [b"t-1", b"t-1"]


async def test_who_waits_gets_the_result_and_it_is_kept() -> None:
    house = House()
    asking = asyncio.create_task(house.submit(wait_s=10))
    while not house.publisher.published:
        await asyncio.sleep(0)
    waiter = house.waiters.waiter_of("/web", "t-1")
    assert waiter is not None
    house.waiters.update(waiter, with_seen(waiter.outcome, waiter.place, seen_result(), TOPICS))
    assert (await asking).complete
    await asyncio.sleep(0.01)
    assert house.kept.texts[waiter.outcome.uuid].outcome.complete


@pytest.mark.parametrize("given", [None, Traceparent("1" * 32, "2" * 16)], ids=["no trace", "the client's trace"])
async def test_the_span_of_a_text_belongs_to_its_trace(spans: Spans, given: Traceparent | None) -> None:
    house = House()
    await house.door.submit(OWN, BODY.replace(b"{}}", b'{}, "my secret": {}}'), id="t-1", wait_s=0, traceparent=given)
    (span,) = spans.all
    (record,) = house.publisher.published
    said = Traceparent.of(record.headers)
    root = Traceparent.root("/web", "t-1")
    assert span.name == f"submit {TOPICS.texts}"
    assert [*span.attributes["sprat.tasks"]] == ["intent"]
    if given is None:
        assert (said, span.parent.span_id) == (root, int(root_at(root, TOPICS.texts, 1, 7).parent_id, 16))
    else:
        assert (said.trace_id, int(said.parent_id, 16)) == (given.trace_id, span.context.span_id)
        assert span.parent.span_id == int(given.parent_id, 16)


async def test_without_an_export_the_trace_of_the_client_goes_on_as_it_came() -> None:
    export_spans(None)
    house, given = House(), Traceparent("1" * 32, "2" * 16)
    await house.door.submit(OWN, BODY, id="t-1", wait_s=0, traceparent=given)
    assert Traceparent.of(house.publisher.published[0].headers) == given


async def test_what_is_late_is_not_waited_for() -> None:
    asked: list[tuple[tuple[str, ...], float]] = []
    house = House(late=lambda groups, wait_s: not asked.append((groups, wait_s)))
    body = b'{"text": "hi", "tasks": {"intent": {"model": "hr"}, "ner": {}}}'
    assert not (await house.submit(body, wait_s=30)).complete
    assert asked == [(("intent.hr", "ner.default"), 30)]


async def test_what_was_rejected_under_an_id_is_not_said_of_its_repaired_text() -> None:
    house = House()
    uuid = (await house.submit()).uuid
    kept = house.kept.texts[uuid]
    rejected = replace(kept.outcome, rejected=(TextRefusal("foreign_source", "the detail"),))
    house.kept.texts[uuid] = replace(kept, outcome=rejected, digest="of the text before")
    found = await house.door.find(OWN, uuid)
    assert found is not None
    assert found.refused is None


async def test_two_tenants_of_one_source_do_not_wait_for_each_others_text() -> None:
    house = House()
    globex = replace(OWN, key_id="k9", tenant="globex")
    theirs = house.door.read(globex, BODY, "t-1").outcome
    house.kept.texts[theirs.uuid] = KeptText(theirs, "theirs")
    mine = house.door.read(OWN, BODY, "t-1").outcome
    waiter = house.waiters.register(OWN.key_id, mine, "mine")
    waiter.publishing = asyncio.ensure_future(asyncio.sleep(1))
    with pytest.raises(Problem) as caught:
        [each async for each in house.door.events(globex, theirs.uuid)]
    assert caught.value.status == 409
    waiter.publishing.cancel()


async def test_a_key_waits_for_half_of_the_table_at_most() -> None:
    house = House(most=4)
    other = replace(OWN, key_id="k9", tenant="globex", source="/app")
    asked = [asyncio.create_task(house.submit(id=f"t-{number}", wait_s=5)) for number in range(3)]
    theirs = [asyncio.create_task(house.door.submit(other, BODY, id=f"o-{number}", wait_s=5)) for number in range(2)]
    await asyncio.sleep(0.05)
    assert [each.done() for each in (*asked, *theirs)] == [False, False, True, False, False]
    with pytest.raises(Problem, match="this key") as caught:
        asked[2].result()
    assert (caught.value.status, caught.value.code) == (429, "queue_full")
    for each in asked[:2]:
        each.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert (await house.submit(id="t-4")).id == "t-4"  # its room is given back
    house.waiters.close()
    for each in theirs:
        each.cancel()
    await asyncio.gather(*theirs, return_exceptions=True)


async def test_a_repeat_after_kafka_was_away_is_tried_also_where_the_client_had_hung_up() -> None:
    house = House()
    house.publisher.is_there = False
    asking = asyncio.create_task(house.submit())
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await asyncio.sleep(0.01)
    (held,) = house.publisher.published
    assert held.sending is not None
    held.sending.set_result(None)
    house.publisher.is_there = True
    assert (await house.submit()).id == "t-1"


async def test_a_text_that_nobody_waits_for_is_not_followed_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiters_module, "FOLLOWED_S", 0.05)
    monkeypatch.setattr(waiters_module, "_LOOKS_S", 0.02)
    house = House()
    await house.submit()
    assert len(house.waiters.all()) == 1
    await asyncio.sleep(0.2)
    assert house.waiters.all() == ()


def test_a_rejection_beside_a_result_is_of_another_record() -> None:
    answered = with_seen(outcome(tasks=("intent", "ner")), (1, 7), seen_result(), TOPICS)
    assert with_seen(answered, None, seen_letter(), TOPICS).refused is None


@pytest.mark.parametrize(
    "id", ["", "a\nb", "ä", "x" * 257], ids=["empty", "control character", "not ASCII", "too long"]
)
async def test_an_id_that_cannot_be_one_is_400(id: str) -> None:
    with pytest.raises(Problem) as caught:
        await House().submit(id=id)
    assert (caught.value.status, caught.value.code) == (400, "invalid_id")


async def test_texts_that_nobody_waits_for_make_way_for_others() -> None:
    house = House(most=1, unattended=1)
    uuids = [(await house.submit(id=f"t-{number}")).uuid for number in range(3)]
    assert [each.outcome.uuid for each in house.waiters.all()] == uuids[-1:]
    assert len(house.waiters) == 0


@pytest.mark.parametrize(
    ("seen", "known"),
    [
        pytest.param(seen_result(), True, id="its own"),
        pytest.param(seen_result(tenant="globex"), False, id="of another tenant"),
        pytest.param(seen_result(text_id="t-2"), False, id="of another text"),
        pytest.param(seen_result(text_source="/app"), False, id="of another source"),
        pytest.param(seen_result(task="ner"), False, id="of a task that was not asked"),
        pytest.param(seen_letter(), True, id="a dead letter"),
        pytest.param(seen_letter(service="intent"), False, id="a dead letter of a service that declines, too"),
        pytest.param(seen_letter(offset=8), False, id="a dead letter of another record"),
    ],
)
def test_what_is_about_a_text(seen: StoredResult | SeenDeadLetter, *, known: bool) -> None:
    assert with_seen(outcome(), (1, 7), seen, TOPICS).complete is known


def test_an_unknown_task_ends_without_the_others() -> None:
    asked = outcome(tasks=("intent", "horoscope"))
    half = with_seen(asked, (1, 7), seen_letter("unknown_task"), TOPICS)
    assert (half.refused, half.complete, [each.task for each in half.rejected]) == (None, False, ["horoscope"])
    assert with_seen(half, (1, 7), seen_letter("unknown_task"), TOPICS) is half
    assert with_seen(half, (1, 7), seen_result(), TOPICS).complete


def test_the_first_result_of_a_task_counts() -> None:
    first = with_seen(outcome(), None, seen_result(), TOPICS)
    assert with_seen(first, None, seen_result(confidence=0.1), TOPICS) is first
    assert outcome().merged(first) == first
    assert first.merged(outcome(rejected=(TextRefusal("late", ""),))) is first


async def test_of_several_stores_the_one_that_knows_most_counts() -> None:
    less, more = Kept(), Kept()
    await TextStores([less, more]).keep([KeptText(outcome(), "d")])
    more.texts["u"] = KeptText(with_seen(outcome(), None, seen_result(), TOPICS), "d")
    found = await TextStores([less, more]).find("u", "bank", "/web")
    assert found is not None
    assert found.outcome.complete


def lag(name: str, committed: int, end: int, at_s: float) -> LagSnapshot:
    place = TopicPartition(TOPICS.texts, 0)
    group = ConsumerGroup(name=name, state="Stable", members=(), committed={place: committed})
    return LagSnapshot(at_s, {name: GroupLag(group, (PartitionLag(place, end, committed, committed),))}, {place: end})


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param((0, 100), (20, 200), {"router": 18.0}, id="lag over rate"),
        pytest.param((0, 100), (0, 200), {"router": 2.0}, id="it stands, for as long again"),
        pytest.param((0, 0), (0, 5), {}, id="what has just arrived"),
        pytest.param((48, 49), (70, 842), {}, id="a burst, after all that waited was done"),
        pytest.param((0, 100), (100, 100), {}, id="no lag"),
    ],
)
def test_when_a_group_reads_what_arrives_now(before: Any, after: Any, expected: dict[str, float]) -> None:
    first, second = lag("router", *before, 0.0), lag("router", *after, 2.0)
    assert waits_s(first, second, {"router"}, {}) == expected
    assert waits_s(first, second, {"intent.default"}, {}) == {}


def test_a_group_that_stands_longer_is_expected_to_stand_longer_until_it_goes_on() -> None:
    measured = [lag("router", 0, 9, 0.0), lag("router", 0, 9, 2.0), lag("router", 0, 9, 4.0), lag("router", 3, 9, 6.0)]
    standing: dict[str, float] = {}
    found = [waits_s(before, after, {"router"}, standing)["router"] for before, after in pairwise(measured)]
    assert found == [2.0, 4.0, 4.0]
    assert standing == {}


@pytest.mark.parametrize(
    ("prefer", "wait_s"),
    [
        (None, 2),
        ("wait=0", 0),
        ("wait=5", 5),
        ("respond-async, wait=10", 10),
        ('wait="7"', 7),
        ("wait=100", 30),
        ("wait=-1", 2),
        ("await=9", 2),
        ("wait=1e3", 2),
    ],
)
def test_how_long_prefer_waits(prefer: str | None, wait_s: float) -> None:
    assert wait_of(prefer) == wait_s
