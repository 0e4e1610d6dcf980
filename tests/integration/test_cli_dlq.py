"""`sprat dlq replay` on a real broker: what could not be handled is sent again, to whom it is for, with its id."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conftest import Kafka
from sprat.base.model import Answer, Question
from sprat.base.settings import ServiceSettings
from sprat.context import ServiceContext, Subscription
from sprat.processing.handler import Received
from sprat_contracts import DeadLetterReason, IntentOutput, NerOutput, Record, Result, TextSubmitted, decode
from sprat_contracts.dead_letters import REPLAY_FOR, REPLAYS
from sprat_contracts.wire import read_envelope
from sprat_frontier.__main__ import FrontierServiceSettings
from sprat_frontier.__main__ import build as build_frontier
from sprat_frontier.settings import FrontierSettings, Price
from sprat_inference.serving import serve_model
from sprat_inference.specialist import SpecialistHandler
from sprat_router.__main__ import RouterSettings
from sprat_router.__main__ import build as build_router
from sprat_testing.service import running
from support.frontier_parts import AUDIT
from support.letters import dlq
from support.readme import DOCS
from support.stream import (
    FakeModel,
    card,
    eventually,
    made_topics,
    producing,
    publish,
    read_all,
    read_until,
    settings_for,
)
from support.system import POLICY
from support.wire_records import signed_letter

TEXT = b'{"text": "Please call Anna Schmidt on +49 30 901820", "tasks": {"intent": {}, "ner": {}}}'


class Defective(SpecialistHandler):
    """The service before it is fixed."""

    def receive(self, received: Received[TextSubmitted]):
        raise RuntimeError("a defect")


class FakeNer(FakeModel):
    def __init__(self) -> None:
        super().__init__()
        self.card = card("ner", labels=("PER",))

    def answer(self, questions: list[Question]) -> list[Answer]:
        return [Answer(NerOutput(entities=()), 0.9) for _ in questions]


def serving(model: FakeModel, handler: type[SpecialistHandler] = SpecialistHandler):
    async def build(context: ServiceContext, settings: ServiceSettings) -> Subscription:
        return await serve_model(context, model, "default", handler)

    return build


def router_of(settings: ServiceSettings) -> RouterSettings:
    return RouterSettings(policy=POLICY, **settings.model_dump(exclude={"policy"}), _env_file=None)


@pytest.fixture
def settings(kafka: Kafka, prefix: str) -> ServiceSettings:
    return settings_for(kafka.bootstrap, prefix)


@pytest.fixture
def run(kafka: Kafka, prefix: str, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return partial(dlq, kafka.bootstrap, prefix)


async def test_a_text_that_a_service_failed_on_is_replayed_to_it_alone_and_ends_in_one_result_for_each_task(
    metrics, settings, run, kafka, prefix
) -> None:
    topics = await made_topics(settings)
    results = [topics.results("intent"), topics.results("ner")]
    router = router_of(settings)
    async with running("router", router, build_router), running("ner", settings, serving(FakeNer())):
        async with running("intent", settings, serving(FakeModel(), Defective)):
            await publish(kafka.bootstrap, topics.texts, [TEXT], key=b"k")
            (letter,) = await read_until(kafka.bootstrap, [topics.dead_letters], 1)
            (first,) = await read_until(kafka.bootstrap, results, 1)
        model = FakeModel()
        async with running("intent", settings, serving(model)) as intent:
            code, out = await run("replay", "--reason", "defect")
            assert code == 0
            assert "would replay  " in out
            assert out.endswith("1 record would be sent, 0 left out; nothing was sent: add --yes\n")
            assert len(await read_all(kafka.bootstrap, topics.texts)) == 1
            code, out = await run("replay", f"{letter.partition}:{letter.offset}", "--yes", "--json")
            assert (code, out[0]["type"], out[0]["replay_for"], out[-1]["sent"]) == (0, "replayed", "intent", 1)
            found = await read_until(kafka.bootstrap, results, 2)
            await eventually(lambda: metrics.value("sprat.skipped", reason="replay") == 2)
            # A record is measured when it is committed, which may be after its Result.
            group = f"{intent.group}.default"
            await eventually(lambda: metrics.count("messaging.process.duration", group=group) == 2)
            code, out = await run("replay", "--reason", "defect", "--yes", "--json")
            assert (code, out[0]["code"], out[-1]["sent"]) == (0, "replayed", 0)
    original, again = sorted(await read_all(kafka.bootstrap, topics.texts), key=lambda record: record.timestamp)
    ends = [decode(record, Result).message for record in found]
    assert sorted(end.task for end in ends) == ["intent", "ner"]
    assert {(end.text_source, end.text_id) for end in ends} == {
        (f"/{topics.texts}/{original.partition}", f"{original.offset}-{original.timestamp}")
    }
    assert (again.key, again.value) == (original.key, original.value)
    assert len(await read_all(kafka.bootstrap, *results)) == 2
    assert decode(first, Result).message.task == "ner"
    assert dict(again.headers)[REPLAY_FOR] == b"intent"
    assert dict(again.headers)[REPLAYS] == b"1"


async def test_what_the_router_rejected_goes_to_all_with_the_same_id_at_most_three_times(settings, run, kafka) -> None:
    topics = await made_topics(settings)
    router = router_of(settings)
    async with running("router", router, build_router):
        place = await first_place(kafka, topics.texts, b'{"text": "no tasks"}')
        await read_until(kafka.bootstrap, [topics.dead_letters], 1)
        for times in (1, 2, 3):
            code, out = await run("replay", "--reason", "invalid_text", "--yes", "--json")
            assert (code, out[-1]["sent"], out[-1]["sent_for"]) == (0, 1, {"all": 1})
            assert (out[0]["replay"], out[0]["replay_for"]) == (times, None)
            await read_until(kafka.bootstrap, [topics.dead_letters], times + 1)
        code, out = await run("replay", "--yes", "--json")
        assert (code, out[-1]["sent"]) == (0, 0)
        assert sorted(each["code"] for each in out[:-1]) == ["at_limit", "came_back", "came_back", "came_back"]
    replays = [record for record in await read_all(kafka.bootstrap, topics.texts) if record.headers]
    assert len(replays) == 3
    for record in replays:
        assert REPLAY_FOR not in dict(record.headers)
        envelope = read_envelope(record, TextSubmitted)
        assert (envelope.source, envelope.id) == (
            f"/{topics.texts}/{place.partition}",
            f"{place.offset}-{place.timestamp}",
        )
    code, out = await run("list", "--json")
    assert [letter["replays"] for letter in out] == [0, 1, 2, 3]
    assert {letter["text_id"] for letter in out} == {f"{place.offset}-{place.timestamp}"}


STRUCTURED = {"specversion": "1.0", "id": "mail-1", "source": "/crm/mail", "type": TextSubmitted.event_type}


@pytest.mark.parametrize(
    "headers", [(("content-type", b"application/cloudevents+json"),), ()], ids=["named", "without a content type"]
)
async def test_a_letter_of_a_text_in_structured_mode_names_id_and_source_in_headers_and_is_replayed_without_them(
    settings, run, kafka, headers
) -> None:
    topics = await made_topics(settings)
    value = json.dumps(STRUCTURED | {"data": {"text": "no tasks"}}).encode()
    router = router_of(settings)
    async with running("router", router, build_router):
        await publish(kafka.bootstrap, topics.texts, [value], headers=headers)
        (letter,) = await read_until(kafka.bootstrap, [topics.dead_letters], 1)
        named = [("ce_source", b"/crm/mail"), ("ce_id", b"mail-1")]
        assert (letter.value, list(letter.headers[: len(headers) + 2])) == (value, [*headers, *named])
        code, out = await run("replay", "--reason", "invalid_text", "--yes", "--json")
        assert (code, out[-1]["sent"], out[0]["text_id"]) == (0, 1, "mail-1")
        _, again = await read_until(kafka.bootstrap, [topics.dead_letters], 2)
    assert dict(again.headers)["sprat_error_code"] == b"invalid_text", "it is read in the same mode"
    replayed = max(await read_all(kafka.bootstrap, topics.texts), key=lambda record: record.timestamp)
    assert list(replayed.headers) == [*headers, (REPLAYS, b"1")]


async def first_place(kafka: Kafka, topic: str, value: bytes):
    await publish(kafka.bootstrap, topic, [value])
    (record,) = await read_all(kafka.bootstrap, topic)
    return record


def headers_of(reason: DeadLetterReason, offset: int) -> tuple[tuple[str, bytes], ...]:
    return tuple(replace(reason, offset=offset).headers(()))


async def test_more_than_a_hundred_are_not_sent_without_being_asked_for(settings, run, kafka) -> None:
    topics = await made_topics(settings)
    reason = DeadLetterReason("model_error", "broke", topics.texts, 0, 7, 1_000, "intent", "1")
    async with producing(kafka.bootstrap) as producer:
        for number in range(101):
            letter = signed_letter(Record(topics.dead_letters, 0, 0, 0, None, TEXT, headers_of(reason, number)))
            await producer.send(topics.dead_letters, TEXT, headers=list(letter.headers))
    code, out = await run("replay", "--yes")
    assert (code, "81 more: 101 model_error for intent" in out) == (0, True)
    assert await read_all(kafka.bootstrap, topics.texts) == []
    code, out = await run("replay", "--yes", "--at-most", "101")
    assert "101 records sent (101 for intent), 0 left out" in out
    assert len(await read_all(kafka.bootstrap, topics.texts)) == 101
    code, out = await run("replay", "--again", "--yes", "--at-most", "1000", "--json")
    assert out[-1]["sent"] == 101


async def test_a_letter_that_was_written_again_after_a_kill_counts_once_and_is_replayed_once(
    settings, run, kafka
) -> None:
    topics = await made_topics(settings)
    reason = DeadLetterReason("model_error", "broke", topics.texts, 0, 7, 1_000, "intent", "1")
    async with producing(kafka.bootstrap) as producer:
        for number in (7, 8, 7):
            letter = signed_letter(Record(topics.dead_letters, 0, 0, 0, None, TEXT, headers_of(reason, number)))
            await producer.send_and_wait(topics.dead_letters, TEXT, partition=0, headers=list(letter.headers))
    code, out = await run("count", "--json")
    assert (code, out[0]["count"], out[-1]["count"]) == (0, 2, 2)
    code, out = await run("list", "--json")
    assert [(each["letter"], each["copies"]) for each in out] == [("0:0", ["0:2"]), ("0:1", [])]
    code, out = await run("show", "0:0", "0:2", "--raw")
    assert (code, "copies   0:2, written again after a kill" in out) == (0, True)
    code, out = await run("replay", "0:0", "0:2", "--yes")
    assert (code, "1 record sent (1 for intent), 0 left out" in out) == (0, True)
    code, out = await run("replay", "--yes", "--json")
    assert (out[-1]["sent"], out[-1]["left_out_by"]) == (1, {"replayed": 1})
    code, out = await run("replay", "0:2", "--json")
    assert [each["code"] for each in out if each["type"] == "left_out"] == ["replayed"]
    assert len(await read_all(kafka.bootstrap, topics.texts)) == 2


async def test_without_the_secret_a_replay_is_shown_and_not_sent(settings, run, kafka) -> None:
    topics = await made_topics(settings)
    reason = DeadLetterReason("model_error", "broke", topics.texts, 0, 7, 1_000, "intent", "1")
    await publish(kafka.bootstrap, topics.dead_letters, [TEXT], reason.headers(()))
    code, out = await run("replay", SPRAT_SECRET="")
    assert code == 0
    assert "would replay" in out
    code, _ = await run("replay", "--yes", SPRAT_SECRET="")
    assert code == 2
    assert await read_all(kafka.bootstrap, topics.texts) == []


async def test_a_letter_of_an_earlier_version_is_replayed_where_that_is_set_and_honoured(
    settings, run, kafka, metrics
) -> None:
    """It was written before anything was signed: the replay's own signature counts."""
    topics = await made_topics(settings)
    reason = DeadLetterReason("model_error", "broke", topics.texts, 0, 7, 1_000, "intent", "0.0.9")
    model = FakeModel()
    async with running("intent", settings, serving(model)):
        await publish(kafka.bootstrap, topics.dead_letters, [TEXT], reason.headers(()))
        code, out = await run("replay", "--yes", "--json")
        assert (code, out[0]["code"], out[-1]["sent"]) == (0, "letter_unsigned", 0)
        await run("replay", "--yes", SPRAT_UNSIGNED_RECORDS="accept")
        await read_until(kafka.bootstrap, [topics.predictions("intent")], 1)
    assert metrics.value("sprat.records.refused") is None


HEADERS = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"mail-1"),
    ("ce_source", b"/crm"),
    ("ce_type", TextSubmitted.event_type.encode()),
)


class Repaired(FakeModel):
    """A model that no text breaks."""

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        return [Answer(IntentOutput(label="greet"), 0.9) for _ in questions]


def reader() -> Any:
    """Return `take` of the reader in docs/results.md, which follows rules 1 and 3."""
    page = (DOCS / "results.md").read_text("utf-8")
    names: dict[str, Any] = {}
    exec("texts = {}" + page.partition("texts = {}")[2].partition("try:")[0], names)
    return names["take"]


async def results_of(kafka: Kafka, settings: ServiceSettings, count: int) -> list[Any]:
    """Return the records of that many Results, in the order of the broker's clock."""
    names = [settings.kafka.topics.results(task) for task in ("intent", "ner")]
    found: list[Any] = []

    async def there() -> bool:
        found[:] = sorted(await read_all(kafka.bootstrap, *names), key=lambda record: record.timestamp)
        return len(found) >= count

    await eventually(there, 30)
    assert len(found) == count
    return found


async def test_a_task_whose_name_was_wrong_is_answered_under_the_same_id_and_no_other_counts_twice(
    settings, kafka: Kafka
) -> None:
    topics = await made_topics(settings)
    send = partial(publish, kafka.bootstrap, topics.texts, headers=HEADERS, key=b"customer-17")
    async with (
        running("router", router_of(settings), build_router),
        running("intent", settings, serving(FakeModel())),
        running("ner", settings, serving(FakeNer())),
    ):
        await send([b'{"text": "hello", "tasks": {"intent": {}, "nre": {}}}'])
        await results_of(kafka, settings, 1)
        await eventually(lambda: read_all(kafka.bootstrap, topics.dead_letters))
        (letter,) = await read_all(kafka.bootstrap, topics.dead_letters)
        assert DeadLetterReason.from_headers(letter.headers).code == "unknown_task"
        await send([b'{"text": "hello", "tasks": {"intent": {}, "ner": {}}}'])
        records = await results_of(kafka, settings, 3)
    results = [decode(record, Result) for record in records]
    assert sorted(each.message.task for each in results) == ["intent", "intent", "ner"]
    assert len({each.envelope.id for each in results if each.message.task == "intent"}) == 1
    take = reader()
    wholes = [whole for each in results if (whole := take(each.message.model_dump(mode="json"))) is not None]
    assert wholes[-1].keys() == {"intent", "ner"}, "nothing is lost"
    intents = {whole["intent"]["origin"]["offset"] for whole in wholes if "intent" in whole}
    assert intents == {results[0].message.origin.offset}, "the answer that came first counts, and no other"


@pytest.mark.parametrize("way", ["the same id", "a replay"])
async def test_a_text_that_broke_the_model_is_answered_under_the_same_id_once_the_model_is_repaired(
    settings, kafka: Kafka, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.chdir(tmp_path)
    topics = await made_topics(settings)
    price = {"large": Price(input_eur=1.0, output_eur=1.0)}
    provider = FrontierSettings(
        base_url="http://127.0.0.1:9/v1", model="large", provider="none", region="local", prices=price
    )
    frontier = FrontierServiceSettings(
        policy=POLICY,
        frontier=provider,
        audit=AUDIT.model_copy(update={"checkpoints": tmp_path}),
        **settings.model_dump(exclude={"policy"}),
        _env_file=None,
    )
    text = b'{"text": "poison", "tasks": {"intent": {}, "ner": {}}, "frontier": "deny"}'
    async with (
        running("router", router_of(settings), build_router),
        running("frontier", frontier, build_frontier),
        running("ner", settings, serving(FakeNer())),
    ):
        async with running("intent", settings, serving(FakeModel())):
            await publish(kafka.bootstrap, topics.texts, [text], HEADERS, b"k")
            first = await results_of(kafka, settings, 2)
        async with running("intent", settings, serving(Repaired())):
            if way == "a replay":
                code, out = await dlq(kafka.bootstrap, prefix, "replay", "--reason", "model_error", "--yes", "--json")
                assert (code, out[-1]["sent"]) == (0, 1)
                records = await results_of(kafka, settings, 3)
            else:
                await publish(kafka.bootstrap, topics.texts, [text], HEADERS, b"k")
                records = await results_of(kafka, settings, 4)
    (letter,) = await read_all(kafka.bootstrap, topics.dead_letters)
    assert DeadLetterReason.from_headers(letter.headers).code == "model_error"
    assert {record.offset for record in first} <= {record.offset for record in records}
    results = [decode(record, Result) for record in records]
    statuses = [each.message.status for each in results if each.message.task == "intent"]
    assert statuses == ["unanswered", "answered"]
    assert len({each.envelope.id for each in results}) == 2, "one for each task"
    take = reader()
    wholes = [whole for each in results if (whole := take(each.message.model_dump(mode="json"))) is not None]
    assert wholes[-1]["intent"]["output"]["label"] == "greet"
    assert len({whole["ner"]["origin"]["offset"] for whole in wholes}) == 1
