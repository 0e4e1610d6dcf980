"""The programs of `docs/guides/http.md`, as they are written, ask a door before real models."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from conftest import Kafka, Redis
from support.http_clients import clients_python
from support.open_door import DEFAULT, OpenDoor, answering_door
from support.programs import needs
from support.readme import commands, programs

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


@needs("bash", "curl")
async def test_curl_translates(door: OpenDoor) -> None:
    (command,) = commands(programs()["http-translate"])
    answer = json.loads(await said(door, ["bash", "-c", command]))
    assert "Karte" in answer["translatedText"]
    assert answer["detectedLanguage"]["language"] == "en"
