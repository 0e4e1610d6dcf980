"""Decision models and Mistral over real HTTP: the simulator, and responses in the form that providers document."""

import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sprat_contracts import IntentOutput, Usage
from sprat_frontier.chat import ChatApi
from sprat_frontier.decisions import DecisionsApi, SystemOneApi
from sprat_frontier.errors import ProviderError
from sprat_frontier.prompts import question_of
from sprat_frontier.provider import OpenAIProvider
from sprat_policy import TaskFile
from support import frontier_parts as parts
from support import provider_responses as responses
from support.one_response import answering

TEXT = "how much is left, Zoë?"
APIS = {"decisions": DecisionsApi(), "systemone": SystemOneApi()}
MOOD = TaskFile.model_validate(
    {"kind": "classification", "labels": {"good": "praise", "bad": ""}, "instruction": "Judge the mood."}
)


@pytest.fixture(scope="module")
def simulated():
    with parts.simulator() as running:
        yield running


@pytest.fixture(autouse=True)
def as_at_the_start(simulated):
    simulated.reset()


@asynccontextmanager
async def asking(api, url) -> AsyncIterator[OpenAIProvider]:
    provider = OpenAIProvider(parts.settings(base_url=url, timeout_s=5, api_key="k-1"), api)
    try:
        yield provider
    finally:
        await provider.close()


async def ask(api, url, **changes):
    async with asking(api, url) as provider:
        return await provider.ask(provider.prepare(question_of(parts.request(TEXT, **changes))))


async def answer_of(api, body, status=200, **headers):
    """Return the answer, and the request that the server got, as path, headers and body."""
    async with answering(body, status, headers) as server:
        return await ask(api, server.url), server.requests[0]


async def failure_of(api, body, status=200, **headers):
    async with answering(body, status, headers) as server:
        with pytest.raises(ProviderError) as caught:
            await ask(api, server.url)
    assert "Zoë" not in repr(caught.value)
    return caught.value


@pytest.mark.parametrize("name", APIS)
async def test_a_simulated_decision_model_chooses_a_label_and_says_how_probable_it_is(simulated, name):
    simulated.reset(confidence=0.6)
    answer = await ask(APIS[name], simulated.base_url)
    assert answer.output.label in {*parts.LABELS, None}
    assert (answer.confidence, answer.simulated) == (pytest.approx(0.6), True)
    assert answer.usage.input_tokens > 10
    assert not answer.usage_capped


@pytest.mark.parametrize("name", APIS)
@pytest.mark.parametrize(
    ("behaviour", "code", "retryable"),
    [
        ({"error_rate": 1, "error_status": 503}, "server_error", True),
        ({"rate_limit_per_s": 0.001}, "rate_limited", True),
        ({"garbled_rate": 1}, "garbled", True),
        ({"malformed_rate": 1}, "invalid_answer", False),
    ],
)
async def test_a_decision_model_fails_as_a_chat_model_does(simulated, name, behaviour, code, retryable):
    simulated.reset(**behaviour)
    if "rate_limit_per_s" in behaviour:
        with contextlib.suppress(ProviderError):  # the first one may still be answered
            await ask(APIS[name], simulated.base_url)
    with pytest.raises(ProviderError) as caught:
        await ask(APIS[name], simulated.base_url)
    assert (caught.value.code, caught.value.retryable) == (code, retryable)


async def test_a_simulator_without_an_answer_says_so_by_each_api(tmp_path):
    gold = tmp_path / "gold.jsonl"
    gold.write_text('{"text": "other", "tasks": {"intent": {}}, "gold": {"intent": "transfer"}}\n')
    with parts.simulator(GOLD=str(gold)) as declining:
        for api in APIS.values():
            with pytest.raises(ProviderError) as caught:
                await ask(api, declining.base_url)
            assert caught.value.code == "no_gold"


async def test_openais_question_is_one_choice_and_its_probability_the_confidence():
    answer, (path, headers, body) = await answer_of(DecisionsApi(), responses.DECISION)
    assert (path, headers["authorization"]) == ("/v1/decisions", "Bearer k-1")
    (question,) = body["questions"]
    assert (question["type"], question["name"]) == ("choice", "intent")
    assert question["choices"] == [
        *({"value": label} for label in parts.LABELS),
        {"value": "none of these", "description": "none of the other options fits"},
    ]
    assert json.loads(body["input"]) == {"language": "en", "text": TEXT}
    assert TEXT not in json.dumps(body["questions"], ensure_ascii=False)
    assert answer.output == IntentOutput(label="balance")
    assert answer.confidence == 0.8, "not its `confidence`, which is no probability"
    assert (answer.model, answer.usage) == ("gpt-6-luna", Usage(input_tokens=96, output_tokens=4))


async def test_system_ones_state_is_the_text_and_its_probability_the_confidence():
    answer, (path, headers, body) = await answer_of(SystemOneApi(), responses.SYSTEM_ONE)
    assert (path, headers["authorization"]) == ("/v1/systemone", "Bearer k-1")
    ((name, question),) = body["questions"].items()
    assert (name, question["type"]) == ("intent", "choice")
    criteria = dict.fromkeys(parts.LABELS) | {"none of these": "none of the other options fits"}
    assert question["criteria"] == criteria
    assert json.loads(body["state"]) == {"language": "en", "text": TEXT}
    assert answer.output == IntentOutput(label="balance")
    assert answer.confidence == 0.94, "not its `confidence`, which is no probability"
    assert (answer.model, answer.usage) == ("jev-1.13.0", Usage(input_tokens=98, output_tokens=21))


def test_a_task_from_a_file_tells_what_its_labels_mean():
    question = question_of(parts.request(TEXT, labels=("good", "bad")), MOOD)
    choices = DecisionsApi().body("m", question)["questions"][0]
    assert choices["choices"][:2] == [{"value": "good", "description": "praise"}, {"value": "bad"}]
    assert choices["instructions"].endswith("\nJudge the mood.")
    assert SystemOneApi().body("m", question)["questions"]["intent"]["criteria"]["good"] == "praise"


def test_the_option_for_none_of_them_is_no_label():
    labels = ("none of these", "none of these.")
    choices = DecisionsApi().body("m", question_of(parts.request(TEXT, labels=labels)))["questions"][0]["choices"]
    assert [choice["value"] for choice in choices] == [*labels, "none of these.."]


def chose(choice: object, probabilities: object = None, **usage: object) -> tuple[dict, dict]:
    """Return the responses of both APIs with another choice."""
    shares = {"balance": 0.8} if probabilities is None else probabilities
    decision = responses.DECISION["answers"][0] | {"choice": choice}
    decision["probabilities"] = [{"value": value, "probability": share} for value, share in shares.items()]
    systemone = responses.SYSTEM_ONE["answers"]["intent"] | {"choice": choice, "probabilities": shares}
    return responses.DECISION | {"answers": [decision]} | usage, responses.SYSTEM_ONE | {
        "answers": {"intent": systemone}
    } | usage


@pytest.mark.parametrize("name", APIS)
async def test_the_last_option_is_none_of_the_labels(name):
    bodies = dict(zip(APIS, chose("none of these", {"none of these": 0.9}), strict=True))
    answer, _ = await answer_of(APIS[name], bodies[name])
    assert (answer.output, answer.confidence) == (IntentOutput(label=None), 0.9)


@pytest.mark.parametrize("name", APIS)
async def test_what_is_no_count_or_no_probability_costs_no_answer(name):
    bodies = dict(zip(APIS, chose("balance", {"transfer": 0.1}, usage={"input_tokens": "many"}), strict=True))
    answer, _ = await answer_of(APIS[name], bodies[name])
    assert (answer.output, answer.confidence) == (IntentOutput(label="balance"), None)
    assert answer.usage.input_tokens > 10, "estimated, so that no call looks free"


@pytest.mark.parametrize("name", APIS)
@pytest.mark.parametrize(
    "shares",
    [
        {"balance": "1.0"},
        {"balance": True},
        {"balance": 97},
        {"balance": -0.1},
        {"balance": 1.0, "transfer": "0.0"},
        {"balance": 1.0, "transfer": 0.02},
        {"balance": 0.9, "transfer": 0.9},
        {"balance": 1.0, "an option of its own": 0.5},
    ],
    ids=str,
)
async def test_what_cannot_be_probabilities_of_one_choice_is_no_answer_and_is_paid(name, shares):
    body = dict(zip(APIS, chose("balance", shares), strict=True))[name]
    error = await failure_of(APIS[name], body)
    assert (error.code, error.detail, error.retryable) == ("invalid_answer", "its probabilities are none", False)
    assert error.usage.input_tokens in {96, 98}


@pytest.mark.parametrize("shares", [(0.9, 0.9), (0.1, 0.8), (0.4, 0.4)])
async def test_an_option_that_has_two_probabilities_is_no_answer_and_is_paid(shares):
    body, _ = chose("balance", {"transfer": 0.1})
    body["answers"][0]["probabilities"] += [{"value": "balance", "probability": share} for share in shares]
    error = await failure_of(DecisionsApi(), body)
    assert (error.code, error.detail, error.retryable) == ("invalid_answer", "its probabilities are none", False)
    assert error.usage.input_tokens == 96


@pytest.mark.parametrize("name", APIS)
@pytest.mark.parametrize("shares", [{"balance": 1, "transfer": 0}, {"balance": 0.505, "transfer": 0.505}, {}], ids=str)
async def test_rounded_probabilities_and_none_at_all_are_an_answer(name, shares):
    body = dict(zip(APIS, chose("balance", shares), strict=True))[name]
    answer, _ = await answer_of(APIS[name], body)
    assert (answer.output.label, answer.confidence) == ("balance", shares.get("balance"))


@pytest.mark.parametrize("name", APIS)
async def test_an_option_that_was_not_offered_is_no_answer_and_is_paid(name):
    for place, body in enumerate(chose("loan")):
        if list(APIS)[place] == name:
            error = await failure_of(APIS[name], body)
    assert (error.code, error.retryable) == ("invalid_answer", False)
    assert error.usage.input_tokens in {96, 98}


@pytest.mark.parametrize(("name", "body"), [("decisions", responses.REFUSAL), ("systemone", responses.UNANSWERED)])
async def test_a_question_that_is_not_answered_is_refused_and_paid(name, body):
    error = await failure_of(APIS[name], body)
    assert (error.code, error.usage is not None) == ("refused", True)


@pytest.mark.parametrize("name", APIS)
@pytest.mark.parametrize("body", [{}, [], {"answers": 5}, {"model": "m", "answers": [{}]}, {"error": "x"}])
async def test_what_is_no_decision_is_garbled(name, body):
    assert (await failure_of(APIS[name], body)).code == "garbled"


@pytest.mark.parametrize("name", APIS)
@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"task": "ner"}, "tasks of one label alone"),
        ({"labels": tuple(f"label {n}" for n in range(255))}, "254 labels"),
    ],
)
def test_what_cannot_be_asked_is_said_before_anything_is_sent(name, changes, detail):
    problem = APIS[name].problem(question_of(parts.request(TEXT, **changes)))
    assert problem.code == "task"
    assert detail in problem.detail


# Mistral: the real service was not called.


async def mistral(body, status=200, **headers):
    return await answer_of(ChatApi(0.0, 1024), body, status, **headers)


async def test_mistrals_structured_output_is_an_answer():
    answer, (path, headers, body) = await mistral(responses.MISTRAL)
    assert (path, headers["authorization"]) == ("/v1/chat/completions", "Bearer k-1")
    assert body["response_format"]["type"] == "json_schema"
    assert body["response_format"]["json_schema"]["strict"] is True
    assert set(body) == {"model", "messages", "response_format", "max_tokens", "temperature"}
    assert (answer.output, answer.confidence) == (IntentOutput(label="balance"), None)
    assert answer.usage == Usage(input_tokens=120, output_tokens=9)


async def test_a_mistral_model_that_thinks_first_answers_in_parts():
    thinking = [
        {"type": "thinking", "thinking": [{"type": "text", "text": '{"label": "transfer"}'}]},
        {"type": "text", "text": '{"label": '},
        {"type": "text", "text": '"balance"}'},
    ]
    answer, _ = await mistral(responses.mistral_says(thinking))
    assert answer.output == IntentOutput(label="balance")


async def test_mistrals_rate_limit_is_waited_for():
    error = await failure_of(ChatApi(0.0, 1024), responses.MISTRAL_LIMITED, 429, retry_after="7")
    assert (error.code, error.retryable, error.retry_after_s) == ("rate_limited", True, 7.0)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (responses.MISTRAL_UNAUTHORISED, 401, "unauthorised"),
        (responses.MISTRAL_UNKNOWN_MODEL, 400, "http_400"),
        (responses.MISTRAL_INVALID, 422, "http_422"),
    ],
)
async def test_what_mistral_will_never_answer_is_not_tried_again(body, status, code):
    error = await failure_of(ChatApi(0.0, 1024), body, status)
    assert (error.code, error.retryable, error.retry_after_s) == (code, False, None)


async def test_mistrals_answer_that_was_cut_off_is_paid_and_none():
    body = responses.mistral_says('{"label": "bal', finish_reason="model_length")
    error = await failure_of(ChatApi(0.0, 1024), body)
    assert (error.code, error.usage) == ("invalid_answer", Usage(input_tokens=120, output_tokens=9))
