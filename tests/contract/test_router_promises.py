"""What the router promises of every record, whatever it holds: nothing is lost, nothing is decided twice."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sprat_contracts import ModelAnnounced, Prediction, TextSubmitted
from sprat_contracts.thresholds import LEVELS
from sprat_policy import IntentPolicy, NerPolicy, Policy, TaskPolicies, TaskPolicy
from support.router_records import (
    ALL_TASKS,
    APPENDED_AT,
    MODEL,
    OUTPUTS_BY_TASK,
    announced,
    answer,
    prediction,
    received,
    requests,
    results,
    router,
    text,
    worth,
)

TASK = st.sampled_from(sorted(ALL_TASKS))
MODELS = st.sampled_from(("default", "other"))
PROBABILITY = st.floats(0, 1)
NAMES = st.text(st.sampled_from("mood-9 ü\n"), max_size=70)
CODE = st.none() | st.builds(lambda code: {"code": code}, st.sampled_from(("target", "deadline", "new-code")))
POLICIES = st.builds(
    lambda kept, rule: Policy(
        tasks=TaskPolicies(
            intent=IntentPolicy(**kept, out_of_scope=rule),
            ner=NerPolicy(**kept),
            translation=TaskPolicy(**kept),
        )
    ),
    st.builds(lambda keep_at: {"keep_at": keep_at}, PROBABILITY)
    | st.builds(lambda goal: {"goal": goal}, st.sampled_from(LEVELS)),
    st.sampled_from(("keep", "escalate")),
)
ANNOUNCEMENTS = st.lists(
    st.builds(
        lambda task, model, after: announced(task, None if after is None else APPENDED_AT + after, model=model),
        TASK,
        MODELS,
        st.none() | st.integers(-2, 2),
    ),
    max_size=4,
)


@st.composite
def texts(draw: st.DrawFn) -> TextSubmitted:
    tasks: dict[str, Any] = {
        task: ALL_TASKS[task] | {"model": draw(MODELS)} for task in draw(st.lists(TASK, min_size=1, unique=True))
    }
    unknown = draw(st.dictionaries(NAMES, st.none(), max_size=7))
    return text(text=draw(st.sampled_from(("Move 100 euros", "\u202e\0😀"))), tasks=unknown | tasks)


@st.composite
def predictions(draw: st.DrawFn) -> Prediction:
    task = draw(TASK)
    outputs = [*OUTPUTS_BY_TASK.values(), {"label": None}, None]
    return prediction(
        task,
        output=draw(st.sampled_from(outputs)),
        confidence=draw(st.none() | PROBABILITY),
        accuracy=draw(st.none() | st.builds(worth, st.none() | st.sampled_from(LEVELS))),
        model=draw(st.sampled_from((MODEL, None))),
        declined=draw(CODE),
        key=draw(st.none() | st.text(max_size=8)),
    )


@given(texts(), ANNOUNCEMENTS)
def test_every_accepted_pair_is_either_served_or_requested(
    submitted: TextSubmitted, announcements: list[ModelAnnounced]
) -> None:
    outcome = router(*announcements).receive(received(submitted))
    latest = {(each.task, each.model): each.owns_from for each in announcements}
    owned = {pair for pair, owns_from in latest.items() if owns_from is not None and owns_from <= APPENDED_AT}
    served = [task for task, options in submitted.tasks.known.items() if (task, options.model) in owned]
    asked = [request.prediction.task for request in requests(outcome)]
    assert sorted(served + asked) == sorted(submitted.tasks.known)
    assert len(outcome.events) == len(asked)
    assert (outcome.rejected is not None) is bool(submitted.tasks.unknown)


@given(predictions(), POLICIES)
def test_every_prediction_is_either_a_result_or_a_request(made: Prediction, policy: Policy) -> None:
    outcome = router(policy=policy).receive(received(made))
    assert len(outcome.events) == 1
    assert outcome.rejected is None
    for result in results(outcome):
        assert (result.status, result.output) == ("answered", made.output)
        rule = policy.task(made.task).rule("default", "en")
        if rule.keep_at is None:
            assert result.route.level >= (rule.goal or 0.95)
        else:
            assert result.confidence >= rule.keep_at
    for request in requests(outcome):
        assert request.prediction == made


@given(predictions(), st.sampled_from([*OUTPUTS_BY_TASK.values(), None]), CODE)
def test_every_answer_is_one_result(made: Prediction, output: dict[str, Any] | None, declined: Any) -> None:
    outcome = router().receive(received(answer(made, output=output, declined=declined)))
    assert len(outcome.events) == 1
    (result,) = results(outcome)
    assert (result.output is None) is (result.status == "unanswered") is (result.source == "none")
    assert (result.declined is None) is (result.status == "answered")


@given(predictions(), CODE, POLICIES)
def test_the_result_of_a_pair_has_one_id_on_every_way(made: Prediction, declined: Any, policy: Policy) -> None:
    handler = router(policy=policy)
    ways = [made, made, answer(made), answer(made, declined=declined)]
    outcomes = [handler.receive(received(message)) for message in ways]
    assert outcomes[0] == outcomes[1]
    assert len({emit.id for outcome in outcomes if results(outcome) for emit in outcome.events}) == 1
    requested = {emit.id for outcome in outcomes if requests(outcome) for emit in outcome.events}
    assert len(requested) <= 1
    assert not requested & {emit.id for outcome in outcomes if results(outcome) for emit in outcome.events}
