"""A running service takes a changed file of thresholds over: it judges by it from then on, and announces it."""

import json
from pathlib import Path

import pytest

from conftest import Kafka, Redis
from sprat.base.thresholds import THRESHOLDS, ThresholdsFile, write_thresholds
from sprat_contracts import ModelAnnounced, Prediction, decode
from sprat_contracts.thresholds import Thresholds
from sprat_inference.serving import serve_model
from sprat_inference.specialist import SpecialistHandler
from sprat_operations.models import withdraw
from sprat_testing.service import running
from support.measured import thresholds
from support.stream import (
    SIGNATURES,
    FakeModel,
    card,
    eventually,
    made_topics,
    publish,
    read_all,
    read_until,
    settings_for,
)

FIRST = thresholds(model_version=card().version, certified=0.95)
SECOND = thresholds(model_version=card().version, certified=0.85)
ASKED = {"tasks": {"intent": {}}, "language": "en"}


class Serving:
    """A service with the file of its thresholds; its model's confidence is 0.9."""

    def __init__(self, kafka: Kafka, settings, topics, file: Path) -> None:
        self.kafka, self.settings, self.topics, self.file = kafka, settings, topics, file
        self.model = FakeModel()
        self._predicted = 0

    async def build(self, context, settings):
        file = ThresholdsFile(self.file, model_version=card().version)
        return await serve_model(
            context, self.model, "default", SpecialistHandler, file, read_models_every_s=0, read_thresholds_every_s=0.1
        )

    async def answer(self, text: str) -> Prediction:
        """Return the prediction for one more text."""
        await publish(self.kafka.bootstrap, self.topics.texts, [json.dumps({"text": text, **ASKED}).encode()])
        self._predicted += 1
        topic = self.topics.predictions("intent")
        records = await read_until(self.kafka.bootstrap, [topic], self._predicted)
        return max((decode(each, Prediction).message for each in records), key=lambda one: one.origin.appended_at)

    async def announced(self) -> list[ModelAnnounced | None]:
        """Return all that was announced, None for a withdrawal."""
        records = await read_all(self.kafka.bootstrap, self.topics.models)
        return [None if each.value is None else decode(each, ModelAnnounced).message for each in records]

    async def has_announced(self, expected: Thresholds) -> bool:
        last = (await self.announced())[-1]
        return last is not None and last.thresholds == expected.announced()


@pytest.fixture
async def serving(kafka: Kafka, redis_server: Redis, prefix: str, tmp_path: Path) -> Serving:
    settings = settings_for(kafka.bootstrap, prefix, redis_server.url)
    write_thresholds(tmp_path / THRESHOLDS, FIRST)
    return Serving(kafka, settings, await made_topics(settings), tmp_path / THRESHOLDS)


async def test_a_changed_file_is_announced_again_and_judges_cached_answers_anew(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    async with running("intent", serving.settings, serving.build):
        before = await serving.answer("hi")
        assert (before.accuracy.certified, before.accuracy.thresholds) == (None, FIRST.thresholds_version)
        write_thresholds(serving.file, SECOND)
        await eventually(lambda: serving.has_announced(SECOND))
        after = await serving.answer("hi")
        assert (after.accuracy.certified, after.accuracy.thresholds) == (0.97, SECOND.thresholds_version)
        assert (after.cached, serving.model.asked) == (True, ["hi"])

        serving.file.write_text(serving.file.read_text()[:-30])
        await eventually(lambda: f"version {SECOND.thresholds_version} stays" in caplog.text)
        kept = await serving.answer("hi")
        assert kept.accuracy == after.accuracy

        write_thresholds(serving.file, FIRST)
        await eventually(lambda: serving.has_announced(FIRST))
        assert (await serving.answer("hi")).accuracy == before.accuracy
    _, *announced = await serving.announced()
    assert [each.thresholds.thresholds_version for each in announced] == [
        each.thresholds_version for each in (FIRST, SECOND, FIRST)
    ]
    assert len({(each.owns_from, each.version) for each in announced}) == 1
    assert caplog.text.count("thresholds refused") == 1


async def test_a_model_without_a_file_takes_the_first_one_over(serving: Serving) -> None:
    serving.file.unlink()
    async with running("intent", serving.settings, serving.build):
        assert (await serving.answer("one")).accuracy is None
        assert (await serving.announced())[-1].thresholds is None
        write_thresholds(serving.file, SECOND)
        await eventually(lambda: serving.has_announced(SECOND))
        assert (await serving.answer("two")).accuracy.certified == 0.97


async def test_a_withdrawn_model_is_not_announced_by_a_changed_file(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    kafka = serving.settings.kafka
    async with running("intent", serving.settings, serving.build):
        await withdraw(kafka.client(), kafka, "intent", "default", SIGNATURES)
        write_thresholds(serving.file, SECOND)
        await eventually(lambda: "was withdrawn or replaced meanwhile" in caplog.text)
    assert (await serving.announced())[-1] is None


async def test_a_file_that_changed_while_the_service_was_stopped_is_announced_at_its_start(serving: Serving) -> None:
    async with running("intent", serving.settings, serving.build):
        pass
    write_thresholds(serving.file, SECOND)
    async with running("intent", serving.settings, serving.build):
        assert await serving.has_announced(SECOND)
    announced = (await serving.announced())[1:]
    assert len({each.owns_from for each in announced}) == 1


async def test_thresholds_too_large_to_announce_are_announced_without_those_of_single_languages(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    large = thresholds(model_version=card().version, german=0.9, languages=200)
    write_thresholds(serving.file, large)
    async with running("intent", serving.settings, serving.build):
        (last,) = (await serving.announced())[1:]
        assert {each.language for each in last.thresholds.cells} == {None}
        assert last.thresholds.thresholds_version == large.thresholds_version
        assert "are announced without those of single languages" in caplog.text
        assert len((await read_all(serving.kafka.bootstrap, serving.topics.models))[-1].value) <= 64 << 10
        assert (await serving.answer("hi")).accuracy.thresholds == large.thresholds_version
