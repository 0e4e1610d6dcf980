import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import pytest

from sprat.base.thresholds import ThresholdsFile, write_thresholds
from sprat_contracts import Egress, IntentOutput, LabelsOutput, Output, ScoredLabel, TranslationOutput, Usage
from sprat_contracts.thresholds import Thresholds
from sprat_frontier.breaker import ProviderBreaker
from sprat_frontier.call_limiter import CallLimiter
from sprat_frontier.chat import ChatApi, LlamaCppApi
from sprat_frontier.errors import ProviderError
from sprat_frontier.observed_provider import ObservedProvider
from sprat_frontier.prompts import prompt_for, question_of
from sprat_frontier.protocols import ProviderAnswer
from sprat_frontier.tier_thresholds import TierThresholds
from sprat_frontier.tiers import Tier, Tiers, open_tiers
from sprat_inference.card import label_set_hash
from sprat_inference.platt import Platt
from sprat_policy import Policy, TaskFile, TierCalibration, TierPolicy, tier_thresholds
from support import audit_log
from support import frontier_parts as parts
from support.measured import thresholds

POLICY = Policy.model_validate(
    {
        "tenants": {
            "acme": {"frontier": "allow", "regions": ["eu"], "deadline_ms": 20_000},
            "masked": {"frontier": "redact", "regions": ["eu"], "deadline_ms": 20_000},
            "closed": {"frontier": "deny", "deadline_ms": 20_000},
            "limited": {"frontier": "allow", "regions": ["eu"], "max_escalations_per_min": 1},
        }
    }
)
QUESTION = question_of(parts.request())
USAGE = Usage(input_tokens=1000, output_tokens=10)
PRICE = 0.00206
OUTPUT = IntentOutput(label="balance")
SEVERAL = TaskFile(kind="multi_label", labels={"food": "", "sport": ""})
BOTH = LabelsOutput(labels=(ScoredLabel(label="food"), ScoredLabel(label="sport")))
NONE = LabelsOutput(labels=())
REFUSED = ProviderError("refused", "the model refused to answer", usage=USAGE)
UNAVAILABLE = ProviderError("server_error", "HTTP status 503", retryable=True)
LIMITED = ProviderError("rate_limited", "HTTP status 429", retryable=True, retry_after_s=60)


def said(label: str | None, confidence: float | None = None) -> ProviderAnswer:
    return ProviderAnswer(IntentOutput(label=label), "large-1", USAGE, confidence=confidence)


def tier(name: str, result: Output | ProviderAnswer | ProviderError, region: str = "eu", **fields) -> Tier:
    """Return a tier that always answers the same; `fields` are those of its policy, `inside` and `thresholds`."""
    limits = parts.settings(provider=name, region=region)
    provider = parts.FakeProvider(lambda _: result, name, region)
    limiter = CallLimiter(limits, ProviderBreaker(limits.breaker, name), jitter=lambda: 0.0)
    own = {each: fields.pop(each) for each in ("inside", "thresholds") if each in fields}
    rules = TierPolicy(preset="frontier", **fields)
    return Tier(name, limits, ObservedProvider(provider, limits, name), limiter, rules, **own)


def fitted(bias: float) -> TierCalibration:
    return TierCalibration(bias=bias, slope=1.0, model="large", texts=90)


@dataclass
class Measured:
    """A file of thresholds that was read."""

    current: Thresholds


def measured(label_set: str | None = None) -> Measured:
    return Measured(thresholds(model_version="large-1", label_set=label_set or label_set_hash(QUESTION.labels)))


def climbing(*tiers: Tier, **changes) -> parts.FrontierHarness:
    return parts.FrontierHarness(policies=POLICY, tiers=Tiers(tiers), **changes)


def questions(tier: Tier) -> list[str]:
    return [question.text for question in tier.provider._provider.questions]


async def test_an_answer_that_is_sure_enough_ends_the_climb():
    first, second = tier("local", said("transfer", 0.8), keep_at=0.8), tier("large", said("balance"))
    answered = await climbing(first, second).answer(parts.request())
    assert (answered.output, answered.declined) == (IntentOutput(label="transfer"), None)
    assert questions(second) == []
    (step,) = answered.tiers
    assert (step.tier, step.provider, step.model, step.outcome) == ("local", "local", "large-1", "kept")
    assert (step.label, step.confidence, step.keep_at, step.detail) == ("transfer", 0.8, 0.8, None)
    assert (step.usage, step.cost_eur, step.egress) == (USAGE, pytest.approx(PRICE), answered.egress)


@pytest.mark.parametrize("confidence", [0.8, 0.1, None])
async def test_several_labels_are_kept_by_their_confidence_and_reported(confidence):
    first = ProviderAnswer(BOTH, "large-1", USAGE, confidence=confidence)
    tiers = tier("local", first, keep_at=0.8), tier("large", ProviderAnswer(NONE, "large-2", USAGE))
    harness = climbing(*tiers, tasks={"subjects": SEVERAL})
    answered = await harness.answer(parts.request(task="subjects", labels=("food", "sport")))
    kept = confidence == 0.8
    steps = [(step.tier, step.outcome, step.labels, step.label, step.confidence) for step in answered.tiers]
    expected = [("local", "kept" if kept else "unsure", ("food", "sport"), None, confidence)]
    assert steps == [*expected, *([] if kept else [("large", "kept", (), None, None)])]
    assert answered.output == (BOTH if kept else NONE)


@pytest.mark.parametrize(
    ("bias", "outcome"), [(-3.0, "unsure"), (3.0, "kept")], ids=["too sure of itself", "surer than it says"]
)
async def test_keep_at_holds_for_the_calibrated_chance(bias, outcome):
    stated = 0.9 if bias < 0 else 0.5
    first = tier("local", said("transfer", stated), keep_at=0.8, calibration={"intent": fitted(bias)})
    frontier = climbing(first, tier("large", said("transfer")))
    step = (await frontier.answer(parts.request())).tiers[0]
    assert (step.outcome, step.confidence, step.calibrated) == (outcome, stated, Platt(bias).chance(stated))
    frontier.restart()
    again = (await frontier.answer(parts.request(id="t-2"))).tiers[0]
    assert (again.cached, again.calibrated) == (True, step.calibrated), "what is stored is what the model stated"


@pytest.mark.parametrize(
    ("label", "confidence", "changes", "level", "outcome"),
    [
        pytest.param("transfer", 0.6, {}, 0.97, "kept", id="it reaches the goal"),
        pytest.param("transfer", 0.59, {}, 0.9, "unsure", id="it does not"),
        pytest.param("transfer", 0.5, {}, None, "unsure", id="no level"),
        pytest.param(None, 0.99, {}, 0.9, "unsure", id="no label has a cell of its own"),
        pytest.param("transfer", 0.79, {"evidence": "certified"}, None, "unsure", id="not certified"),
        pytest.param("transfer", 0.8, {"evidence": "certified"}, 0.97, "kept", id="certified"),
        pytest.param("transfer", 1.0, {"thresholds": {}}, None, "unsure", id="not measured"),
        pytest.param("transfer", 1.0, {"thresholds": {"mood": None}}, None, "unsure", id="of another task"),
        pytest.param("transfer", None, {}, None, "unsure", id="no probability"),
    ],
)
async def test_a_tier_with_a_goal_keeps_what_reaches_it(label, confidence, changes, level, outcome):
    fields = {"goal": 0.97, "thresholds": {"intent": measured()}} | changes
    first, second = tier("local", said(label, confidence), **fields), tier("large", said("balance"))
    answered = await climbing(first, second).answer(parts.request())
    step = answered.tiers[0]
    assert (step.outcome, step.goal, step.level, step.keep_at) == (outcome, 0.97, level, None)
    assert len(answered.tiers) == (1 if outcome == "kept" else 2)


async def test_thresholds_of_other_labels_are_void():
    first = tier("local", said("transfer", 1.0), goal=0.97, thresholds={"intent": measured(label_set="1" * 16)})
    (step,) = (await climbing(first).answer(parts.request())).tiers
    assert (step.outcome, step.level) == ("unsure", None)


async def test_the_thresholds_of_a_tier_are_read_beside_the_policy_and_taken_over(tmp_path, caplog):
    path = tier_thresholds(tmp_path / "policy.yaml", "house", "intent")
    path.parent.mkdir()
    write_thresholds(path, thresholds(model_version="another"))
    files = TierThresholds(tmp_path / "policy.yaml", ["intent", "mood"], every_s=0.01)
    opened = files.open("house", "large-1")
    assert {task: file.current for task, file in opened.items()} == {"intent": None, "mood": None}
    assert "measured with version another of the model, this one is large-1" in caplog.text
    found = thresholds(model_version="large-1")
    write_thresholds(path, found)
    async with asyncio.timeout(10):
        while opened["intent"].current != found:
            await asyncio.sleep(0.01)
    await files.stop()


async def test_the_calibration_of_another_task_changes_nothing():
    first = tier("local", said("transfer", 0.9), keep_at=0.8, calibration={"mood": fitted(-3.0)})
    step = (await climbing(first).answer(parts.request())).tiers[0]
    assert (step.outcome, step.confidence, step.calibrated) == ("kept", 0.9, None)


@pytest.mark.parametrize(
    ("first", "outcome", "label", "cost"),
    [
        (said("transfer", 0.79), "unsure", "transfer", PRICE),
        (said("transfer"), "unsure", "transfer", PRICE),
        (said(None, 0.2), "unsure", None, PRICE),
        (REFUSED, "refused", None, PRICE),
        (UNAVAILABLE, "provider", None, 0),
        (LIMITED, "provider", None, 0),
        (ProviderError("timeout", "no answer within 30 s", retryable=True), "provider", None, 0),
        (ProviderError("unauthorised", "HTTP status 401"), "provider", None, 0),
    ],
    ids=["unsure", "no probability", "unsure of none", "refused", "outage", "rate limit", "time-out", "no key"],
)
async def test_the_next_tier_is_asked_after(first, outcome, label, cost):
    tiers = tier("local", first, keep_at=0.8), tier("large", said("balance", 0.1))
    frontier = climbing(*tiers)
    answered = await frontier.answer(parts.request())
    assert (answered.output, answered.declined) == (IntentOutput(label="balance"), None)
    assert [(step.tier, step.outcome, step.label) for step in answered.tiers] == [
        ("local", outcome, label),
        ("large", "kept", "balance"),
    ]
    assert [len(questions(each)) for each in tiers] == [1, 1], "a tier that another follows is not asked again"
    assert [step.cost_eur for step in answered.tiers] == pytest.approx([cost, PRICE])
    assert answered.cost_eur == pytest.approx(cost + PRICE)
    assert answered.egress == answered.tiers[1].egress
    assert answered.egress.provider == "large"
    assert {record.provider for record in frontier.audit.records} == {"local", "large"}
    assert {step.egress.call_id for step in answered.tiers} == {record.call_id for record in frontier.audit.records}


async def test_the_last_tier_is_asked_again_as_a_frontier_without_tiers_is():
    last = tier("large", UNAVAILABLE)
    answered = await climbing(tier("local", REFUSED), last).answer(parts.request(deadline_ms=2_000))
    assert len(questions(last)) == 1 + parts.settings().max_retries
    assert answered.declined.code == "provider"


async def test_without_an_answer_that_is_kept_the_last_tier_that_was_asked_says_why_and_all_is_paid_for():
    tiers = tier("local", said("transfer", 0.5), keep_at=0.8), tier("large", REFUSED), tier("far", said("x"), "us")
    answered = await climbing(*tiers).answer(parts.request())
    assert (answered.output, answered.model, answered.cached) == (None, None, False)
    assert answered.declined.code == "refused"
    assert answered.cost_eur == pytest.approx(2 * PRICE)
    assert answered.usage == Usage(input_tokens=2000, output_tokens=20)
    assert answered.egress.provider == "large"
    assert [step.outcome for step in answered.tiers] == ["unsure", "refused", "policy"]
    assert [step.sent for step in answered.tiers] == [answered.sent, answered.sent, None]
    assert questions(tiers[2]) == []


async def test_a_tier_that_tells_no_probabilities_is_named_in_the_log(caplog):
    await climbing(tier("local", said("transfer"), keep_at=0.8), tier("large", OUTPUT)).answer(parts.request())
    assert "a tier tells no probability of its labels, so that it keeps nothing: local; 1 since" in caplog.text


async def test_of_the_tiers_those_for_tenant_and_task_are_asked():
    others = tier("a", said("balance"), tenants=["masked"])
    tiers = others, tier("b", said("balance"), tasks=["translation"]), tier("c", said("transfer"))
    answered = await climbing(*tiers).answer(parts.request())
    assert [step.tier for step in answered.tiers] == ["c"]
    none = await climbing(others).answer(parts.request())
    assert (none.declined.code, none.egress.left, none.tiers) == ("policy", False, ())
    assert questions(tiers[0]) == questions(tiers[1]) == []


async def test_a_task_whose_answers_have_no_confidence_does_not_pay_a_tier_that_keeps_none_without():
    first = tier("local", said("transfer"), keep_at=0.8)
    answered = await climbing(first, tier("large", said("transfer"))).answer(parts.request(task="ner"))
    assert questions(first) == []
    assert (answered.tiers[0].outcome, answered.tiers[0].egress.left) == ("no_confidence", False)


@pytest.mark.parametrize(("sent", "left"), [(False, False), (True, True)], ids=["refused", "broken"])
async def test_nothing_was_sent_to_a_tier_whose_connection_was_refused(sent, left):
    unreachable = ProviderError("unreachable", "no connection", retryable=True, sent=sent)
    frontier = climbing(tier("local", unreachable), tier("large", said("transfer")))
    answered = await frontier.answer(parts.request())
    first, last = answered.tiers
    assert (first.outcome, first.egress.left, first.egress.call_id is None) == ("provider", left, not left)
    assert (first.sent is not None) is left
    assert last.egress.left


async def test_what_an_earlier_try_has_sent_counts_when_the_connection_of_the_next_is_refused():
    broken = ProviderError("unreachable", "the connection broke", retryable=True)
    refused = ProviderError("unreachable", "no connection", retryable=True, sent=False)
    only = tier("large", refused)
    only.provider._provider.script = lambda number: refused if number else broken
    frontier = climbing(only)
    answered = await frontier.answer(parts.request())
    assert (answered.declined.code, answered.egress.left) == ("provider", True)
    assert answered.egress.call_id == frontier.audit.records[0].call_id


# What operators see


async def test_each_tier_is_counted_with_what_became_of_the_case_and_what_it_cost(metrics):
    tiers = tier("local", said("transfer", 0.1), keep_at=0.8), tier("cheap", UNAVAILABLE), tier("large", OUTPUT)
    frontier = climbing(*tiers)
    await frontier.answer(parts.request())
    await frontier.answer(parts.request(id="t-2"))  # the same question: stored, or asked again after the outage

    def cases(**labels):
        return metrics.value("sprat.tier.cases", **labels)

    assert [cases(tier=name, outcome=how) for name, how in (("local", "unsure"), ("cheap", "provider"))] == [2, 2]
    assert (cases(tier="large", outcome="kept"), cases()) == (2, 6)
    assert [metrics.value("sprat.cost", tier=name) for name in ("local", "large")] == pytest.approx([PRICE, PRICE])
    assert metrics.count("sprat.tier.duration", tier="cheap") == 2


async def test_a_tier_that_may_not_be_asked_is_counted_and_no_time_is_spent_there(metrics):
    await climbing(tier("large", OUTPUT)).answer(parts.request(tenant="closed"))
    assert metrics.value("sprat.tier.cases", tier="large", outcome="policy") == 1
    assert metrics.count("sprat.tier.duration") == 0


# Several providers in one tier


def group(*results: Output | ProviderAnswer | ProviderError, **fields) -> list[Tier]:
    return [tier(name, result, group="large", **fields) for name, result in zip("abc", results, strict=False)]


async def test_of_the_providers_of_a_tier_the_next_one_is_asked_after_an_outage_and_not_after_an_answer():
    last = tier("last", OUTPUT)
    both = await climbing(*group(UNAVAILABLE, LIMITED), last).answer(parts.request())
    assert sorted(step.tier for step in both.tiers) == ["a", "b", "last"]
    for said_once in (said("transfer", 0.1), REFUSED):
        one = await climbing(*group(said_once, said_once, keep_at=0.8), last).answer(parts.request())
        assert [step.outcome in {"unsure", "refused"} for step in one.tiers] == [True, False]


async def test_providers_take_the_texts_by_their_weights_and_equal_texts_the_same_way():
    heavy, light = tier("a", OUTPUT, group="large", weight=3), tier("b", OUTPUT, group="large")
    tiers = Tiers([tier("first", OUTPUT), heavy, light])
    orders = [[each.name for each in tiers.of("acme", "intent", str(n))] for n in range(2_000)]
    assert {order[0] for order in orders} == {"first"}, "only the providers of a group change places"
    assert 0.72 < sum(order[1] == "a" for order in orders) / len(orders) < 0.78
    assert orders == [[each.name for each in tiers.of("acme", "intent", str(n))] for n in range(2_000)]


async def test_after_a_crash_the_providers_are_asked_in_the_same_order():
    tiers = group(said("transfer"), said("transfer"), said("transfer"))
    frontier = climbing(*tiers)
    for n in range(6):
        await frontier.answer(parts.request(f"text {n}"))
    frontier.restart()
    for n in range(6):
        await frontier.answer(parts.request(f"text {n}"))
    assert sum(len(questions(each)) for each in tiers) == 6


# What may leave


async def test_a_denied_text_may_go_to_a_host_inside_the_house_and_leaves_nothing():
    inside, outside = tier("local", said("transfer"), "inside", inside=True), tier("large", said("balance"))
    frontier = climbing(outside, inside)
    answered = await frontier.answer(parts.request(tenant="closed"))
    assert answered.output == IntentOutput(label="transfer")
    assert answered.egress == Egress(left=False, masked={})
    assert [(step.tier, step.outcome, step.egress.left) for step in answered.tiers] == [
        ("large", "policy", False),
        ("local", "kept", False),
    ]
    assert frontier.audit.records == []
    assert questions(outside) == []


async def test_a_text_that_itself_denies_stays_inside_too():
    inside, outside = tier("local", REFUSED, inside=True), tier("large", said("balance"))
    frontier = climbing(inside, outside)
    answered = await frontier.answer(parts.request(frontier="deny"))
    assert answered.declined.code == "refused"
    assert (questions(outside), frontier.audit.records, answered.egress.left) == ([], [], False)


async def test_the_tier_before_one_that_may_not_get_the_text_is_the_last():
    inside = tier("local", UNAVAILABLE, inside=True)
    await climbing(inside, tier("large", said("balance"))).answer(parts.request(frontier="deny", deadline_ms=2_000))
    assert len(questions(inside)) == 1 + parts.settings().max_retries, "because no other may be asked"


async def test_the_tier_before_one_that_can_never_answer_the_task_is_the_last():
    first, unable = tier("local", UNAVAILABLE), tier("large", said("transfer"), keep_at=0.8)
    await climbing(first, unable).answer(parts.request(task="ner", deadline_ms=2_000))
    assert (len(questions(first)), questions(unable)) == (1 + parts.settings().max_retries, [])


async def test_inside_the_text_is_whole_and_outside_masked():
    inside = tier("local", said("transfer", 0.1), inside=True, keep_at=0.8)
    outside = tier("large", said("transfer"))
    frontier = climbing(inside, outside)
    answered = await frontier.answer(parts.request("Zoë pays", tenant="masked", frontier="redact"))
    assert (questions(inside), questions(outside)) == (["Zoë pays"], ["[PERSON_1] pays"])
    assert answered.egress.masked == {"PERSON": 1}
    assert answered.tiers[0].egress == Egress(left=False, masked={})
    assert [*(step.sent for step in answered.tiers), answered.sent] == [None, "[PERSON_1] pays", "[PERSON_1] pays"]
    assert [record.provider for record in frontier.audit.records] == ["large", "large"]


async def test_a_tier_can_ask_for_masked_texts_and_never_do_without():
    strict = tier("strict", said("transfer", 0.1), mask=True, keep_at=0.8)
    inside = tier("local", said("transfer", 0.1), inside=True, mask=True, keep_at=0.8)
    plain = tier("large", said("transfer"), mask=False)
    answered = await climbing(strict, inside, plain).answer(parts.request("Zoë pays"))
    assert [questions(each) for each in (strict, inside, plain)] == [["[PERSON_1] pays"]] * 2 + [["Zoë pays"]]
    assert [step.sent for step in answered.tiers] == ["[PERSON_1] pays", None, "Zoë pays"]
    await climbing(strict, inside, plain).answer(parts.request("Zoë left", frontier="redact", id="t-2"))
    assert questions(plain)[1] == "[PERSON_1] left"


async def test_a_text_that_cannot_be_masked_goes_to_no_tier_outside_and_may_go_inside():
    outside, inside = tier("large", said("balance")), tier("local", said("transfer"), inside=True)
    answered = await climbing(outside, inside).answer(parts.request(tenant="masked", language="fi"))
    assert [step.outcome for step in answered.tiers] == ["masking", "kept"]
    assert questions(outside) == []


async def test_inside_nothing_counts_for_the_quota_and_each_tier_outside_does():
    inside = tier("local", said("transfer", 0.1), inside=True, keep_at=0.8)
    tiers = inside, tier("a", REFUSED), tier("b", said("balance"))
    answered = await climbing(*tiers).answer(parts.request(tenant="limited"))
    assert [step.outcome for step in answered.tiers] == ["unsure", "refused", "quota"]


async def test_a_tier_that_is_not_asked_takes_nothing_from_the_quota():
    first, last = tier("local", LIMITED), tier("large", said("balance"))
    frontier = climbing(first, last)
    await frontier.answer(parts.request())  # opens the breaker of the first
    answered = await frontier.answer(parts.request("another", tenant="limited", id="t-2"))
    assert [(step.tier, step.outcome) for step in answered.tiers] == [("local", "provider"), ("large", "kept")]
    third = await frontier.answer(parts.request("a third", tenant="limited", id="t-3"))
    assert third.declined.code == "quota"


async def test_a_simulator_inside_the_house_is_named_as_one():
    inside = tier("local", replace(said("transfer"), simulated=True), inside=True)
    answered = await climbing(inside).answer(parts.request())
    assert answered.egress == Egress(left=False, masked={}, simulated=True)


# What is paid


async def test_after_a_crash_between_two_tiers_nothing_is_paid_twice():
    class Stopped(Exception):
        """As if the process had ended here."""

    tiers = tier("local", said("transfer", 0.1), keep_at=0.8), tier("second", REFUSED), tier("large", said("balance"))
    frontier = climbing(*tiers)
    ask = tiers[2].provider._provider.ask

    async def stops(prepared):
        raise Stopped

    tiers[2].provider._provider.ask = stops
    with pytest.raises(Stopped):
        await frontier.answer(parts.request())
    tiers[2].provider._provider.ask = ask
    frontier.restart()
    answered = await frontier.answer(parts.request())
    assert answered.output == IntentOutput(label="balance")
    assert [len(questions(each)) for each in tiers] == [1, 1, 1]
    assert [step.outcome for step in answered.tiers] == ["unsure", "refused", "kept"]
    assert answered.cost_eur == pytest.approx(3 * PRICE), "what was paid before the crash is reported"
    assert [step.cached for step in answered.tiers] == [False, False, False]


async def test_another_text_shares_the_answers_and_asks_again_where_one_was_paid_for_nothing():
    tiers = tier("local", said("transfer", 0.1), keep_at=0.8), tier("second", REFUSED), tier("large", said("balance"))
    frontier = climbing(*tiers)
    await frontier.answer(parts.request())
    other = await frontier.answer(parts.request(id="t-2"))
    assert [len(questions(each)) for each in tiers] == [1, 2, 1]
    assert [step.cached for step in other.tiers] == [True, False, True]
    assert other.cost_eur == pytest.approx(PRICE)


async def test_an_answer_that_cannot_be_restored_is_paid_once_and_the_next_tier_asked():
    lost = ProviderAnswer(TranslationOutput(text="Jemand zahlt", target="de"), "large-1", USAGE)
    good = ProviderAnswer(TranslationOutput(text="[PERSON_1] zahlt", target="de"), "large-1", USAGE)
    tiers = tier("local", lost), tier("large", good)
    frontier = climbing(*tiers)
    message = parts.request("Zoë pays", "translation", tenant="masked")
    answered = await frontier.answer(message)
    assert answered.output.text == "Zoë zahlt"
    frontier.restart()
    again = await frontier.answer(message)
    assert [step.cost_eur for step in again.tiers] == [step.cost_eur for step in answered.tiers]
    assert [len(questions(each)) for each in tiers] == [1, 1]


# Time


async def test_a_tier_that_hangs_takes_its_share_of_the_time_and_its_answer_is_still_stored():
    slow, last = tier("slow", said("transfer"), share=0.25), tier("large", said("balance"))
    slow.provider._provider.gate.clear()
    frontier = climbing(slow, last)
    begun = asyncio.get_running_loop().time()
    answered = await frontier.answer(parts.request(deadline_ms=1_000))
    assert 0.2 <= asyncio.get_running_loop().time() - begun < 0.6
    assert [step.outcome for step in answered.tiers] == ["deadline", "kept"]
    assert answered.tiers[0].egress.left
    slow.provider._provider.gate.set()
    await frontier.calls.drain(5)
    again = await frontier.answer(parts.request(id="t-2"))
    assert [(step.tier, step.cached) for step in again.tiers] == [("slow", True)]


async def test_nobody_waits_for_the_breaker_of_a_tier_that_another_follows():
    for_a_while = ProviderError("rate_limited", "HTTP status 429", retryable=True, retry_after_s=3)
    first = tier("local", for_a_while)  # the case has time to wait for it
    frontier = climbing(first, tier("large", said("balance")))
    await frontier.answer(parts.request())
    async with asyncio.timeout(1):
        answered = await frontier.answer(parts.request("another", id="t-2"))
    assert [(step.outcome, step.egress.left) for step in answered.tiers] == [("provider", False), ("kept", True)]
    assert len(questions(first)) == 1


async def test_without_tiers_in_the_policy_an_answer_names_none():
    assert (await parts.FrontierHarness().answer(parts.request())).tiers == ()


async def test_an_auditor_compares_what_left_to_each_tier_with_the_calls():
    tiers = Tiers([tier("cheap", said("transfer", 0.1), keep_at=0.8), tier("large", OUTPUT)])
    log = audit_log.Log()
    await audit_log.replica(log, ["one"], tiers=tiers, policies=POLICY)
    proof = audit_log.verified(log)
    assert (proof.findings, proof.counts["answers_that_left"]) == ([], 1)
    (answered,) = log.answers
    first, last = answered.tiers
    elsewhere = first.model_copy(update={"egress": first.egress.model_copy(update={"region": "us"})})
    log.answers = [answered.model_copy(update={"tiers": (elsewhere, last)})]
    assert [finding.kind for finding in audit_log.verified(log).findings] == ["answer_differs"]
    unknown = first.model_copy(update={"egress": first.egress.model_copy(update={"call_id": "c-1"})})
    log.answers = [answered.model_copy(update={"tiers": (unknown, last)})]
    assert [finding.kind for finding in audit_log.verified(log).findings] == ["no_call"]


def test_a_server_of_llama_cpp_is_told_the_schema_as_the_python_one_takes_it():
    body = LlamaCppApi(0.0, 1024, logprobs=True).body("default", QUESTION)
    assert body["response_format"] == {"type": "json_object", "schema": prompt_for(QUESTION).schema}
    assert (body["logprobs"], body["top_logprobs"]) == (True, 1)
    chat = ChatApi(0.0, 1024, logprobs=True).body("default", QUESTION)
    same = {name for name in chat if chat[name] == body[name]}
    assert same == chat.keys() - {"response_format"}


def test_it_is_asked_for_no_probabilities_where_nobody_reads_them():
    body = LlamaCppApi(0.0, 1024).body("default", QUESTION)
    assert body.keys().isdisjoint({"logprobs", "top_logprobs"})


async def test_the_preset_asks_so():
    policy = Policy.model_validate(
        {"inside": ["gpu"], "tenants": {}, "tiers": [{"preset": "llamacpp:http://gpu:8080/v1"}]}
    )
    async with AsyncExitStack() as stack:
        (tier,) = open_tiers(policy, parts.settings(), {}, stack).of("acme", "intent")
    assert (tier.rules.known.api, tier.endpoint) == ("llamacpp", "http://gpu:8080/v1 llamacpp")


@pytest.mark.parametrize("asked", [{"keep_at": 0.8}, {"goal": 0.97, "thresholds": {"intent": measured()}}])
async def test_an_answer_without_a_probability_is_not_reused_where_the_tier_needs_one_since(asked):
    """The policy gave the tier a keep_at after the answer was stored: it is asked again, with probabilities."""
    before, after = tier("house", said("transfer")), tier("house", said("transfer", 0.9), **asked)
    first, second = climbing(before), climbing(after)
    assert (await first.answer(parts.request())).output == IntentOutput(label="transfer")
    second.store = first.store
    second.restart()
    answered = await second.answer(parts.request())
    assert (answered.output, answered.cached) == (IntentOutput(label="transfer"), False)
    assert len(questions(after)) == 1
    assert (await second.answer(parts.request(id="t-2"))).cached


async def test_a_tiers_thresholds_that_are_no_longer_followed_are_logged(tmp_path, monkeypatch, caplog):
    async def follow(*_):
        raise PermissionError

    monkeypatch.setattr(ThresholdsFile, "follow", follow)
    files = TierThresholds(tmp_path / "policy.yaml", ["intent"])
    files.open("house", "large-1")
    await asyncio.sleep(0.05)
    await files.stop()
    assert "a tier's thresholds are no longer followed: PermissionError; start the service again" in caplog.text
