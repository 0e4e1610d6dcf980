"""The published files: what the models say now, and what was promised with each release."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from contracts.generators import generate, release_contracts
from contracts.generators.compatibility import breaks
from contracts.generators.examples import examples, thresholds
from contracts.generators.generate import contracts as make_contracts
from contracts.generators.generate import generated as make_generated
from contracts.generators.paths import ASYNCAPI, RELEASED, ROOT, SCHEMAS, TEST_VECTORS
from contracts.generators.schemas import DIALECT, messages, schema_id, schema_of
from sprat.base.thresholds import read_thresholds
from sprat_contracts import Message, Traceparent, ids

contracts, generated = cache(make_contracts), cache(make_generated)
"""What the models say now: it is the same for every test, and takes a third of a second to make."""
PROMISES = sorted(RELEASED.glob("*/*.json"))
VERSIONS = sorted(folder.name for folder in RELEASED.iterdir() if folder.is_dir())


def promised(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", generated(), ids=shown)
def test_a_published_file_says_what_the_models_say(path: Path) -> None:
    assert path.exists(), f"{shown(path)} is missing: run `make generate` and commit what it writes"
    same = path.read_text(encoding="utf-8") == generated()[path]
    assert same, f"{shown(path)} is out of date: run `make generate` and commit what it writes"


def test_no_schema_is_left_of_a_message_that_is_no_more() -> None:
    assert {path.name for path in SCHEMAS.iterdir()} == set(contracts()), "run `make generate`"


def test_generating_writes_all_removes_what_is_no_more_and_touches_no_release(tmp_path: Path) -> None:
    schemas, asyncapi, released = (tmp_path / path.relative_to(ROOT) for path in (SCHEMAS, ASYNCAPI, RELEASED))
    for folder in (schemas, released / "0.1.0"):
        folder.mkdir(parents=True)
        (folder / "dev.sprat.old.v1.json").write_text("{}")
    generate.main(tmp_path)
    assert {path.name for path in schemas.iterdir()} == set(contracts())
    assert json.loads(asyncapi.read_text(encoding="utf-8"))["asyncapi"] == "3.0.0"
    assert [path.name for path in released.rglob("*.json")] == ["dev.sprat.old.v1.json"]


def test_a_release_is_frozen_once(tmp_path: Path) -> None:
    assert release_contracts.main(tmp_path) == 0
    (folder,) = (tmp_path / RELEASED.relative_to(ROOT)).iterdir()
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == contracts()
    (folder / TEST_VECTORS.name).write_text("{}")
    assert release_contracts.main(tmp_path) == 1
    assert (folder / TEST_VECTORS.name).read_text() == "{}"


def test_every_release_promises_all_messages_of_the_first() -> None:
    assert VERSIONS, "nothing is released: run `python -m contracts.generators.release_contracts`"
    first = {path.name for path in (RELEASED / VERSIONS[0]).iterdir()}
    for version in VERSIONS[1:]:
        assert first <= {path.name for path in (RELEASED / version).iterdir()}


@pytest.mark.parametrize("path", [path for path in PROMISES if path.name != TEST_VECTORS.name], ids=shown)
def test_nothing_breaks_a_program_written_for_a_release(path: Path) -> None:
    assert path.name in contracts(), f"{path.stem} is no more; whoever reads it is broken"
    found = breaks(promised(path), json.loads(contracts()[path.name]))
    told = "\n  ".join(found)
    assert found == [], (
        f"{path.stem} breaks programs written for {path.parent.name}:\n  {told}\n"
        "A change like this needs a new version: a new event type on a new topic, or a new format of the file."
    )


@pytest.mark.parametrize("path", [path for path in PROMISES if path.name == TEST_VECTORS.name], ids=shown)
def test_the_ids_of_a_release_hold(path: Path) -> None:
    vectors = promised(path)
    assert vectors["namespace"] == str(ids.NAMESPACE)
    for vector in vectors["derived"]:
        assert str(ids.derive(vector["stage"], vector["source"], vector["id"], vector["task"])) == vector["uuid"]
    for vector in vectors["plain_json"]:
        place = (vector["topic"], vector["partition"], vector["offset"], vector["timestamp_ms"])
        assert ids.plain_text_identity(*place) == (vector["source"], vector["id"])
    for vector in vectors["traceparent"]:
        assert str(Traceparent.root(vector["source"], vector["id"])) == vector["traceparent"]


@pytest.mark.parametrize("message", messages().values(), ids=lambda message: message.__name__)
def test_a_schema_is_one_and_accepts_its_example(message: type[Message]) -> None:
    schema = promised(SCHEMAS / f"{message.event_type}.json")
    Draft202012Validator.check_schema(schema)
    assert (schema["$schema"], schema["$id"]) == (DIALECT, schema_id(message.event_type))
    assert schema["title"] == message.__name__
    assert schema["description"]
    validator = Draft202012Validator(schema)
    for example in schema["examples"]:
        validator.validate(example)
        assert message.model_validate_json(json.dumps(example)) == examples()[message.event_type]


def test_the_schema_of_thresholds_is_one_and_its_example_is_read(tmp_path: Path) -> None:
    schema = promised(SCHEMAS / "thresholds.v1.json")
    Draft202012Validator.check_schema(schema)
    (example,) = schema["examples"]
    Draft202012Validator(schema).validate(example)
    (tmp_path / "thresholds.json").write_text(json.dumps(example))
    assert read_thresholds(tmp_path / "thresholds.json", model_version=example["model_version"]) == thresholds()


TEXTS = [
    pytest.param({}, True, id="least"),
    pytest.param({"later": {"deep": [1]}}, True, id="an unknown field"),
    pytest.param({"text": "🐟" * 20_000}, True, id="longest"),
    pytest.param({"text": "🐟" * 20_001}, False, id="too long"),
    pytest.param({"text": " \n "}, False, id="blank"),
    pytest.param({"text": None}, False, id="null"),
    pytest.param({"tasks": {}}, False, id="no task"),
    pytest.param({"tasks": {"Mood": {}}}, False, id="no name of a task"),
    pytest.param({"tasks": {"mood": 1}}, False, id="an added task without options"),
    pytest.param({"tasks": {"mood": {}}}, True, id="a task that an installation may have added"),
    pytest.param({"tasks": {"intent": None}}, False, id="the only task is null"),
    pytest.param({"tasks": {"intent": {}, "mood": {}}}, True, id="unknown task beside a known one"),
    pytest.param({"tasks": {"translation": {}}}, False, id="no target"),
    pytest.param({"language": "en-GB"}, True, id="language"),
    pytest.param({"language": "English!"}, False, id="no language"),
    pytest.param({"deadline_ms": 0}, False, id="no time"),
    pytest.param({"reference": {"a": "b"}}, True, id="reference"),
    pytest.param({"reference": {"k" * 65: "b"}}, False, id="long key"),
]


@pytest.mark.parametrize(("fields", "valid"), TEXTS)
def test_the_schema_of_texts_and_the_service_agree(fields: dict[str, Any], valid: Any) -> None:
    message = messages()["dev.sprat.text.submitted.v1"]
    text = {"text": "hi", "tasks": {"intent": {}}} | fields
    schema = promised(SCHEMAS / f"{message.event_type}.json")
    assert Draft202012Validator(schema).is_valid(text) is valid
    try:
        message.model_validate_json(json.dumps(text))
        accepted = True
    except ValidationError:
        accepted = False
    assert accepted is valid


def taken_away(fields: dict[str, Any], required: list[str], name: str) -> None:
    del fields[name]
    required[:] = [one for one in required if one != name]


def mandatory_or_not(fields: dict[str, Any], required: list[str], name: str) -> None:
    required.remove(name) if name in required else required.append(name)


def retyped(fields: dict[str, Any], required: list[str], name: str) -> None:
    fields[name] = {"type": "integer" if fields[name].get("type") == "boolean" else "boolean"}


@pytest.mark.parametrize("change", [taken_away, mandatory_or_not, retyped], ids=lambda change: change.__name__)
@pytest.mark.parametrize("message", messages().values(), ids=lambda message: message.__name__)
def test_no_field_at_any_depth_can_be_changed_unnoticed(message: type[Message], change: Any) -> None:
    schema = schema_of(message)
    text = json.dumps(schema)
    parts = [None, *schema.get("$defs", {})]
    for part in parts:
        for name in (schema["$defs"][part] if part else schema)["properties"]:
            changed = json.loads(text)
            place = changed["$defs"][part] if part else changed
            change(place["properties"], place.setdefault("required", []), name)
            assert breaks(schema, changed), f"{part}.{name}"
