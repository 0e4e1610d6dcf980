"""What the small models answer alone, as a person sees it: `sprat up`, `sprat send`, a tenant whose texts stay."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from typer.testing import CliRunner

from sprat_cli.main import app
from sprat_local.redis import EmbeddedRedis
from support.readme import ROOT
from support.up_process import UpProcess

NEWS = (
    "The prosecutors' office said on Thursday that the appellate court had overturned the ruling on procedural "
    "grounds, remanding the contested merger of the two insurers to the regulatory commission."
)
BAD = {
    "no space, no stop": "x" * 20_000,
    "line breaks": "Hello there." + "\n" * 10_000 + "Where is my order?",
    "emoji": "🙂🎉👩‍👩‍👧" * 100,
    "mixed languages": "Wo ist my order, s'il vous plaît? 我的订单在哪里",
    "markup": "<p>Where is <b>my order</b>?</p>" * 200,
}


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    with EmbeddedRedis() as server:
        yield server.url


@pytest.fixture(scope="module")
def bootstrap(redis: str) -> Iterator[str]:
    up = UpProcess("--redis", redis, "--policy", str(ROOT / "compose" / "policy.yaml"), "--with", "language-id")
    try:
        up.wait_ready()
        yield up.bootstrap
    finally:
        up.end()


def send(bootstrap: str, text: str, *options: str) -> dict[str, Any]:
    """Return the one Result of a text."""
    command = ["send", "-", *options, "--json", "--bootstrap", bootstrap]
    done = CliRunner().invoke(app, command, input=json.dumps({"text": text}) + "\n")
    (result,) = (line["result"] for line in map(json.loads, done.stdout.splitlines()) if line["type"] == "result")
    assert not (result["egress"] or {"left": False})["left"], "nothing leaves without a policy that allows it"
    return dict(result)


def test_names_and_places_are_found(bootstrap: str) -> None:
    result = send(bootstrap, "Anna Schmidt moved from Lisbon to Siemens in Munich", "--task", "ner")
    found = [(entity["text"], entity["label"]) for entity in result["output"]["entities"]]
    assert found == [("Anna Schmidt", "PER"), ("Lisbon", "LOC"), ("Siemens", "ORG"), ("Munich", "LOC")]
    result = send(bootstrap, "Anna Schmidt lives in Munich.", "--language", "en", "--task", "ner")
    assert (result["source"], result["status"], result["route"]["decision"]) == ("small", "answered", "kept")


def test_the_words_answer_what_they_are_sure_of_and_the_encoder_answers_the_rest(bootstrap: str) -> None:
    for text, label, stage in (
        ("how do i freeze my account", "freeze_account", "lexical"),
        ("please move 100 euros to my savings", "transfer", "encoder"),
    ):
        result = send(bootstrap, text, "--task", "intent")
        assert (result["output"]["label"], result["route"]["decision"]) == (label, "kept")
        assert result["model"]["stage"] == stage


def test_a_german_wish_is_understood(bootstrap: str) -> None:
    result = send(bootstrap, "bitte überweise 100 Euro auf mein Sparkonto", "--language", "de", "--task", "intent")
    assert (result["output"]["label"], result["source"]) == ("transfer", "small")


def test_with_auto_the_language_is_detected(bootstrap: str) -> None:
    given = "bitte überweise 100 Euro auf mein Sparkonto"
    result = send(bootstrap, given, "--language", "auto", "--task", "intent")
    assert (result["output"]["label"], result["source"], result["language"]) == ("transfer", "small", "auto")
    detected = result["language_detected"]
    assert detected["language"] == "de"
    assert detected["confidence"] > 0.9


def test_with_auto_a_language_that_no_model_serves_is_named(bootstrap: str) -> None:
    result = send(bootstrap, "Waar blijft mijn bestelling?", "--language", "auto", "--task", "ner")
    assert [each["code"] for each in result["declined"]["causes"]] == ["language", "policy"]
    assert result["declined"]["detail"].startswith("detected nl (1.00); ner/default serves en, de; send one of these")
    assert result["language_detected"]["language"] == "nl"


def test_the_language_of_a_text_is_a_task_of_its_own(bootstrap: str) -> None:
    result = send(bootstrap, "Waar blijft mijn bestelling?", "--task", "language-id")
    assert (result["task"], result["output"]["label"], result["requested"]) == ("language-id", "nl", ["language-id"])
    assert (result["source"], result["status"], result["route"]["decision"]) == ("small", "answered", "kept")
    assert result["output"]["alternatives"][0]["probability"] == result["confidence"]
    assert send(bootstrap, "+49 30 901820", "--task", "language-id")["output"] == {"label": None, "alternatives": []}


def test_a_language_that_is_not_sure_is_degraded(bootstrap: str) -> None:
    result = send(bootstrap, "Hotel", "--task", "language-id")
    assert (result["route"]["decision"], result["status"]) == ("escalated", "degraded")
    assert result["output"]["label"] is not None


def test_a_sentence_of_service_is_translated(bootstrap: str) -> None:
    result = send(bootstrap, "Where is my order?", "--task", "translation=de")
    assert (result["output"]["text"], result["source"]) == ("Wo ist meine Bestellung?", "small")
    assert (result["status"], result["route"]["decision"]) == ("answered", "kept")


def test_a_sentence_of_news_is_not_guessed(bootstrap: str) -> None:
    result = send(bootstrap, NEWS, "--task", "translation=de")
    assert (result["route"]["decision"], result["declined"]["causes"][-1]["code"]) == ("escalated", "policy")
    assert result["status"] in {"degraded", "unanswered"}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in BAD.items()])
@pytest.mark.parametrize("task", ["intent", "ner", "translation=de", "language-id"])
def test_bad_input_ends_in_a_result(bootstrap: str, text: str, task: str) -> None:
    assert send(bootstrap, text, "--task", task)["task"] == task.partition("=")[0]


@pytest.mark.parametrize(
    ("text", "language", "target"),
    [
        ("Ihre Rechnung wurde bezahlt.", "de", "de"),
        ("Ihre Rechnung wurde bezahlt.", "auto", "de"),
        ("Your invoice is paid.", "en", "en"),
        ("Laskunne on maksettu.", "fi", "fi"),
    ],
)
def test_a_text_in_the_targets_language_stays_as_it_is(bootstrap: str, text: str, language: str, target: str) -> None:
    result = send(bootstrap, text, "--language", language, "--task", f"translation={target}")
    assert result["output"] == {"text": text, "target": target}
    assert (result["source"], result["status"], result["route"]["decision"]) == ("small", "answered", "kept")
    assert (result["model"]["stage"], result["cached"], result["cost_eur"]) == ("unchanged", False, 0)
    detected = result["language_detected"]
    assert result["confidence"] == (detected["confidence"] if language == "auto" else 1.0)


def test_what_is_no_known_language_is_said_to_be_that(bootstrap: str) -> None:
    result = send(bootstrap, "Wo bleibt meine Bestellung?", "--language", "deutsch", "--task", "ner")
    assert (result["status"], result["declined"]["code"]) == ("unanswered", "language")
    assert result["declined"]["detail"] == "deutsch is no known language; send a tag such as de"


def test_an_unsupported_target_is_escalated(bootstrap: str) -> None:
    result = send(bootstrap, "Where is my order?", "--task", "translation=fi")
    assert (result["route"]["decision"], result["output"]) == ("escalated", None)
    assert result["declined"]["code"] == "target"
    assert result["declined"]["detail"].startswith("translates into de; ask for one of these")
    assert [each["code"] for each in result["declined"]["causes"]] == ["target", "policy"]


def test_redis_holds_no_value_of_a_text_also_where_nothing_may_leave(bootstrap: str, redis: str) -> None:
    asked = {
        "ner --language en": "Erika Mustermann moved to Regensburg",  # names look like German, or like another language
        "translation=de": "Where is my order?",
        "intent --language de": "Was macht meine Bestellung?",  # the lexical stage caches nothing, and reads no German
    }
    for task, text in asked.items():
        options = ["--task", *task.split()]
        answers = [send(bootstrap, text, *options)]
        while not answers[-1]["cached"]:  # a Redis that is slow for a moment is a miss
            assert len(answers) < 10, f"{task} does not come from Redis"
            answers.append(send(bootstrap, text, *options))
        assert answers[0]["output"] == answers[-1]["output"]
    with Redis.from_url(redis) as client:
        held = [part for key in client.scan_iter() for part in (key, client.get(key))]
    assert len(held) >= 6
    for word in (b"Erika", b"Mustermann", b"Regensburg", b"order", b"Bestellung", b"PER"):
        assert not any(word in part for part in held), word
