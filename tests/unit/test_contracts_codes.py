"""Codes: writers use the enum, readers accept any string."""

import ast
from pathlib import Path

from sprat_contracts import DeadLetterReason, Declined, ReasonCode

ROOT = Path(__file__).resolve().parents[2]
CODES = {"Declined": ("code", None), "Rejected": ("code", 0), "WireError": ("code", 0)}


def test_a_code_is_written_as_its_value_and_an_unknown_one_is_read() -> None:
    written = Declined(code=ReasonCode.DEADLINE).model_dump_json()
    assert written == '{"code":"deadline","detail":""}'
    assert type(Declined.model_validate_json(written).code) is str
    assert Declined.model_validate_json('{"code": "a_later_version"}').code == "a_later_version"
    reason = DeadLetterReason(ReasonCode.TOO_LARGE, "why", "t", 0, 1, 2, "router", "1")
    read = DeadLetterReason.from_headers(reason.headers([]))
    assert read == reason
    assert type(read.code) is str


def test_no_source_writes_a_code_as_a_string_of_its_own() -> None:
    sources = [
        *ROOT.glob("contracts/src/**/*.py"),
        *ROOT.glob("shared/*/src/**/*.py"),
        *ROOT.glob("services/*/src/**/*.py"),
    ]
    assert len(sources) > 100
    literal = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in sources
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in CODES
        if isinstance(_code(call), ast.Constant)
    ]
    assert literal == []


def _code(call: ast.Call) -> ast.expr | None:
    name, place = CODES[call.func.id]  # type: ignore[attr-defined]
    by_name = next((each.value for each in call.keywords if each.arg == name), None)
    return by_name or (call.args[place] if place is not None and len(call.args) > place else None)
