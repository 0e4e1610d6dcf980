"""The demo's figures: accuracy against gold answers, reasons, cost, percentiles, egress."""

from typing import Any

import pytest

from sprat_contracts import IntentOutput, NerOutput, Output, TranslationOutput
from sprat_local.demo.figures import (
    NO_GOLD,
    EgressSummary,
    GoldAccuracy,
    is_correct,
    percentile,
    summarise_egress,
    task_figures,
)
from sprat_local.demo.records import TaskPair
from support.demo_records import SOURCE, TOPICS, Record, observe, prediction, record, result

SIMULATED = {"left": True, "provider": "simulator", "region": "local", "simulated": True}
RESULTS = TOPICS.results("intent")
PREDICTIONS = TOPICS.predictions("intent")
NAMES = NerOutput.model_validate_json('{"entities": [{"start": 0, "end": 4, "text": "Lena", "label": "PER"}]}')


def pair(id: str) -> TaskPair:
    return TaskPair(SOURCE, id, "intent")


def test_kept_answers_and_all_small_answers_are_judged_separately() -> None:
    observed = observe(
        record(PREDICTIONS, prediction("s-1")),
        record(PREDICTIONS, prediction("s-2", output={"label": "balance"}, confidence=0.3)),
        record(RESULTS, result("s-1")),
        record(RESULTS, result("s-2", decision="escalated", reason="low_confidence", egress=SIMULATED), "r-2"),
    )
    figures = task_figures("intent", {pair("s-1"): "transfer", pair("s-2"): "transfer"}, observed)

    assert (figures.kept, figures.escalated) == (1, 1)
    assert figures.small_kept == GoldAccuracy(1, 1)
    assert figures.small_all == GoldAccuracy(1, 2)
    assert figures.frontier == GoldAccuracy(1, 1)
    assert figures.frontier_simulated
    assert (figures.kept_because, figures.escalated_because) == ({"confident": 1}, {"low_confidence": 1})


def test_a_degraded_answer_is_the_small_models_and_not_the_frontiers() -> None:
    declined = {"code": "masking", "detail": ""}
    ending = result(decision="escalated", reason="low_confidence", status="degraded", source="small", declined=declined)
    figures = task_figures("intent", {pair("s-1"): "transfer"}, observe(record(RESULTS, ending)))

    assert (figures.answered, figures.degraded, figures.escalated) == (0, 1, 1)
    assert figures.frontier == GoldAccuracy(0, 0)
    assert figures.declined == {"masking": 1}


def test_a_pair_without_gold_answer_is_not_judged_but_none_is_a_gold_answer() -> None:
    observed = observe(
        record(RESULTS, result("s-1")),
        record(RESULTS, result("s-2", output={"label": None}), "r-2"),
    )
    figures = task_figures("intent", {pair("s-1"): NO_GOLD, pair("s-2"): None}, observed)

    assert figures.small_kept == GoldAccuracy(1, 1)


def test_an_all_frontier_run_costs_the_mean_paid_answer_times_all_pairs() -> None:
    records: list[Record] = [record(RESULTS, result(f"s-{number}"), f"r-{number}") for number in range(6)]
    for number, cost in ((6, 0.001), (7, 0.003), (8, 0.0)):
        ending = result(f"s-{number}", decision="escalated", cost_eur=cost)
        records.append(record(RESULTS, ending, f"r-{number}"))
    figures = task_figures("intent", {pair(f"s-{number}"): "transfer" for number in range(9)}, observe(*records))

    assert figures.cost_eur == pytest.approx(0.004)
    assert figures.all_frontier_eur == pytest.approx(9 * 0.002)


def test_without_a_paid_answer_the_cost_of_an_all_frontier_run_is_unknown() -> None:
    figures = task_figures("intent", {pair("s-1"): "transfer"}, observe(record(RESULTS, result())))

    assert figures.all_frontier_eur is None


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        pytest.param([], 50, None, id="nothing"),
        pytest.param([7], 95, 7, id="one value"),
        pytest.param([1, 2, 3, 4], 50, 2, id="even count"),
        pytest.param(list(range(1, 101)), 95, 95, id="hundred values"),
    ],
)
def test_percentiles_are_values_that_occurred(values: list[float], percent: float, expected: float | None) -> None:
    assert percentile(values, percent) == expected


@pytest.mark.parametrize(
    ("output", "gold", "by_small_model", "right"),
    [
        pytest.param(IntentOutput(label="transfer"), "transfer", True, True, id="the label"),
        pytest.param(IntentOutput(label=None), None, True, True, id="outside every intent"),
        pytest.param(IntentOutput(label="transfer"), None, True, False, id="a label where none fits"),
        pytest.param(NAMES, [{"start": 0, "end": 4, "text": "Lena", "label": "PER"}], True, True, id="all names"),
        pytest.param(NAMES, [{"start": 0, "end": 4, "text": "Lena", "label": "ORG"}], True, False, id="other label"),
        pytest.param(NAMES, [], True, False, id="a name where none is"),
        pytest.param(TranslationOutput(text="Guten  Tag", target="de"), "Guten Tag", False, True, id="the gold text"),
        pytest.param(TranslationOutput(text="Hallo", target="de"), "Guten Tag", False, False, id="simulated, altered"),
        pytest.param(TranslationOutput(text="Hallo", target="de"), "Guten Tag", True, None, id="cannot be judged"),
    ],
)
def test_answers_are_compared_with_gold(*, output: Output, gold: Any, by_small_model: bool, right: bool | None) -> None:
    assert is_correct(output, gold, by_small_model=by_small_model) is right


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
    assert observed.items == 6
