"""A service as a process: how it ends on SIGTERM, and what it says when it cannot start."""

import asyncio
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from conftest import Kafka
from sprat.audit.keys import SigningKey
from sprat_contracts import Topics
from sprat_local.processes.ports import free_port
from sprat_operations.topics import list_topics
from support.stream import SECRET, eventually, made_topics, publish, read_until, settings_for


def text(body: str) -> bytes:
    return json.dumps({"text": body, "tasks": {"intent": {}}}).encode()


def service_environment(kafka: Kafka, prefix: str) -> dict[str, str]:
    return os.environ | {
        "SPRAT_KAFKA__BOOTSTRAP": kafka.bootstrap,
        "SPRAT_KAFKA__PREFIX": prefix,
        "SPRAT_REDIS__URL": "redis://127.0.0.1:1/0",
        "SPRAT_SECRET": SECRET,
        "SPRAT_HEALTH_PORT": "0",
        "SPRAT_POLICY": str(Path(__file__).parents[2] / "compose" / "policy.yaml"),
    }


async def test_sigterm_drains_and_exits_with_0_and_no_text_is_in_the_log(kafka: Kafka, prefix: str) -> None:
    topics = await made_topics(settings_for(kafka.bootstrap, prefix))
    port = free_port()
    environment = service_environment(kafka, prefix) | {"SPRAT_HEALTH_PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "-m", "sprat_intent"], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        await eventually(lambda: ready(port))
        await publish(kafka.bootstrap, topics.texts, [text("hello, my name is Zyxwvut")] * 20 + [b'{"text": "Zyxwvut'])
        await read_until(kafka.bootstrap, [topics.predictions("intent")], 1)
        process.send_signal(signal.SIGTERM)
        _, log = await asyncio.to_thread(process.communicate, timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    lines = [json.loads(line) for line in log.splitlines()]
    assert {line["service"] for line in lines} == {"intent"}
    assert "Zyxwvut" not in log
    assert SECRET not in log


async def ready(port: int) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"http://127.0.0.1:{port}/readyz")).is_success
        except httpx.TransportError:
            return False


async def test_a_service_waits_for_its_topics_and_serves_as_soon_as_they_are_there(
    kafka: Kafka, prefix: str, tmp_path: Path
) -> None:
    port, log = free_port(), tmp_path / "log"
    environment = service_environment(kafka, prefix) | {"SPRAT_HEALTH_PORT": str(port)}
    with log.open("w") as file:
        process = subprocess.Popen([sys.executable, "-m", "sprat_intent"], env=environment, stderr=file)
    try:
        await eventually(lambda: "does not exist" in log.read_text())
        await asyncio.sleep(1)
        assert process.poll() is None
        topics = await made_topics(settings_for(kafka.bootstrap, prefix))
        await eventually(lambda: ready(port))
        await publish(kafka.bootstrap, topics.texts, [text("block my card")])
        await read_until(kafka.bootstrap, [topics.predictions("intent")], 1)
    finally:
        process.kill()
        process.wait()
    waiting = [line for line in log.read_text().splitlines() if "does not exist" in line]
    assert len(waiting) == 1, "one line a minute"
    assert f"topic {prefix}.models.v1 does not exist: run `sprat topics create`" in waiting[0]


@pytest.mark.parametrize(("service", "topic"), [("router", "models"), ("frontier", "frontier.requests")])
def test_a_service_gives_up_waiting_for_its_topics_and_makes_none(
    kafka: Kafka, prefix: str, service: str, topic: str
) -> None:
    environment = service_environment(kafka, prefix) | {"SPRAT_KAFKA__GIVE_UP_S": "1"}
    environment["SPRAT_FRONTIER__API_KEY"] = "none"
    environment["SPRAT_AUDIT__KEY"] = SigningKey.generate().der_base64
    environment["SPRAT_FRONTIER__PRICES"] = '{"mistral-medium-latest": {"input_eur": 0, "output_eur": 0}}'
    done = subprocess.run(
        [sys.executable, "-m", f"sprat_{service}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    last = json.loads(done.stderr.splitlines()[-1])["message"]
    assert last.startswith("stopping: no success for 1 s; last failure: ")
    assert f"topic {prefix}.{topic}.v1 does not exist: run `sprat topics create`" in last
    states = asyncio.run(list_topics({"bootstrap_servers": kafka.bootstrap}, Topics(prefix, 2)))
    assert {state.status for state in states} == {"missing"}


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return what runs a service's module here, with these variables of its own, up to where it would start.

    Return its exit code and what it wrote. In a process of its own, the imports would take two seconds.
    """

    def run(module: str, *arguments: str, **variables: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [module, *arguments])
        for name in [name for name in os.environ if name.startswith("SPRAT_")]:
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delitem(sys.modules, f"{module}.__main__", raising=False)
        with pytest.raises(SystemExit) as ended:
            runpy.run_module(module, run_name="__main__")
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return ended.value.code, said.out, said.err

    return run


@pytest.mark.parametrize("module", ["sprat_router", "sprat_language_id"])
def test_help_says_where_the_settings_are_and_starts_nothing(main: Callable, module: str) -> None:
    code, said, _ = main(module, "--help")
    assert code == 0
    assert said.startswith(f"python -m {module}: it has no options. Its settings are SPRAT_… variables")


def test_a_missing_setting_is_one_line_and_exit_code_2(
    main: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # no .env
    code, _, said = main("sprat_router")
    assert (code, len(said.splitlines())) == (2, 1)
    assert "SPRAT_SECRET" in said
    assert "SPRAT_POLICY" in said


def test_a_health_port_that_is_taken_is_one_line_and_exit_code_2(kafka: Kafka, prefix: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "sprat_router"],
            env=service_environment(kafka, prefix) | {"SPRAT_HEALTH_PORT": port},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 2
    assert f"SPRAT_HEALTH_PORT: {port}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SPRAT_REDIS__URL", "nonsense"),
        ("SPRAT_KAFKA", "{bad"),
        ("SPRAT_DRAIN_S", "-4"),
        ("SPRAT_DEFAULT_LANGUAGE", "german"),
        ("SPRAT_DEFAULT_LANGUAGE", "deu"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it_and_exit_code_2(main: Callable, variable: str, value: str) -> None:
    code, _, said = main("sprat_intent", **{"SPRAT_SECRET": SECRET, variable: value})
    assert (code, len(said.splitlines())) == (2, 1)
    assert variable.removeprefix("SPRAT_").split("__")[0].lower() in said.lower()


def test_a_model_that_is_not_there_is_one_line_and_exit_code_2(kafka: Kafka, prefix: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sprat_intent"],
        env=service_environment(kafka, prefix) | {"SPRAT_INTENT__ARTEFACT": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "/nowhere" in done.stderr
    assert "Traceback" not in done.stderr
