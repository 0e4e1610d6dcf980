"""What a Result says of a text that was not understood in part: nothing of it but names that give nothing away."""

import json
from typing import Any

import pytest

from sprat_contracts import TextSubmitted, decode
from sprat_contracts.text_warnings import MAX_WARNINGS
from support.speed import cpu_s
from support.wire_records import plain


def warned(**fields: Any) -> list[tuple[str, str]]:
    value = json.dumps({"text": "hi", "tasks": {"intent": {}}} | fields).encode()
    return [(each.code, each.detail) for each in decode(plain(value), TextSubmitted).warnings]


NOT_SHOWN = [("unknown_field", "1 unknown field whose name is not shown")]


@pytest.mark.parametrize(
    ("fields", "warnings"),
    [
        pytest.param({}, [], id="all is known"),
        pytest.param({"tenent": "acme"}, [("unknown_field", "tenent, did you mean tenant?")], id="misspelt"),
        pytest.param({"Tenant": "acme"}, [("unknown_field", "Tenant, did you mean tenant?")], id="another case"),
        pytest.param({"deadline": 5}, [("unknown_field", "deadline, did you mean deadline_ms?")], id="half of it"),
        pytest.param({"lang": "en"}, [("unknown_field", "lang, did you mean language?")], id="like a known one"),
        pytest.param({"tenant_4711": 1}, NOT_SHOWN, id="a number"),
        pytest.param({"Peter_Schmidt": 1}, NOT_SHOWN, id="like none"),
        pytest.param(
            {"tasks": {"intent": {"modl": "hr"}, "translation": {"target": "de", "x": 1}}},
            [("unknown_field", "tasks.intent.modl, did you mean model?"), *NOT_SHOWN],
            id="options",
        ),
        pytest.param({"tenent": None, "tasks": {"intent": {"target": None}}}, [], id="null"),
        pytest.param({"Text": 1}, [("unknown_field", "Text, the field is text, which is there")], id="as text"),
        pytest.param({"txt": 1}, [("unknown_field", "txt, the field is text, which is there")], id="like text"),
        pytest.param({"textt": 1}, [("unknown_field", "textt, the field is text, which is there")], id="too long"),
        pytest.param({"test": 1}, NOT_SHOWN, id="more like text than like tenant"),
        pytest.param(
            {"tenant": "acme", "TENANT": "acme-bank", "language": "de", "lang": "en"},
            [
                ("unknown_field", "TENANT, the field is tenant, which is there"),
                ("unknown_field", "lang, the field is language, which is there"),
            ],
            id="like one that is there",
        ),
        pytest.param(
            {"tasks": {"translation": {"target": "de", "Target": "fr"}}},
            [("unknown_field", "tasks.translation.Target, the field is target, which is there")],
            id="like an option that is there",
        ),
        pytest.param(
            {"priority": 1, "id": "4711"},
            [
                ("unknown_field", "priority: texts have no priority; deadline_ms says how long a hard case may wait"),
                ("unknown_field", "id: the id of a text is the header ce_id; carry an id of your own in reference"),
            ],
            id="what other systems send",
        ),
        *(
            pytest.param(
                {name: 1},
                [
                    (
                        "unknown_field",
                        f"{name}: the id of a text is the header ce_id; carry an id of your own in reference",
                    )
                ],
                id=name,
            )
            for name in ("textId", "text_id", "messageId")
        ),
        pytest.param({"ticket": 1}, NOT_SHOWN, id="like a mandatory one, which is there"),
        pytest.param({"jane@x.com": 1}, NOT_SHOWN, id="an address"),
        pytest.param({"AKIA4T7QZ": 1}, NOT_SHOWN, id="a key"),
        pytest.param({"Anna Schmidt": 1}, NOT_SHOWN, id="a name in words"),
        pytest.param({"tenant\n": 1}, NOT_SHOWN, id="control characters"),
        pytest.param({"t\u0435nant": 1}, NOT_SHOWN, id="a letter that looks like another"),
        pytest.param({"": 1}, NOT_SHOWN, id="empty"),
        pytest.param({"x" * 33: 1}, NOT_SHOWN, id="long"),
        pytest.param(
            {"tenent": 1, "a@b": 1, "c@d": 1},
            [
                ("unknown_field", "tenent, did you mean tenant?"),
                ("unknown_field", "2 unknown fields whose name is not shown"),
            ],
            id="both",
        ),
    ],
)
def test_an_unknown_field_is_told_without_its_value(fields: dict[str, Any], warnings: list[tuple[str, str]]) -> None:
    assert warned(**fields) == warnings


@pytest.mark.parametrize("rule", ["yes", "ALLOW", "", True, {"allow": True}], ids=repr)
def test_a_frontier_that_counts_as_deny_is_told(rule: Any) -> None:
    told = ("unknown_value", "frontier: none of allow, redact and deny; counts as deny")
    assert warned(frontier=rule, tenent=1) == [told, ("unknown_field", "tenent, did you mean tenant?")]
    assert warned(frontier="deny") == warned(frontier="allow") == []


def test_thousands_of_unknown_fields_are_few_short_warnings_at_once() -> None:
    fields = {f"{'tenent' * 4}{number}": 1 for number in range(10_000)} | {"frontier": 1}
    fields = {f"tenant{chr(97 + number)}": 1 for number in range(20)} | fields
    assert cpu_s(lambda: warned(**fields)) < 1
    warnings = warned(**fields)
    assert len(warnings) == MAX_WARNINGS
    assert warnings[-1] == ("unknown_field", "10014 unknown fields whose name is not shown")
    assert all(len(detail) < 80 for _, detail in warnings)
