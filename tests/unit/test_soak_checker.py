"""The checker of a soak run finds every kind of fault, and takes nothing for one that is none."""

import json
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from support.soak_lies import ALLOWED, LIES, changed, letter, replace, text_of
from support.soak_run import ALLOW, DENY, HonestRun, SoakRun
from tests.soak.checker import SoakReport, second_opinion
from tests.soak.checks import CHECKS
from tests.soak.contract import asked_tasks, derived, hash_of, hashes_of, text_in
from tests.soak.slopes import growth
from tests.soak.topic_records import TopicRecord

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


def test_a_broken_record_may_have_results_of_its_known_tasks(tmp_path: Path) -> None:
    made = HonestRun()
    text = made._text("broken", "b-2", ALLOW, tasks=("intent", "ner"))
    made.run.acks[-1]["tasks"] = ["intent"]  # the options of `ner` are wrong
    made._result(text, "intent", requested=["intent"])
    made._broken(text)
    assert made.run.judged(tmp_path, quiet=False).findings == {}
    made.run.written.remove(made.run.of_topic("results.intent")[-1])
    assert {*made.run.judged(tmp_path, quiet=False).findings} == {"pair without a Result"}


def test_only_what_is_too_large_may_lose_its_value(run: SoakRun, tmp_path: Path) -> None:
    without = letter(run)._replace(value=None)
    replace(run, letter(run), without)
    assert {*run.judged(tmp_path).findings} == {"dead letter that is not the record as it was"}
    replace(run, without, changed(without, {"sprat_error_code": "too_large"}))
    assert run.judged(tmp_path).findings == {}


def test_a_report_says_what_it_could_not_check(run: SoakRun, tmp_path: Path) -> None:
    same = json.dumps(text_of(run, ALLOW) | {"tenant": DENY}).encode()
    run.texts = [each._replace(value=same) if b"soak-deny" in (each.value or b"") else each for each in run.texts]
    run.metrics = []
    said = run.judged(tmp_path).not_checked
    assert {each.partition(":")[0] for each in said} == {
        "texts that may not leave",
        "counters",
        "growth of memory and file handles",
    }


@pytest.mark.parametrize("code", [0, 1])
def test_a_second_opinion_counts(code: int) -> None:
    report = SoakReport()
    second_opinion([sys.executable, "-c", f"print('no_call 3@4'); exit({code})"], report)
    assert report.ok == (code == 0)
    assert ("no_call 3@4" in report.as_json()) == (code == 1)


@pytest.mark.parametrize(
    ("kinds", "clock_went_back", "ok"),
    [(["late"], True, True), (["late"], False, False), (["late", "removed"], True, False), ([], True, False)],
)
def test_a_second_opinion_may_find_records_late_where_a_clock_went_back(
    kinds: list[str], *, clock_went_back: bool, ok: bool
) -> None:
    said = [json.dumps({"type": "finding", "kind": kind}) for kind in kinds] + [json.dumps({"type": "verified"})]
    report = SoakReport()
    code = f"print({chr(10).join(said)!r}); exit(1)"
    second_opinion([sys.executable, "-c", code], report, clock_went_back=clock_went_back)
    assert report.ok == ok


BINARY = {"ce_id": "7", "ce_source": "/crm"}
STRUCTURED = {"content-type": "application/cloudevents+json; charset=UTF-8"}
TEXT = {"text": "hello you", "tasks": {"intent": {}}}
EVENT = {"specversion": "1.0", "id": "7", "source": "/crm"}


@pytest.mark.parametrize(
    ("headers", "value", "expected"),
    [
        (BINARY, TEXT, ("/crm", "7", TEXT)),
        ({"CE_ID": "7", "CE_Source": "/crm"}, TEXT, ("/crm", "7", TEXT)),
        ({}, TEXT, ("/soak.texts.v1/3", "41-5", TEXT)),
        (STRUCTURED, EVENT | {"data": TEXT}, ("/crm", "7", TEXT)),
        (STRUCTURED, EVENT | {"data": json.dumps(TEXT)}, ("/crm", "7", TEXT)),
        (STRUCTURED, EVENT | {"data_base64": b64encode(json.dumps(TEXT).encode()).decode()}, ("/crm", "7", TEXT)),
        (STRUCTURED, EVENT | {"data_base64": "no base64"}, ("/crm", "7", None)),
        ({}, EVENT | {"data": TEXT}, ("/crm", "7", TEXT)),
        (BINARY, [TEXT], ("/crm", "7", None)),
    ],
)
def test_a_text_has_the_id_that_the_contract_gives_it(headers, value, expected) -> None:
    encoded = tuple((name, each.encode()) for name, each in headers.items())
    assert text_in(TopicRecord("soak.texts.v1", 3, 41, 5, None, json.dumps(value).encode(), encoded)) == expected


def test_a_task_that_is_null_or_unknown_is_not_asked_for() -> None:
    tasks = {"ner": {}, "intent": {}, "translation": None, "dance": {}}
    assert asked_tasks({"tasks": tasks}, frozenset({"intent", "ner", "translation"})) == "intent,ner"
    assert asked_tasks({"tasks": "intent"}, frozenset({"intent"})) == asked_tasks(None, frozenset()) == ""


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


def test_what_fills_at_first_is_no_slope() -> None:
    filled = [sample | {"rss": min(sample["at"] * 1_000_000, 90_000_000)} for sample in samples("router", rss=0)]
    (memory,) = growth(filled, TEXTS_AT_MS)
    assert (memory.is_judged, memory.per_100k) == (True, 0)


def test_a_process_that_was_started_again_begins_anew() -> None:
    again = [sample | {"pid": 8 if sample["at"] > 200 else 7} for sample in samples("router", rss=100)]
    first, second = growth(again, TEXTS_AT_MS)
    assert first.last < second.first
    assert growth(samples("router", rss=100)[::10], TEXTS_AT_MS)[0].is_judged is False, "too few samples"


def test_a_short_run_says_nothing_of_growth() -> None:
    (memory,) = growth(samples("router", rss=100)[:20], TEXTS_AT_MS[:95_000])
    assert not memory.is_judged


def test_the_disk_has_a_slope() -> None:
    (disk,) = growth([{"at": at, "disk": at * 1_000_000} for at in range(400)], TEXTS_AT_MS)
    assert round(disk.per_100k) == 100_000_000
