"""How draws end, by the logs alone: in the order of the draws, once, and alike after every restart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprat.kafka.publisher import OutRecord
from sprat_contracts import LabelsOutput, NerOutput, Record, ReviewClosed, ScoredLabel, decode
from sprat_contracts.reviews import RIGHT, WRONG
from sprat_guardian.__main__ import wait_of
from sprat_guardian.answers import said_of, verdict_of
from sprat_guardian.writing import RecordWriter
from sprat_policy import Policy
from support.review_logs import TOPICS, WAIT_MS, ReviewLogs, answer_to, drawn
from support.router_records import OUTPUTS_BY_TASK, prediction, text
from support.stream import FORGED

pytestmark = pytest.mark.unit


@pytest.fixture
def logs() -> ReviewLogs:
    return ReviewLogs()


def test_a_draw_is_closed_by_its_answer_with_what_was_drawn_and_without_the_text(logs: ReviewLogs) -> None:
    asked = drawn(id="t-1")
    logs.draw(asked)
    drawn_at = logs.now
    guardian = logs.guardian().work()
    assert (logs.closed(), guardian.state.queue.open) == ([], {"intent": 1})
    logs.answer(answer_to(asked, "balance"))
    guardian.work()
    (closed,) = logs.closed()
    same = ("cell", "goal", "evidence", "level", "hash", "share", "least_share", "full")
    assert [getattr(closed, each) for each in same] == [getattr(asked, each) for each in same]
    of = asked.prediction
    assert (closed.text_id, closed.text_source, closed.task, closed.model) == ("t-1", "/app", "intent", of.model)
    assert (closed.verdict, closed.by, closed.confidence, closed.says) == ("wrong", "agent-1", 0.9, "some")
    assert (closed.drawn_at, closed.asked_model) == (drawn_at, "default")
    assert of.submitted.text not in closed.model_dump_json()
    assert guardian.state.queue.open == {"intent": 0}


def test_answers_enter_in_the_order_of_the_draws_and_a_missing_one_holds_back_later_ones_for_its_wait(
    logs: ReviewLogs,
) -> None:
    first, second, third = draws = [drawn(id=each) for each in ("a", "b", "c")]
    logs.draw(*draws, drawn(id="n", task="ner"))
    logs.answer(answer_to(third), answer_to(second))
    guardian = logs.guardian().work()
    assert logs.verdicts() == [], "those who answer fast may answer what is easy"
    logs.wait()
    logs.answer(answer_to(first))
    guardian.work()
    assert logs.verdicts() == [("a", "unanswered"), ("b", "right"), ("c", "right"), ("n", "unanswered")]
    assert guardian.ignored == ["late"]
    assert logs.guardian().work().ignored == [], "a start does not tell again what it reads again"
    assert len(logs.closed()) == 4


def test_how_long_a_draw_waits_is_what_the_policy_says_of_its_model() -> None:
    sections = {"review": {"share": 0.1, "wait": "2h"}, "models": {"hr": {"review": {"share": 0.1, "wait": "30s"}}}}
    wait_ms = wait_of(Policy.model_validate({"tasks": {"intent": sections}}))
    by_name = drawn(submitted=text(tasks={"intent": {"model": "hr"}}))
    assert [wait_ms(each) for each in (drawn(), by_name, drawn(task="ner"))] == [7_200_000, 30_000, WAIT_MS]
    removed = drawn()
    gone = removed.model_copy(update={"prediction": removed.prediction.model_copy(update={"task": "urgency"})})
    assert wait_ms(gone) == WAIT_MS, "of a task that the guardian does not have"


def test_a_task_does_not_wait_for_another(logs: ReviewLogs) -> None:
    later = drawn(id="later")
    logs.draw(drawn(id="open", task="ner"), later)
    logs.answer(answer_to(later))
    logs.guardian().work()
    assert logs.verdicts() == [("later", "right")]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"token": None}, "token"),
        ({"token": "0" * 64}, "token"),
        ({"token": drawn(id="another").token}, "token"),
        ({"text_id": "another"}, "token"),
        ({"output": NerOutput(entities=())}, "output"),
        ({"verdict": "perhaps"}, "output"),
    ],
    ids=["no token", "a wrong token", "the token of another draw", "no such draw", "of another task", "no verdict"],
)
def test_an_answer_that_does_not_count_is_told_with_its_reason(logs: ReviewLogs, changed, why) -> None:
    asked = drawn(id="t-1")
    logs.draw(asked)
    guardian = logs.guardian().work()
    logs.answer(answer_to(asked, **changed))
    assert guardian.work().ignored == [why]
    assert logs.closed() == []


def test_who_was_not_asked_has_no_answer(logs: ReviewLogs) -> None:
    """One answer of a tier refuses a certificate, and people's answers to what a tier was asked would certify."""
    of_people, of_tier = drawn(id="t-1"), drawn(id="t-2").model_copy(update={"by": "house"})
    logs.draw(of_people, of_tier)
    guardian = logs.guardian().work()
    logs.answer(answer_to(of_people, by="tier:house"), answer_to(of_tier))
    assert guardian.work().ignored == ["reviewer", "reviewer"]
    logs.answer(answer_to(of_people), answer_to(of_tier, by="tier:house"))
    logs.guardian().work()
    assert [each.by for each in logs.closed()] == ["agent-1", "tier:house"]


def test_a_correction_is_no_answer_even_with_the_token(logs: ReviewLogs) -> None:
    asked = drawn(id="t-1")
    logs.draw(asked)
    guardian = logs.guardian().work()
    logs.answer(answer_to(asked, "balance", of=None), answer_to(asked, "balance", of="something"))
    logs.answer(answer_to(asked, "balance", of=None, by="review"))
    assert guardian.work().ignored == []
    assert logs.closed() == []


def test_the_first_answer_counts_and_a_later_one_that_differs_is_said_once(logs: ReviewLogs) -> None:
    asked = drawn(id="t-1")
    logs.draw(asked)
    logs.answer(answer_to(asked, "balance"))
    guardian = logs.guardian().work()
    logs.answer(answer_to(asked, "balance", by="agent-2"))
    guardian.work()
    assert len(logs.closed()) == 1, "it says the same"
    logs.answer(answer_to(asked, "transfer", by="agent-3"), answer_to(asked, "transfer", by="agent-4"))
    guardian.work()
    logs.guardian().work()
    first, second = logs.closed()
    assert (first.verdict, first.disputed) == ("wrong", False)
    assert second == first.model_copy(update={"disputed": True})
    (tests,) = {each.reviews for each in guardian.state.counting.processes}
    assert tests == 1


def test_of_two_answers_that_are_read_at_once_the_first_counts(logs: ReviewLogs) -> None:
    asked = drawn(id="t-1")
    logs.draw(asked)
    logs.answer(answer_to(asked), answer_to(asked, "balance"))
    logs.guardian().work()
    assert [(each.verdict, each.disputed) for each in logs.closed()] == [("right", False), ("right", True)]


def test_the_answer_that_counted_is_no_second_one_where_it_is_read_after_its_closing(logs: ReviewLogs) -> None:
    """Another guardian, which hangs or has taken over, may have closed the draw by it."""
    asked = drawn(id="t-1")
    logs.draw(asked)
    guardian = logs.guardian().work()
    logs.answer(answer_to(asked))
    closed = logs.guardian().due()
    answer = logs.records.pop()
    logs.append(*closed)
    logs.records.append(answer)
    guardian.work()
    assert (guardian.ignored, guardian.state.queue.open) == ([], {"intent": 0})
    logs.answer(answer_to(asked))
    guardian.work()
    assert guardian.ignored == ["second"]


def test_a_second_answer_that_comes_while_the_guardian_is_away_is_seen(logs: ReviewLogs) -> None:
    asked = drawn(id="t-1")
    logs.draw(asked)
    logs.answer(answer_to(asked))
    logs.guardian().work()
    logs.answer(answer_to(asked, "balance"))
    logs.guardian().work()
    assert [each.disputed for each in logs.closed()] == [False, True]


def test_a_text_that_comes_again_is_the_same_draw(logs: ReviewLogs) -> None:
    asked = drawn(id="t-1")
    logs.draw(asked, asked)
    logs.answer(answer_to(asked))
    guardian = logs.guardian().work()
    logs.draw(asked)
    guardian.work()
    assert logs.verdicts() == [("t-1", "right")]


def test_what_is_forged_or_written_once_more_closes_nothing_and_counts_nothing(logs: ReviewLogs) -> None:
    asked = drawn(id="t-1")
    logs.draw(drawn(id="forged"), signatures=FORGED)
    logs.draw(asked)
    logs.answer(answer_to(asked, "balance"))
    guardian = logs.guardian().work()
    old = list(logs.records)
    logs.wait(9 * 86_400_000)
    later = drawn(id="later")
    logs.draw(later)
    logs.answer(answer_to(later))
    guardian.work()
    for record in old:  # once more, with their signatures
        logs.append(record)
    guardian.work()
    assert logs.verdicts() == [("t-1", "wrong"), ("later", "right"), ("t-1", "wrong")], "the last one is the copy"
    assert "replayed" in guardian.ignored
    for reader in (guardian, logs.guardian().work()):
        assert {each.reviews for each in reader.state.counting.processes} == {2}


def test_a_closing_with_another_secret_closes_nothing(logs: ReviewLogs) -> None:
    asked = drawn(id="t-1")
    logs.draw(asked)
    logs.answer(answer_to(asked))
    (end,) = logs.guardian().due()
    logs.append(RecordWriter(TOPICS, "guardian", FORGED).record(decode(record_of(end), ReviewClosed).message))
    guardian = logs.guardian()
    assert len(guardian.due()) == 1
    assert list(guardian.state.counting.processes) == []


def record_of(out: OutRecord) -> Record:
    return Record(out.topic, 0, 0, 0, out.key, out.value, tuple(out.headers))


def test_what_two_guardians_write_at_the_same_time_counts_once(logs: ReviewLogs) -> None:
    """One that hung does not know at once that another has taken over."""
    draws = [drawn(id=f"t-{number}") for number in range(60)]
    logs.draw(*draws)
    logs.answer(*(answer_to(each, "balance") for each in draws))
    one, other = logs.guardian(), logs.guardian()
    while due := (one.due(), other.due()):
        if not any(due):
            break
        for each in due:
            logs.append(*each)
    assert [each for each, _ in logs.verdicts()] == 2 * [each.prediction.text_id for each in draws]
    for reader in (one, other, logs.guardian().work()):
        assert {each.reviews for each in reader.state.counting.processes} == {60}
        assert {each.number for each in reader.state.book.all()} == {1}


@pytest.mark.parametrize(
    ("task", "said", "verdict"),
    [
        ("intent", {"label": "transfer"}, "right"),
        ("intent", {"label": None}, "wrong"),
        ("ner", {"entities": [{"start": 0, "end": 4, "text": "Move", "label": "ORG"}]}, "right"),
        ("ner", {"entities": []}, "wrong"),
        ("ner", {"entities": [{"start": 0, "end": 4, "text": "Move", "label": "PER"}]}, "wrong"),
        ("translation", OUTPUTS_BY_TASK["translation"], None),
    ],
)
def test_an_answer_is_compared_by_what_is_called_right(task, said, verdict) -> None:
    asked = drawn(task=task)
    given = answer_to(asked, prediction(task, output=said).output)
    assert verdict_of(said_of(asked.prediction.output), given) == verdict
    for judged in ("right", "wrong", "cannot_tell"):
        assert verdict_of(said_of(asked.prediction.output), given.model_copy(update={"verdict": judged})) == judged


def test_a_set_of_labels_is_right_as_a_whole() -> None:
    def labels(*names: str) -> LabelsOutput:
        return LabelsOutput(labels=tuple(ScoredLabel(label=each) for each in names))

    asked = drawn()
    assert verdict_of(said_of(labels("a", "b")), answer_to(asked, labels("b", "a"))) == "right"
    assert verdict_of(said_of(labels("a", "b")), answer_to(asked, labels("a"))) == "wrong"
    assert verdict_of(said_of(labels("a")), answer_to(asked, "a")) is None


@given(
    steps=st.lists(st.sampled_from(["draw", "answer", "differ", "work", "die", "wait"]), max_size=40),
    written=st.lists(st.integers(0, 3), min_size=1, max_size=10),
)
def test_whenever_a_guardian_dies_each_draw_is_closed_once_as_by_one_that_lives(steps, written) -> None:
    """A guardian that dies has written any number of the records that were due."""
    lives, dies = ReviewLogs(), ReviewLogs()
    steady = lives.guardian()
    guardian = dies.guardian()
    count = deaths = 0
    for step in [*steps, "wait", "wait", "work"]:
        for logs in (lives, dies):
            if step == "draw":
                logs.draw(drawn(id=f"t-{count}"))
            elif step in {"answer", "differ"} and count:
                answered = drawn(id=f"t-{count // 2}")
                logs.answer(answer_to(answered, "transfer" if step == "answer" else "balance"))
            elif step == "wait":
                logs.wait(WAIT_MS // 2 + 1)
        count += step == "draw"
        steady.work()
        if step == "die":
            deaths += 1
            dies.append(*guardian.due()[: written[deaths % len(written)]])
            guardian = dies.guardian()
        elif step == "work":
            guardian.work()
    firsts = [each for each in dies.closed() if not each.disputed]
    assert [each.text_id for each in firsts] == [f"t-{number}" for number in range(count)]
    expected = {each.text_id: each.verdict for each in lives.closed()}
    assert {each.text_id: each.verdict for each in firsts} == expected
    disputed = [each.text_id for each in dies.closed() if each.disputed]
    assert sorted(disputed) == sorted(each.text_id for each in lives.closed() if each.disputed)


def names(*places: tuple[int, int], label: str = "ORG", uncertain: bool = False) -> list[dict[str, object]]:
    return [{"start": a, "end": b, "text": "x", "label": label, "uncertain": uncertain} for a, b in places]


KEPT_BY_NAMES = {"output": {"entities": [*names((0, 4), (10, 14)), *names((20, 24), uncertain=True)]}}


@pytest.mark.parametrize(
    ("given", "by_text", "by_names", "by_sure_names"),
    [
        pytest.param(names((0, 4), (10, 14), (20, 24)), RIGHT, RIGHT, RIGHT, id="all are right"),
        pytest.param(names((0, 4), (10, 14)), WRONG, RIGHT, RIGHT, id="the uncertain one is none"),
        pytest.param(names((0, 4), (10, 14), (20, 22)), WRONG, RIGHT, RIGHT, id="the uncertain one is shorter"),
        pytest.param(
            [*names((0, 4), (10, 14)), *names((20, 24), label="PER")], WRONG, RIGHT, RIGHT, id="it is of another type"
        ),
        pytest.param(names((0, 4), (10, 14), (24, 28)), WRONG, WRONG, RIGHT, id="one beside it is missed"),
        pytest.param(names((0, 4), (20, 24)), WRONG, WRONG, WRONG, id="a sure one is none"),
        pytest.param(names((0, 4), (10, 13)), WRONG, WRONG, WRONG, id="a sure one is shorter"),
        pytest.param(
            [*names((0, 4)), *names((10, 14), label="PER")], WRONG, WRONG, WRONG, id="a sure one is of another type"
        ),
    ],
)
def test_of_what_is_kept_by_its_names_a_review_judges_what_was_promised(
    given: list[dict[str, object]], by_text: str, by_names: str, by_sure_names: str
) -> None:
    output = prediction("ner", **KEPT_BY_NAMES).output
    answer = answer_to(drawn(task="ner"), NerOutput.model_validate({"entities": tuple(given)}))
    found = [verdict_of(said_of(output, judged), answer) for judged in ("text", "names", "sure_names")]
    assert found == [by_text, by_names, by_sure_names]


@pytest.mark.parametrize(("judged", "promises"), [("text", 1), ("names", 3), ("sure_names", 2), ("newer", 1)])
def test_a_closed_draw_says_of_how_many_statements_its_verdict_is(logs: ReviewLogs, judged: str, promises: int) -> None:
    asked = drawn(id="t-1", task="ner", **KEPT_BY_NAMES).model_copy(update={"judged": judged})
    logs.draw(asked)
    logs.answer(answer_to(asked, NerOutput.model_validate({"entities": tuple(names((0, 4), (10, 14)))})))
    logs.guardian().work()
    (closed,) = logs.closed()
    verdict = RIGHT if judged in {"names", "sure_names"} else WRONG
    assert (closed.judged, closed.promises, closed.verdict) == (judged, promises, verdict)
