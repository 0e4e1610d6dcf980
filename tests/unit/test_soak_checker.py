"""The checker of a soak run finds every kind of fault, and takes nothing for one that is none."""

import json
from pathlib import Path

import pytest

from support.soak_lies import ALLOWED, LIES
from support.soak_run import HonestRun, SoakRun
from tests.soak.checks import CHECKS
from tests.soak.contract import derived, hash_of, hashes_of
from tests.soak.slopes import growth

HONEST = HonestRun().run


@pytest.fixture
def run() -> SoakRun:
    return HONEST.copy()


def test_nothing_is_found_where_nothing_is_wrong(run: SoakRun, tmp_path: Path) -> None:
    report = run.judged(tmp_path)
    assert report.findings == {}
    expected = {
        "acknowledged": 7,
        "texts": 8,
        "aborted": 1,
        "unacknowledged": 1,
        "pairs": 8,
        "results": 8,
        "repeats": 0,
    }
    assert expected.items() <= report.figures.items()
    assert {"letters": 1, "may_not_leave": 1, "told_apart": 1, "attempts": 1}.items() <= report.figures.items()


@pytest.mark.parametrize("name", LIES)
def test_a_fault_is_found(name: str, run: SoakRun, tmp_path: Path) -> None:
    finding, change = LIES[name]
    change(run)
    report = run.judged(tmp_path)
    assert finding in report.findings
    assert all(0 < found["count"] >= len(found["examples"]) for found in report.findings.values())
    assert "balance" not in report.as_json(), "a report holds no text"


@pytest.mark.parametrize("change", ALLOWED, ids=lambda change: change.__name__)
def test_what_is_allowed_is_counted_and_no_fault(change, run: SoakRun, tmp_path: Path) -> None:
    before = run.judged(tmp_path).figures
    figure = change(run)
    report = run.judged(tmp_path, quiet=False)
    assert report.findings == {}
    assert report.figures[figure] == before[figure] + 1


def test_each_check_has_a_fault_that_it_finds() -> None:
    assert set(CHECKS) <= {finding for finding, _ in LIES.values()}


def test_a_counter_ahead_of_its_topic_is_found_after_faults_too(run: SoakRun, tmp_path: Path) -> None:
    run.written.remove(run.of_topic("dead-letters")[0])
    run.acks = [ack for ack in run.acks if ack["kind"] != "broken"]
    assert "counters that differ from their topics" in run.judged(tmp_path, quiet=False).findings


def test_a_text_is_found_in_the_body_of_a_request() -> None:
    body = '{"messages": [{"content": "choose"}, {"content": "{\\"text\\": \\"what is my bal\\u00e4nce\\"}"}]}'
    assert hash_of("what is my balänce").hex() in hashes_of(body.encode())


def test_ids_are_those_of_the_published_vectors() -> None:
    vectors = json.loads(Path("contracts/schemas/test_vectors.json").read_text())["derived"]
    for each in vectors:
        assert derived(each["stage"], each["source"], each["id"], each["task"]).hex() == each["uuid"].replace("-", "")


TEXTS_AT_MS = range(400_000)
"""A text each millisecond."""


def samples(process: str, **per_text: float) -> list[dict[str, object]]:
    return [
        {"at": at, "process": process, "pid": 7, **{what: 1000 + rate * at * 1000 for what, rate in per_text.items()}}
        for at in range(0, 400, 5)
    ]


def test_a_process_that_keeps_something_of_each_text_is_found() -> None:
    memory, handles = growth(samples("router", rss=100, fds=0), TEXTS_AT_MS)[::-1]
    assert (memory.is_too_steep, round(memory.per_100k)) == (True, 10_000_000)
    assert (handles.is_too_steep, handles.is_judged) == (False, True)


@pytest.mark.parametrize("process", ["kafka-1", "redis"])
def test_what_grows_by_design_is_reported_and_not_judged(process: str) -> None:
    (memory,) = growth(samples(process, rss=100), TEXTS_AT_MS)
    assert round(memory.per_100k) == 10_000_000
    assert not memory.is_judged


def test_a_short_run_says_nothing_of_growth() -> None:
    (memory,) = growth(samples("router", rss=100)[:20], TEXTS_AT_MS[:95_000])
    assert not memory.is_judged


def test_the_disk_has_a_slope() -> None:
    (disk,) = growth([{"at": at, "disk": at * 1_000_000} for at in range(400)], TEXTS_AT_MS)
    assert round(disk.per_100k) == 100_000_000
