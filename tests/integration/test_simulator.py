"""The simulator as its own process."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.error import HTTPError

import pytest

from sprat_frontier.prompts import prompt_for, question_of
from support import frontier_parts as parts

SAMPLES = Path(__file__).parents[2] / "compose" / "samples" / "texts.jsonl"
LABELS = ["transfer", "balance", "weather"]
INTENT = {"label": {"type": ["string", "null"], "enum": [*LABELS, None]}}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    gold = tmp_path_factory.mktemp("gold") / "gold.jsonl"
    lines = [
        *({"text": f"text {n}", "tasks": {"intent": {}}, "gold": {"intent": "transfer"}} for n in range(200)),
        {"text": "line\u2028separator", "tasks": {"intent": {}}, "gold": {"intent": None}},
        {"text": "Ann in Oslo", "tasks": {}, "gold": {"ner": [{"start": 0, "end": 3, "text": "Ann", "label": "PER"}]}},
        {"text": "hello", "tasks": {}, "gold": {"translation": "hallo", "intent": "balance"}},
        {"text": "so-so", "tasks": {"mood": {}}, "gold": {"mood": "neutral", "topics": ["a"], "summary": "Fine."}},
        {"text": "bye", "tasks": {"translation": {"target": "de"}}, "gold": {"translation": "Tschüss"}},
    ]
    gold.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\n")
    with parts.simulator(GOLD=str(gold)) as running:
        yield running


@pytest.fixture(autouse=True)
def as_at_the_start(simulated):
    simulated.reset()


def request_body(text, task="intent", properties=INTENT, model="m", system="x" * 400):
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {
        "model": model,
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": json.dumps({"text": text})}],
        "response_format": {"type": "json_schema", "json_schema": {"name": task, "schema": schema, "strict": True}},
    }


def complete(simulated, *args, **kwargs):
    return simulated.call("/v1/chat/completions", "POST", request_body(*args, **kwargs))


def content(simulated, *args, **kwargs):
    return json.loads(complete(simulated, *args, **kwargs)["choices"][0]["message"]["content"])


def refusal(simulated, path, method="GET", body=None):
    with pytest.raises(HTTPError) as caught:
        simulated.call(path, method, body)
    with caught.value as error:
        return error.code, dict(error.headers), error.read()


def refusal_of(simulated, *args, **kwargs):
    (choice,) = complete(simulated, *args, **kwargs)["choices"]
    assert choice["message"]["content"] is None
    return choice["message"]["refusal"]


def test_without_gold_it_declines(simulated):
    text = {"text": {"type": "string"}}
    labels = {"entities": {"type": "array", "items": {"properties": {"label": {"enum": ["PLACE"]}}}}}
    before = simulated.call("/stats")["declined"]
    for declined in (
        refusal_of(simulated, "unknown"),
        refusal_of(simulated, "text 1", "translation", text),
        refusal_of(simulated, "text 1", properties={"label": {"enum": ["payroll", None]}}),  # another model's labels
        refusal_of(simulated, "Ann in Oslo", "ner", labels),
    ):
        assert declined.startswith("no_gold")
    assert simulated.call("/stats")["declined"] == before + 4


def test_a_translation_is_one_into_the_language_that_the_question_names(simulated):
    def asked(target):
        question = question_of(parts.request("bye", "translation", tasks={"translation": {"target": target}}))
        return {"text": "bye", "task": "translation", "properties": {}, "system": prompt_for(question).system}

    assert content(simulated, **asked("de")) == {"text": "Tschüss"}
    assert refusal_of(simulated, **asked("fr")).startswith("no_gold")


def test_answers_say_that_they_are_simulated(simulated):
    simulated.reset(invent=True)
    assert simulated.call("/healthz") == {"status": "ok"}
    assert simulated.call("/v1/models")["data"][0]["id"] == "simulated-frontier"
    assert complete(simulated, "hi", model="large")["model"] == "simulated-large"
    assert complete(simulated, "hi", model="simulated-large")["model"] == "simulated-large"


def test_gold_answers_fit_the_schema(simulated):
    entities = {"entities": {"type": "array", "items": {"properties": {"label": {"enum": ["PER", "LOC"]}}}}}
    assert content(simulated, "text 1") == {"label": "transfer"}
    assert content(simulated, "line\u2028separator") == {"label": None}
    assert content(simulated, "Ann in Oslo", "ner", entities) == {"entities": [{"text": "Ann", "label": "PER"}]}
    assert content(simulated, "hello", "translation", {"text": {"type": "string"}}) == {"text": "hallo"}
    assert content(simulated, "hello") == {"label": "balance"}


def test_an_invented_answer_fits_the_schema_and_stays_the_same(simulated):
    simulated.reset(invent=True)
    labels = [content(simulated, f"unknown {n}")["label"] for n in range(20)]
    assert set(labels) <= {*LABELS, None}
    assert len(set(labels)) > 1
    assert [content(simulated, f"unknown {n}")["label"] for n in range(20)] == labels
    assert content(simulated, "a\n\nb", "translation", {"text": {"type": "string"}}) == {"text": "[simulated] a\n\nb"}


def test_wrong_answers_have_their_rate_and_stay_the_same_for_a_seed(simulated):
    def wrong(seed):
        simulated.call("/control", "POST", {"wrong_rate": 0.2, "seed": seed})
        return {n for n in range(200) if content(simulated, f"text {n}")["label"] != "transfer"}

    first = wrong(1)
    assert 20 <= len(first) <= 60
    assert simulated.call("/stats")["wrong"] == len(first)
    assert wrong(1) == first
    assert wrong(2) != first


def test_every_task_can_be_wrong_within_its_schema(simulated):
    simulated.reset(wrong_rate=1)
    entities = {"entities": {"type": "array", "items": {"properties": {"label": {"enum": ["PER", "LOC"]}}}}}
    assert content(simulated, "Ann in Oslo", "ner", entities) == {"entities": [{"text": "Ann", "label": "LOC"}]}
    assert content(simulated, "hello", "translation", {"text": {"type": "string"}}) == {"text": "[simulated] hello"}


def test_tokens_are_counted_and_billed(simulated):
    simulated.reset(input_eur=1.0, output_eur=2.0)
    usage = complete(simulated, "text 1")["usage"]
    assert 100 < usage["prompt_tokens"] < 120
    assert usage["completion_tokens"] == 6
    expected = (usage["prompt_tokens"] + 2 * 6) / 1_000_000
    assert simulated.call("/stats")["billed_eur"] == pytest.approx(expected)


def test_tokens_can_be_counted_too_high_and_are_billed_as_they_are(simulated):
    simulated.reset(overcount_rate=1, input_eur=1.0, output_eur=2.0)
    assert complete(simulated, "text 1")["usage"]["completion_tokens"] == 6_000_000
    assert simulated.call("/stats")["billed_eur"] < 0.001


def test_a_model_can_have_an_address_for_a_name(simulated):
    assert complete(simulated, "text 1")["model"].startswith("simulated-")
    simulated.reset(misname_rate=1)
    assert complete(simulated, "text 1")["model"] == "somebody@example.com"


def test_answers_come_after_the_latency(simulated):
    simulated.reset(latency_ms=200, jitter_ms=50)
    begun = time.monotonic()
    complete(simulated, "hi")
    assert 0.2 <= time.monotonic() - begun < 1


def test_requests_above_the_rate_limit_get_a_retry_after(simulated):
    simulated.reset(rate_limit_per_s=2)
    complete(simulated, "hi")
    complete(simulated, "hi")
    status, headers, _ = refusal(simulated, "/v1/chat/completions", "POST", request_body("hi"))
    assert (status, headers["retry-after"]) == (429, "1")
    time.sleep(int(headers["retry-after"]))  # a client that waits as it is told is served
    complete(simulated, "hi")
    assert simulated.call("/stats")["rate_limited"] == 1


def test_errors_have_their_rate_and_status(simulated):
    simulated.reset(error_rate=1, error_status=503)
    status, _, body = refusal(simulated, "/v1/chat/completions", "POST", request_body("hi"))
    assert (status, json.loads(body)["error"]["message"]) == (503, "simulated")


@pytest.mark.parametrize(
    "body", [{}, {"model": "m"}, {"model": "m", "messages": []}, {"model": "m", "messages": "x"}, [], 3,
             request_body("x") | {"response_format": {"type": "json_schema"}}],
)  # fmt: skip
def test_an_invalid_request_is_refused(simulated, body):
    assert refusal(simulated, "/v1/chat/completions", "POST", body)[0] == 400


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize("path", ["chat/completions", "decisions", "systemone"])
def test_json_that_is_nested_too_deep_is_refused(simulated, path):
    assert refusal(simulated, f"/v1/{path}", "POST", DEEP)[0] == 400
    assert refusal(simulated, "/control", "POST", DEEP)[0] == 422


def test_a_text_that_is_deep_json_is_a_text(simulated):
    body = request_body("x") | {"messages": [{"role": "user", "content": DEEP.decode()}]}
    assert simulated.call("/v1/chat/completions", "POST", body)["choices"][0]["message"]["refusal"]


def test_without_a_schema_the_answer_is_plain_text(simulated):
    body = {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}
    answer = simulated.call("/v1/chat/completions", "POST", body)
    assert answer["choices"][0]["message"]["content"] == "[simulated] hi"


@pytest.mark.parametrize("change", [{"error_rate": 2}, {"latency_ms": -1}, {"unknown": 1}, [], {"seed": "x"}])
def test_an_invalid_behaviour_changes_nothing(simulated, change):
    before = simulated.call("/control")
    assert refusal(simulated, "/control", "POST", change)[0] == 422
    assert simulated.call("/control") == before


@pytest.mark.parametrize("token", ["", "the simulator's", "the simulator's tokens", "é"])
def test_nobody_without_the_token_sees_or_changes_the_behaviour(simulated, monkeypatch, token):
    before = simulated.call("/control")
    with monkeypatch.context() as wrong:
        wrong.setattr(parts, "CONTROL_TOKEN", token)
        assert refusal(simulated, "/control")[0] == 401
        assert refusal(simulated, "/control", "POST", {"error_rate": 1})[0] == 401
    assert simulated.call("/control") == before


def test_requests_are_kept_unchanged(simulated):
    complete(simulated, "a text")
    (kept,) = simulated.call("/requests")["requests"]
    assert json.loads(kept["body"]) == request_body("a text")
    assert kept["bytes"] == len(kept["body"].encode())


def test_requests_are_kept_only_if_enabled_and_only_the_latest():
    with parts.simulator(KEEP_REQUESTS="0") as forgetful:
        complete(forgetful, "hi")
        assert refusal(forgetful, "/requests")[0] == 404
    with parts.simulator(CONTROL_TOKEN=None) as uncontrolled:
        assert refusal(uncontrolled, "/control")[0] == 404
        assert refusal(uncontrolled, "/control", "POST", {"error_rate": 1})[0] == 404
    with parts.simulator(MAX_KEPT="2") as bounded:
        for n in range(3):
            complete(bounded, f"text {n}")
        assert [json.loads(body) for body in bounded.bodies] == [request_body("text 1"), request_body("text 2")]


def hang_up(hanging):
    with pytest.raises(OSError, match=r"closed|reset"):
        complete(hanging, "hi")


def test_it_stops_at_once_with_hanging_requests():
    with parts.simulator(HANG_RATE="1") as hanging:
        client = threading.Thread(target=hang_up, args=(hanging,))
        client.start()
        while hanging.call("/stats")["hung"] == 0:
            time.sleep(0.01)
        begun = time.monotonic()
        hanging.process.send_signal(signal.SIGTERM)
        hanging.process.wait(5)
        assert time.monotonic() - begun < 1
        client.join(5)
        assert not client.is_alive()


MOOD = {"label": {"type": ["string", "null"], "enum": ["neutral", "good", None]}}


def test_a_gold_label_of_a_task_from_a_file_may_be_a_string(simulated):
    assert content(simulated, "so-so", "mood", MOOD) == {"label": "neutral"}
    assert content(simulated, "so-so", "summary", {"content": {"type": "string"}}) == {"content": "Fine."}
    several = {"labels": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}}}
    assert content(simulated, "so-so", "topics", several) == {"labels": ["a"]}
    others = {"label": {"type": ["string", "null"], "enum": ["up", "down", None]}}
    assert refusal_of(simulated, "so-so", "mood", others).startswith("no_gold"), "none of the labels to choose from"
    choices = [{"value": label} for label in ("neutral", "good", "none")]
    question = {"type": "choice", "name": "mood", "instructions": "Which?", "choices": choices}
    body = {"model": "m", "input": "so-so", "questions": [question]}
    assert simulated.call("/v1/decisions", "POST", body)["answers"][0]["choice"] == "neutral"


def test_help_says_where_the_settings_are_and_starts_nothing():
    command = [sys.executable, "-m", "sprat_simulator", "--help"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 0
    assert "SPRAT_SIMULATOR_PORT" in ended.stdout
    assert "docs/configuration.md" in ended.stdout


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"ERROR_RATE": "x"}, "SPRAT_SIMULATOR_ERROR_RATE"),
        ({"PORT": "70000"}, "SPRAT_SIMULATOR_PORT"),
        ({"GOLD": "/nowhere/gold.jsonl"}, "/nowhere/gold.jsonl"),
        ({"GOLD": __file__}, f"{__file__}:1: not a line"),
    ],
)
def test_wrong_settings_give_one_line_and_exit_code_2(environment, message):
    variables = {f"SPRAT_SIMULATOR_{name}": value for name, value in ({"PORT": "0"} | environment).items()}
    command = [sys.executable, "-m", "sprat_simulator"]
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_requests_are_served_concurrently(simulated):
    simulated.reset(latency_ms=200)
    begun = time.monotonic()
    await asyncio.gather(*(asyncio.to_thread(complete, simulated, f"text {n}") for n in range(4)))
    assert time.monotonic() - begun < 0.7
    assert simulated.call("/stats")["max_in_flight"] == 4


def test_the_committed_samples_are_readable_gold():
    with parts.simulator(GOLD=str(SAMPLES)) as running:
        assert content(running, "please move 100 euros to my savings") == {"label": "transfer"}
