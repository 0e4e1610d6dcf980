"""The router asks for reviews of what it keeps: beside the Result, signed for, and by whom the policy says."""

from typing import Any

import pytest

from sprat.base.channels import router_channels
from sprat.processing.handler import Emit, Outcome
from sprat_contracts import ReviewAsked, ReviewCell
from sprat_contracts.ids import REVIEW, derive
from sprat_policy import Policy
from support.router_records import (
    ALL_TASKS,
    LABELS,
    TOKENS,
    TOPICS,
    announced,
    prediction,
    received,
    requests,
    results,
    router,
    text,
)


def policy(**review: Any) -> Policy:
    return Policy.model_validate(
        {
            "tasks": {"intent": {"review": {"share": 1.0, **review}}},
            "tenants": {"bank": {"frontier": "allow", "regions": ["eu"]}, "shop": {}},
            "tiers": [{"preset": "ollama:qwen", "name": "cheap"}],
            "inside": ["127.0.0.1"],
        }
    )


def drawn(outcome: Outcome) -> list[ReviewAsked]:
    return [emit.message for emit in outcome.events if isinstance(emit.message, ReviewAsked)]


def test_a_drawn_answer_has_a_review_beside_its_result_with_all_that_it_was_kept_by() -> None:
    kept = prediction(submitted=text(tenant="bank", language="de-AT"))
    outcome = router(announced(), policy=policy(share=0.99)).receive(received(kept))
    result, event = outcome.events
    assert result.message.route.decision == "kept"
    asked = event.message
    assert event == Emit(
        topic=TOPICS.reviews,
        key=b"intent",
        id=str(derive(REVIEW, "/app", "t-1", "intent")),
        message=asked,
        extensions={"tenant": "bank"},
    )
    hash_ = TOKENS.hash("/app", "t-1", "intent")
    cell = ReviewCell(tenant="bank", language="de")
    assert asked == ReviewAsked(
        prediction=kept,
        cell=cell,
        goal=0.97,
        evidence="estimated",
        level=0.97,
        hash=hash_,
        share=0.99,
        least_share=0.99,
        token=TOKENS.token("/app", "t-1", "intent", cell, hash_),
    )
    assert router_channels(TOPICS).writes[event.topic] is ReviewAsked
    assert ReviewAsked.signed


def test_what_is_not_kept_or_not_to_be_reviewed_is_not_drawn() -> None:
    reviewed, without = (router(announced(), policy=each) for each in (policy(), Policy()))
    escalated = reviewed.receive(received(prediction(confidence=0.3)))
    assert (len(requests(escalated)), len(escalated.events)) == (1, 1)
    assert drawn(reviewed.receive(received(prediction("ner")))) == []
    kept = without.receive(received(prediction()))
    assert (len(results(kept)), len(kept.events)) == (1, 1)


def test_a_draw_depends_neither_on_the_text_nor_on_the_confidence() -> None:
    handler = router(announced(), policy=policy(share=0.5, per_day=10_000), clock=lambda: 0.0)
    names = [{"text_id": f"t-{number}"} for number in range(40)]
    same = [
        [len(drawn(handler.receive(received(prediction(**name, **said))))) for name in names]
        for said in ({"confidence": 0.81}, {"confidence": 1.0, "submitted": text(text="another", tenant="bank")})
    ]
    assert same[0] == same[1]
    assert 0 < sum(same[0]) < 40


@pytest.mark.parametrize(
    ("submitted", "by"),
    [
        ({"tenant": "bank"}, "cheap"),
        ({"tenant": "bank", "frontier": "deny"}, "people"),
        ({"tenant": "shop"}, "people"),
        ({"tenant": "not named"}, "people"),
    ],
)
def test_texts_that_may_not_leave_are_reviewed_by_people(submitted: dict[str, str], by: str) -> None:
    kept = prediction(submitted=text(**submitted))
    (asked,) = drawn(router(announced(), policy=policy(by="cheap")).receive(received(kept)))
    assert asked.by == by
    assert asked.cell.tenant == (submitted["tenant"] if submitted["tenant"] in {"bank", "shop"} else "default")


def test_a_draw_that_is_too_large_for_its_topic_leaves_the_result_as_it_is() -> None:
    handler = router(announced(), policy=policy())
    record = received(prediction())
    outcome = handler.receive(record)
    (event,) = (emit for emit in outcome.events if emit.topic == TOPICS.reviews)
    smaller = handler.oversized(record, event)
    assert (results(smaller), smaller.rejected, drawn(smaller)) == (results(outcome), None, [])


def test_a_kept_answer_of_any_task_can_be_drawn() -> None:
    every = Policy.model_validate({"tasks": {task: {"review": {"share": 1}, "keep_at": 0} for task in ALL_TASKS}})
    for task in ALL_TASKS:
        (asked,) = drawn(router(policy=every).receive(received(prediction(task))))
        assert (asked.prediction.task, asked.goal, asked.level) == (task, None, None)


def test_a_tier_that_reviews_gets_the_labels_to_choose_from_and_people_do_not() -> None:
    kept = prediction(submitted=text(tenant="bank"))
    for by, labels in (("cheap", tuple(LABELS)), ("people", None)):
        (asked,) = drawn(router(announced(), policy=policy(by=by)).receive(received(kept)))
        assert (asked.by, asked.labels, asked.label_set is None) == (by, labels, labels is None)
