"""The list of mutants fits the source: each names an existing text and existing tests."""

from dataclasses import replace

import pytest

from tests.mutants import __main__ as suite
from tests.mutants.__main__ import Mutant, Verdict, read_list, run_tests, score, tenth

EXAMPLE = Mutant(
    id="example",
    file="shared/chassis/src/sprat/base/errors.py",
    find="class Fatal(",
    replace="",
    why="an example",
    tests=("tests/unit/test_mutants.py",),
)


def test_there_are_enough_mutants():
    assert len(read_list()) >= 80


def test_each_mutant_fits_the_source():
    assert {mutant.id: reason for mutant in read_list() if (reason := mutant.mismatch())} == {}


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
    assert EXAMPLE.mismatch() is None
    assert reason in (replace(EXAMPLE, **changes).mismatch() or "")


def test_a_commit_chooses_a_tenth_of_the_list():
    mutants = read_list()
    one, other = tenth(mutants, "6f1c"), tenth(mutants, "6f1d")
    assert one == tenth(mutants, "6f1c") != other
    assert len(one) == len(other) == -(-len(mutants) // 10)
    assert [mutants.index(each) for each in one] == sorted(mutants.index(each) for each in one)
    seen = {mutant.id for number in range(100) for mutant in tenth(mutants, str(number))}
    assert len(seen) == len(mutants), "some mutants are hardly ever chosen"


def verdicts(**counts):
    return [Verdict(f"{state} {number}", state, 1.0) for state, count in counts.items() for number in range(count)]


def test_a_time_out_is_neither_killed_nor_survived():
    assert score(verdicts(killed=3, survived=1, timeout=6)) == 0.75
    assert score(verdicts(killed=3, accepted=2)) == 1
    assert score(verdicts(timeout=2)) == 1
    assert score(verdicts(killed=3, outdated=1)) == score(verdicts(killed=3, error=1)) == 0.75


def test_the_report_counts_time_outs_apart(capsys):
    found = verdicts(killed=2, timeout=1)
    suite._report(found, [EXAMPLE] * 3)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["shared/chassis/src/sprat/base/errors.py", "3", "2", "1"]
    assert lines[-1] == "3 mutants: 2 killed, 1 timeout; score 100.0%, 95% needed"


def test_tests_may_take_five_times_as_long_as_without_the_mutant(monkeypatch):
    limits = []
    monkeypatch.setattr(suite, "run_tests", lambda tests, limit_s: (0, ""))
    clock = iter(range(0, 100, 7))
    monkeypatch.setattr(suite.time, "monotonic", lambda: next(clock))
    unmutated_s = suite.time_unmutated([EXAMPLE, EXAMPLE], jobs=1)
    assert unmutated_s == {EXAMPLE.tests: 7}
    monkeypatch.setattr(suite.Workspace, "judge", lambda *given: limits.append(given[2]) or verdicts(killed=1)[0])
    suite.judge_all([EXAMPLE], 1, unmutated_s)
    assert limits == [35]


def test_what_takes_longer_is_stopped():
    assert run_tests(["tests/unit/test_mutants.py"], 0.01) == (None, "")


def test_tests_that_fail_without_a_mutant_are_named(monkeypatch):
    monkeypatch.setattr(suite, "run_tests", lambda tests, limit_s: (1, "1 failed"))
    with pytest.raises(RuntimeError, match=r"tests/unit/test_mutants.py: the tests fail without a mutant:\n1 failed"):
        suite.time_unmutated([EXAMPLE], jobs=1)
