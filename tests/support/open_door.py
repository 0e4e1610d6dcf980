"""The door as a process of its own, before an installation that a test runs; with keys."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from sprat.base.model import DEFAULT_MODEL
from sprat.base.settings import KafkaSettings, RedisSettings
from sprat_language_id.__main__ import SERVICE as LANGUAGE_ID
from sprat_local.processes.ports import free_port
from sprat_operations.api_keys import add_key
from sprat_testing.service import running
from sprat_translation.__main__ import SERVICE as TRANSLATION
from support.stream import SECRET, eventually
from support.system import ALLOWED, POLICY, System, whole_system

DEFAULT, SOURCE = "default", "/http"


@dataclass(frozen=True)
class OpenDoor:
    """How to ask it."""

    url: str
    keys: Mapping[str, str]
    """By tenant."""

    def client(self, tenant: str = DEFAULT) -> httpx.AsyncClient:
        """Return a client with the key of a tenant."""
        headers = {"Authorization": f"Bearer {self.keys[tenant]}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=40)


@asynccontextmanager
async def open_door(
    bootstrap: str, prefix: str, folder: Path, *tenants: str, **settings: str
) -> AsyncIterator[OpenDoor]:
    """Run the door until the block ends, with a key of each tenant; `settings` are variables of its environment."""
    port, keys_file = free_port(), folder / "api-keys.json"
    keys = {tenant: add_key(keys_file, tenant, SOURCE)[0] for tenant in (DEFAULT, *tenants)}
    door = OpenDoor(f"http://127.0.0.1:{port}", keys)
    own = {
        "SPRAT_KAFKA__BOOTSTRAP": bootstrap,
        "SPRAT_KAFKA__PREFIX": prefix,
        "SPRAT_HEALTH_PORT": "0",
        "SPRAT_GATEWAY__PORT": str(port),
        "SPRAT_GATEWAY__KEYS_FILE": str(keys_file),
    }
    log = folder / "door.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "sprat_gateway"]
        process = subprocess.Popen(command, env=os.environ | own | settings, stdout=output, stderr=output)
    try:
        async with httpx.AsyncClient(base_url=door.url) as client:

            async def up() -> bool:
                assert process.poll() is None, log.read_text("utf-8")
                try:
                    return (await client.get("/openapi.json")).is_success
                except httpx.TransportError:
                    return False

            await eventually(up, 30)
        yield door
    finally:
        process.terminate()
        process.wait(15)
        logged = log.read_text("utf-8")
        assert not [tenant for tenant, key in keys.items() if key.split("_", 2)[2] in logged], "a key is logged"


@asynccontextmanager
async def answering_door(
    bootstrap: str, redis_url: str, prefix: str, folder: Path
) -> AsyncIterator[tuple[System, OpenDoor]]:
    """Run a door before real intents, languages and translations, and a simulated frontier."""
    common: dict[str, Any] = {
        "kafka": KafkaSettings(bootstrap=bootstrap, prefix=prefix, partitions=2),
        "redis": RedisSettings(url=SecretStr(redis_url)),
        "secret": SecretStr(SECRET),
        "health_port": 0,
        "drain_s": 5.0,
        "_env_file": None,
    }
    async with AsyncExitStack() as stack:
        system = await stack.enter_async_context(whole_system(bootstrap, redis_url, prefix))
        for service in (LANGUAGE_ID, TRANSLATION):
            settings = service.settings(**common)
            await stack.enter_async_context(running(service.name, settings, service.build, model=DEFAULT_MODEL))
        kept = {"SPRAT_GATEWAY__SEAL_KEY": "k" * 32, "SPRAT_REDIS__URL": redis_url}
        door = open_door(bootstrap, prefix, folder, ALLOWED, SPRAT_POLICY=str(POLICY), **kept)
        yield system, await stack.enter_async_context(door)
