"""A reviewer who lies about one label: what that can do, and what another reviewer's answers say of it."""

from collections.abc import Iterator

import pytest

from sprat_contracts import IntentOutput, ReviewAsked, ReviewClosed
from sprat_contracts.reviews import ERRORS
from sprat_training.evaluation.reviewed import DrawsOfTask, Period, ReviewedDraws, select
from support.review_logs import START_MS, ReviewLogs, answer_to, drawn

DRAWS = 300
LIAR, HONEST = "agent-liar", "agent-honest"
LABEL, OTHER = "transfer", "balance"
"""What the model says of every tenth text, and of the others."""


def draws() -> Iterator[ReviewAsked]:
    for number in range(DRAWS):
        label = LABEL if number % 10 == 0 else OTHER
        asked = drawn(id=f"t-{number}", output=IntentOutput(label=label).model_dump())
        yield asked.model_copy(update={"share": 1.0, "least_share": 1.0})


def said(asked: ReviewAsked) -> str:
    output = asked.prediction.output
    assert isinstance(output, IntentOutput)
    return str(output.label)


@pytest.fixture
def logs() -> ReviewLogs:
    logs = ReviewLogs()
    logs.draw(*draws())
    return logs


def reviewed(logs: ReviewLogs) -> ReviewedDraws:
    found = DrawsOfTask("intent")
    for each in logs.closed():
        found.close(each)
    version = logs.closed()[0].model
    assert version is not None
    return select(found, version.version, None, Period(START_MS, START_MS + 30 * 86_400_000))


def lies(logs: ReviewLogs) -> list[ReviewClosed]:
    return [each for each in logs.closed() if each.by == LIAR and not each.disputed]


def test_who_calls_one_label_wrong_raises_an_alarm_that_names_it_and_whose_answers_it_rests_on(
    logs: ReviewLogs,
) -> None:
    for each in draws():
        lie = answer_to(each, OTHER, by=LIAR)
        logs.answer(lie if said(each) == LABEL else answer_to(each, said(each), by=HONEST))
    logs.guardian().work()

    alarms = [each for each in logs.alarms() if each.kind == ERRORS]
    assert {each.cell.tenant for each in alarms} == {None, "shop"}
    false = {each.text_id for each in lies(logs)}
    assert len(false) == DRAWS // 10
    assert {text.text_id for each in alarms for text in each.texts} <= false
    assert {each.by for each in logs.closed() if each.verdict == "wrong"} == {LIAR}


def test_who_calls_one_label_right_hides_its_errors_until_another_answers_too_and_no_such_draw_certifies(
    logs: ReviewLogs,
) -> None:
    asked = list(draws())
    logs.answer(*(answer_to(each, said(each), by=LIAR if said(each) == LABEL else HONEST) for each in asked))
    guardian = logs.guardian().work()
    assert logs.alarms() == []
    assert reviewed(logs).rows.right.all()

    # Another one answers the same draws as they are: all answers with the label are wrong.
    logs.answer(*(answer_to(each, OTHER, by=HONEST) for each in asked if said(each) == LABEL))
    guardian.work()
    found = reviewed(logs)
    assert found.verdicts == {"right": DRAWS * 9 // 10, "disputed": DRAWS // 10}
    assert found.rows.right.mean() == pytest.approx(0.9)
    assert logs.alarms() == [], "the first answer counts for the test: a later one may have seen it"
    assert {each.text_id for each in logs.closed() if each.disputed} == {each.text_id for each in lies(logs)}
