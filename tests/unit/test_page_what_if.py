"""What another goal would keep, escalate and cost; and how often that was wrong, by reviews alone."""

from dataclasses import replace

import pytest
import yaml

from sprat.base.binomial import upper_bound
from sprat_contracts import (
    BUILT_IN,
    Accuracy,
    Entity,
    Envelope,
    ModelAnnounced,
    ModelRef,
    NerOutput,
    Record,
    ReviewCell,
    Route,
    Topics,
    Traceparent,
    encode,
)
from sprat_gateway.page.pages import Page
from sprat_gateway.page.queries import WantedGoal, what_if
from sprat_gateway.page.queries.what_if import policy_lines
from sprat_gateway.page.store import PageStore
from sprat_policy import Policy
from support.measured import thresholds
from support.page_reviews import alarm, closed, draw, record_of
from support.page_reviews import decided as decided_of
from support.page_store import NOW, OWN, filled_store
from support.traced_records import BEGAN, TracedText

GOAL = 0.95


def numbered(number, **changes):
    text = TracedText(f"order-{number}", **changes)
    text.place = (text.topics.texts, 0, 41 + number)
    return text


def decided(number, estimated, **changes):
    """All records of a text whose small answer reaches a level."""
    text = numbered(number)
    return [text.text(), *decided_of(text, estimated, offset=number, **changes)]


def announced(version="v1"):
    model = ModelAnnounced(task="intent", version=version, owns_from=1, thresholds=thresholds(model_version=version))
    value, headers = encode(model, Envelope(version, "/intent", Traceparent.root("/intent", version)))
    return Record(Topics().models, 0, 0, BEGAN, b"intent/default", value, tuple(headers))


LEVELS_SEEN = [0.99, 0.99, 0.97, 0.97, 0.95, 0.95, 0.9, 0.9, 0.8, None]
TODAY = [record for number, level in enumerate(LEVELS_SEEN) for record in decided(number, level)]


async def at(filled, goal=None, evidence=None, viewer=OWN):
    return await filled.show(what_if, viewer, WantedGoal("intent/default", goal, evidence), NOW)


async def test_another_goal_keeps_what_reaches_it_and_the_same_one_changes_nothing(tmp_path):
    async with filled_store(tmp_path, *TODAY) as filled:
        kept = {goal: (await at(filled, goal)).then.kept for goal in (None, 0.8, 0.9, 0.95, 0.97, 0.995)}
        same = await at(filled)
    assert kept == {None: 0.6, 0.8: 0.9, 0.9: 0.8, 0.95: 0.6, 0.97: 0.4, 0.995: 0.0}
    assert same.today == same.then
    assert (same.rows, same.a_day, same.unmoved, same.since_ms) == (10, 10, 1, BEGAN + 10)
    assert (same.today.goal, same.today.evidence) == (GOAL, "estimated")


async def test_escalations_cost_what_those_of_the_last_day_have_cost(tmp_path):
    async with filled_store(tmp_path, *TODAY) as filled:
        seen = await at(filled, 0.97)
    assert (seen.today.escalated_a_day, seen.then.escalated_a_day) == (pytest.approx(4), pytest.approx(6))
    assert (seen.today.euro_a_day, seen.then.euro_a_day) == (pytest.approx(0.04), pytest.approx(0.06))


async def test_what_something_else_than_the_goal_has_decided_stays(tmp_path):
    others = [
        *decided(20, None, reason="declined"),
        *decided(21, 0.99, reason="out_of_scope"),
        *decided(22, 0.99, reason="alarm"),
        *decided(23, 0.99, goal=0.8),  # of a language with a goal of its own
    ]
    async with filled_store(tmp_path, *TODAY, *others) as filled:
        strict, loose = await at(filled, 0.995), await at(filled, 0.8)
    assert (strict.rows, strict.unmoved) == (14, 5)
    assert strict.then.kept == pytest.approx(1 / 14)
    assert loose.then.kept == pytest.approx(10 / 14)


@pytest.mark.parametrize(
    ("on_alarm", "says"),
    [
        ("tell", "nothing changes"),
        ("tighten", "another goal may apply"),
        ("escalate", "nothing of it is kept, whatever the goal"),
        (None, "this gateway does not know it"),
    ],
)
async def test_an_alarm_that_stands_is_said_with_what_the_policy_does_then(tmp_path, on_alarm, says):
    text = numbered(90)
    raised = [
        alarm(text, steps=2),
        alarm(text, offset=2, kind="shift"),
        alarm(text, offset=3, task="labels"),
        alarm(text, offset=4, cell=ReviewCell(tenant="globex", language="en")),
    ]
    async with filled_store(tmp_path, *TODAY, *decided(22, 0.99, reason="alarm"), *raised) as filled:
        seen = await at(filled)
        await filled.put(alarm(text, 2, offset=5, state="cleared"))
        then = await at(filled)
        page = Page(filled.store, BUILT_IN)
        html, later = (page.html("_what-if.html", seen=each, lines=False, on_alarm=on_alarm) for each in (seen, then))
    assert html.count("An alarm stands: intent, tenant acme, language en.") == 1
    assert says in html
    assert ("There a goal is 2 steps higher" in html) == (on_alarm == "tighten")
    assert "(1 by an alarm)" in html
    assert ("An alarm stands" in later, says in later, len(seen.alarms), then.alarms) == (False, False, 1, ())


def test_what_the_policy_does_under_an_alarm_is_that_of_the_model_and_unknown_of_a_task_that_went(tmp_path):
    rules = {"tasks": {"intent": {"on_alarm": "tighten", "models": {"hr": {"on_alarm": "escalate"}}}}}
    page = Page(PageStore(tmp_path, whole=True), BUILT_IN, policy=Policy.model_validate(rules))
    places = [("intent", "default"), ("intent", "hr"), ("ner", "default"), ("tickets", "default")]
    assert [page.on_alarm(*place) for place in places] == ["tighten", "escalate", "tell", None]
    assert replace(page, policy=None).on_alarm("intent", "hr") is None


async def test_certified_asks_for_certified_levels(tmp_path):
    records = decided(0, 0.99, certified=0.97) + decided(1, 0.99) + decided(2, 0.97, certified=0.95)
    async with filled_store(tmp_path, *records) as filled:
        kept = [(await at(filled, goal, "certified")).then.kept for goal in (0.95, 0.97, 0.99)]
    assert kept == [pytest.approx(2 / 3), pytest.approx(1 / 3), 0]


@pytest.mark.parametrize("other", [replace(OWN, tenant="globex"), replace(OWN, source="/shop")])
async def test_nothing_of_another_tenant_or_source(tmp_path, other):
    async with filled_store(tmp_path, announced(), *TODAY, closed(numbered(0), "wrong")) as filled:
        assert await at(filled, viewer=other) is None
        own = numbered(50, tenant=other.tenant, source=other.source)
        await filled.put(own.text(), *decided_of(own, 0.99, offset=90))
        assert (await at(filled, 0.97, viewer=other)).then.errors.rows == 0


def reviewed(number, verdict="right", confidence=0.7, **changes):
    """A review that ended; at a confidence of 0.7 the answer reaches 0.97, at 0.96 0.99."""
    cell = ReviewCell(tenant="acme", language="en")
    fields = {"goal": GOAL, "hash": f"{number:04x}000000000000", "share": 0.5, "least_share": 0.5}
    return closed(numbered(number), verdict, offset=number, confidence=confidence, cell=cell, **(fields | changes))


async def test_errors_are_of_reviews_of_what_the_goal_keeps(tmp_path):
    verdicts = ["wrong"] * 3 + ["cannot_tell", "unanswered"] + ["right"] * 55
    sure = [reviewed(100 + number, confidence=0.96) for number in range(60)]
    records = [reviewed(number, verdict) for number, verdict in enumerate(verdicts)]
    records.append(replace(reviewed(59, "wrong", disputed=True), offset=300))  # its first record says right
    async with filled_store(tmp_path, announced(), *TODAY, *records, *sure) as filled:
        same, strict = await at(filled, 0.97), await at(filled, 0.99)
        looser = await at(filled, 0.9)
    errors = same.then.errors
    assert (errors.wrong, errors.undecided, errors.rows) == (3, 3, 120)
    assert errors.share == pytest.approx(3 / 117)
    assert errors.bound == pytest.approx(upper_bound(6, 120, 0.95))
    assert (strict.then.errors.wrong, strict.then.errors.rows) == (0, 60)
    assert (errors.is_enough, strict.then.errors.is_enough) == (True, True)
    assert (looser.then.errors.rows, looser.then.errors.is_enough) == (0, False)  # it keeps what nobody could draw


@pytest.mark.parametrize(
    "left_out",
    [
        {"model": ModelRef(name="en-fast", version="v0")},
        {"full": True},
        {"by": "tier:large"},
        {"goal": 0.99},
        {"goal": None, "evidence": None},
        {"hash": "9000000000000000", "share": 0.9},
        {"confidence": 0.55},
        {"drawn_at": BEGAN - 31 * 86_400_000},
        {"asked_model": "hr"},
        {"evidence": "certified"},
    ],
    ids=lambda changes: next(iter(changes)),
)
async def test_a_review_counts_only_where_its_draw_was_a_fair_one_of_what_the_goal_keeps(tmp_path, left_out):
    async with filled_store(tmp_path, announced(), *TODAY, reviewed(1), reviewed(2, "wrong", **left_out)) as filled:
        assert (await at(filled, 0.97)).then.errors.rows == 1
        await filled.put(reviewed(3, "wrong"))
        assert (await at(filled, 0.97)).then.errors.rows == 2


async def test_reviews_drawn_under_the_estimate_say_what_a_certified_goal_keeps(tmp_path):
    records = [reviewed(1, confidence=0.7), reviewed(2, confidence=0.9)]  # 0.97 is certified from 0.8 on
    async with filled_store(tmp_path, announced(), *TODAY, *records, draw(numbered(1))) as filled:
        assert (await at(filled, 0.97, "certified")).then.errors.rows == 1


@pytest.mark.parametrize("model", ["default", "hr", "1.0"])
def test_the_lines_are_those_of_a_policy(model):
    policy = Policy.model_validate(yaml.safe_load(policy_lines("intent", model, 0.97, "certified")))
    rule = policy.task("intent").rule(model, "en")
    assert (rule.goal, rule.evidence) == (0.97, "certified")


def by_names(number, reason, missed, *, whole=0.9, kept=True):
    text = numbered(number, tasks=("ner",))
    route = Route(
        decision="kept" if kept else "escalated", reason=reason, goal=GOAL, evidence="estimated", level=missed
    )
    output = NerOutput(entities=(Entity(start=0, end=2, text="Mo", label="PER"),))
    worth = [Accuracy(estimated=each, thresholds="0" * 16) for each in (whole, missed)]
    predicted = text.predicted("ner").model_copy(
        update={"output": output, "accuracy": worth[0], "nothing_missed": worth[1]}
    )
    record = record_of(text, text.topics.predictions("ner"), number, 10, predicted)
    return [text.text(), record, text.result(40, task="ner", offset=number, route=route, tenant=text.tenant)]


async def test_what_is_kept_by_its_names_goes_by_what_it_is_worth_that_none_is_missed(tmp_path):
    records = [
        *by_names(0, "each_name", 0.97),
        *by_names(1, "each_name", 0.95),
        *by_names(2, "each_name", 0.9),  # missed: allow
        *by_names(3, "may_miss", 0.9, kept=False),
        *by_names(4, "confident", 0.5, whole=0.97),
    ]
    async with filled_store(tmp_path, *records) as filled:
        shown = [
            await filled.show(what_if, OWN, WantedGoal("ner/default", goal, None), NOW) for goal in (None, 0.9, 0.97)
        ]
    assert [each.then.kept for each in shown] == [0.8, 1.0, pytest.approx(0.6)]
    assert [each.unmoved for each in shown] == [1, 1, 1]
