"""The demo's report: what keeps the promise, what breaks it, the figures of each task, and one text hop by hop."""

import json
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from sprat_contracts import IntentOutput, NerOutput, Output, TranslationOutput
from sprat_local.demo.records import Observations, PublishedRecord
from sprat_local.demo.report import (
    DemoReport,
    DemoSummary,
    EgressSummary,
    GoldAccuracy,
    RunFacts,
    arrived,
    is_correct,
    make_report,
    pick_trace,
    summarise_egress,
)
from sprat_local.installation.options import Simulation
from sprat_operations.traffic import percentile
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
PREDICTIONS = TOPICS.predictions("intent")
SIMULATED = {"left": True, "provider": "simulator", "region": "local", "simulated": True}
MASKED = {**SIMULATED, "masked": {"PERSON": 2, "IBAN": 1}}
NAMES = NerOutput.model_validate_json('{"entities": [{"start": 0, "end": 4, "text": "Lena", "label": "PER"}]}')
UNSURE = NerOutput.model_validate_json(NAMES.model_dump_json().replace('"uncertain":false', '"uncertain":true'))


def report(texts: list[PublishedRecord], observed: Observations, run: RunFacts = QUIET) -> DemoReport:
    return make_report(texts, observed, run)


def test_one_result_per_text_and_one_dead_letter_per_broken_record_keep_the_promise() -> None:
    texts = [published(), published_broken()]
    observed = observe(record(RESULTS, result()), dead_letter_for(texts[1]))

    summary = report(texts, observed)

    assert summary.ok
    assert arrived(texts, observed) == (2, 2)
    assert (summary.texts, summary.broken, summary.pairs, summary.results, summary.dead_letters) == (1, 1, 1, 1, 1)
    assert (summary.lost, summary.duplicated_ids, summary.several_ids) == (0, 0, 0)


def test_a_pair_without_a_result_is_lost() -> None:
    texts = [published("s-1"), published("s-2", 1)]
    observed = observe(record(RESULTS, result("s-1")))

    summary = report(texts, observed)

    assert arrived(texts, observed) == (1, 2)
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


def test_without_an_accepted_text_there_is_no_trace() -> None:
    assert pick_trace([], observe()) is None


def test_kept_answers_and_all_small_answers_are_judged_separately() -> None:
    observed = observe(
        record(PREDICTIONS, prediction("s-1")),
        record(PREDICTIONS, prediction("s-2", output={"label": "balance"}, confidence=0.3)),
        record(RESULTS, result("s-1")),
        record(RESULTS, result("s-2", decision="escalated", reason="low_confidence", egress=SIMULATED), "r-2"),
    )
    figures = report([published("s-1"), published("s-2", 1)], observed).tasks["intent"]

    assert (figures.kept, figures.escalated) == (1, 1)
    assert figures.small_kept == GoldAccuracy(1, 1)
    assert figures.small_all == GoldAccuracy(1, 2)
    assert figures.frontier == GoldAccuracy(1, 1)
    assert figures.frontier_simulated
    assert figures.because == {"kept": {"confident": 1}, "escalated": {"low_confidence": 1}}


def test_a_degraded_answer_is_the_small_models_and_not_the_frontiers() -> None:
    declined = {"code": "masking", "detail": ""}
    ending = result(decision="escalated", reason="low_confidence", status="degraded", source="small", declined=declined)
    figures = report([published("s-1")], observe(record(RESULTS, ending))).tasks["intent"]

    assert (figures.answered, figures.degraded, figures.escalated) == (0, 1, 1)
    assert figures.frontier == GoldAccuracy(0, 0)
    assert figures.because["declined"] == {"masking": 1}


def test_a_pair_without_gold_answer_is_not_judged_but_none_is_a_gold_answer() -> None:
    texts = [published("s-1", gold={}), published("s-2", 1, gold={"intent": None})]
    observed = observe(record(RESULTS, result("s-1")), record(RESULTS, result("s-2", output={"label": None}), "r-2"))

    assert report(texts, observed).tasks["intent"].small_kept == GoldAccuracy(1, 1)


@pytest.mark.parametrize(("costs", "cost", "every"), [((0.001, 0.003, 0.0), 0.004, 0.012), ((0.0,), 0.0, 0.0)])
def test_an_all_frontier_run_costs_the_mean_paid_answer_times_all_pairs(
    costs: tuple[float, ...], cost: float, every: float
) -> None:
    texts = [published(f"s-{number}", number) for number in range(2 * len(costs))]
    ends = [record(RESULTS, result(f"s-{number}"), f"r-{number}") for number in range(len(costs), 2 * len(costs))]
    ends += [
        record(RESULTS, result(f"s-{number}", decision="escalated", cost_eur=each), f"r-{number}")
        for number, each in enumerate(costs)
    ]
    figures = report(texts, observe(*ends)).tasks["intent"]

    assert (figures.cost_eur, figures.all_frontier_eur) == pytest.approx((cost, every))


@pytest.mark.parametrize(
    ("output", "gold", "by_small_model", "right"),
    [
        pytest.param(IntentOutput(label="transfer"), "transfer", True, True, id="the label"),
        pytest.param(IntentOutput(label=None), None, True, True, id="outside every intent"),
        pytest.param(IntentOutput(label="transfer"), None, True, False, id="a label where none fits"),
        pytest.param(NAMES, [{"start": 0, "end": 4, "text": "Lena", "label": "PER"}], True, True, id="all names"),
        pytest.param(NAMES, [{"start": 0, "end": 4, "text": "Lena", "label": "ORG"}], True, False, id="other label"),
        pytest.param(NAMES, [], True, False, id="a name where none is"),
        pytest.param(UNSURE, [], True, True, id="an uncertain name where none is"),
        pytest.param(UNSURE, [{"start": 2, "end": 6, "text": "x", "label": "ORG"}], True, True, id="it is another"),
        pytest.param(UNSURE, [{"start": 4, "end": 6, "text": "x", "label": "PER"}], True, False, id="one is missed"),
        pytest.param(TranslationOutput(text="Guten  Tag", target="de"), "Guten Tag", False, True, id="the gold text"),
        pytest.param(TranslationOutput(text="Hallo", target="de"), "Guten Tag", False, False, id="simulated, altered"),
        pytest.param(TranslationOutput(text="Hallo", target="de"), "Guten Tag", True, None, id="cannot be judged"),
    ],
)
def test_answers_are_compared_with_gold(*, output: Output, gold: Any, by_small_model: bool, right: bool | None) -> None:
    assert is_correct(output, gold, by_small_model=by_small_model) is right


def test_percentiles_are_values_that_occurred() -> None:
    hundred = [*range(100, 0, -1)]
    assert (percentile(hundred, 0.5), percentile(hundred, 0.95), percentile([7], 0.95)) == (50, 95, 7)
    assert percentile([], 0.5) is None


def test_egress_counts_texts_that_left_and_masked_items() -> None:
    items = {"PERSON": 2, "EMAIL": 1}
    results = [
        result("s-1"),
        result("s-2", egress={"left": False}),
        result("s-3", egress={"left": True}),
        result("s-4", egress={"left": True, "masked": items}),
        result("s-4", "ner", egress={"left": True, "masked": items}),
    ]
    observed = summarise_egress(results)
    assert observed == EgressSummary(texts=2, texts_masked=1, masked={"PERSON": 4, "EMAIL": 2})


def test_the_summary_shows_the_promise_and_the_figures_in_plain_text() -> None:
    texts = [published("s-1"), published("s-2", 1), published_broken()]
    observed = observe(
        record(RESULTS, result("s-1")),
        record(RESULTS, result("s-2", decision="escalated", cost_eur=0.001, egress=MASKED), "r-2"),
        dead_letter_for(texts[2]),
    )
    console = Console(file=StringIO(), width=110)
    DemoSummary(report(texts, observed), console, Simulation()).print()
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()

    assert "2 Results, 0 lost, 0 duplicated; 1 dead letters; lag 0 in 1 groups" in text
    assert "50 % less" in text
    assert "3 items masked: PERSON 2, IBAN 1" in text
    assert text.rstrip().endswith("The promise was kept.")
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 110
