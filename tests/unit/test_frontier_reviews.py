"""A tier reviews kept answers: asked as for any call, it answers with the draw's token; `deny` goes to none."""

import json

import pytest

from sprat.processing.handler import Outcome
from sprat_contracts import FeedbackGiven, IntentOutput, Prediction, ReviewAsked, ReviewCell, Topics, Usage, ids
from sprat_contracts.reviews import PEOPLE
from sprat_frontier.breaker import ProviderBreaker
from sprat_frontier.call_limiter import CallLimiter
from sprat_frontier.errors import ProviderError
from sprat_frontier.observed_provider import ObservedProvider
from sprat_frontier.protocols import ProviderAnswer
from sprat_frontier.tiers import Tier, Tiers
from sprat_policy import Policy, TierPolicy
from support import audit_log
from support import frontier_parts as parts

POLICY = Policy.model_validate(
    {
        "tenants": {
            "acme": {"frontier": "allow", "regions": ["eu"], "deadline_ms": 1_000},
            "masked": {"frontier": "redact", "regions": ["eu"]},
            "closed": {"frontier": "deny"},
            "abroad": {"frontier": "allow", "regions": ["us"]},
            "limited": {"frontier": "allow", "regions": ["eu"], "max_escalations_per_min": 1},
        }
    }
)
USAGE = Usage(input_tokens=1000, output_tokens=10)
UNSURE = ProviderAnswer(IntentOutput(label="balance"), "large-1", USAGE, confidence=0.2)


def tier(name, result, *, inside=False, **rules):
    limits = parts.settings(provider=name)
    provider = parts.FakeProvider(lambda _: result, name)
    limiter = CallLimiter(limits, ProviderBreaker(limits.breaker, name), jitter=lambda: 0.0)
    observed = ObservedProvider(provider, limits, name)
    return Tier(name, limits, observed, limiter, TierPolicy(preset="frontier", **rules), inside)


def asked(text="please move 100 euros", by="large", task="intent", **changes):
    request = parts.request(text, task, **changes)
    output = {"label": "transfer"} if task == "intent" else {"text": "x", "target": "de"}
    kept = request.prediction.model_dump(mode="json") | {"output": output, "confidence": 0.98, "declined": None}
    return ReviewAsked(
        prediction=Prediction.model_validate_json(json.dumps(kept)),
        cell=ReviewCell(tenant="default", language="en"),
        hash="0" * 16,
        share=0.01,
        least_share=0.01,
        by=by,
        labels=request.labels,
        label_set=request.label_set,
        token="a" * 64,
    )


def received(message):
    record = parts.received(message)
    return type(record)(message, record.envelope, Topics().reviews, 0, 3, parts.NOW_MS, b"intent")


def frontier(*tiers, **changes):
    chosen = tiers or (tier("small", UNSURE), tier("large", IntentOutput(label="balance")))
    return parts.FrontierHarness(policies=POLICY, tiers=Tiers(chosen), **changes)


async def test_the_tier_of_the_draw_is_asked_alone_and_answers_with_its_token(metrics):
    small, large = tier("small", UNSURE), tier("large", IntentOutput(label="balance"))
    service = frontier(small, large)
    assert service.handler.message_type(Topics().reviews) is ReviewAsked
    outcome = await service.handler.handle(received(asked(age_ms=60_000)))
    (emit,) = outcome.events
    assert (emit.topic, emit.key) == ("sprat.feedback.v1", b"t-1")
    assert emit.id == str(ids.derive(ids.REVIEW_ANSWER, "/test", "t-1", "intent"))
    assert emit.message == FeedbackGiven(
        text_id="t-1",
        text_source="/test",
        task="intent",
        output=IntentOutput(label="balance"),
        by="tier:large",
        of="review",
        token="a" * 64,
    )
    assert [len(each.provider._provider.questions) for each in (small, large)] == [0, 1]
    assert service.audit.phases == [("attempt", None), ("outcome", "answered")]
    assert {each.purpose for each in service.audit.records} == {"review"}
    assert metrics.value("sprat.escalations") is None, "nothing was escalated"
    again = await service.handler.handle(received(asked()))
    assert again.events == outcome.events
    assert len(large.provider._provider.questions) == 1, "a redelivered draw finds the answer that was paid for"


async def test_an_unsure_answer_is_its_answer_all_the_same():
    outcome = await frontier(tier("large", UNSURE, keep_at=0.9)).handler.handle(received(asked()))
    assert outcome.events[0].message.output == IntentOutput(label="balance")


async def test_what_leaves_is_masked_as_for_any_call():
    large = tier("large", IntentOutput(label="balance"))
    await frontier(large).handler.handle(received(asked("Zoë Ångström needs money", tenant="masked", frontier="allow")))
    (question,) = large.provider._provider.questions
    assert question.text == "[PERSON_1] needs money"


@pytest.mark.parametrize(
    ("changes", "inside"),
    [
        ({"frontier": "deny"}, False),
        ({"frontier": "deny"}, True),
        ({"tenant": "closed"}, True),
        ({"tenant": "abroad"}, False),
        ({"by": "nobody"}, False),
        ({"task": "translation"}, True),
        ({"frontier": "redact", "language": "fi"}, False),
    ],
    ids=[
        "the text denies",
        "it denies also what is inside",
        "the tenant denies",
        "another region",
        "no such tier",
        "not comparable",
        "not masked",
    ],
)
async def test_what_may_not_be_asked_gets_no_answer_and_nothing_leaves(changes, inside):
    large = tier("large", IntentOutput(label="balance"), inside=inside)
    service = frontier(large)
    assert await service.handler.handle(received(asked(**changes))) == Outcome()
    assert (large.provider._provider.questions, service.audit.records) == ([], [])


async def test_the_quota_is_that_of_any_call_and_a_failed_call_gives_no_answer():
    service = frontier()
    assert (await service.handler.handle(received(asked("one", tenant="limited")))).events
    assert await service.handler.handle(received(asked("two", tenant="limited", id="t-2"))) == Outcome()
    refused = frontier(tier("large", ProviderError("refused", "the model refused to answer")))
    assert await refused.handler.handle(received(asked())) == Outcome()


def test_a_draw_for_people_is_not_asked_of_any_tier():
    handler = frontier().handler
    assert handler.skip_reason(received(asked(by=PEOPLE))) == "not_asked"
    assert handler.skip_reason(received(asked())) is None
    assert handler.failed(received(asked())) == Outcome()


async def test_without_tiers_in_the_policy_the_one_of_the_settings_is_called_frontier():
    service = parts.FrontierHarness()
    (emit,) = (await service.handler.handle(received(asked(by="frontier")))).events
    assert emit.message.by == "tier:frontier"


async def test_an_auditor_finds_the_call_of_a_review_and_misses_no_answer():
    log, service = audit_log.Log(), frontier()
    service.audit = writer = audit_log.audit(log)
    service.restart()
    await writer.checkpoint()
    await service.handler.handle(received(asked()))
    await writer.checkpoint()
    proof = audit_log.verified(log)
    assert (proof.findings, proof.counts["answers_that_left"]) == ([], 0)
    assert [audit_log.message(each).purpose for each in log.records] == ["review", "review"]
