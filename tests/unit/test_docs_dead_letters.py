"""The tables of codes and of headers in the pages for producers and consumers are complete."""

import ast
import re

import pytest

from contracts.generators.headers import dead_letter_headers, headers_schema
from sprat_contracts import DeadLetterReason, ReasonCode, Result, TextSubmitted
from sprat_contracts.dead_letters import DEAD_LETTER_SIGNATURE
from sprat_operations.dead_letters import DeadLetter
from support.readme import DOCS
from support.sources import ROOT, calls, sources, tree

FAULTS = {"record": "writer", "settings": "writer or settings", "fault": "service"}


def rows(page: str, title: str) -> list[list[str]]:
    """Return the cells of the first table below a title, without its head."""
    below = (DOCS / page).read_text("utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in below.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def codes(node: ast.AST) -> set[str]:
    """Return the codes that a piece of source names."""
    named = (each for each in ast.walk(node) if isinstance(each, ast.Attribute))
    return {
        ReasonCode[each.attr] for each in named if isinstance(each.value, ast.Name) and each.value.id == "ReasonCode"
    }


def written() -> set[str]:
    """Return the codes that services write into dead letters: of what cannot be decoded, of `Rejected`, of warnings."""
    paths = [path for path in sources("contracts", "shared", "services") if "src" in path.parts]
    made = {code for path in paths for call in calls(path, "Rejected", "TextWarning") for code in codes(call)}
    chosen = {code for path in paths if any(calls(path, "Rejected")) for code in chosen_codes(tree(path))}
    wire = (ROOT / "contracts/src/sprat_contracts" / name for name in ("wire.py", "wire_errors.py"))
    return made | chosen | {code for path in wire for code in codes(tree(path))}


def chosen_codes(module: ast.Module) -> set[str]:
    """Return the codes of `code = …`, as a function has it that chooses one for `Rejected`."""
    assigned = (node for node in ast.walk(module) if isinstance(node, ast.Assign))
    return {code for node in assigned if getattr(node.targets[0], "id", "") == "code" for code in codes(node.value)}


CODES = {code: cells for cells in rows("failure-modes.md", "Codes of dead letters") for code in names(cells[0])}


def test_the_table_has_each_code_of_a_dead_letter_and_no_other() -> None:
    assert len(written()) >= 20
    assert set(CODES) == written()


@pytest.mark.parametrize("code", CODES)
def test_its_fault_is_what_the_command_line_says(code: str) -> None:
    reason = DeadLetterReason(code, "", "t", 0, 0, 0, "router", "1")
    letter = DeadLetter(0, 0, 0, reason, None, None, (), "", None, is_plain_text=False)
    assert CODES[code][2] == FAULTS[letter.cause]
    assert all(CODES[code])


def test_the_headers_of_a_dead_letter_are_all_there() -> None:
    table = {name for cells in rows("failure-modes.md", "Headers of a dead letter") for name in names(cells[0])}
    assert table == set(dead_letter_headers()["properties"])
    reason = DeadLetterReason("defect", "", "t", 0, 0, 0, "router", "1")
    assert table == {name for name, _ in reason.headers(())} | {DEAD_LETTER_SIGNATURE}


def test_the_headers_of_a_result_are_all_there() -> None:
    table = {name for cells in rows("results.md", "Headers of a Result") for name in names(cells[0])}
    assert table == set(headers_schema(Result)["properties"])


def test_the_headers_of_a_text_are_all_there() -> None:
    table = {name for cells in rows("reference/text.md", "Headers") for name in names(cells[0])}
    assert table == set(headers_schema(TextSubmitted)["properties"]) - {"ce_time"}
