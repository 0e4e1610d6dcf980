"""The list of mutants fits the source: each names an existing text and existing tests."""

import pytest

from tests.mutants.__main__ import Mutant, read_list


def test_there_are_enough_mutants():
    assert len(read_list()) >= 80


@pytest.mark.parametrize("mutant", read_list(), ids=lambda mutant: mutant.id)
def test_a_mutant_fits_the_source(mutant):
    assert mutant.mismatch() is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"file": "shared/chassis/src/sprat/gone.py"}, "no file shared/chassis/src/sprat/gone.py"),
        ({"find": "no such text"}, "`find` occurs 0 times in shared"),
        ({"find": "SpratError"}, "`find` occurs"),
        ({"tests": ("tests/unit/test_gone.py::test_one",)}, "no test file tests/unit/test_gone.py"),
    ],
    ids=["file", "text", "text twice", "test"],
)
def test_an_outdated_mutant_is_named_with_the_reason(changes, reason):
    example = {
        "id": "example",
        "file": "shared/chassis/src/sprat/errors.py",
        "find": "class Fatal(",
        "replace": "",
        "why": "an example",
        "tests": ("tests/unit/test_mutants.py",),
    }

    assert Mutant(**example).mismatch() is None
    assert reason in (Mutant(**example | changes).mismatch() or "")
