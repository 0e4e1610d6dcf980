"""The shapes of others: what is read of their bodies, and what their clients get."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from httpx import ASGITransport, AsyncClient
from jsonschema import Draft202012Validator, ValidationError
from starlette.requests import Request

from sprat_contracts.texts import LanguageDetected
from sprat_gateway.http.problems import Problem
from sprat_gateway.shapes import decisions, libretranslate, systemone, texts
from sprat_gateway.shapes.error_shapes import error_response
from sprat_gateway.shapes.questions import AskedQuestion, answers, plan
from sprat_operations.api_keys import add_key
from support.front_door import admission, door_app
from support.gateway_outcomes import UUID, outcome, result

RECORDED = json.loads((Path(__file__).parents[1] / "data" / "http_bodies.json").read_text("utf-8"))
TEXT = "how much money do I have in my bank account"
QUESTIONS = (
    AskedQuestion("questions[0]", "intent", ("balance", "transfer")),
    AskedQuestion("questions[1]", "urgent"),
)
LABELS = {"intent": ("transfer", "balance", "refund")}


def recorded(path: str) -> list[dict[str, Any]]:
    found = [each for each in RECORDED if each["path"] == path]
    assert found
    return found


@pytest.mark.parametrize("call", recorded("/v1/decisions"))
def test_a_decision_of_openai_is_read(call: dict[str, Any]) -> None:
    assert decisions.read_decision(call["body"].encode()) == ("sprat", TEXT, QUESTIONS)


@pytest.mark.parametrize("call", recorded("/v1/systemone"))
def test_a_request_of_system_one_is_read(call: dict[str, Any]) -> None:
    model, text, questions = systemone.read_systemone(call["body"].encode())
    assert (model, text) == ("sprat", TEXT)
    assert [(each.name, each.values) for each in questions] == [(each.name, each.values) for each in QUESTIONS]


@pytest.mark.parametrize("call", recorded("/translate"))
def test_a_form_of_libretranslate_is_read(call: dict[str, Any]) -> None:
    fields = libretranslate.fields_of(call["content_type"], call["body"].encode())
    asked = libretranslate.read_translation(fields)
    assert fields["api_key"] == "KEY"
    (body,) = asked.bodies
    assert body == {"text": "Where is my card?", "language": asked.source, "tasks": {"translation": {"target": "de"}}}


def decision_body(**changes: Any) -> bytes:
    choices = [{"value": "balance"}, {"value": "transfer"}]
    question = {"type": "choice", "name": "intent", "instructions": "What?", "choices": choices}
    return json.dumps({"model": "sprat", "input": TEXT, "questions": [question]} | changes).encode()


def asked(**changes: Any) -> list[dict[str, Any]]:
    return [{"type": "choice", "instructions": "", "choices": [{"value": "a"}, {"value": "b"}]} | changes]


def message(**changes: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": TEXT} | changes]


IMAGE = {"type": "input_image", "image_url": "https://example.org/a.png"}
PART = {"type": "input_text", "text": "a"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"input": message(role="system")}, "input[0].role"),
        ({"input": message(role="assistant")}, "input[0].role"),
        ({"input": [*message(), *message()]}, "input[1]"),
        ({"input": []}, "input"),
        ({"input": 7}, "input"),
        ({"input": ["a"]}, "input[0]"),
        ({"input": message(content=[IMAGE])}, "input[0].content[0].type"),
        ({"input": message(content=[PART, IMAGE])}, "input[0].content[1]"),
        ({"input": message(content=[{"type": "input_json", "data": {}}])}, "input[0].content[0].type"),
        ({"input": [{"type": "function_call", "call_id": "1", "name": "f", "arguments": ""}]}, "input[0].type"),
        ({"input": [{"type": "function_call_output", "call_id": "1", "output": "a"}]}, "input[0].type"),
        ({"questions": []}, "questions"),
        ({"questions": asked(type="box")}, "questions[0].type"),
        ({"questions": asked(choices=[{"value": "a"}])}, "questions[0].choices"),
        ({"questions": asked(choices=[{"value": "a"}, {"value": "a"}])}, "questions[0].choices"),
        ({"questions": asked(choices=[{"value": "a"}, {"value": 1}])}, "questions[0].choices[1].value"),
        ({"questions": asked(instructions=[PART, IMAGE])}, "questions[0].instructions[1]"),
        ({"audio": ["data:audio/wav;base64,AA"]}, "audio"),
        ({"model": None}, "model"),
    ],
)
def test_what_a_decision_may_not_hold_is_named_by_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Problem) as caught:
        decisions.read_decision(decision_body(**changes))
    assert (caught.value.status, caught.value.more["field"]) == (400, field)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"state": {"ticket": "a"}}, "state"),
        ({"images": [IMAGE["image_url"]]}, "images"),
        ({"assets": {"a": {}}}, "assets"),
        ({"questions": {"q": {"type": "box", "instructions": "x"}}}, "questions.q.type"),
        ({"questions": {"q": {"type": "choice", "criteria": {"a": None}}}}, "questions.q.criteria"),
    ],
)
def test_what_system_one_may_not_hold_is_named_by_its_field(changes: dict[str, Any], field: str) -> None:
    body = {"model": "m", "state": TEXT, "questions": {"q": {"type": "noul", "instructions": "Is it?"}}} | changes
    with pytest.raises(Problem) as caught:
        systemone.read_systemone(json.dumps(body).encode())
    assert (caught.value.status, caught.value.more["field"]) == (400, field)


def test_a_body_that_is_no_json_is_refused_and_not_quoted() -> None:
    for read in (decisions.read_decision, systemone.read_systemone):
        with pytest.raises(Problem) as caught:
            read(b'{"input": "SECRET"')
        assert caught.value.status == 400
        assert "SECRET" not in caught.value.detail
    with pytest.raises(Problem) as caught:
        decisions.read_decision(decision_body(questions=asked(type="SECRET")))
    assert "SECRET" not in caught.value.detail


def test_both_shapes_say_the_same_of_the_same_answers() -> None:
    planned = plan(QUESTIONS, LABELS)
    known = [outcome(result(output={"label": "balance"}, usage={"input_tokens": 90, "output_tokens": 3}))]
    given = answers(QUESTIONS, planned, known)

    body = decisions.decision("sprat", QUESTIONS, given, known)
    choice, refusal = body["answers"]
    sprat = choice.pop("sprat")
    assert choice == {
        "type": "choice",
        "name": "intent",
        "choice": "balance",
        "confidence": 0.9,
        "probabilities": [{"value": "balance", "probability": 0.9}],
    }
    assert (sprat["status"], sprat["answered_by"], sprat["text"]) == ("answered", "small", UUID)
    assert (refusal["type"], refusal["name"]) == ("refusal", "urgent")
    assert "choice alone" in refusal["sprat"]["detail"]
    assert (body["usage"]["input_tokens"], body["usage"]["output_tokens"], body["usage"]["total_tokens"]) == (90, 3, 93)

    body = systemone.decision("sprat", QUESTIONS, given, known)
    assert body["answers"] == {
        "intent": {
            "type": "choice",
            "choice": "balance",
            "confidence": 0.9,
            "probabilities": {"balance": 0.9},
            "sprat": sprat,
        }
    }
    assert list(body["sprat"]["refused"]) == ["urgent"]
    assert body["usage"] == {"input_tokens": 90, "output_tokens": 3}


def test_a_confidence_that_is_not_known_is_0() -> None:
    known = [outcome(result(output={"label": "balance"}, confidence=None, source="frontier"))]
    given = answers(QUESTIONS, plan(QUESTIONS, LABELS), known)
    choice = decisions.decision("sprat", QUESTIONS, given, known)["answers"][0]
    assert (choice["confidence"], choice["sprat"]["confidence"]) == (0.0, None)
    assert choice["probabilities"] == [{"value": "balance", "probability": 0.0}]


def translation(text: str, **fields: Any) -> Any:
    return outcome(result("translation", output={"text": text, "target": "de"}, **fields))


def test_translations_have_the_form_of_their_request() -> None:
    one = libretranslate.read_translation({"q": "Hello", "source": "en", "target": "de"})
    body = libretranslate.translated(one, [translation("Hallo")])
    assert (body["translatedText"], body["sprat"]["answered_by"]) == ("Hallo", "small")
    assert "detectedLanguage" not in body
    several = libretranslate.read_translation({"q": ["Hello", "Bye"], "source": "auto", "target": "de"})
    detected = LanguageDetected(language="en", confidence=0.987)
    known = [translation(text, language_detected=detected) for text in ("Hallo", "Tschüss")]
    body = libretranslate.translated(several, known)
    assert body["translatedText"] == ["Hallo", "Tschüss"]
    assert body["detectedLanguage"] == [{"language": "en", "confidence": 98.7}] * 2


@pytest.mark.parametrize(
    ("code", "status"), [("target", 400), ("language", 400), ("no_service", 501), ("provider", 502)]
)
def test_a_text_without_a_translation_is_an_error(code: str, status: int) -> None:
    asked = libretranslate.read_translation({"q": "Hello", "source": "en", "target": "xx"})
    declined = {"code": code, "detail": "it is not served"}
    with pytest.raises(Problem, match="it is not served") as caught:
        libretranslate.translated(asked, [outcome(result("translation", output=None, declined=declined))])
    assert caught.value.status == status


def test_the_likeliest_language_comes_first_and_none_is_und() -> None:
    alternatives = [{"label": "de", "probability": 0.8}, {"label": "nl", "probability": 0.1}]
    found = outcome(result("language-id", output={"label": "de", "alternatives": alternatives}, confidence=0.8))
    assert libretranslate.detections(found) == [
        {"language": "de", "confidence": 80.0},
        {"language": "nl", "confidence": 10.0},
    ]
    none = outcome(result("language-id", output={"label": None}, confidence=0.6))
    assert libretranslate.detections(none) == [{"language": "und", "confidence": 0.0}]


def test_languages_are_those_that_are_read_and_those_that_are_written() -> None:
    assert libretranslate.languages({"en": ("de", "xx")}) == [
        {"code": "en", "name": "English", "targets": ["de", "xx"]},
        {"code": "de", "name": "German", "targets": []},
        {"code": "xx", "name": "xx", "targets": []},
    ]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "q"),
        ({"q": ""}, "q"),
        ({"q": ["a", 1]}, "q"),
        ({"q": []}, "q"),
        ({"q": ["a"] * 51}, "q"),
        ({"q": "a"}, "source"),
        ({"q": "a", "source": "en"}, "target"),
        ({"q": "<b>a</b>", "source": "en", "target": "de", "format": "html"}, "format"),
    ],
)
def test_what_a_translation_lacks_is_named_by_its_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Problem) as caught:
        libretranslate.read_translation(fields)
    assert (caught.value.status, caught.value.more["field"]) == (400, field)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/decisions", {"error": {"message": "no", "type": "invalid_request_error", "param": "q", "code": "c"}}),
        ("/v1/systemone", {"error": {"message": "no", "type": "invalid_request_error", "param": "q", "code": "c"}}),
        ("/translate", {"error": "no"}),
        ("/v1/texts", {"title": "c", "status": 422, "code": "c", "detail": "no", "field": "q"}),
    ],
)
async def test_an_error_has_the_shape_of_its_path(path: str, body: dict[str, Any]) -> None:
    problem = Problem(422, "c", "no", headers={"Retry-After": "1"}, field="q")
    response = await error_response(Request({"type": "http", "path": path}), problem)
    assert json.loads(response.body) == body
    assert response.status_code == (422 if path == "/v1/texts" else 400)
    assert response.headers["retry-after"] == "1"


@pytest.fixture(scope="module")
def openapi(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    document: dict[str, Any] = door_app(admission(tmp_path_factory.mktemp("keys") / "keys.json")).openapi()
    return document


@pytest.mark.parametrize("call", [each for each in RECORDED if each["method"] == "POST"])
def test_the_openapi_document_allows_what_the_clients_send(openapi: dict[str, Any], call: dict[str, Any]) -> None:
    content = openapi["paths"][call["path"]]["post"]["requestBody"]["content"]
    schema = content[call["content_type"]]["schema"]
    is_json = call["content_type"] == "application/json"
    given = json.loads(call["body"]) if is_json else dict(parse_qsl(call["body"]))
    Draft202012Validator(schema).validate(given)
    with pytest.raises(ValidationError):
        Draft202012Validator(schema).validate({})


def test_the_openapi_document_says_what_a_text_and_its_answer_hold(openapi: dict[str, Any]) -> None:
    text = openapi["paths"]["/v1/texts"]["post"]
    for kind in ("application/json", "application/x-ndjson"):
        Draft202012Validator(text["requestBody"]["content"][kind]["schema"]).validate(
            {"text": "hi", "tasks": {"intent": {}}}
        )
    answer = text["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert set(openapi["components"]["schemas"][answer]["properties"]) == set(texts.body_of(outcome(result())))
    assert openapi["security"] == [{"key": []}]
    assert openapi["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


@pytest.mark.parametrize(("path", "fields"), [("/translate", {"q": "a"}), ("/detect", {"q": "a"}), ("/languages", {})])
@pytest.mark.parametrize(
    ("roles", "way", "status"),
    [
        (("label",), "field", 403),
        (("label",), "header", 403),
        (None, "field", 401),
        (None, "none", 401),
    ],
)
async def test_a_form_of_libretranslate_needs_a_key_that_may_send(
    tmp_path: Path, path: str, fields: dict[str, str], roles: tuple[str, ...] | None, way: str, status: int
) -> None:
    file = tmp_path / "keys.json"
    key = "sprat_000000000000_none" if roles is None else add_key(file, "acme", "/web", roles)[0]
    headers = {"authorization": f"Bearer {key}"} if way == "header" else {}
    data = fields | ({"api_key": key} if way == "field" else {})
    transport = ASGITransport(door_app(admission(file)))
    async with AsyncClient(transport=transport, base_url="http://localhost") as client:
        method = "GET" if path == "/languages" else "POST"
        answer = await client.request(method, path, data=data, headers=headers)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert key not in answer.text
