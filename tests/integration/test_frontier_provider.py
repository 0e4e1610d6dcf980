"""One call to a provider, over real HTTP: what is sent, how each response is read, and what is never shown."""

import asyncio
import json
import logging
import socket
import time

import pytest
from opentelemetry.trace import StatusCode

from sprat.telemetry.signals import METRICS
from sprat_frontier.errors import ProviderError
from sprat_frontier.prompts import question_of
from sprat_frontier.provider import OpenAIProvider
from support import frontier_parts as parts
from support.one_response import answering
from support.panics import PanicException

KEY = "sk-very-secret-0123456789"
TEXT = "a very private sentence about Zoë, IBAN DE89370400440532013000"
SECRETS = (KEY, "private", "Zoë", "DE8937")


@pytest.fixture(scope="module")
def simulated():
    with parts.simulator(API_KEY=KEY) as running:
        yield running


@pytest.fixture
def behave(simulated):
    simulated.reset()
    return simulated.reset


@pytest.fixture
async def connect(simulated):
    """Return a function that connects a provider to the simulator or another address."""
    providers = []

    def connect(**changes):
        fields = {"base_url": simulated.base_url, "api_key": KEY, "timeout_s": 5} | changes
        providers.append(OpenAIProvider(parts.settings(**fields)))
        return providers[-1]

    yield connect
    for provider in providers:
        await provider.close()


async def ask(provider, text=TEXT, task="intent", **changes):
    return await provider.ask(provider.prepare(question_of(parts.request(text, task, **changes))))


async def failure(provider, *args, **changes):
    with pytest.raises(ProviderError) as caught:
        await ask(provider, *args, **changes)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    for secret in SECRETS:
        assert secret not in repr(error)
    return error


@pytest.mark.parametrize(
    ("task", "text"),
    [("intent", TEXT), ("ner", "nobody was there"), ("translation", "one\n\ntwo \U0001f600")],
)
async def test_each_task_is_answered_by_a_model_that_says_it_is_simulated(connect, behave, task, text):
    answer = await ask(connect(), text, task)
    assert (answer.model, answer.simulated) == ("simulated-large", True)
    assert answer.usage.input_tokens > 0
    if task == "intent":
        assert answer.output.label in (*parts.LABELS, None)
    if task == "translation":
        assert answer.output.target == "de"


async def test_an_answer_that_came_while_the_loop_was_held_up_is_read_and_not_asked_for_again(
    connect, behave, simulated
):
    behave(latency_ms=100)
    asked = asyncio.create_task(ask(connect(timeout_s=0.8)))
    while not simulated.bodies:
        await asyncio.sleep(0.01)
    time.sleep(1.2)
    assert (await asked).model == "simulated-large"
    assert len(simulated.bodies) == 1


async def test_a_cancelled_call_is_ended(connect, behave, simulated):
    behave(hang_rate=1)
    asked = asyncio.create_task(ask(connect()))
    while not simulated.bodies:
        await asyncio.sleep(0.01)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert {each.get_name() for each in asyncio.all_tasks()} == {asyncio.current_task().get_name()}


async def test_a_simulator_without_gold_declines_and_a_provider_that_refuses_is_no_simulator(connect, behave):
    behave(invent=False)
    error = await failure(connect())
    assert (error.code, error.retryable, error.simulated) == ("no_gold", False, True)
    behave(error_rate=1)
    assert (await failure(connect())).simulated
    message = {"role": "assistant", "content": None, "refusal": "no_gold: or so"}
    body = {"model": "simulated-frontier", "choices": [{"message": message, "finish_reason": "stop"}]}
    async with answering(body) as server:
        error = await failure(connect(base_url=server.url))
    assert (error.code, error.simulated) == ("refused", False)


async def test_the_audited_size_is_the_size_that_left(connect, behave, simulated):
    provider = connect()
    prepared = provider.prepare(question_of(parts.request(TEXT + "\u2028\U0001f600")))
    await provider.ask(prepared)
    (request,) = simulated.call("/requests")["requests"]
    assert request["bytes"] == prepared.bytes_out
    assert json.loads(request["body"]) == prepared.body


def spans_without_secrets(spans, *secrets):
    """Return the spans of HTTP requests, after a look for secrets in all spans."""
    for secret in (*SECRETS, *secrets):
        assert secret not in spans.words
    return spans.named("POST")


@pytest.mark.parametrize(
    ("behaviour", "code", "retryable"),
    [
        ({"error_rate": 1}, "server_error", True),
        ({"error_rate": 1, "error_status": 408}, "http_408", True),
        ({"error_rate": 1, "error_status": 409}, "http_409", True),
        ({"error_rate": 1, "error_status": 400}, "http_400", False),
        ({"error_rate": 1, "error_status": 403}, "unauthorised", False),
        ({"error_rate": 1, "error_status": 404}, "no_such_model", False),
        ({"error_rate": 1, "error_status": 422}, "http_422", False),
        ({"error_rate": 1, "error_status": 307}, "http_307", False),
        ({"hang_rate": 1}, "timeout", True),
        ({"latency_ms": 600}, "timeout", True),
        ({"garbled_rate": 1}, "garbled", True),
        ({"malformed_rate": 1}, "invalid_answer", False),
        ({"off_schema_rate": 1}, "invalid_answer", False),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else None,
)
async def test_each_failure_has_its_code_and_shows_no_secret(
    connect, behave, caplog, spans, behaviour, code, retryable
):
    caplog.set_level(logging.DEBUG)
    behave(**behaviour)
    with spans.record():
        error = await failure(connect(timeout_s=0.3 if code == "timeout" else 10))
    assert (error.code, error.retryable) == (code, retryable)
    assert (error.usage is not None) == (code == "invalid_answer")
    for secret in SECRETS:
        assert secret not in caplog.text
    (http,) = spans_without_secrets(spans)
    status = http.attributes.get("http.response.status_code")
    if code == "timeout":
        assert (status, http.attributes["error.type"]) == (None, "timeout")
    elif "error_status" in behaviour or "error_rate" in behaviour:
        assert (status, http.attributes["error.type"]) == (behaviour.get("error_status", 500), str(status))
    else:
        assert (status, http.status.status_code) == (200, StatusCode.UNSET), "the request itself has worked"


async def test_nothing_of_a_successful_call_is_logged_at_any_level(connect, behave, caplog, monkeypatch):
    monkeypatch.setenv("OPENAI_LOG", "debug")
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="openai")
    await ask(connect())
    for secret in SECRETS:
        assert secret not in caplog.text
    assert not [record for record in caplog.records if record.name.startswith(("openai", "httpx", "httpcore"))]


async def test_the_error_of_a_wrong_key_does_not_show_it(connect, behave):
    wrong = "sk-another-secret"
    error = await failure(connect(api_key=wrong))
    assert (error.code, error.retryable) == ("unauthorised", False)
    assert wrong not in repr(error)


async def test_no_server_at_the_address_is_unreachable(connect, spans):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with spans.record():
        error = await failure(connect(base_url=f"http://127.0.0.1:{port}/v1"))
    assert (error.code, error.sent) == ("unreachable", False)
    (http,) = spans_without_secrets(spans)
    assert http.attributes == {
        "http.request.method": "POST",
        "url.full": f"http://127.0.0.1:{port}/v1/chat/completions",
        "server.address": "127.0.0.1",
        "server.port": port,
        "error.type": "unreachable",
    }


@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_an_error_that_repeats_the_request_and_the_key_reaches_no_span_or_metric(connect, spans, metrics, status):
    body = json.dumps({"error": {"message": f"cannot read {TEXT}", "code": TEXT, "type": f"Bearer {KEY}"}}).encode()
    async with answering(body, status, {"x-request-id": KEY}) as server:
        service = parts.FrontierHarness(
            connect(base_url=server.url), parts.settings(base_url=server.url, max_retries=0)
        )
        with spans.record():
            answered = await service.answer(parts.request(TEXT))
    assert answered.declined.code == "provider"
    assert len(spans_without_secrets(spans, "Zo\\u00eb")) == 1
    assert spans.one("chat large").attributes["error.type"] == service.audit.records[1].outcome
    shown = json.dumps([metrics.series(metric.name) for metric in METRICS])
    assert [secret for secret in (*SECRETS, "Zo\\u00eb") if secret in shown] == []


@pytest.mark.parametrize(
    ("message", "finish", "code", "detail"),
    [
        ({"content": '{"label": "tra'}, "length", "invalid_answer", "cut off"),
        ({"content": None, "refusal": "I will not"}, "stop", "refused", "refused"),
        ({"content": ""}, "content_filter", "refused", "refused"),
        ({"content": None}, "stop", "invalid_answer", "not JSON"),
    ],
)
async def test_unusable_answers_are_billed(connect, message, finish, code, detail):
    usage = {"prompt_tokens": 12, "completion_tokens": 3}
    choices = [{"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish}]
    async with answering({"model": "m", "choices": choices, "usage": usage}) as server:
        error = await failure(connect(base_url=server.url))
    assert (error.code, error.usage.input_tokens, error.usage.output_tokens) == (code, 12, 3)
    assert detail in error.detail
    assert "I will not" not in repr(error)


async def test_a_server_that_counts_no_tokens_gets_an_estimate(connect):
    choices = [{"message": {"content": '{"label": "transfer"}'}}]
    async with answering({"model": "m", "choices": choices}) as server:
        answer = await ask(connect(base_url=server.url))
    assert answer.usage.input_tokens > 100
    assert answer.usage.output_tokens == 6


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"model": "m", "choices": []}', b"\xff\xfe", b'{"a":' * 3000])
async def test_a_success_that_is_not_a_completion_is_garbled(connect, body):
    async with answering(body) as server:
        assert (await failure(connect(base_url=server.url))).code == "garbled"


@pytest.mark.parametrize("error", [PanicException, asyncio.CancelledError])
async def test_an_answer_on_which_a_library_panics_is_garbled(connect, monkeypatch, error):
    def panics(prepared, response):
        raise error

    provider = connect()
    monkeypatch.setattr(provider._api, "read", panics)
    assert (await failure(provider)).code == "garbled"


async def test_a_call_that_is_cancelled_is_no_garbled_answer(connect):
    calling = asyncio.create_task(ask(connect(base_url="http://127.0.0.1:9/v1")))
    await asyncio.sleep(0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling


async def test_a_redirect_is_not_followed(connect, behave, simulated):
    async with answering(b"{}", 307, {"location": f"{simulated.base_url}/chat/completions"}) as server:
        assert (await failure(connect(base_url=server.url))).code == "http_307"
    assert simulated.bodies == []


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (["retry-after: 7"], 7),
        (["retry-after: 0.5"], 0.5),
        (["retry-after-ms: 250", "retry-after: 7"], 0.25),
        (["retry-after: Wed, 01 Jan 2020 00:00:00 GMT"], None),
        (["retry-after: 3600"], 60),
        (["retry-after: nan"], None),
        (["retry-after: -3"], None),
        (["retry-after: soon"], None),
        ([], None),
    ],
    ids=str,
)
async def test_retry_after_is_read_in_all_its_forms(connect, headers, expected):
    async with answering(b"{}", 429, dict(each.split(": ", 1) for each in headers)) as server:
        error = await failure(connect(base_url=server.url))
    assert (error.code, error.retryable, error.retry_after_s) == ("rate_limited", True, expected)


async def test_a_longer_retry_after_than_the_setting_allows_is_cut_and_the_error_says_so(connect):
    async with answering(b"{}", 503, {"retry-after": "3600"}) as server:
        error = await failure(connect(base_url=server.url, breaker={"max_retry_after_s": 5}))
    assert (error.retry_after_s, error.detail) == (5, "HTTP status 503, Retry-After 3600 s, tried again after 5 s")


async def test_openai_variables_of_the_environment_do_not_reach_another_provider(connect, monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-secret")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    seen = []

    async def serve(reader, writer):
        seen.append(await reader.read(65536))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await failure(connect(base_url=f"http://127.0.0.1:{port}/v1", api_key=None))
    assert seen
    for secret in (b"org-secret", b"project-secret", b"sk-of-somebody-else"):
        assert secret not in seen[0]
