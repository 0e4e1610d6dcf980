"""The whole way of a case to a provider and back, over real HTTP, against the simulator."""

import asyncio
from collections import Counter

import pytest
from opentelemetry.trace import SpanKind

from sprat_frontier.protocols import SystemClock
from sprat_frontier.provider import OpenAIProvider
from support import frontier_parts as parts
from support.spans import RECORD

TEXT = "a very private sentence about Zoë, IBAN DE89370400440532013000"


@pytest.fixture(scope="module")
def simulated():
    with parts.simulator() as running:
        yield running


@pytest.fixture
def behave(simulated):
    simulated.reset()
    return simulated.reset


@pytest.fixture
async def connect(simulated):
    providers = []

    def connect(timeout_s=5, **changes):
        settings = parts.settings(base_url=simulated.base_url, timeout_s=timeout_s, **changes)
        providers.append(OpenAIProvider(settings))
        return providers[-1]

    yield connect
    for provider in providers:
        await provider.close()


class RealTime(SystemClock):
    """The machine's clock, shifted to the time of the test records."""

    def __init__(self):
        self.offset = parts.NOW_MS - super().now_ms()

    def now_ms(self):
        return super().now_ms() + self.offset


def frontier(provider, **changes):
    return parts.FrontierHarness(provider, parts.settings(**changes), RealTime())


async def test_the_reported_cost_is_what_the_provider_bills(metrics, connect, behave, simulated):
    behave(input_eur=2.0, output_eur=6.0, malformed_rate=0.2, seed=3)
    paid = frontier(connect())
    answers = await asyncio.gather(*(paid.answer(parts.request(f"text {n}")) for n in range(20)))
    assert {answered.declined.code for answered in answers if answered.declined} == {"invalid_answer"}
    billed = simulated.call("/stats")["billed_eur"]
    assert sum(answered.cost_eur for answered in answers) == pytest.approx(billed)
    assert sum(record.cost_eur for record in paid.audit.records) == pytest.approx(billed)
    assert metrics.value("sprat.cost") == pytest.approx(billed)


async def test_the_metrics_of_calls_are_those_of_the_audit_and_of_the_provider(metrics, connect, behave, simulated):
    behave(error_rate=0.3, malformed_rate=0.1, seed=4)
    service = frontier(connect(), max_retries=10, breaker={"failures": 50})
    await asyncio.gather(*(service.answer(parts.request(f"text {n}")) for n in range(20)))
    requests = simulated.call("/requests")["requests"]
    outcomes = Counter(outcome for phase, outcome in service.audit.phases if phase == "outcome")
    assert outcomes["server_error"] > 0
    assert metrics.value("sprat.egress.calls") == len(requests) == outcomes.total()
    assert metrics.value("sprat.egress.size") == sum(request["bytes"] for request in requests)
    assert metrics.count("gen_ai.client.operation.duration") == outcomes.total()
    for code in outcomes.keys() - {"answered"}:
        assert metrics.count("gen_ai.client.operation.duration", error=code) == outcomes[code]
    assert metrics.value("sprat.retries", reason="provider_call") == outcomes["server_error"]
    usages = [record.usage for record in service.audit.records if record.usage]
    used = sum(usage.input_tokens + usage.output_tokens for usage in usages)
    assert metrics.value("gen_ai.client.token.usage") == used


async def test_the_http_request_is_a_span_below_the_call_and_shows_no_text(spans, connect, behave, simulated):
    with spans.record():
        await frontier(connect()).answer(parts.request(TEXT, frontier="redact"))
    http = spans.one("POST")
    address, _, port = simulated.base_url.removeprefix("http://").removesuffix("/v1").partition(":")
    assert http.attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "url.full": f"{simulated.base_url}/chat/completions",
        "server.address": address,
        "server.port": int(port),
    }
    assert (http.kind, spans.parent(http), spans.parent(spans.one("chat large"))) == (
        SpanKind.CLIENT,
        "chat large",
        RECORD,
    )
    call = spans.one("chat large").attributes
    assert call["gen_ai.response.id"].startswith("chatcmpl-")
    assert call["gen_ai.response.finish_reasons"] == ("stop",)
    assert call["gen_ai.request.max_tokens"] > 0
    assert call["gen_ai.request.temperature"] == 0
    for secret in ("private", "Zo", "DE8937"):
        assert secret not in spans.words


async def test_a_retry_after_of_an_hour_ends_with_the_first_probe_that_works(connect, behave, simulated):
    behave(rate_limit_per_s=1 / 3600)
    breaker = {"failures": 3, "cooldown_s": 60, "max_cooldown_s": 60, "max_retry_after_s": 0.3}
    tried = frontier(connect(breaker=breaker), breaker=breaker)
    assert (await tried.answer(parts.request("the first"))).declined is None
    waiting = [asyncio.create_task(tried.answer(parts.request(f"waiting {n}"))) for n in range(5)]
    async with asyncio.timeout(5):
        while simulated.call("/stats")["rate_limited"] < 7:  # five calls at once, then probes
            await asyncio.sleep(0.01)
    assert tried.breaker.state != "closed"
    behave()
    async with asyncio.timeout(2):
        answers = await asyncio.gather(*waiting)
    assert [answered.declined for answered in answers] == [None] * 5
