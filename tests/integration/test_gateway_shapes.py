"""The shapes of others over a real installation: real intents, languages and translations, a simulated frontier."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from conftest import Kafka, Redis
from sprat_contracts import Topics
from sprat_operations.topics import create_topics
from support.open_door import DEFAULT, OpenDoor, answering_door, open_door
from support.system import ALLOWED, System

BALANCE = "how much money do I have in my bank account"
pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Installation:
    system: System
    door: OpenDoor


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def installed(
    kafka: Kafka, redis_server: Redis, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installation]:
    folder, prefix = tmp_path_factory.mktemp("door"), f"t{secrets.token_hex(5)}"
    async with answering_door(kafka.bootstrap, redis_server.url, prefix, folder) as (system, door):
        yield Installation(system, door)


def question(*values: str | bool, **more: Any) -> dict[str, Any]:
    choices = [{"value": value} for value in values]
    return {"type": "choice", "instructions": "What does the writer want?", "choices": choices} | more


async def decided(client: httpx.AsyncClient, *questions: dict[str, Any], text: str = BALANCE) -> dict[str, Any]:
    response = await client.post("/v1/decisions", json={"model": "sprat", "input": text, "questions": questions})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


async def test_a_decision_is_what_the_small_model_says(installed: Installation) -> None:
    async with installed.door.client() as client:
        body = await decided(
            client,
            question("balance", "transfer", name="intent"),
            question("en", "de"),
            question("balance", "freeze_account"),
        )
        again = await client.post(
            "/v1/systemone",
            json={
                "model": "sprat",
                "state": BALANCE,
                "questions": {"intent": {"type": "choice", "criteria": {"balance": None, "transfer": None}}},
            },
        )
    intent, language, other = body["answers"]
    assert (intent["choice"], intent["name"], intent["sprat"]["status"]) == ("balance", "intent", "answered")
    assert intent["sprat"]["answered_by"] == "small"
    assert intent["confidence"] == intent["sprat"]["confidence"] > 0.9
    assert intent["sprat"]["level"] >= intent["sprat"]["goal"] == 0.97
    assert intent["probabilities"][0] == {"value": "balance", "probability": intent["confidence"]}
    assert {each["value"] for each in intent["probabilities"]} <= {"balance", "transfer"}
    assert (language["choice"], language["sprat"]["text"]) == ("en", intent["sprat"]["text"])
    assert other["choice"] == "balance"
    assert other["sprat"]["text"] != intent["sprat"]["text"], "a text asks a task once"
    assert body["usage"]["total_tokens"] == 0
    named = again.json()["answers"]["intent"]
    assert (named["choice"], named["confidence"]) == ("balance", intent["confidence"])


async def test_an_answer_outside_the_choices_is_asked_of_the_frontier_with_these_alone(installed: Installation) -> None:
    async with installed.door.client(ALLOWED) as client:
        body = await decided(client, question("freeze_account", "order_checks"))
    (answer,) = body["answers"]
    assert answer["sprat"]["answered_by"] == "frontier"
    assert answer["choice"] in {"freeze_account", "order_checks"}
    assert (answer["confidence"], answer["sprat"]["confidence"]) == (0.0, None)
    assert answer["probabilities"] == [{"value": answer["choice"], "probability": 0.0}]
    assert body["usage"]["input_tokens"] > 0
    assert answer["sprat"]["cost_eur"] > 0


async def test_what_no_task_answers_is_a_refusal_and_publishes_nothing(installed: Installation) -> None:
    seen = len(installed.system.results)
    async with installed.door.client() as client:
        body = await decided(
            client,
            question("balance", "no such label"),
            question(*(True, False)),
            {"type": "predicate", "instructions": "Is it urgent?", "name": "urgent"},
        )
    assert [each["type"] for each in body["answers"]] == ["refusal"] * 3
    assert [each["name"] for each in body["answers"]] == [None, None, "urgent"]
    assert all(each["sprat"]["detail"] for each in body["answers"])
    assert len(installed.system.results) == seen


async def test_libretranslate_translates_detects_and_lists(installed: Installation) -> None:
    texts = ["The card was lost.", "The card was stolen."]
    async with installed.door.client() as client:
        listed = await client.post("/translate", json={"q": texts, "source": "auto", "target": "de"})
        form = {"q": texts[0], "source": "en", "target": "de"}
        one = await client.post("/translate", data=form)
        found = await client.post("/detect", data={"q": "Wo bleibt meine Bestellung?"})
        languages = await client.get("/languages")
        unserved = await client.post("/translate", json={"q": texts[0], "source": "de", "target": "ja"})
    async with httpx.AsyncClient(base_url=installed.door.url) as stranger:
        by_field = await stranger.post("/translate", data=form | {"api_key": installed.door.keys[DEFAULT]})
        refused = await stranger.post("/translate", data=form | {"api_key": "sprat_x"})
    assert listed.status_code == one.status_code == by_field.status_code == 200, (listed.text, one.text, by_field.text)
    assert listed.json()["translatedText"][0] == one.json()["translatedText"] == by_field.json()["translatedText"]
    assert "Karte" in one.json()["translatedText"]
    detected = listed.json()["detectedLanguage"]
    assert [each["language"] for each in detected] == ["en", "en"]
    assert all(50 < each["confidence"] <= 100 for each in detected)
    assert found.json()[0]["language"] == "de"
    assert {"code": "en", "name": "English", "targets": ["de"]} in languages.json()
    assert (refused.status_code, list(refused.json())) == (401, ["error"])
    assert unserved.status_code in {400, 501}
    assert list(unserved.json()) == ["error"]


async def test_errors_have_the_shape_of_their_clients(installed: Installation) -> None:
    body = {"model": "sprat", "input": [{"role": "system", "content": BALANCE}], "questions": [question("a", "b")]}
    async with installed.door.client() as client:
        wrong = await client.post("/v1/decisions", json=body)
        blank = await client.post(
            "/v1/decisions", json=body | {"input": " ", "questions": [question("balance", "transfer")]}
        )
        deep = await client.post("/v1/systemone", content=b"[" * 100, headers={"content-type": "application/json"})
    async with httpx.AsyncClient(base_url=installed.door.url) as stranger:
        unknown = await stranger.post("/v1/decisions", json=body)
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "input[0].role")
    assert wrong.json()["error"]["type"] == "invalid_request_error"
    assert (blank.status_code, blank.json()["error"]["code"]) == (400, "invalid_text")
    assert (deep.status_code, deep.json()["error"]["code"]) == (400, "too_deep")
    assert (unknown.status_code, unknown.json()["error"]["type"]) == (401, "authentication_error")


async def test_an_answer_that_does_not_come_is_an_error_after_the_deadline(kafka: Kafka, tmp_path: Path) -> None:
    """Nobody reads these topics."""
    prefix = f"t{secrets.token_hex(5)}"
    await create_topics({"bootstrap_servers": kafka.bootstrap}, Topics(prefix, 2))
    policy = tmp_path / "policy.yaml"
    policy.write_text('tenants:\n  "*": {deadline_ms: 500}\n', "utf-8")
    async with open_door(kafka.bootstrap, prefix, tmp_path, SPRAT_POLICY=str(policy)) as door, door.client() as client:
        late = await client.post("/translate", json={"q": "The card was lost.", "source": "en", "target": "de"})
    assert (late.status_code, late.headers["x-should-retry"]) == (504, "false")
    assert late.json()["error"].startswith("no answer in time")
    assert late.headers["location"].startswith("/v1/texts/")
    assert 0.4 < late.elapsed.total_seconds() < 5
