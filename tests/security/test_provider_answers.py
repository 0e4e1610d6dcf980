"""What a provider may send back: over real HTTP and TLS, from a server that a test writes."""

import asyncio
import contextlib
import datetime as dt
import gzip
import hashlib
import ipaddress
import json
import re
import ssl
import time
import zlib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sprat.base.errors import UserError
from sprat_frontier.answers import MAX_MENTIONS
from sprat_frontier.bounded_client import MAX_BYTES
from sprat_frontier.errors import ProviderError
from sprat_frontier.prompts import FrontierQuestion
from sprat_frontier.provider import OpenAIProvider
from sprat_policy import Policy, load_policy
from support import frontier_parts as parts

TLS_HOST = "127.0.0.2"
"""An address of this machine for which the client reads `SSL_CERT_FILE`."""


def completion(content, **changes):
    return {
        "model": "large",
        "choices": [{"message": {"content": content}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5},
    } | changes


class Server:
    """Answers every request with the same response, and keeps the headers that it got."""

    def __init__(self):
        self.status, self.headers, self.body, self.requests = 200, {}, b"{}", []
        self.sent = 0
        self.endless = b""

    def answer(self, body, status=200, **headers):
        self.status, self.headers, self.endless = status, headers, b""
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            self.requests.append(head)
            length = int(head.split("content-length: ")[1].split("\r\n")[0])
            await reader.readexactly(length)
            headers = {"content-type": "application/json", "connection": "close"} | self.headers
            if not self.endless:
                headers["content-length"] = str(len(self.body))
            lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
            writer.write(f"HTTP/1.1 {self.status} X\r\n{lines}\r\n".encode() + self.body)
            await writer.drain()
            while self.endless:
                writer.write(self.endless)
                self.sent += len(self.endless)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def serving(host="127.0.0.1", tls=None):
    server = Server()
    listening = await asyncio.start_server(server.serve, host, 0, ssl=tls)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        server.url = f"{'http' if tls is None else 'https'}://{host}:{port}/v1"
        yield server


@contextlib.asynccontextmanager
async def asking(server, **changes):
    provider = OpenAIProvider(parts.settings(base_url=server.url, timeout_s=20, **changes))
    try:
        yield provider
    finally:
        await provider.close()


def question(text="please move 100 euros", task="intent"):
    translation = task == "translation"
    return FrontierQuestion(
        tenant="acme",
        task=task,
        text=text,
        language="en",
        labels=() if translation else parts.LABELS,
        label_set="",
        target="de" if translation else None,
        options="",
    )


async def ask(server, asked=None):
    async with asking(server) as provider:
        return await provider.ask(provider.prepare(asked or question()))


async def failure(server, asked=None):
    with pytest.raises(ProviderError) as raised:
        await ask(server, asked)
    return raised.value


# Size.

LARGE = completion(json.dumps({"label": "transfer"}), padding="x" * (MAX_BYTES + 1))
COMPRESSED = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "identity": lambda body: body,
}


@pytest.mark.parametrize("encoding", COMPRESSED)
async def test_an_answer_is_read_however_it_is_compressed_and_not_beyond_the_limit(encoding):
    async with serving() as server:
        server.answer(
            COMPRESSED[encoding](json.dumps(completion('{"label": "transfer"}')).encode()), content_encoding=encoding
        )
        assert (await ask(server)).output.label == "transfer"
        server.answer(COMPRESSED[encoding](json.dumps(LARGE).encode()), content_encoding=encoding)
        error = await failure(server)
        assert (error.code, error.retryable) == ("too_large", False)
    assert "accept-encoding: identity" in server.requests[0]


def peak_mb():
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


def forget_peak():
    Path("/proc/self/clear_refs").write_text("5")


async def test_what_expands_a_thousandfold_takes_no_memory():
    async with serving() as server:
        packer = zlib.compressobj(wbits=31)
        server.answer(b"".join(packer.compress(bytes(1 << 20)) for _ in range(512)) + packer.flush())
        server.headers = {"content_encoding": "gzip"}
        forget_peak()
        before = peak_mb()
        error = await failure(server)
        grown_mb = peak_mb() - before
    assert error.code == "too_large"
    assert grown_mb < 30


def filled(item, begin=b'{"model":"m","choices":[', end=b"]}"):
    """Return the largest response that is read, full of the item."""
    return begin + b",".join([item] * ((MAX_BYTES - len(begin + end)) // (len(item) + 1))) + end


@pytest.mark.parametrize("item", [b"1", b"{}", b"[]", b'{"":{}}'], ids=["ones", "objects", "lists", "nested"])
async def test_the_worst_responses_fit_a_service_of_384_mb_and_are_not_asked_for_again(item):
    async with serving() as server:
        server.answer(filled(item))
        forget_peak()
        before = peak_mb()
        errors = await asyncio.gather(failure(server), failure(server))
        grown_mb = peak_mb() - before
    assert {(error.code, error.retryable) for error in errors} == {("garbled", False)}
    assert grown_mb < 60


async def test_a_few_choices_are_read_and_many_are_not():
    choice = completion('{"label": "transfer"}')["choices"]
    async with serving() as server:
        server.answer(completion("", choices=choice * 16))
        assert (await ask(server)).output.label == "transfer"
        server.answer(completion("", choices=choice * 17))
        error = await failure(server)
        assert (error.code, error.retryable) == ("garbled", False)
        server.answer(b"<html>a proxy's page</html>")
        error = await failure(server)
        assert (error.code, error.retryable) == ("garbled", True)


async def test_the_worst_content_takes_as_little():
    async with serving() as server:
        # Escaped, no bracket is seen before the content is read.
        begin, end = json.dumps(completion("?")).encode().split(b"?")
        server.answer(filled(b"\\u007b\\u007d", begin + b"[", b"]" + end))
        forget_peak()
        before = peak_mb()
        error = await failure(server, question(task="ner"))
        grown_mb = peak_mb() - before
    assert error.code == "invalid_answer"
    assert grown_mb < 60


async def test_what_follows_a_compressed_answer_is_not_read():
    async with serving() as server:
        server.answer(gzip.compress(json.dumps(completion('{"label": "transfer"}')).encode()))
        server.headers = {"content_encoding": "gzip"}
        server.endless = b"A" * 65_536
        answer = await asyncio.wait_for(ask(server), 15)
    assert answer.output.label == "transfer"
    assert server.sent < 16 * MAX_BYTES


async def test_what_expands_to_nothing_is_not_read_without_end():
    async with serving() as server:
        packer = zlib.compressobj(wbits=31)
        server.answer(packer.compress(b"{}") + packer.flush(zlib.Z_FULL_FLUSH))
        server.headers = {"content_encoding": "gzip"}
        server.endless = b"\x00\x00\x00\xff\xff" * 10_000
        error = await asyncio.wait_for(failure(server), 15)
    assert (error.code, error.retryable) == ("too_large", False)


@pytest.mark.parametrize("status", [200, 500])
async def test_a_response_without_an_end_is_left(status):
    async with serving() as server:
        server.answer(b"", status)
        server.endless = b"x" * 65_536
        error = await asyncio.wait_for(failure(server), 15)
    assert error.code == {200: "too_large", 500: "server_error"}[status]
    assert server.sent < 16 * MAX_BYTES


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(b"no gzip", "gzip"), (gzip.compress(b"{}" * 999)[:-9], "gzip"), (b"{}", "br"), (b"{}", "gzip, gzip")],
    ids=["not compressed", "cut off", "unknown", "twice"],
)
async def test_what_cannot_be_unpacked_is_garbled(body, encoding):
    async with serving() as server:
        server.answer(body, content_encoding=encoding)
        assert (await failure(server)).code == "garbled"


# Counts and names.


@pytest.mark.parametrize(
    ("counted", "capped"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5}, False),
        ({"prompt_tokens": 10**15, "completion_tokens": 5}, True),
        ({"prompt_tokens": 10, "completion_tokens": 10**300}, True),
    ],
    ids=["possible", "prompt", "answer"],
)
async def test_tokens_beyond_what_was_sent_or_allowed_are_capped_and_flagged_in_the_audit(counted, capped, metrics):
    async with serving() as server, asking(server) as provider:
        server.answer(completion('{"label": "transfer"}', usage=counted))
        frontier = parts.FrontierHarness(provider, parts.settings(base_url=server.url))
        answered = await frontier.answer(parts.request())
        prepared = provider.prepare(question())
    attempt, outcome = frontier.audit.records
    assert (attempt.usage_capped, outcome.usage_capped) == (False, capped)
    assert answered.usage == outcome.usage
    assert outcome.usage.input_tokens <= attempt.bytes_out
    assert outcome.usage.output_tokens <= prepared.body["max_tokens"]
    assert (metrics.value("sprat.provider.usage.capped") or 0) == capped


@pytest.mark.parametrize("tokens", ["1" + "0" * 400, "1e308", "-1", "1e999", "NaN", '"many"', "9" * 5000])
async def test_no_count_of_tokens_leaves_a_call_without_an_outcome_and_a_cost(tokens):
    body = json.dumps(completion('{"label": "transfer"}', usage={"prompt_tokens": 8, "completion_tokens": 5}))
    async with serving() as server, asking(server, max_retries=0) as provider:
        server.answer(body.replace("8", tokens).encode())
        frontier = parts.FrontierHarness(provider, parts.settings(base_url=server.url, max_retries=0))
        answered = await frontier.answer(parts.request())
    attempt, outcome = frontier.audit.records
    if len(tokens) > 4300:  # more digits than are read
        assert (answered.declined.code, outcome.outcome) == ("provider", "garbled")
    else:
        assert (answered.output.label, outcome.outcome) == ("transfer", "answered")
        assert 0 < outcome.usage.input_tokens <= attempt.bytes_out


@pytest.mark.parametrize("place", ["_completion", "_usage", "parse"])
async def test_a_defect_in_reading_an_answer_ends_in_an_outcome(place, monkeypatch, caplog):
    def fail(*_):
        raise OverflowError("private")

    monkeypatch.setattr(f"sprat_frontier.chat.{place}", fail)
    async with serving() as server, asking(server) as provider:
        server.answer(completion('{"label": "transfer"}'))
        frontier = parts.FrontierHarness(provider, parts.settings(base_url=server.url))
        answered = await frontier.answer(parts.request())
    assert answered.declined.code == "provider"
    assert frontier.audit.phases == [("attempt", None), ("outcome", "garbled")]
    assert "OverflowError" in caplog.text
    assert "private" not in caplog.text


async def test_an_answer_that_cannot_be_stored_has_an_outcome(monkeypatch):
    async with serving() as server, asking(server) as provider:
        server.answer(completion('{"label": "transfer"}'))
        frontier = parts.FrontierHarness(provider, parts.settings(base_url=server.url))
        monkeypatch.setattr(frontier.store, "put", None)
        with pytest.raises(TypeError):
            await frontier.answer(parts.request())
    assert frontier.audit.phases == [("attempt", None), ("outcome", "answered")]


@pytest.mark.parametrize(
    "name",
    [
        *("evil\x1b[2J", "a\nb", "名", "x" * 200, "<script>"),
        *("anna.schmidt@example.com", "m/DE89370400440532013000", "large-4111111111111111", "+4915112345678"),
        *("0151-12345678", "192.168.17.4", "sk-proj-abcdefghijklmnopqrstuvwx1234567890"),
    ],
)
async def test_what_is_no_models_name_or_holds_a_value_stands_nowhere(name, metrics, spans):
    async with serving() as server, asking(server) as provider:
        server.answer(completion('{"label": "transfer"}', model=name))
        frontier = parts.FrontierHarness(provider, parts.settings(base_url=server.url))
        answered = await frontier.answer(parts.request())
    assert (answered.model.name, answered.model.version) == ("large", "large")
    assert name not in answered.model_dump_json() + spans.words
    assert metrics.value("sprat.provider.model.replaced") == 1


@pytest.mark.parametrize(
    "name", ["gpt-4.1-2025-04-14", "claude-sonnet-4-5-20250929", "@cf/meta/llama-3.1-8b", "qwen2.5:7b-instruct-q4_K_M"]
)
async def test_a_models_name_stands_in_the_answer(name, metrics):
    async with serving() as server, asking(server) as provider:
        server.answer(completion('{"label": "transfer"}', model=name))
        frontier = parts.FrontierHarness(provider, parts.settings(base_url=server.url))
        answered = await frontier.answer(parts.request())
    assert answered.model.name == name
    assert not metrics.value("sprat.provider.model.replaced")


# Time.


async def longest_stop_s(work):
    """Return the result of the work, and the longest time for which the event loop stood still meanwhile."""
    longest = 0.0

    async def tick():
        nonlocal longest
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - began)

    ticking = asyncio.create_task(tick())
    try:
        return await work, longest
    finally:
        ticking.cancel()


def mentions(text, count):
    found = [{"text": text, "label": "transfer"}] + [{"text": "a", "label": "transfer"}] * (count - 1)
    return completion(json.dumps({"entities": found}))


async def test_an_answer_with_too_many_mentions_is_refused():
    text = "a" * 2000
    async with serving() as server:
        server.answer(mentions(text, MAX_MENTIONS))
        answer = await ask(server, question(text, "ner"))
        server.answer(mentions(text, MAX_MENTIONS + 1))
        error = await failure(server, question(text, "ner"))
    assert [entity.end for entity in answer.output.entities] == [2000]
    assert (error.code, error.retryable) == ("invalid_answer", False)


async def test_names_are_looked_up_beside_the_event_loop():
    text = "a" * 2000
    async with serving() as server:
        server.answer(mentions(text, MAX_MENTIONS))
        began = time.perf_counter()
        _, stop_s = await longest_stop_s(ask(server, question(text, "ner")))
        took_s = time.perf_counter() - began
    assert stop_s < max(0.1, took_s / 2)


@pytest.mark.parametrize(
    "text",
    ["a" * 20_000, "a." * 10_000, "a-" * 10_000, "//" * 10_000, "a" + "\u0316\u0301" * 10_000, "a:" * 10_000],
    ids=["word", "host", "hyphens", "slashes", "marks", "schemes"],
)
async def test_no_text_and_no_translation_takes_the_square_of_its_length(text):
    async with serving() as server:
        server.answer(completion(json.dumps({"text": text})))
        began_s = time.process_time()
        assert (await ask(server, question(text, "translation"))).output.text == text
        assert time.process_time() - began_s < 3


async def test_a_translation_far_longer_than_its_text_is_declined():
    async with serving() as server:
        server.answer(completion(json.dumps({"text": "ä" * 10_000})))
        error = await failure(server, question("short", "translation"))
    assert (error.code, error.detail) == ("invalid_answer", "the translation is far longer than the text")


# URLs.

TEXT = "Dear [PERSON_1], see https://bank.example/help and bank.example."


@pytest.mark.parametrize(
    "translated",
    [
        "Liebe [PERSON_1], siehe https://evil.example/?name=[PERSON_1]",
        "Liebe [PERSON_1], siehe https://bank.example/help?name=[PERSON_1] und bank.example.",
        "Liebe ![x](//evil.example/[PERSON_1]), siehe https://bank.example/help",
        "Liebe [PERSON_1](https://evil.example), siehe https://bank.example/help",
        "Liebe [PERSON_1], siehe www.evil.example",
        "Liebe [PERSON_1], siehe evil.example/x",
        "Liebe [PERSON_1], siehe evil.example.",
        "Liebe [PERSON_1], siehe EVIL.EXAMPLE",
        "Liebe [PERSON_1], siehe https://[PERSON_1].evil.example/",
        "Liebe [PERSON_1], siehe mailto:a@evil.example?body=[PERSON_1]",
        "Liebe [PERSON_1], siehe javascript:alert([PERSON_1])",
        "Liebe [PERSON_1], siehe http:/evil.example",
        "Liebe [PERSON_1], siehe evil\u3002example",
        "Liebe [PERSON_1], siehe \uff45vil.example",
        "Liebe [PERSON_1], siehe 192.0.2.1/[PERSON_1]",
    ],
)
async def test_a_translation_with_a_url_that_the_text_does_not_hold_is_declined(translated):
    async with serving() as server:
        server.answer(completion(json.dumps({"text": translated})))
        error = await failure(server, question(TEXT, "translation"))
    assert (error.code, error.detail) == ("invalid_answer", "the translation holds a URL that the text does not hold")


@pytest.mark.parametrize(
    ("text", "translated"),
    [
        (TEXT, "Liebe [PERSON_1], siehe (https://bank.example/help), und bank.example!"),
        (TEXT, "Liebe [PERSON_1], siehe die Hilfe."),
        ("It ends.Then, e.g. at 3.5:1 and/or 12.03.2024", "Es endet.Dann, z.B. bei 3.5:1 und/usw. am 12.03.2024"),
        ("Dr. Who, U.S.A.", "Dr.Who, USA, d.h. u.s.w."),
    ],
)
async def test_a_translation_with_the_urls_of_its_text_and_ordinary_full_stops_is_an_answer(text, translated):
    async with serving() as server:
        server.answer(completion(json.dumps({"text": translated})))
        assert (await ask(server, question(text, "translation"))).output.text == translated


# Who answered.


@pytest.fixture
def authority(tmp_path, monkeypatch):
    """Return the TLS side of a server whose certificate is trusted here, and the certificate's fingerprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(TLS_HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, key_pem = tmp_path / "certificate.pem", tmp_path / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key_pem)
    return context, hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


@pytest.mark.parametrize("status", [200, 400])
async def test_both_records_name_the_host_and_the_outcome_its_certificate(authority, status):
    context, fingerprint = authority
    async with serving(TLS_HOST, context) as server, asking(server) as provider:
        server.answer(completion('{"label": "transfer"}'), status)
        frontier = parts.FrontierHarness(provider, parts.settings(base_url=server.url))
        await frontier.answer(parts.request())
    attempt, outcome = frontier.audit.records
    assert (attempt.host, outcome.host) == (TLS_HOST, TLS_HOST)
    assert (attempt.certificate, outcome.certificate) == (None, fingerprint)
    assert outcome.outcome == {200: "answered", 400: "http_400"}[status]


async def test_without_tls_there_is_no_certificate():
    async with serving() as server, asking(server) as provider:
        server.answer(completion('{"label": "transfer"}'))
        frontier = parts.FrontierHarness(provider, parts.settings(base_url=server.url))
        await frontier.answer(parts.request())
    assert [(each.host, each.certificate) for each in frontier.audit.records] == [("127.0.0.1", None)] * 2


# Where it stands.


def policy(tmp_path, text):
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    return load_policy(file)


def test_a_host_that_the_policy_does_not_list_in_its_region_gets_nothing(tmp_path):
    listed = policy(tmp_path, 'regions: {eu: [api.mistral.ai, VLLM.Internal, 10.0.0.7], local: ["::1"]}\n')
    for region, host in (("eu", "api.mistral.ai"), ("eu", "vllm.internal"), ("eu", "10.0.0.7"), ("local", "::1")):
        assert listed.problem_of_server(host, region) is None
    for region, host in (("local", "api.mistral.ai"), ("us", "api.mistral.ai"), ("eu", "evil.api.mistral.ai")):
        assert f"does not list the host {host} in the region {region}" in listed.problem_of_server(host, region)
    assert Policy.model_validate({"tenants": {}}).problem_of_server("anything", "anywhere") is None


@pytest.mark.parametrize("host", ["https://api.mistral.ai", "api.mistral.ai:443", "*", "", "a b", "api.mistral.ai/v1"])
def test_what_is_no_host_is_an_error_of_the_policy_with_its_place(tmp_path, host):
    with pytest.raises(UserError, match=r"policy.yaml:1:\d+: regions.eu.0: .*not a host name or IP address"):
        policy(tmp_path, f"regions: {{eu: ['{host}']}}\n")
