"""Messages with outputs are read as pydantic reads them, also where several forms fit."""

import json
from itertools import combinations
from typing import Any

import pytest
from pydantic import ValidationError

from sprat_contracts import FrontierAnswered, Prediction
from sprat_contracts.message_reader import _first_fit, read_message
from support.router_records import answer, prediction

PARTS: dict[str, Any] = {
    "label": "refund",
    "alternatives": [{"label": "refund", "probability": 0.5, "more": 1}],
    "entities": [{"start": 0, "end": 1, "text": "M", "label": "PER"}],
    "truncated": True,
    "text": "Hallo",
    "target": "de",
    "content": "Hello",
    "labels": [{"label": "refund"}],
    "masked": "[PERSON_1]",
    "spans": [],
    "unknown": {"kept": True},
}
"""The fields of all forms, and one of none."""


def _read(by: Any, *given: Any) -> Any:
    try:
        message = by(*given)
    except ValidationError as error:
        return error.errors(include_url=False)
    return message, type(message.output), message.output and message.output.model_fields_set


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_outputs_with_fields_of_several_forms_are_read_as_pydantic_reads_them(count: int) -> None:
    before = prediction().model_dump(mode="json")
    for names in combinations(PARTS, count):
        value = json.dumps(before | {"output": {name: PARTS[name] for name in names}}).encode()
        assert _read(read_message, Prediction, value, []) == _read(Prediction.model_validate_json, value)


@pytest.mark.parametrize("output", [None, 1, [], {"label": 1}, {"label": "a", "alternatives": [{}]}, {"spans": {}}])
def test_what_is_wrong_with_an_output_is_what_pydantic_says(output: object) -> None:
    value = json.dumps(answer().model_dump(mode="json") | {"output": output}).encode()
    assert _read(read_message, FrontierAnswered, value, []) == _read(FrontierAnswered.model_validate_json, value)


def test_an_answer_with_known_fields_is_read_at_the_first_try() -> None:
    reader = _first_fit(Prediction)
    assert reader is not None
    value = prediction().model_dump_json().encode()
    assert reader.validate_json(value) == Prediction.model_validate_json(value)


def test_what_was_noted_is_noted_once_where_a_message_is_read_again() -> None:
    message = prediction().model_dump(mode="json")
    message["submitted"]["frontier"] = "maybe"
    message["output"]["unknown"] = 1
    noted: list[Any] = []
    read_message(Prediction, json.dumps(message).encode(), noted)
    assert [each.code for each in noted] == ["unknown_value"]
