import asyncio

import pytest

from sprat_contracts import IntentOutput
from sprat_frontier.errors import ProviderError
from support import frontier_parts as parts

OUTPUT = IntentOutput(label="transfer")
UNAVAILABLE = ProviderError("server_error", "HTTP status 503", retryable=True)


def frontier(script, **changes):
    return parts.FrontierHarness(parts.FakeProvider(script), parts.settings(**changes))


async def test_every_call_has_an_attempt_record_before_and_an_outcome_record_after():
    service = frontier(lambda n: UNAVAILABLE if n < 2 else OUTPUT)
    assert (await service.answer(parts.request())).output == OUTPUT
    assert service.audit.phases == [
        ("attempt", None), ("outcome", "server_error"),
        ("attempt", None), ("outcome", "server_error"),
        ("attempt", None), ("outcome", "answered"),
    ]  # fmt: skip
    records = service.audit.records
    assert [record.call_id for record in records[::2]] == [record.call_id for record in records[1::2]]
    assert len({record.call_id for record in records}) == 3


async def test_the_record_of_a_calls_outcome_says_what_the_breaker_is_then():
    service = frontier(lambda n: UNAVAILABLE if n < 4 else OUTPUT, max_retries=0)
    for number in range(5):
        await service.answer(parts.request(f"text {number}", id=f"t-{number}"))
    assert [(record.phase, record.breaker) for record in service.audit.records[:2]] == [
        ("attempt", None),
        ("outcome", "closed"),
    ]
    states = [record.breaker for record in service.audit.records if record.phase == "outcome"]
    # Three cases fail; the fourth probes twice, because a failed probe is no retry.
    assert states == ["closed", "closed", "open", "open", "closed", "closed"]


async def test_a_call_is_audited_made_stored_and_audited_in_this_order():
    order = []

    async def audit(record):
        order.append(record.phase)

    class Provider(parts.FakeProvider):
        async def ask(self, prepared):
            order.append("call")
            return await super().ask(prepared)

    class Store(parts.MemoryStore):
        async def put(self, key, value):
            order.append("store")

    service = parts.FrontierHarness(Provider(lambda _: OUTPUT))
    service.store, service.audit = Store(), audit
    service.restart()
    assert (await service.answer(parts.request())).output == OUTPUT
    assert order == ["attempt", "call", "store", "outcome"]


async def test_a_retry_after_holds_back_the_calls_of_all_other_escalations():
    limited = ProviderError("rate_limited", "HTTP status 429", retryable=True, retry_after_s=60)
    service = frontier(lambda _: limited, max_retries=0)
    assert (await service.answer(parts.request("one"))).declined.code == "provider"
    async with asyncio.timeout(1):
        other = await service.answer(parts.request("another", deadline_ms=10_000))
    assert (other.declined.code, other.egress.left) == ("deadline", False)
    assert len(service.provider.questions) == 1


async def test_egress_records_have_tenant_provider_and_cost_but_no_text():
    service = frontier(lambda _: OUTPUT)
    await service.answer(parts.request("a very private sentence"))
    attempt, outcome = service.audit.records
    assert (attempt.tenant, attempt.task, attempt.provider, attempt.region) == ("acme", "intent", "simulated", "eu")
    assert (attempt.model, attempt.bytes_out, attempt.usage, attempt.cost_eur) == ("large", 23, None, 0)
    assert (outcome.usage.input_tokens, outcome.cost_eur) == (1000, pytest.approx(0.00206))
    assert attempt.text_hash == parts.keyed_hash("egress-text", "acme", "a very private sentence")
    assert "private" not in attempt.model_dump_json() + outcome.model_dump_json()


async def test_there_is_no_call_after_the_last_retry():
    service = frontier(lambda _: UNAVAILABLE, max_retries=2, breaker={"failures": 100})
    answered = await service.answer(parts.request())
    assert answered.declined.detail == "server_error: HTTP status 503"
    assert len(service.provider.questions) == 3


async def test_an_error_caused_by_the_question_is_not_retried_and_does_not_open_the_breaker():
    service = frontier(lambda _: ProviderError("http_400", "HTTP status 400"))
    for n in range(5):
        assert (await service.answer(parts.request(id=f"t-{n}"))).declined.code == "provider"
    assert len(service.provider.questions) == 5
    assert service.breaker.state == "closed"


async def test_no_call_starts_after_the_deadline():
    slow = ProviderError("rate_limited", "HTTP status 429", retryable=True, retry_after_s=60)
    service = frontier(lambda _: slow)
    async with asyncio.timeout(1):
        answered = await service.answer(parts.request(deadline_ms=10_000))
    assert answered.declined.code == "deadline"
    assert "rate_limited" in answered.declined.detail
    assert len(service.provider.questions) == 1


async def test_calls_in_flight_are_limited_and_a_case_without_a_call_in_time_is_declined():
    busy = frontier(lambda _: OUTPUT, concurrency=2)
    busy.provider.gate.clear()
    tasks = [asyncio.create_task(busy.answer(parts.request(f"text {n}"))) for n in range(5)]
    await busy.provider.wait_for_calls(2)
    urgent = await busy.answer(parts.request("urgent", deadline_ms=30))
    assert urgent.declined.code == "deadline"
    assert not urgent.egress.left
    assert len(busy.provider.questions) == 2
    busy.provider.gate.set()
    assert all(answered.output == OUTPUT for answered in await asyncio.gather(*tasks))


async def test_in_an_outage_one_call_probes_and_cases_with_time_are_answered_at_its_end():
    outage = True
    service = frontier(lambda _: UNAVAILABLE if outage else OUTPUT, concurrency=16)
    waiting = [asyncio.create_task(service.answer(parts.request(f"waiting {n}"))) for n in range(10)]
    await service.provider.wait_for_calls(10)
    assert service.breaker.state == "open"
    before = len(service.provider.questions)
    assert before == 10
    urgent = await service.answer(parts.request("urgent", deadline_ms=10))
    assert urgent.declined.code == "deadline"
    assert not urgent.egress.left
    await service.provider.wait_for_calls(before + 3)
    first, second, third = service.provider.call_times[before : before + 3]
    assert first - service.provider.call_times[2] >= 0.05, "the third failure opens the breaker"
    assert second - first >= 0.1, "a failed probe doubles the pause"
    assert third - second >= 0.1, "up to its limit"
    assert not any(task.done() for task in waiting)
    outage = False
    assert all(answered.output == OUTPUT for answered in await asyncio.gather(*waiting))
    assert service.breaker.state == "closed"
    assert len(service.provider.questions) == before + 3 + 10
    assert service.provider.call_times[before + 3] - third >= 0.1, (
        "one call tries it; the others follow when it has worked"
    )


async def test_probes_during_a_long_outage_do_not_use_up_retries():
    pauses = {"failures": 1, "cooldown_s": 0.005, "max_cooldown_s": 0.005}
    service = frontier(lambda n: UNAVAILABLE if n < 12 else OUTPUT, max_retries=1, breaker=pauses)
    assert (await service.answer(parts.request())).output == OUTPUT
    assert len(service.provider.questions) == 13


async def test_an_audit_that_fails_during_a_probe_does_not_block_the_breaker():
    service = frontier(lambda n: UNAVAILABLE if n < 3 else OUTPUT, max_retries=0)
    for n in range(3):
        await service.answer(parts.request(f"text {n}"))
    assert service.breaker.state == "open"
    service.audit.error = OSError("kafka is unavailable")
    with pytest.raises(OSError, match="kafka"):
        await service.answer(parts.request())
    service.audit.error = None
    assert (await service.answer(parts.request())).output == OUTPUT
