"""The programs of `docs/guides/http.md`, as they are written, ask a door before real models."""

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from conftest import Kafka, Redis
from sprat_local.processes.ports import free_port
from support.http_clients import clients_python
from support.open_door import DEFAULT, OpenDoor, answering_door
from support.programs import needs
from support.readme import commands, programs
from support.stream import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(kafka: Kafka, redis_server: Redis, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OpenDoor]:
    folder = tmp_path_factory.mktemp("door")
    async with answering_door(kafka.bootstrap, redis_server.url, "httpguide", folder) as (_, opened):
        yield opened


async def said(door: OpenDoor, command: Sequence[str | Path]) -> str:
    """Run a command as the page says, and return what it prints."""
    environment = os.environ | {"DOOR_URL": door.url, "DOOR_KEY": door.keys[DEFAULT]}
    environment["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


@needs("bash", "curl")
async def test_curl(door: OpenDoor) -> None:
    (command,) = commands(programs()["http-curl"])
    first, again = [json.loads(await said(door, ["bash", "-c", command])) for _ in range(2)]
    assert (first["complete"], first["id"]) == (True, "mail-4711")
    assert first["results"]["intent"]["output"]["label"] == "balance"
    assert again["results"] == first["results"]


async def test_the_client_of_openai(door: OpenDoor) -> None:
    choice, confidence, status, by = (await said(door, [sys.executable, "-c", programs()["http-openai"]])).split()
    assert (choice, status, by) == ("balance", "answered", "small")
    assert float(confidence) > 0.9


@needs("node")
async def test_node(door: OpenDoor, tmp_path: Path) -> None:
    program = tmp_path / "ask.mjs"
    program.write_text(programs()["http-node"], "utf-8")
    assert (await said(door, ["node", program])).strip() in {"freeze_account", "report_lost_card", "report_fraud"}


async def test_litellm(door: OpenDoor) -> None:
    choice, confidence = (await said(door, [clients_python(), "-c", programs()["http-litellm"]])).split()
    assert (choice, float(confidence) > 0.9) == ("balance", True)


async def test_the_proxy_of_litellm(door: OpenDoor, tmp_path: Path) -> None:
    config, port, master = tmp_path / "config.yaml", free_port(), f"sk-{secrets.token_hex(16)}"
    config.write_text(programs()["http-litellm-proxy"], "utf-8")
    environment = os.environ | {"DOOR_URL": door.url, "DOOR_KEY": door.keys[DEFAULT]}
    environment |= {"LITELLM_MASTER_KEY": master, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    program = [clients_python().with_name("litellm"), "--config", config, "--host", "127.0.0.1", "--port", str(port)]
    log = tmp_path / "proxy.log"
    with log.open("wb") as output:
        process = subprocess.Popen(program, env=environment, stdout=output, stderr=output, cwd=tmp_path)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:

            async def up() -> bool:
                assert process.poll() is None, log.read_text("utf-8")
                try:
                    return (await client.get("/health/liveliness")).is_success
                except httpx.TransportError:
                    return False

            await eventually(up, 240)
            choices = [{"value": "balance"}, {"value": "transfer"}]
            question = {"type": "choice", "name": "intent", "instructions": "What?", "choices": choices}
            answer = await client.post(
                "/v1/decisions",
                json={"model": "intents", "input": "what is my balance", "questions": [question]},
                headers={"authorization": f"Bearer {master}"},
            )
    finally:
        process.terminate()
        process.wait(30)
    (choice,) = answer.json()["answers"]
    assert (choice["choice"], choice["confidence"] > 0.9) == ("balance", True)


@needs("bash", "curl")
async def test_curl_translates(door: OpenDoor) -> None:
    (command,) = commands(programs()["http-translate"])
    answer = json.loads(await said(door, ["bash", "-c", command]))
    assert "Karte" in answer["translatedText"]
    assert answer["detectedLanguage"]["language"] == "en"
