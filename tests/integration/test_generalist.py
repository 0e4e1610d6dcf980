"""The generalist service as a process: what it answers, what it refuses, and how the frontier's providers read it."""

import asyncio
import json
import math
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from sprat.base.errors import UserError
from sprat.base.settings import load_settings
from sprat_contracts import IntentOutput, TextOutput
from sprat_frontier.chat import ChatApi
from sprat_frontier.generalist import GeneralistApi
from sprat_frontier.prompts import question_of
from sprat_frontier.provider import OpenAIProvider
from sprat_generalist.__main__ import _listener
from sprat_generalist.settings import GeneralistSettings
from sprat_generalist.turns import BusyError, GoneError, Queue
from sprat_policy import TaskFile
from support import frontier_parts as parts
from support.generalist import GeneralistProcess, environment, generalist
from support.tiny_generator import ANSWER, END, write_generator

TABLE = {
    ANSWER: {"transfer": 0.7, "balance": 0.2, "none of these": 0.1, '{"content": "': 0.0001},
    "transfer": {END: 1.0},
    "balance": {END: 1.0},
    "none of these": {END: 1.0},
    '{"content": "': {"hey": 1.0},
    "hey": {"come": 1.0},
    "come": {'"': 1.0},
    '"': {"}": 1.0},
    "}": {END: 1.0},
}
WORDS = ("transfer", "balance", "none of these", '{"content": "', "hey", "come")
SECRET = "Zyxwvutsrq"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generalist") / "says"
    write_generator(folder, *WORDS, table=TABLE)
    return folder


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[GeneralistProcess]:
    with generalist(folder, model="tiny", max_prompt_tokens=2_000) as running:
        yield running


def decision(*options: str, text: str = SECRET, **more: Any) -> dict[str, Any]:
    choices = [{"value": option} for option in options]
    question = {"type": "choice", "name": "intent", "instructions": "Which option?", "choices": choices}
    return {"model": "any", "input": text, "questions": [question | more]}


def chat(text: str = SECRET, *, system: str | None = "Answer.", **more: Any) -> dict[str, Any]:
    messages = [] if system is None else [{"role": "system", "content": system}]
    return {"model": "any", "messages": [*messages, {"role": "user", "content": text}]} | more


def schema(**properties: Any) -> dict[str, Any]:
    inner = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": "text", "schema": inner, "strict": True}}


def test_a_choice_is_answered_by_the_probability_of_each_option(served: GeneralistProcess) -> None:
    status, _, body = served.call("/v1/decisions", decision("transfer", "balance", "none of these"))
    assert status == 200, body
    (answer,) = body["answers"]
    shares = {each["value"]: each["probability"] for each in answer["probabilities"]}
    assert shares == pytest.approx({"transfer": 0.7, "balance": 0.2, "none of these": 0.1}, abs=1e-3)
    assert (answer["choice"], answer["type"], body["model"]) == ("transfer", "choice", "tiny")
    assert math.isclose(sum(shares.values()), 1)
    assert (body["usage"]["output_tokens"], body["usage"]["input_tokens"] > 20) == (0, True)


def test_a_text_is_written_until_its_end(served: GeneralistProcess) -> None:
    status, _, body = served.call("/v1/chat/completions", chat())
    assert status == 200, body
    (choice,) = body["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("transfer", "stop")
    usage = body["usage"]
    assert (usage["completion_tokens"], usage["total_tokens"]) == (2, usage["prompt_tokens"] + 2)
    status, _, body = served.call("/v1/chat/completions", chat(system=None, stop=["nsf"]))
    assert body["choices"][0]["message"]["content"] == "tra"
    _, _, body = served.call("/v1/chat/completions", chat([{"type": "text", "text": "a"}], max_tokens=1))
    assert body["choices"][0]["finish_reason"] == "length"


def test_the_one_text_of_a_schema_is_always_json(served: GeneralistProcess) -> None:
    asked = chat(response_format=schema(content={"type": "string"}), max_tokens=9)
    _, _, body = served.call("/v1/chat/completions", asked)
    assert json.loads(body["choices"][0]["message"]["content"]) == {"content": "heycome"}
    assert body["choices"][0]["finish_reason"] == "stop"
    asked["max_tokens"] = 1
    _, _, body = served.call("/v1/chat/completions", asked)
    assert json.loads(body["choices"][0]["message"]["content"]) == {"content": "hey"}
    assert body["choices"][0]["finish_reason"] == "length"


async def test_the_frontiers_tier_asks_for_a_label_by_a_choice_and_for_a_text_by_a_chat(
    served: GeneralistProcess,
) -> None:
    settings = parts.settings(base_url=served.base_url, timeout_s=20)
    provider = OpenAIProvider(settings, GeneralistApi(ChatApi(0.0, 64)))
    try:
        question = question_of(parts.request(SECRET, labels=("balance", "transfer")))
        answer = await provider.ask(provider.prepare(question))
        writing = TaskFile(kind="text", instruction="Greet.", max_characters=40)
        question = question_of(parts.request(SECRET, "mine", labels=None), writing)
        written = await provider.ask(provider.prepare(question))
        labels = tuple(f"label-{number}" for number in range(255))
        assert provider.problem(question_of(parts.request(SECRET, labels=labels))) is not None
        assert provider.problem(question) is None
    finally:
        await provider.close()
    assert (answer.output, answer.confidence) == (IntentOutput(label="transfer"), pytest.approx(0.7, abs=1e-3))
    assert answer.usage.input_tokens > 20
    assert written.output == TextOutput(content="heycome")


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("decisions", b"{", "the body is not JSON"),
        ("decisions", b"[" * 100_000, "the body is not JSON"),
        ("decisions", [], "valid dictionary"),
        ("decisions", decision("one"), "questions.0.choices"),
        ("decisions", decision("one", "one"), "two options have the same value"),
        ("decisions", decision("one", "two", type="scale"), "questions.0.type"),
        ("decisions", decision(*map(str, range(256))), "questions.0.choices"),
        ("decisions", decision("one", "two") | {"questions": decision("a", "b")["questions"] * 2}, "questions"),
        ("decisions", decision("one", "two", text="x" * 3_000), "SPRAT_GENERALIST__MAX_PROMPT_TOKENS is 2,000"),
        ("decisions", b" " * (5 << 20), "more than 4194304 bytes"),
        ("chat/completions", chat(n=2), "n: "),
        ("chat/completions", chat(stream=True), "stream: "),
        ("chat/completions", {"messages": []}, "messages"),
        ("chat/completions", {"messages": [{"role": "assistant", "content": "x"}]}, "messages.0.role"),
        ("chat/completions", {"messages": [{"role": "system", "content": "x"}]}, "expected one user message"),
        ("chat/completions", chat("x" * 3_000), "MAX_PROMPT_TOKENS"),
    ],
)
def test_what_is_not_done_is_refused_without_a_word_of_it(
    served: GeneralistProcess, path: str, body: Any, message: str
) -> None:
    status, _, answer = served.call(f"/v1/{path}", body)
    assert status == 400
    assert message in answer["error"]["message"]
    assert SECRET not in json.dumps(answer)


def test_probes_metrics_and_the_name_of_the_model(served: GeneralistProcess) -> None:
    assert served.call("/livez")[2] == {"alive": True}
    assert served.call("/readyz")[2]["ready"]
    (model,) = served.call("/v1/models")[2]["data"]
    assert (model["id"], model["owned_by"], len(model["version"])) == ("tiny", "tiny", 16)
    served.call("/v1/decisions", decision("transfer", "balance"))
    served.call("/v1/decisions", b"{")
    page = served.call("/metrics")[2]
    counted = [line for line in page.splitlines() if line.startswith("gen_ai_server_request_duration_seconds_count")]
    assert {'error_type="400"' in line for line in counted} == {True, False}, page
    assert all('gen_ai_request_model="tiny"' in line for line in counted)


def test_no_text_is_logged(served: GeneralistProcess) -> None:
    served.call("/v1/decisions", decision("transfer", "balance"))
    served.call("/v1/decisions", decision(SECRET, ""))
    assert SECRET not in served.log.read_text("utf-8")


def test_without_the_key_nothing_is_answered(folder: Path) -> None:
    with generalist(folder, api_key="sesame") as running:
        for key in (None, "sesam", "sesamee"):
            assert running.call("/v1/decisions", decision("transfer", "balance"), key)[0] == 401
            assert running.call("/v1/models", None, key)[0] == 401
        assert running.call("/v1/decisions", decision("transfer", "balance"), "sesame")[0] == 200
        assert running.call("/livez")[0] == 200


def test_who_leaves_is_not_answered_and_a_stop_is_clean(folder: Path) -> None:
    with generalist(folder, model="tiny") as running:
        address = urlsplit(running.url)
        body = json.dumps(decision("transfer", "balance")).encode()
        with socket.create_connection((address.hostname, address.port)) as caller:
            head = f"POST /v1/decisions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body) + 1}\r\n\r\n"
            caller.sendall(head.encode() + body)
        assert running.call("/v1/decisions", decision("transfer", "balance"))[0] == 200
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 0
        log = running.log.read_text("utf-8")
        assert "stopped" in log.splitlines()[-1]
        assert "Traceback" not in log


def test_a_wrong_artefact_is_named_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sprat_generalist"]
    ended = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert f"SPRAT_GENERALIST__ARTEFACT: {tmp_path}/card.json: not found" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_a_wrong_setting_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(folder, threads=0, api_key="").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="SPRAT_GENERALIST__THREADS: Input should be greater"):
        load_settings(GeneralistSettings)
    monkeypatch.setenv("SPRAT_GENERALIST__THREADS", "1")
    monkeypatch.setenv("SPRAT_GENERALIST__HOST", "192.0.2.1")
    settings = load_settings(GeneralistSettings)
    assert settings.generalist.api_key is None
    with pytest.raises(UserError, match=r"SPRAT_GENERALIST__PORT: 0 on 192\.0\.2\.1 cannot be taken"):
        _listener(settings.generalist)


async def test_the_queue_has_a_limit_and_whoever_leaves_makes_room() -> None:
    queue, never = Queue(2), asyncio.Event()
    given_up: list[bool] = []

    def slow(is_cancelled) -> str:
        deadline = time.monotonic() + 10
        while not is_cancelled() and time.monotonic() < deadline:
            time.sleep(0.01)
        given_up.append(is_cancelled())
        return "late"

    leaves = asyncio.Event()
    first = asyncio.create_task(queue.answer(slow, leaves.wait))
    second = asyncio.create_task(queue.answer(lambda _: "done", never.wait))
    await asyncio.sleep(0.05)
    with pytest.raises(BusyError) as refused:
        await queue.answer(lambda _: "no", never.wait)
    assert refused.value.retry_after_s >= 1
    leaves.set()
    with pytest.raises(GoneError):
        await first
    assert await second == "done"
    assert given_up == [True]
    assert await queue.answer(lambda _: "again", never.wait) == "again"
    with pytest.raises(ZeroDivisionError):
        await queue.answer(lambda _: 1 / 0, never.wait)
    queue.close()
