"""Who may write to Sprat's own topics, but does not know the secret, changes nothing: on a real broker.

The router, the frontier service and fixed small models run inside the test.
"""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from conftest import Kafka
from sprat.base.keys import Keys
from sprat.kafka.publisher import OutRecord, Publisher
from sprat.kafka.signatures import Signatures
from sprat.registry.announcements import Announcement, ModelsReader, announce, announcement_record, tombstone_record
from sprat.registry.model_table import model_key
from sprat_contracts import (
    TASKS,
    DeadLetterReason,
    FrontierAnswered,
    FrontierRequested,
    KafkaRecord,
    ModelAnnounced,
    Prediction,
    Record,
    Result,
    Topics,
    decode,
)
from sprat_contracts.dead_letters import REPLAY_FOR, REPLAY_SIGNATURE, REPLAYS
from sprat_contracts.wire import SIGNATURE
from sprat_operations.dead_letters import read_dead_letter
from sprat_operations.models import read_registered_models, withdraw
from sprat_operations.replay import plan
from sprat_router.__main__ import RouterSettings
from sprat_router.__main__ import build as build_router
from sprat_testing.answers import AnswersFile, FixedAnswer, FixedAnswers
from sprat_testing.fixed import FixedModels
from sprat_testing.fixed_frontier import FixedFrontier
from sprat_testing.service import running
from support.frontier_parts import AUDIT
from support.metrics import Metrics
from support.stream import SECRET, SIGNATURES, eventually, lag, made_topics, producing, read_all, settings_for
from support.system import POLICY
from support.wire_records import signed_letter

EASY, HARD = "please move 20 euros", "something odd"
ALL = {"intent": {}, "ner": {}, "translation": {"target": "de"}}
STRANGER = Signatures(Keys(SecretStr("what somebody else made up")))
ANSWERS = FixedAnswers(
    answers=(
        FixedAnswer(task="intent", contains="move", label="transfer"),
        FixedAnswer(task="intent", contains="odd", label="transfer", confidence=0.1),
        FixedAnswer(task="ner", contains=""),
        FixedAnswer(task="translation", contains="", translation="Hallo"),
        FixedAnswer(task="intent", by="frontier", contains="odd", label="balance"),
    )
)


@dataclass
class Installation:
    """Services under test, and what anybody with a client can do beside them."""

    bootstrap: str
    topics: Topics

    async def send(self, *records: KafkaRecord | OutRecord) -> None:
        async with producing(self.bootstrap) as producer:
            for each in records:
                await producer.send_and_wait(each.topic, each.value, each.key, headers=list(each.headers))

    async def submit(self, id: str, text: str, *headers: tuple[str, bytes], **tasks: Any) -> None:
        value = {"text": text, "tasks": tasks or {"intent": {}}, "tenant": "acme-bank", "frontier": "allow"}
        ids = (("ce_specversion", b"1.0"), ("ce_id", id.encode()), ("ce_source", b"/shop"))
        kind = ("ce_type", b"dev.sprat.text.submitted.v1")
        await self.send(OutRecord(self.topics.texts, b"k", json.dumps(value).encode(), [*ids, kind, *headers]))

    async def results(self, *tasks: str) -> list[Result]:
        found = await read_all(self.bootstrap, *map(self.topics.results, tasks or TASKS))
        return [decode(each, Result).message for each in found]

    async def settled(self) -> None:
        """Wait until every record that stands on the topics was handled, twice in a row."""
        topics, prefix = self.topics, self.topics.prefix
        router = [topics.texts, *map(topics.predictions, TASKS), topics.frontier_answers]
        groups = {"router": router, "fixed": [topics.texts], "frontier": [topics.frontier_requests]}

        async def quiet() -> bool:
            return not sum([await lag(self.bootstrap, f"{prefix}.{name}", read) for name, read in groups.items()])

        for _ in range(2):
            await eventually(quiet, 30)


@asynccontextmanager
async def installation(
    kafka: Kafka, prefix: str, folder: Path, settings: Sequence[dict[str, Any]] = ({},) * 3
) -> AsyncIterator[Installation]:
    """Run router, small models and frontier service, each with settings of its own."""
    base = settings_for(kafka.bootstrap, prefix).model_copy(update={"drain_s": 1.0})
    topics = await made_topics(base)
    file = folder / "answers.json"
    ANSWERS.write(file)
    answers = AnswersFile(file)
    common = {name: getattr(base, name) for name in ("kafka", "redis", "secret", "health_port", "drain_s")}
    own = [RouterSettings(**(common | more), policy=POLICY, lag_every_s=0, _env_file=None) for more in settings]
    async with (
        running("router", own[0], build_router),
        running("fixed", own[1], FixedModels(answers).build),
        running("frontier", own[2], FixedFrontier(answers, AUDIT).build),
    ):
        yield Installation(kafka.bootstrap, topics)


@pytest.fixture
async def sprat(kafka: Kafka, prefix: str, tmp_path: Path) -> AsyncIterator[Installation]:
    async with installation(kafka, prefix, tmp_path) as made:
        yield made


def forged(record: KafkaRecord | OutRecord, **changes: Any) -> OutRecord:
    """Return a record with changes, as somebody who has read it writes it."""
    headers = [(name, value) for name, value in record.headers if name != SIGNATURE or not changes.get("unsigned")]
    value = changes.get("value", record.value)
    return OutRecord(changes.get("topic", record.topic), changes.get("key", record.key), value, headers)


async def test_forged_records_between_services_are_ignored_and_counted(sprat: Installation, metrics: Metrics) -> None:
    topics = sprat.topics
    await sprat.submit("easy", EASY)
    await sprat.submit("hard", HARD)
    await sprat.settled()
    before = await sprat.results()
    assert sorted((each.text_id, each.source, each.output.label) for each in before) == [
        ("easy", "small", "transfer"),
        ("hard", "frontier", "balance"),
    ]
    prediction, *_ = await read_all(sprat.bootstrap, topics.predictions("intent"))
    (request,) = await read_all(sprat.bootstrap, topics.frontier_requests)
    (answer,) = await read_all(sprat.bootstrap, topics.frontier_answers)
    assert {SIGNATURES.verdict(each) for each in (prediction, request, answer)} == {"current"}
    for record in (prediction, request, answer):
        lie = (record.value or b"").replace(b"transfer", b"thievery").replace(b"balance", b"thievery")
        assert lie != record.value
        await sprat.send(
            forged(record, value=lie),
            forged(record, value=lie, unsigned=True),
            forged(record, unsigned=True),
            STRANGER.sign(forged(record, value=lie, unsigned=True)),
            forged(record, key=b"another's"),
            OutRecord(record.topic, b"k", b"{not even JSON", []),
        )
    await sprat.submit("after", EASY)
    await sprat.settled()
    after = [each for each in await sprat.results() if each not in before]
    assert [(each.text_id, each.output.label) for each in after] == [("after", "transfer")]
    assert len(await read_all(sprat.bootstrap, topics.frontier_answers)) == 1 + 6, "no forged request was answered"
    assert await read_all(sprat.bootstrap, topics.dead_letters) == []
    for record in (prediction, request, answer):
        counted = {"destination": record.topic}
        assert metrics.value("sprat.records.refused", reason="unsigned", **counted) == 3
        assert metrics.value("sprat.records.refused", reason="invalid", **counted) == 3


async def test_a_forged_withdrawal_or_announcement_changes_no_models_table(
    sprat: Installation, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    topics = sprat.topics
    lie = ModelAnnounced(task="intent", version="1", labels=("thievery",), owns_from=2**52)
    withdrawn = [tombstone_record(topics, "intent", "default", ends, STRANGER) for ends in (None, {0: 0})]
    await sprat.send(
        *withdrawn,
        *(forged(each, unsigned=True) for each in withdrawn),
        announcement_record(topics, lie, "intent", None, STRANGER),
        OutRecord(topics.models, model_key("intent", "default"), lie.model_dump_json().encode(), []),
    )
    await sprat.submit("after", EASY)
    await sprat.settled()
    (result,) = await sprat.results()
    assert (result.source, result.output.label) == ("small", "transfer")
    assert metrics.value("sprat.records.refused", destination=topics.models) == 1, "the last under its key"
    assert caplog.text.count("it is ignored") == 1


async def test_a_withdrawal_that_is_written_once_more_withdraws_no_later_announcement(
    kafka: Kafka, prefix: str, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_for(kafka.bootstrap, prefix).kafka
    topics = await made_topics(settings_for(kafka.bootstrap, prefix))
    signatures = Signatures(Keys(SecretStr(SECRET)))  # with no line in the last minute, as those of other tests have
    model = ModelAnnounced(task="intent", version="1", labels=("a",))
    async with AsyncExitStack() as stack:
        publisher = Publisher(settings, "test")
        await publisher.start()
        stack.push_async_callback(publisher.stop)
        await announce(settings, publisher, model, "intent", signatures)
        await withdraw(settings.client(), settings, "intent", "default", signatures)
        withdrawals = [each for each in await read_all(kafka.bootstrap, topics.models) if each.value is None]
        again = await announce(settings, publisher, model, "intent", signatures)
        await publisher.publish([OutRecord(topics.models, each.key, None, list(each.headers)) for each in withdrawals])
        after = await announce(settings, publisher, model, "intent", signatures)
    assert len(withdrawals) == 2
    assert all(signatures.verdict(each) == "current" for each in withdrawals)
    assert after.owns_from == again.owns_from, "it is announced as before"
    assert (await read_registered_models(settings, signatures)).announced[0].owns_from == again.owns_from
    assert metrics.value("sprat.records.refused", destination=topics.models, reason="outdated")
    assert "it withdraws an announcement that another has followed" in caplog.text


@pytest.mark.parametrize("signature", [None, b"v1=" + b"0" * 64, b""])
async def test_a_first_text_with_the_header_of_a_replay_has_all_its_results(
    sprat: Installation, metrics: Metrics, signature: bytes | None
) -> None:
    own = [] if signature is None else [(REPLAY_SIGNATURE, signature)]
    await sprat.submit("t", EASY, (REPLAY_FOR, b"intent"), (REPLAYS, b"1"), *own, **ALL)
    await sprat.settled()
    assert sorted(each.task for each in await sprat.results()) == sorted(ALL)
    assert (metrics.value("sprat.records.refused", reason="replay") or 0) >= 2, "by the router and by the small models"


async def test_a_replay_for_one_service_is_handled_by_it_alone(sprat: Installation, metrics: Metrics) -> None:
    text = json.dumps({"text": EASY, "tasks": ALL}).encode()
    origin = Record(sprat.topics.texts, 0, 7, 1_767_225_600_000, b"k", text)
    reason = DeadLetterReason("model_error", "it broke", origin.topic, 0, 7, origin.timestamp, "ner", "0.1.0")
    letter = replace(origin, topic=sprat.topics.dead_letters, headers=tuple(reason.headers(())))
    (replay,) = plan([read_dead_letter(signed_letter(letter), SIGNATURES)], [], sprat.topics, SIGNATURES).replays
    await sprat.send(OutRecord(replay.topic, b"k", text, replay.headers))
    await sprat.settled()
    assert [each.task for each in await sprat.results()] == ["ner"]
    assert metrics.value("sprat.records.refused") is None


OLD, NEW = SecretStr(SECRET), SecretStr("the secret after the rotation")
BEFORE, FIRST = {"secret": OLD}, {"secret": OLD, "previous_secret": NEW}
SECOND, THIRD = {"secret": NEW, "previous_secret": OLD}, {"secret": NEW}


@pytest.mark.parametrize(
    "settings",
    [(BEFORE, FIRST, BEFORE), (FIRST, SECOND, FIRST), (SECOND, FIRST, FIRST), (FIRST, FIRST, SECOND)],
    ids=["before and first", "models first", "router first", "frontier first"],
)
async def test_services_between_two_steps_of_a_rotation_read_each_other(
    kafka: Kafka, prefix: str, tmp_path: Path, settings: Sequence[dict[str, Any]], metrics: Metrics
) -> None:
    async with installation(kafka, prefix, tmp_path, settings) as sprat:
        await sprat.submit("easy", EASY)
        await sprat.submit("hard", HARD)
        await sprat.settled()
        assert sorted(each.source for each in await sprat.results()) == ["frontier", "small"]
    assert metrics.value("sprat.records.refused") is None


async def test_unsigned_records_of_an_earlier_version_pass_while_that_is_set(
    kafka: Kafka, prefix: str, tmp_path: Path, metrics: Metrics
) -> None:
    accepting = [{"unsigned_records": "accept"}] * 3
    async with installation(kafka, prefix, tmp_path, accepting) as sprat:
        await sprat.submit("hard", HARD)
        await sprat.settled()
        topics = sprat.topics
        for topic, kind in (
            (topics.predictions("intent"), Prediction),
            (topics.frontier_requests, FrontierRequested),
            (topics.frontier_answers, FrontierAnswered),
        ):
            (record,) = [each for each in await read_all(kafka.bootstrap, topic) if decode(each, kind)][:1]
            await sprat.send(forged(record, unsigned=True), STRANGER.sign(forged(record, unsigned=True)))
            await sprat.settled()
            assert metrics.value("sprat.records.refused", destination=topic, reason="invalid") == 1
        assert metrics.value("sprat.records.refused", reason="unsigned") is None
        assert len(await sprat.results()) == 1 + 3, "each unsigned record went its way to a Result with the same id"


async def test_a_model_is_announced_again_with_the_current_secret_and_keeps_its_texts(
    kafka: Kafka, prefix: str
) -> None:
    settings = settings_for(kafka.bootstrap, prefix).kafka
    topics = await made_topics(settings_for(kafka.bootstrap, prefix))
    model = ModelAnnounced(task="intent", version="1", labels=("a",))
    steps = [Signatures(Keys(*secrets)) for secrets in ((OLD,), (OLD, NEW), (NEW, OLD), (NEW,))]
    publisher = Publisher(settings, "test")
    await publisher.start()
    owned = {(await announce(settings, publisher, model, "intent", signatures)).owns_from for signatures in steps}
    await publisher.stop()
    assert len(owned) == 1, "its texts stay its own through all steps"
    records = await read_all(kafka.bootstrap, topics.models)
    assert [steps[3].verdict(each) for each in records] == ["invalid", "invalid", "current"], "once more, and only once"
    seen: list[Announcement] = []
    reader = ModelsReader(settings, steps[3], seen.append)
    await reader.start()
    await reader.stop()
    assert [each.announced and each.announced.owns_from for each in seen] == [*owned]
