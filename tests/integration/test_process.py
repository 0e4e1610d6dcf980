"""A service as a process: how it ends on SIGTERM, and what it says when it cannot start."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from conftest import Kafka
from sprat_local.processes.ports import free_port
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


def test_a_missing_setting_is_one_line_and_exit_code_2() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPRAT_")}
    done = subprocess.run(
        [sys.executable, "-m", "sprat_router"], env=environment, capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 2
    assert "SPRAT_SECRET" in done.stderr
    assert "SPRAT_POLICY" in done.stderr
    assert "Traceback" not in done.stderr


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
        ("SPRAT_INTENT__ARTEFACT", "/nowhere"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it_and_exit_code_2(
    kafka: Kafka, prefix: str, variable: str, value: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sprat_intent"],
        env=service_environment(kafka, prefix) | {variable: value},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert variable.removeprefix("SPRAT_").split("__")[0].lower() in done.stderr.lower()
    assert "Traceback" not in done.stderr


def test_topics_that_do_not_exist_are_never_made_by_a_service(kafka: Kafka, prefix: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sprat_router"],
        env=service_environment(kafka, prefix),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "sprat topics create" in done.stderr
    assert "Traceback" not in done.stderr
