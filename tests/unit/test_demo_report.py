"""The demo's account: what counts as promised, and what does not."""

import json
from typing import Any

import pytest

from sprat_local.demo.account import Account
from sprat_local.demo.publishing import Published
from sprat_local.demo.report import Report, Run, is_complete, make_report
from support.demo_records import (
    APPENDED_AT,
    TOPICS,
    Record,
    account,
    letter_of,
    published,
    published_broken,
    record,
    result,
)

QUIET = Run(4.0, {"services": 3.0}, 60.0, {"sprat.router": 0}, timed_out=False)
RESULTS = TOPICS.results("intent")


def report(texts: list[Published], seen: Account, run: Run = QUIET) -> Report:
    return make_report(texts, seen, run)


def test_one_result_for_a_text_and_one_dead_letter_for_a_broken_record_is_as_promised() -> None:
    texts = [published(), published_broken()]
    seen = account(record(RESULTS, result()), letter_of(texts[1]))

    made = report(texts, seen)

    assert made.ok
    assert is_complete(texts, seen)
    assert (made.texts, made.broken, made.pairs, made.results, made.dead_letters) == (1, 1, 1, 1, 1)
    assert (made.lost, made.duplicated_ids, made.several_ids) == (0, 0, 0)


def test_a_pair_without_a_result_is_lost() -> None:
    texts = [published("s-1"), published("s-2", 1)]
    seen = account(record(RESULTS, result("s-1")))

    made = report(texts, seen)

    assert not is_complete(texts, seen)
    assert (made.results, made.lost) == (1, 1)
    assert made.problems == ("s-2, intent: no Result ids instead of one",)


def test_a_text_with_two_tasks_is_two_pairs() -> None:
    texts = [published(tasks=("intent", "ner"))]
    made = report(texts, account(record(RESULTS, result())))

    assert (made.pairs, made.lost) == (2, 1)
    assert list(made.tasks) == ["intent", "ner"]


def test_the_same_result_id_twice_is_told_and_is_no_breach() -> None:
    made = report([published()], account(record(RESULTS, result(), "r-1"), record(RESULTS, result(), "r-1")))

    assert (made.duplicated_ids, made.several_ids) == (1, 0)
    assert made.ok


def test_two_result_ids_for_one_pair_are_a_breach() -> None:
    made = report([published()], account(record(RESULTS, result(), "r-1"), record(RESULTS, result(), "r-2")))

    assert made.several_ids == 1
    assert made.problems == ("s-1, intent: 2 Result ids instead of one",)


def test_a_result_that_nobody_asked_for_is_a_breach() -> None:
    made = report([published("s-1")], account(record(RESULTS, result("s-1")), record(RESULTS, result("s-9"), "r-9")))

    assert made.unexpected_results == 1
    assert not made.ok


@pytest.mark.parametrize(
    ("letters", "problem"),
    [
        pytest.param([], "b-1: no dead letters instead of one", id="none"),
        pytest.param(["same", "same"], "b-1: 2 dead letters instead of one", id="two"),
        pytest.param(["other code"], "b-1: dead letter invalid_text instead of invalid_json", id="another code"),
        pytest.param(["altered"], "b-1: its dead letter does not hold the original untouched", id="altered bytes"),
    ],
)
def test_a_broken_record_needs_exactly_one_dead_letter_with_its_own_bytes(letters: list[str], problem: str) -> None:
    broken = published_broken()
    kinds = {
        "same": letter_of(broken),
        "other code": letter_of(broken, "invalid_text"),
        "altered": letter_of(broken, value=b"{}"),
    }

    assert report([broken], account(*(kinds[letter] for letter in letters))).problems == (problem,)


def test_a_dead_letter_of_a_good_record_is_a_breach() -> None:
    text = published()
    made = report([text], account(record(RESULTS, result()), letter_of(text, "model_error")))

    assert "a dead letter of a good record: model_error by router" in made.problems[0]


def test_a_broken_record_can_have_a_result_beside_its_dead_letter() -> None:
    broken = published_broken(accepted=("intent",))
    source, id = broken.identity
    ending = record(RESULTS, result(id, text_source=source))

    made = report([broken], account(ending, letter_of(broken)))

    assert made.ok
    assert (made.texts, made.pairs, made.dead_letters) == (0, 1, 1)


@pytest.mark.parametrize(
    ("run", "problem"),
    [
        pytest.param(
            Run(4.0, {}, 60.0, {"sprat.intent.default": 3}, timed_out=False),
            "group sprat.intent.default is 3 records behind",
            id="lag",
        ),
        pytest.param(Run(4.0, {}, 60.0, {}, timed_out=True), "nothing more came for too long: given up", id="timeout"),
    ],
)
def test_what_is_left_behind_is_a_breach(run: Run, problem: str) -> None:
    assert report([published()], account(record(RESULTS, result())), run).problems == (problem,)


def test_a_record_that_is_not_what_its_topic_holds_is_a_breach() -> None:
    made = report([published()], account(record(RESULTS, result()), Record(RESULTS, b"?")))

    assert made.problems == ("1 record of a kind that the topic does not hold",)


def test_the_file_for_machines_holds_the_promised_keys() -> None:
    texts = [published(), published_broken()]
    written: dict[str, Any] = json.loads(
        json.dumps(report(texts, account(record(RESULTS, result()), letter_of(texts[1]))).as_json())
    )

    promised = {"texts", "pairs", "results", "dead_letters", "lost", "duplicated_ids", "cold_start_s", "tasks"}
    assert promised <= written.keys()
    assert written["ok"] is True
    assert written["tasks"]["intent"]["pairs"] == 1


def test_latencies_are_told_apart_by_decision() -> None:
    seen = account(
        record(RESULTS, result("s-1"), timestamp=APPENDED_AT + 30),
        record(RESULTS, result("s-2", decision="escalated"), "r-2", timestamp=APPENDED_AT + 400),
    )
    made = report([published("s-1"), published("s-2", 1)], seen)

    assert (made.latency["kept"].p50_ms, made.latency["escalated"].p95_ms) == (30, 400)
