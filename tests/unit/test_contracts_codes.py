"""Codes: writers use the enum, readers accept any string."""

import ast

from sprat_contracts import DeadLetterReason, Declined, ReasonCode
from support.sources import ROOT, calls, sources

CODES = {"Declined": ("code", None), "Rejected": ("code", 0), "WireError": ("code", 0)}


def test_a_code_is_written_as_its_value_and_an_unknown_one_is_read() -> None:
    written = Declined(code=ReasonCode.DEADLINE).model_dump_json()
    assert written == '{"code":"deadline","detail":"","causes":[]}'
    assert type(Declined.model_validate_json(written).code) is str
    assert Declined.model_validate_json('{"code": "a_later_version"}').code == "a_later_version"
    reason = DeadLetterReason(ReasonCode.TOO_LARGE, "why", "t", 0, 1, 2, "router", "1")
    read = DeadLetterReason.from_headers(reason.headers([]))
    assert read == reason
    assert type(read.code) is str


def test_no_source_writes_a_code_as_a_string_of_its_own() -> None:
    paths = [path for path in sources("contracts", "shared", "services") if "src" in path.parts]
    assert len(paths) > 100
    written = [(path, call) for path in paths for call in calls(path, *CODES) if isinstance(call.func, ast.Name)]
    assert written
    literal = [f"{path.relative_to(ROOT)}:{call.lineno}" for path, call in written if _is_literal(call)]
    assert literal == []


def _is_literal(call: ast.Call) -> bool:
    return isinstance(_code(call), ast.Constant)


def _code(call: ast.Call) -> ast.expr | None:
    name, place = CODES[call.func.id]  # type: ignore[attr-defined]
    by_name = next((each.value for each in call.keywords if each.arg == name), None)
    return by_name or (call.args[place] if place is not None and len(call.args) > place else None)
