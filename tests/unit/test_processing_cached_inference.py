"""The cache before the model: what is looked up, asked once, kept, and ignored where it is not an answer."""

import asyncio
import threading
import time

import pytest

from sprat.base.errors import Fatal
from sprat.base.keys import KeyedHash
from sprat.base.model import Answer, Question, Unfinished
from sprat.processing.cached_inference import FEW_TEXTS, CachedInference, Inference, _bisect
from sprat.processing.handler import Ask, Outcome
from sprat.processing.records import WorkItem
from sprat_contracts import IntentOutput
from support.panics import PanicException
from support.router_records import received, text
from support.wire_records import plain


class Model:
    """Answers with the text as label; breaks on `broken` with `error`; is as sure as `confidence` says."""

    def __init__(self):
        self.batches = []
        self.broken = set()
        self.error = ZeroDivisionError
        self.confidence = 0.9
        self.stage = None
        self.nothing_missed = None

    def tokens(self, question):
        return len(question.text)

    def answer(self, questions):
        self.batches.append([question.text for question in questions])
        if self.broken & {question.text for question in questions}:
            raise self.error
        return [
            Answer(IntentOutput(label=question.text), self.confidence, self.stage, nothing_missed=self.nothing_missed)
            for question in questions
        ]

    def probe(self):
        pass


class Cache:
    def __init__(self):
        self.values = {}

    async def get_many(self, keys):
        return [self.values.get(key) for key in keys]

    async def put_many(self, values):
        self.values |= values


class Handler:
    """Notes for each item what it was answered with."""

    def answered(self, received, ask, answered):
        stage = f" by {answered.answer.stage}" if answered.answer.stage else ""
        missed = answered.answer.nothing_missed
        complete = "" if missed is None else f", {missed} nothing missed"
        how = "cached" if answered.cached else "fresh"
        return Outcome(skipped=f"{answered.answer.output.label}, {how}{stage}{complete}")

    def failed(self, received, ask):
        return Outcome(skipped="failed")


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def cached_inference(model):
    inference = Inference(model)
    yield CachedInference(Handler(), model, inference, Cache(), KeyedHash(b"a key"))
    inference.close()


async def answer(cached_inference, *texts, store=True):
    items = []
    for one in texts:
        item = WorkItem(plain(), received=received(text()))
        cached_inference.prepare(item, Ask(Question(one, "en"), "intent", "acme", ("answer",)))
        items.append(item)
    await cached_inference.begin(items)
    await cached_inference.look_up(items)
    await cached_inference.finish(items)
    if store:
        await cached_inference.store()
    return [item.outcome.skipped for item in items]


async def test_equal_questions_are_asked_once_and_later_ones_come_from_the_cache(metrics, cached_inference, model):
    assert await answer(cached_inference, "a", "b", "a") == ["a, fresh", "b, fresh", "a, fresh"]
    assert await answer(cached_inference, "b", "c") == ["b, cached", "c, fresh"]
    assert model.batches == [["a", "b"], ["c"]]
    assert metrics.value("sprat.model.texts") == 3


async def test_an_answer_that_is_not_stored_yet_is_found_as_a_stored_one_is(
    metrics, cached_inference, model, monkeypatch
):
    assert await answer(cached_inference, "a", store=False) == ["a, fresh"]
    monkeypatch.setattr(cached_inference.cache, "get_many", fail)
    assert await answer(cached_inference, "a", "a", store=False) == ["a, cached", "a, cached"]
    assert model.batches == [["a"]]
    assert metrics.value("sprat.cache.lookups", cache="answers", result="hit") == 1


async def fail(_):
    raise AssertionError("the cache is asked")


async def test_the_wait_of_a_cached_answer_is_without_the_look_up(cached_inference, monkeypatch):
    await answer(cached_inference, "a")
    timings = []
    decide = cached_inference.handler.answered
    cached_inference.handler.answered = lambda received, ask, answered: (
        timings.append(answered.timings_ms),
        decide(received, ask, answered),
    )[1]
    get_many = cached_inference.cache.get_many

    async def slow(keys):
        await asyncio.sleep(0.05)
        return await get_many(keys)

    monkeypatch.setattr(cached_inference.cache, "get_many", slow)
    for question in ("a", "b"):
        item = WorkItem(plain(timestamp=int(time.time() * 1000) - 200), received=received(text()))
        cached_inference.prepare(item, Ask(Question(question, "en"), "intent", "acme", ("answer",)))
        await cached_inference.look_up([item])
        await cached_inference.finish([item])
    for found in timings:
        assert found["cache"] >= 50
        assert found["wait"] >= 199
    assert [*timings[0]] == ["wait", "cache"]
    assert [*timings[1]] == ["wait", "cache", "model"]


async def test_the_model_is_asked_for_no_text_that_was_not_looked_up(cached_inference):
    item = WorkItem(plain(), received=received(text()))
    cached_inference.prepare(item, Ask(Question("a", "en"), "intent", "acme", ("answer",)))
    with pytest.raises(Fatal, match="without a key"):
        await cached_inference.finish([item])


BROKEN = pytest.mark.parametrize("error", [ZeroDivisionError, PanicException, SystemExit, asyncio.CancelledError])


@BROKEN
async def test_a_text_that_breaks_the_model_fails_alone_and_is_not_cached(cached_inference, model, error):
    model.broken, model.error = {"b"}, error
    assert await answer(cached_inference, "a", "b", "c", "d") == ["a, fresh", "failed", "c, fresh", "d, fresh"]
    assert len(cached_inference.cache.values) == 3
    model.broken = set()
    assert await answer(cached_inference, "b") == ["b, fresh"]


def test_ctrl_c_is_no_failure_of_a_text():
    with pytest.raises(KeyboardInterrupt):
        _bisect(interrupted, ["a", "b"])


def interrupted(batch):
    raise KeyboardInterrupt


async def test_a_cached_answer_says_which_stage_of_the_model_gave_it(cached_inference, model):
    model.stage = "lexical"
    assert await answer(cached_inference, "a") == ["a, fresh by lexical"]
    assert await answer(cached_inference, "a") == ["a, cached by lexical"]


@pytest.mark.parametrize(("stage", "by"), [(None, ""), ("lexical", " by lexical")])
async def test_a_cached_answer_says_that_nothing_is_missed_as_surely_as_the_model_did(
    cached_inference, model, stage, by
):
    model.stage, model.nothing_missed = stage, 0.1 + 0.2
    assert await answer(cached_inference, "a") == [f"a, fresh{by}, {0.1 + 0.2} nothing missed"]
    assert await answer(cached_inference, "a") == [f"a, cached{by}, {0.1 + 0.2} nothing missed"]


@pytest.mark.parametrize("chance", [float("nan"), 1.5, -0.1])
async def test_an_answer_of_which_no_chance_says_that_nothing_is_missed_is_none(cached_inference, model, chance):
    model.nothing_missed = chance
    assert await answer(cached_inference, "a") == ["failed"]


@pytest.mark.parametrize("confidence", [float("nan"), 1.5, -0.1])
async def test_an_answer_without_a_confidence_is_none(cached_inference, model, confidence):
    model.confidence = confidence
    assert await answer(cached_inference, "a") == ["failed"]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"nonsense",
        b'0.9\n{"labe',
        b'x\n{"label": "a"}',
        b'0.9 \xff\n{"label": "a"}',
        b'1.5\n{"label": "b"}',
        b'nan\n{"label": "b"}',
        b'0.9 =x\n{"label": "b"}',
        b'0.9 =2\n{"label": "b"}',
        b'0.9 =nan\n{"label": "b"}',
        b'0.9 \n{"label": ',
    ],
)
async def test_a_cached_value_that_is_no_answer_is_asked_again(cached_inference, value):
    await answer(cached_inference, "a")
    cached_inference.cache.values = dict.fromkeys(cached_inference.cache.values, value)
    assert await answer(cached_inference, "a") == ["a, fresh"]


async def test_a_cache_key_shows_nothing_of_the_text(cached_inference):
    await answer(cached_inference, "a private sentence")
    assert "private" not in "".join(cached_inference.cache.values)


class Staged(Model):
    """A model whose first stage answers texts that begin with `easy`."""

    is_staged = True

    def __init__(self):
        super().__init__()
        self.begun = []
        self.threads = []
        self.found = []

    def begin(self, questions):
        self.begun.append([question.text for question in questions])
        self.threads.append(threading.current_thread().name)
        if self.broken & {question.text for question in questions}:
            raise self.error
        return [
            Answer(IntentOutput(label=question.text), self.confidence, "lexical")
            if question.text.startswith("easy")
            else Unfinished(question, f"found {question.text}")
            for question in questions
        ]

    def finish(self, unfinished):
        self.found += [each.found for each in unfinished]
        return self.answer([each.question for each in unfinished])


@pytest.fixture
def staged():
    model = Staged()
    inference = Inference(model)
    yield CachedInference(Handler(), model, inference, Cache(), KeyedHash(b"a key"))
    inference.close()


async def test_what_the_first_stage_answers_is_neither_looked_up_nor_cached(metrics, staged):
    assert await answer(staged, "easy", "hard") == ["easy, fresh by lexical", "hard, fresh"]
    assert len(staged.cache.values) == 1
    assert staged.model.batches == [["hard"]]
    assert metrics.value("sprat.model.texts") == 2
    assert await answer(staged, "easy", "hard") == ["easy, fresh by lexical", "hard, cached"]


async def test_the_first_stage_reads_few_texts_on_the_event_loop_and_many_on_its_thread(staged):
    await answer(staged, *(f"easy {number}" for number in range(FEW_TEXTS)))
    await answer(staged, *(f"easy {number}" for number in range(FEW_TEXTS + 1)))
    few, many = staged.model.threads
    assert few == threading.current_thread().name
    assert many.startswith("first-stage")


async def test_the_rest_of_the_model_gets_what_its_first_stage_has_found(staged):
    await answer(staged, "easy", "hard", "harder")
    assert staged.model.found == ["found hard", "found harder"]


@BROKEN
@pytest.mark.parametrize("more", [0, FEW_TEXTS], ids=["on the event loop", "on its thread"])
async def test_a_text_that_breaks_the_first_stage_fails_alone(staged, error, more):
    staged.model.broken, staged.model.error = {"easy b"}, error
    others = [f"easy {number}" for number in range(more)]
    found = await answer(staged, "easy a", "easy b", *others)
    assert found == ["easy a, fresh by lexical", "failed", *(f"{each}, fresh by lexical" for each in others)]


async def test_a_model_that_says_it_has_no_first_stage_is_asked_as_a_whole(staged):
    plain_model = Staged()
    plain_model.is_staged = False
    inference = Inference(plain_model)
    staged.model, staged.inference = plain_model, inference
    assert await answer(staged, "easy") == ["easy, fresh"]
    assert plain_model.begun == []
    inference.close()
