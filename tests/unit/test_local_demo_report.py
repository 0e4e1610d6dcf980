"""The demo's report: what keeps the promise, what breaks it, and one text hop by hop."""

import json
from typing import Any

import pytest

from sprat_local.demo.records import Observations, PublishedRecord
from sprat_local.demo.report import DemoReport, RunFacts, is_complete, make_report, pick_trace
from support.demo_records import (
    APPENDED_AT,
    TOPICS,
    TRACE,
    Record,
    dead_letter_for,
    observe,
    prediction,
    published,
    published_broken,
    record,
    result,
)

QUIET = RunFacts(4.0, {"services": 3.0}, 60.0, {"sprat.router": 0}, timed_out=False)
RESULTS = TOPICS.results("intent")


def report(texts: list[PublishedRecord], observed: Observations, run: RunFacts = QUIET) -> DemoReport:
    return make_report(texts, observed, run)


def test_one_result_per_text_and_one_dead_letter_per_broken_record_keep_the_promise() -> None:
    texts = [published(), published_broken()]
    observed = observe(record(RESULTS, result()), dead_letter_for(texts[1]))

    summary = report(texts, observed)

    assert summary.ok
    assert is_complete(texts, observed)
    assert (summary.texts, summary.broken, summary.pairs, summary.results, summary.dead_letters) == (1, 1, 1, 1, 1)
    assert (summary.lost, summary.duplicated_ids, summary.several_ids) == (0, 0, 0)


def test_a_pair_without_a_result_is_lost() -> None:
    texts = [published("s-1"), published("s-2", 1)]
    observed = observe(record(RESULTS, result("s-1")))

    summary = report(texts, observed)

    assert not is_complete(texts, observed)
    assert (summary.results, summary.lost) == (1, 1)
    assert summary.problems == ("s-2, intent: no Result ids instead of one",)


def test_a_text_with_two_tasks_is_two_pairs() -> None:
    texts = [published(tasks=("intent", "ner"))]
    summary = report(texts, observe(record(RESULTS, result())))

    assert (summary.pairs, summary.lost) == (2, 1)
    assert list(summary.tasks) == ["intent", "ner"]


def test_the_same_result_id_twice_is_reported_and_is_no_breach() -> None:
    summary = report([published()], observe(record(RESULTS, result(), "r-1"), record(RESULTS, result(), "r-1")))

    assert (summary.duplicated_ids, summary.several_ids) == (1, 0)
    assert summary.ok


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (record(RESULTS, result(), "r-2"), "s-1, intent: 2 Result ids instead of one"),
        (record(RESULTS, result("s-9"), "r-9"), "s-9, intent"),
        (dead_letter_for(published(), "model_error"), "a dead letter for a valid record: model_error by router"),
        (Record(RESULTS, b"?"), "1 record that cannot be decoded as what the topic contains"),
    ],
    ids=["two Result ids", "an unexpected Result", "a dead letter", "another type than the topic's"],
)
def test_what_is_too_much_is_a_breach(more: Record, problem: str) -> None:
    summary = report([published()], observe(record(RESULTS, result()), more))

    assert not summary.ok
    (found,) = summary.problems
    assert problem in found


def test_where_others_publish_only_the_own_texts_count() -> None:
    texts = [published("s-1"), published_broken()]
    another = record(RESULTS, result("s-1", text_source="/crm"), "r-9")
    another.headers = [header for header in another.headers if header[0] != "traceparent"]
    others = [another, dead_letter_for(published_broken(offset=99))]
    own = [record(RESULTS, result("s-1")), dead_letter_for(texts[1])]

    assert not report(texts, observe(*own, *others)).ok
    assert report(texts, observe(*own, *others).of(texts)) == report(texts, observe(*own))


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        pytest.param(
            record(RESULTS, result("s-1", "ner", output=None, status="unanswered"), "r-9"),
            "s-1, ner",
            id="a task that it does not ask for",
        ),
        pytest.param(dead_letter_for(published("s-1")), "a dead letter for a valid record", id="its dead letter"),
        pytest.param(
            dead_letter_for(published("s-1", 99)), "a dead letter for a valid record", id="a dead letter with its trace"
        ),
    ],
)
def test_what_is_too_much_of_an_own_text_counts_where_others_publish(more: Record, problem: str) -> None:
    texts = [published("s-1")]
    summary = report(texts, observe(record(RESULTS, result("s-1")), more).of(texts))

    assert summary.problems[0].startswith(problem)


@pytest.mark.parametrize(
    ("letters", "problem"),
    [
        pytest.param([], "b-1: no dead letters instead of one", id="none"),
        pytest.param(["same", "same"], "b-1: 2 dead letters instead of one", id="two"),
        pytest.param(["other code"], "b-1: dead letter invalid_text instead of invalid_json", id="another code"),
        pytest.param(["altered"], "b-1: its dead letter does not contain the original unchanged", id="altered bytes"),
    ],
)
def test_a_broken_record_needs_exactly_one_dead_letter_with_its_own_bytes(letters: list[str], problem: str) -> None:
    broken = published_broken()
    kinds = {
        "same": dead_letter_for(broken),
        "other code": dead_letter_for(broken, "invalid_text"),
        "altered": dead_letter_for(broken, value=b"{}"),
    }

    assert report([broken], observe(*(kinds[letter] for letter in letters))).problems == (problem,)


def test_a_broken_record_can_have_a_result_beside_its_dead_letter() -> None:
    broken = published_broken(accepted=("intent",))
    source, id = broken.identity
    ending = record(RESULTS, result(id, text_source=source))

    summary = report([broken], observe(ending, dead_letter_for(broken)))

    assert summary.ok
    assert (summary.texts, summary.pairs, summary.dead_letters) == (0, 1, 1)


@pytest.mark.parametrize(
    ("run", "problem"),
    [
        pytest.param(
            RunFacts(4.0, {}, 60.0, {"sprat.intent.default": 3}, timed_out=False),
            "group sprat.intent.default is 3 records behind",
            id="lag",
        ),
        pytest.param(RunFacts(4.0, {}, 60.0, {}, timed_out=True), "timed out: no new records arrived", id="timeout"),
    ],
)
def test_lag_and_a_timeout_are_breaches(run: RunFacts, problem: str) -> None:
    assert report([published()], observe(record(RESULTS, result())), run).problems == (problem,)


def test_the_json_report_has_the_documented_keys() -> None:
    texts = [published(), published_broken()]
    written: dict[str, Any] = json.loads(
        json.dumps(report(texts, observe(record(RESULTS, result()), dead_letter_for(texts[1]))).as_json())
    )

    promised = {"texts", "pairs", "results", "dead_letters", "lost", "duplicated_ids", "cold_start_s", "tasks"}
    assert promised <= written.keys()
    assert written["ok"] is True
    assert written["tasks"]["intent"]["pairs"] == 1


def test_latencies_are_separate_for_each_decision() -> None:
    observed = observe(
        record(RESULTS, result("s-1"), timestamp=APPENDED_AT + 30),
        record(RESULTS, result("s-2", decision="escalated"), "r-2", timestamp=APPENDED_AT + 400),
    )
    summary = report([published("s-1"), published("s-2", 1)], observed)

    assert (summary.latency["kept"].p50_ms, summary.latency["escalated"].p95_ms) == (30, 400)


def test_hops_are_in_the_order_of_cause_and_effect_with_milliseconds_since_the_text() -> None:
    text = published()
    traced = list(text.record.headers)
    observed = observe(
        record(RESULTS, result(decision="escalated", reason="low_confidence"), timestamp=APPENDED_AT + 300),
        record(TOPICS.predictions("intent"), prediction(), timestamp=APPENDED_AT),
        Record(TOPICS.texts, b'{"text": "hello", "tasks": {"intent": {}}}', traced),
    )
    trace = pick_trace([text], observed)

    assert trace is not None
    assert (trace.trace_id, trace.text_id) == (TRACE, "s-1")
    assert [(hop.after_ms, hop.topic) for hop in trace.hops] == [
        (0, TOPICS.texts),
        (0, TOPICS.predictions("intent")),
        (300, RESULTS),
    ]
    assert [hop.says for hop in trace.hops] == [
        "asks for intent",
        "en-fast: transfer, 90.0 % sure",
        "answered by frontier: transfer",
    ]


def test_no_hop_contains_the_text() -> None:
    text = published()
    observed = observe(
        Record(TOPICS.texts, b'{"text": "my secret", "tasks": {"intent": {}}}', list(text.record.headers))
    )
    trace = pick_trace([text], observed)

    assert trace is not None
    assert "secret" not in repr(trace)


def test_a_hop_that_cannot_be_decoded_has_no_summary() -> None:
    text = published()
    trace = pick_trace([text], observe(Record(TOPICS.texts, b"\xff", list(text.record.headers))))

    assert trace is not None
    assert [hop.says for hop in trace.hops] == [""]


def test_without_an_accepted_text_there_is_no_trace() -> None:
    assert pick_trace([], observe()) is None
