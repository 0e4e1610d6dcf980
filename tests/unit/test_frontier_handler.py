import asyncio
import base64
from dataclasses import replace

import pytest

from sprat.base.errors import Rejected, Retryable
from sprat.processing.handler import Outcome
from sprat_contracts import (
    Egress,
    FrontierAnswered,
    FrontierRequested,
    IntentOutput,
    LanguageDetected,
    TextWarning,
    ids,
)
from sprat_frontier.errors import ProviderError
from sprat_frontier.escalation import CaseReader
from sprat_policy import Policy, TenantGuard
from support import frontier_parts as parts

OUTPUT = IntentOutput(label="transfer")


@pytest.fixture
def frontier():
    return parts.FrontierHarness()


async def test_an_answer_has_model_tokens_cost_and_egress(frontier):
    answered = await frontier.answer(parts.request())
    assert answered.output == OUTPUT
    assert (answered.model.name, answered.model.version) == ("simulated-large", "simulated-large")
    assert answered.usage.input_tokens == 1000
    assert answered.cost_eur == pytest.approx(0.00206)
    (call_id,) = {record.call_id for record in frontier.audit.records}
    assert answered.egress == Egress(left=True, masked={}, provider="simulated", region="eu", call_id=call_id)
    assert (answered.cached, answered.declined) == (False, None)
    assert set(answered.timings_ms) == {"frontier", "frontier_call"}


async def test_an_answer_of_a_simulator_says_so_also_when_it_is_stored(frontier):
    ask, simulates = frontier.provider.ask, True

    async def simulated(prepared):
        return replace(await ask(prepared), simulated=simulates)

    frontier.provider.ask = simulated
    assert (await frontier.answer(parts.request())).egress.simulated
    simulates = False
    again = await frontier.answer(parts.request(id="t-2"))
    assert (again.cached, again.egress.simulated) == (True, True)
    assert not (await frontier.answer(parts.request("another text"))).egress.simulated


async def test_the_event_has_derived_id_topic_and_tenant(frontier):
    (emit,) = (await frontier.handler.handle(parts.received(parts.request()))).events
    assert emit.topic == "sprat.frontier.answers.v1"
    assert emit.id == str(ids.derive(ids.ANSWER, "/test", "t-1", "intent"))
    assert emit.extensions == {"tenant": "acme"}


@pytest.mark.parametrize(
    ("key", "expected"),
    [(None, b"t-1"), (base64.b64encode(b"\xff\x00key").decode(), b"\xff\x00key"), ("", b""), ("no base64!", b"t-1")],
)
async def test_the_record_has_the_upstreams_key_or_the_texts_id(frontier, key, expected):
    (emit,) = (await frontier.handler.handle(parts.received(parts.request(key=key)))).events
    assert emit.key == expected


@pytest.mark.parametrize(
    ("changes", "code", "detail"),
    [
        ({"age_ms": 20_000}, "deadline", " s after the text, and its deadline was after "),
        ({"age_ms": 500, "deadline_ms": 500}, "deadline", " s after the text, and its deadline was after "),
        (
            {"age_ms": 500, "deadline_ms": 500, "frontier": "deny"},
            "deadline",
            " s after the text, and its deadline was after ",
        ),
        ({"frontier": "deny"}, "policy", "the text says frontier: deny"),
        ({"frontier": "whatever"}, "policy", "the text says frontier: deny"),
        ({"tenant": "nobody"}, "policy", 'the policy has no entry for the tenant nobody, nor "*" for all others'),
        ({"tenant": "abroad"}, "policy", "region eu"),
        ({"tenant": "abroad", "frontier": "redact"}, "policy", "region eu"),
        ({"frontier": "redact", "language": "fi"}, "masking", "no detector of names covers"),
        ({"tenant": "masked", "language": "fi"}, "masking", "no detector of names covers"),
        ({"tenant": "abroad", "frontier": "redact", "language": "fi"}, "policy", "region eu"),
        ({"language": "deutsch"}, "language", "the text's language is no known language; send a tag such as de"),
        ({"language": "xx"}, "language", "no known language"),
        ({"language": "deutsch", "frontier": "redact"}, "language", "no known language"),
        ({"labels": None}, "no_labels", "announced"),
        ({"labels": ()}, "no_labels", "announced"),
        ({"labels": None, "frontier": "redact"}, "no_labels", "announced"),
    ],
)
async def test_a_case_that_may_not_or_cannot_be_asked_is_declined_and_nothing_leaves(
    metrics, frontier, changes, code, detail
):
    answered = await frontier.answer(parts.request(**changes))
    assert answered.declined.code == code
    assert detail in answered.declined.detail
    assert (answered.egress, answered.sent) == (Egress(left=False, masked={}), None)
    assert (answered.output, answered.cost_eur, answered.usage) == (None, 0, None)
    assert not frontier.provider.questions
    assert not frontier.audit.records
    assert metrics.value("sprat.escalations", result="declined", reason=code, tenant=changes.get("tenant", "acme")) == 1
    assert metrics.value("sprat.escalations") == 1


MISSPELT = TextWarning(code="unknown_value", detail="frontier: none of allow, redact and deny; counts as deny")


@pytest.mark.parametrize(
    ("tenants", "rule", "warnings", "detail"),
    [
        ({"acme": "allow"}, "deny", (), "the text says frontier: deny"),
        ({"acme": "allow"}, "deny", (MISSPELT,),
         "the text's frontier is none of allow, redact and deny, and counts as deny"),
        ({"acme": "deny"}, "allow", (), "the policy lets nothing of the tenant acme leave"),
        ({"acme": "deny"}, "deny", (),
         "the text says frontier: deny; the policy lets nothing of the tenant acme leave"),
        ({"*": "deny"}, "allow", (), 'the policy lets nothing of the tenant acme leave, by its entry "*"'),
        ({"masked": "redact"}, "allow", (), 'the policy has no entry for the tenant acme, nor "*" for all others'),
    ],
)  # fmt: skip
async def test_it_is_said_whether_the_text_or_the_policy_lets_nothing_leave(tenants, rule, warnings, detail):
    policy = Policy.model_validate(
        {"tenants": {name: {"frontier": each, "regions": ["eu"]} for name, each in tenants.items()}}
    )
    request = parts.request(frontier=rule)
    request = request.model_copy(update={"prediction": request.prediction.model_copy(update={"warnings": warnings})})
    answered = await parts.FrontierHarness(policies=policy).answer(request)
    assert (answered.declined.code, answered.declined.detail) == ("policy", detail)


@pytest.mark.parametrize("known", [None, {"language": "de", "confidence": 0.9}])
async def test_with_auto_the_question_is_in_the_detected_language(frontier, known):
    request = parts.request("Waar blijft mijn bestelling?", language="auto")
    detected = known and LanguageDetected(**known)
    request = request.model_copy(
        update={"prediction": request.prediction.model_copy(update={"language_detected": detected})}
    )
    answered = await frontier.answer(request)
    language = "de" if known else "nl"
    assert [question.language for question in frontier.provider.questions] == [language]
    made = answered.request.prediction
    assert (made.submitted.language, made.language_detected.language) == ("auto", language)


@pytest.mark.parametrize(("default", "language"), [("de", "de"), ("auto", "en")])
async def test_where_no_language_is_sure_enough_the_question_is_in_the_default(default, language):
    frontier = parts.FrontierHarness(default_language=default)
    answered = await frontier.answer(parts.request("ok 17", language="auto"))
    assert [question.language for question in frontier.provider.questions] == [language]
    assert answered.request.prediction.language_detected.language == language


async def test_with_auto_the_names_of_a_language_without_detector_stay(frontier):
    request = parts.request("Missä tilaukseni on? Sen piti tulla maanantaina.", language="auto", frontier="redact")
    answered = await frontier.answer(request)
    assert answered.declined.code == "masking"
    assert "no detector of names covers" in answered.declined.detail
    assert answered.request.prediction.language_detected.language == "fi"
    assert not frontier.provider.questions


async def test_an_unknown_task_is_declined(frontier):
    known = parts.request()
    unknown = known.model_copy(update={"prediction": known.prediction.model_copy(update={"task": "summary"})})
    assert (await frontier.answer(unknown)).declined.code == "task"


async def test_a_translation_without_target_is_declined(frontier):
    known = parts.request()
    odd = known.model_copy(update={"prediction": known.prediction.model_copy(update={"task": "translation"})})
    assert (await frontier.answer(odd)).declined.code == "target"


async def test_the_deadline_of_the_text_precedes_that_of_the_tenant(frontier):
    assert (await frontier.answer(parts.request(age_ms=25_000, deadline_ms=30_000))).output == OUTPUT


async def test_a_deadline_during_the_call_declines_and_the_late_answer_is_stored(frontier):
    frontier.provider.gate.clear()
    late = await frontier.answer(parts.request(deadline_ms=30))
    assert late.declined.code == "deadline"
    assert (late.egress.left, late.sent) == (True, "please move 100 euros")
    frontier.provider.gate.set()
    await frontier.calls.drain(1)
    answered = await frontier.answer(parts.request(id="t-2"))
    assert (answered.output, answered.cached) == (OUTPUT, True)
    assert frontier.audit.phases == [("attempt", None), ("outcome", "answered")]


async def test_a_waiter_with_more_time_asks_again_when_the_callers_deadline_passes():
    away = ProviderError("server_error", "HTTP status 500", retryable=True)
    frontier = parts.FrontierHarness(parts.FakeProvider(lambda n: away if n == 0 else OUTPUT))
    frontier.limiter._settings = parts.settings(retry_base_s=0.1, retry_cap_s=0.1)
    hasty = asyncio.create_task(frontier.answer(parts.request(deadline_ms=30)))
    await asyncio.sleep(0)
    patient = asyncio.create_task(frontier.answer(parts.request(id="t-2")))
    assert (await hasty).declined.code == "deadline"
    assert (await patient).output == OUTPUT
    assert not (await patient).cached


@pytest.mark.parametrize(
    ("error", "code", "detail"),
    [
        (ProviderError("unauthorised", "HTTP status 401"), "provider", "unauthorised: HTTP status 401"),
        (ProviderError("timeout", "no answer within 1 s", retryable=True), "provider", "timeout"),
        (ProviderError("invalid_answer", "it is not JSON"), "invalid_answer", "it is not JSON"),
        (ProviderError("refused", "the model refused to answer"), "refused", "refused"),
        (ProviderError("no_gold", "no answer to this text", simulated=True), "no_gold", "no answer to this text"),
    ],
)
async def test_a_failing_provider_ends_in_a_declined_answer(error, code, detail):
    frontier = parts.FrontierHarness(parts.FakeProvider(lambda _: error), parts.settings(max_retries=0))
    answered = await frontier.answer(parts.request())
    assert answered.declined.code == code
    assert detail in answered.declined.detail
    assert (answered.egress.left, answered.egress.simulated) == (True, error.simulated)
    assert answered.sent == "please move 100 euros"
    assert not frontier.store.values


async def test_an_unusable_answer_is_billed_to_the_case_that_asked():
    usage = {"input_tokens": 1_000_000, "output_tokens": 0}
    billed = ProviderError("invalid_answer", "it is not JSON", usage=parts.Usage(**usage))
    frontier = parts.FrontierHarness(parts.FakeProvider(lambda _: billed))
    frontier.provider.gate.clear()
    tasks = [asyncio.create_task(frontier.answer(parts.request(id=f"t-{n}"))) for n in range(3)]
    await frontier.provider.wait_for_calls(1)
    frontier.provider.gate.set()
    assert [answered.cost_eur for answered in await asyncio.gather(*tasks)] == [2.0, 0, 0]
    assert [record.cost_eur for record in frontier.audit.records] == [0, 2.0]


async def test_nothing_leaves_while_the_audit_is_unavailable(frontier):
    frontier.audit.error = Retryable("kafka is unavailable")
    with pytest.raises(Retryable):
        await frontier.answer(parts.request())
    assert not frontier.provider.questions
    frontier.audit.error = None
    assert (await frontier.answer(parts.request())).output == OUTPUT


async def test_an_answer_is_stored_even_if_its_outcome_record_fails(frontier):
    frontier.provider.gate.clear()
    task = asyncio.create_task(frontier.answer(parts.request()))
    await frontier.provider.wait_for_calls(1)
    frontier.audit.error = Retryable("kafka is unavailable")
    frontier.provider.gate.set()
    with pytest.raises(Retryable):
        await task
    assert (await frontier.answer(parts.request())).output == OUTPUT
    assert len(frontier.provider.questions) == 1


async def test_a_stop_cancels_calls_that_take_too_long_and_audits_them(frontier):
    frontier.provider.gate.clear()
    task = asyncio.create_task(frontier.answer(parts.request()))
    await frontier.provider.wait_for_calls(1)
    await frontier.calls.drain(0.01)
    with pytest.raises(Retryable):
        await task
    assert frontier.audit.phases == [("attempt", None), ("outcome", "cancelled")]


async def test_a_cancelled_case_does_not_cancel_a_shared_call(frontier):
    frontier.provider.gate.clear()
    first = asyncio.create_task(frontier.answer(parts.request(id="t-1")))
    await frontier.provider.wait_for_calls(1)
    second = asyncio.create_task(frontier.answer(parts.request(id="t-2")))
    await asyncio.sleep(0)  # one turn of the event loop: it joins the call
    first.cancel()
    frontier.provider.gate.set()
    assert (await second).output == OUTPUT


async def test_an_answer_that_is_too_large_loses_the_text_that_left_first(frontier):
    record = parts.received(parts.request())
    (emit,) = (await frontier.handler.handle(record)).events
    outcome = frontier.handler.oversized(record, emit)
    assert outcome == Outcome((replace(emit, message=emit.message.without_sent()),))
    assert (outcome.events[0].message.output, outcome.events[0].message.sent) == (OUTPUT, None)


async def test_an_oversized_answer_becomes_a_small_declined_one_and_a_dead_letter(frontier):
    record = parts.received(parts.request(more="x" * 2_100_000))
    (emit,) = (await frontier.handler.handle(record)).events
    outcome = frontier.handler.oversized(record, emit)
    (smaller,) = outcome.events
    assert isinstance(smaller.message, FrontierAnswered)
    assert (smaller.message.output, smaller.message.declined.code) == (None, "too_large")
    assert smaller.message.sent is None
    assert (smaller.id, smaller.key, smaller.message.cost_eur) == (emit.id, emit.key, emit.message.cost_eur)
    assert outcome.rejected.code == "too_large"


async def test_an_invalid_request_becomes_a_dead_letter(frontier):
    rejected = Rejected("invalid_json", "the value is not JSON")
    assert frontier.handler.message_type("sprat.frontier.requests.v1") is FrontierRequested
    assert frontier.handler.malformed(rejected, "sprat.frontier.requests.v1") == Outcome(rejected=rejected)
    assert frontier.handler.malformed(rejected, "sprat.reviews.v1") == Outcome(skipped="malformed")


@pytest.mark.parametrize(("replay_for", "reason"), [(None, None), ("frontier", None), ("router", "replay")])
async def test_a_replay_for_another_service_is_skipped(frontier, replay_for, reason):
    record = parts.received(parts.request())
    record = replace(record, envelope=replace(record.envelope, replay_for=replay_for))
    assert frontier.handler.skip_reason(record) == reason


async def test_unknown_fields_of_the_text_survive(frontier):
    answered = await frontier.answer(parts.request(extra_field={"a": [1]}))
    assert answered.request.prediction.submitted.model_extra == {"extra_field": {"a": [1]}}


@pytest.mark.parametrize(("tenant", "code"), [("acme", "foreign_source"), ("signs", "bad_signature")])
def test_a_request_for_a_text_that_is_not_its_tenants_is_dropped_at_once(frontier, tenant, code):
    rules = {"tenants": {"acme": {"sources": ["/crm/*"]}, "signs": {"signing_keys": ["${KEY}"]}, "nordic": {}}}
    frontier.guard = TenantGuard(Policy.model_validate(rules), {})
    frontier.restart()
    assert frontier.handler.skip_reason(parts.received(parts.request(tenant=tenant))) == code
    assert frontier.handler.skip_reason(parts.received(parts.request(tenant="nordic"))) is None


@pytest.mark.parametrize(
    ("asked_ms", "max_wait_s", "left_s"),
    [
        pytest.param(None, 3600, 19, id="as its tenant says"),
        pytest.param(86_400_000, 3600, 3600, id="no text waits longer than the service lets it"),
        pytest.param(86_400_000, 10, 10, id="however short that is"),
        pytest.param(5_000, 3600, 4, id="a text may wait for less"),
    ],
)
def test_a_case_waits_as_long_as_its_text_and_the_service_let_it(asked_ms, max_wait_s, left_s):
    changes = {} if asked_ms is None else {"deadline_ms": asked_ms}
    request = parts.request(age_ms=1_000, **changes)
    case = CaseReader(parts.POLICY, parts.FakeClock(), max_wait_s).read(request)
    assert case.deadline.remaining_s() == left_s
