"""Warnings without labels: answers that are not those of the measured rows, and none where they are."""

import json
import math
import random
import string
from collections.abc import Iterable
from itertools import product
from typing import Any

import pytest

from sprat_contracts import (
    AlarmRaised,
    LanguageDetected,
    NerOutput,
    Route,
)
from sprat_contracts.predictions import DOUBTS
from sprat_guardian.shift import WINDOW, ShiftWatch, differs, seen_in, share_from
from support.even_results import GOAL_AT, MEASURED, even_thresholds, result_of
from support.router_records import announced, table

pytestmark = pytest.mark.unit


def alarms(results: Iterable[bytes], watch: ShiftWatch | None = None, **of: Any) -> list[AlarmRaised]:
    watch = watch or ShiftWatch(table(announced(thresholds=even_thresholds(**of))))
    return [alarm for at, each in enumerate(results) if (alarm := watch.take(each, at)) is not None]


def like_the_rows(count: int, seed: int = 1, **fields: Any) -> list[bytes]:
    chance = random.Random(seed)
    return [result_of(chance.random(), label=chance.choice(["transfer", None]), **fields) for _ in range(count)]


def test_answers_like_the_measured_rows_raise_nothing() -> None:
    assert alarms(like_the_rows(20 * WINDOW)) == []


def test_confidences_that_fall_are_told_with_model_language_and_shares() -> None:
    """A label that more texts have now, a new product, another wording: the model is less sure."""
    chance = random.Random(2)
    (alarm,) = alarms(result_of(chance.random() * 0.8) for _ in range(WINDOW))
    assert (alarm.kind, alarm.task, alarm.cell.tenant, alarm.cell.language) == ("shift", "intent", None, "en")
    assert (alarm.model.name, alarm.model.version, alarm.since, alarm.raised_at) == ("small", "v1", 0, WINDOW - 1)
    assert alarm.detail.startswith("of the last 500 answers that name something, ")
    assert alarm.detail.endswith("% have a confidence of 0.500 or more, of the measured rows 50 %; it is no proof that "
                                 "more is wrong")  # fmt: skip
    assert alarm.e_value is None


def test_answers_that_are_surer_than_the_rows_are_a_shift_too() -> None:
    chance = random.Random(3)
    assert len(alarms(result_of(0.5 + chance.random() / 2) for _ in range(WINDOW))) == 1


def test_texts_that_the_model_declines_are_a_shift_by_the_share_escalated() -> None:
    """German after English, without a language."""
    german = {"language": "auto", "language_detected": LanguageDetected(language="de", confidence=0.99)}
    (alarm,) = alarms(result_of(None, reason="declined", **german) for _ in range(WINDOW))
    assert alarm.cell.language == "de"
    assert "100 % of the last 500 texts are escalated, of the measured rows 70 % would be" in alarm.detail


@pytest.mark.parametrize("reason", ["alarm", "no_service", "out_of_scope"])
def test_what_the_policy_escalates_is_no_shift(reason: str) -> None:
    chance = random.Random(4)
    texts = (result_of(chance.random() * GOAL_AT, label=None, reason=reason) for _ in range(50))
    assert alarms([*like_the_rows(WINDOW - 50), *texts]) == []


@pytest.mark.parametrize("reason", DOUBTS)
def test_doubts_are_no_shift_and_hide_none(reason: str) -> None:
    assert alarms(like_the_rows(WINDOW, reason=reason)) == []
    declined = (result_of(None, reason="declined") for _ in range(WINDOW - 50))
    assert len(alarms([*like_the_rows(50, reason=reason), *declined])) == 1


def test_another_version_than_the_announced_one_is_left_out_and_new_thresholds_begin_anew() -> None:
    watch = ShiftWatch(models := table(announced(thresholds=even_thresholds())))
    assert alarms((result_of(0.1, version="v0") for _ in range(2 * WINDOW)), watch) == []
    assert alarms((result_of(0.1) for _ in range(WINDOW - 1)), watch) == []
    models.apply(b"intent/default", announced(thresholds=even_thresholds(version="v2")))
    assert alarms((result_of(0.1, version="v2") for _ in range(WINDOW - 1)), watch) == []
    assert len(alarms([result_of(0.1, version="v2")], watch)) == 1


def test_a_language_with_rows_of_its_own_is_compared_with_these() -> None:
    sure = tuple(each.model_copy(update={"kept": 1000.0, "right": 1000.0}) for each in MEASURED.estimated)
    german = MEASURED.model_copy(update={"language": "de", "estimated": sure})
    watch = ShiftWatch(table(announced(thresholds=even_thresholds(MEASURED, german))))
    assert alarms((result_of(0.95, language="de-AT") for _ in range(WINDOW)), watch) == []
    assert len(alarms((result_of(0.95) for _ in range(WINDOW)), watch)) == 1


def test_names_are_compared_by_the_share_escalated_alone() -> None:
    """A Result does not tell whether a model found names in a text that was escalated."""
    of = even_thresholds().model_copy(update={"task": "ner"})
    names = {"task": "ner", "output": NerOutput(entities=())}
    watch = ShiftWatch(table(announced("ner", thresholds=of)))
    (alarm,) = alarms((result_of(0.1, **names) for _ in range(WINDOW)), watch)
    assert "100 % of the last 500 texts are escalated" in alarm.detail


def test_what_is_no_result_or_has_no_calibrated_confidence_is_left_out() -> None:
    for value in (b"", b"{", b"[]", b"7", b"{}", b'{"route": {}}', result_of(0.9, renormalised=True)):
        assert seen_in(value) is None
    assert seen_in(result_of(0.9)) is not None
    assert alarms([result_of(0.9)] * WINDOW, ShiftWatch(table(announced()))) == [], "a model that was not measured"


@pytest.mark.parametrize(
    "changed",
    [
        {"task": []},
        {"asked_model": [1]},
        {"language": "<b>\x1b[2J"},
        {"confidence": "sure"},
        {"confidence": math.inf},
        {"model": {"name": "small", "version": []}},
        {"route": {"decision": "kept", "reason": "confident", "goal": math.inf, "evidence": "estimated"}},
        {"route": {"decision": "kept", "reason": "confident", "threshold": []}},
        {"route": {"decision": "kept", "reason": []}},
    ],
)
def test_a_forged_result_ends_nothing(changed: dict[str, Any]) -> None:
    """Results are not signed."""
    value = json.dumps(json.loads(result_of(0.9)) | changed).encode()
    assert alarms([value] * WINDOW) == []


def test_texts_in_ever_new_languages_take_no_more_memory() -> None:
    watch = ShiftWatch(table(announced(thresholds=even_thresholds())))
    languages = ["".join(each) for each in product(string.ascii_lowercase, repeat=3)][:1_500]
    alarms((result_of(0.9, language=each) for each in languages), watch)
    assert len(watch._windows) == 1_000


def test_a_difference_counts_where_it_is_large_and_no_chance() -> None:
    assert differs(310, 500, 0.5, 1000) == pytest.approx(0.62)
    assert differs(2950, 5000, 0.5, 10_000) is None, "less than a tenth"
    assert differs(60, 100, 0.5, 100) is None, "it may be chance"
    assert differs(99, 99, 0.5, 1000) is None
    assert differs(500, 500, 0.5, 99) is None


def test_the_share_between_measured_confidences_is_on_a_line_and_beyond_them_unknown() -> None:
    assert share_from(MEASURED, 0.7) == pytest.approx(0.3)
    assert share_from(MEASURED, 0.8) == pytest.approx(0.2)
    assert (share_from(MEASURED, 0.49), share_from(MEASURED, 0.91)) == (None, None)


def test_what_is_kept_by_its_names_would_be_escalated_as_a_whole_so_it_is_no_shift() -> None:
    route = {"decision": "kept", "goal": 0.97, "evidence": "estimated"}
    by_names = seen_in(result_of(0.8, route=Route(reason="each_name", **route)))
    whole = seen_in(result_of(0.8, route=Route(reason="confident", **route)))
    assert by_names is not None
    assert whole is not None
    assert (by_names.escalated, whole.escalated) == (True, False)
    assert (by_names.version, by_names.confidence) == (whole.version, whole.confidence)
