"""What another user of the machine gets at, of an installation that `sprat up` runs."""

import os
import socket
from pathlib import Path

import psutil
import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, ResponseError

from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options
from sprat_local.installation.servers import PASSWORD_FILE
from sprat_operations import local_run
from sprat_operations.connection import load_command_settings
from sprat_operations.doctor.rights import check_rights


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("up") / "data"
    os.umask(umask := os.umask(0o022))
    assert umask & 0o077 != 0o077, "files of this process are readable by others unless it says otherwise"
    with Installation(Options(data=folder, services=("router",), partitions=1)) as running:
        yield running


def test_everything_in_its_folder_is_private(installation: Installation) -> None:
    paths = [installation.folder, *installation.folder.rglob("*")]
    assert len(paths) > 20
    assert [str(path) for path in paths if path.stat().st_mode & 0o077] == []


def test_redis_asks_for_the_password_that_is_in_the_folder(installation: Installation) -> None:
    port = installation.servers["redis"].port
    with Redis(port=port) as stranger, pytest.raises((AuthenticationError, ResponseError), match="uthenticat"):
        stranger.get("any")
    password = (installation.folder / PASSWORD_FILE).read_text()
    with Redis(port=port, password=password) as owner:
        assert owner.ping()


def test_no_command_line_shows_a_secret(installation: Installation) -> None:
    secrets = {(installation.folder / name).read_text() for name in (PASSWORD_FILE, "secret")}
    lines = [" ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)]
    assert len(lines) >= 3
    assert not [line for line in lines if any(secret in line for secret in secrets)]


def test_kafka_and_redis_listen_on_the_loopback_interface_alone(installation: Installation) -> None:
    pids = {server.pid for server in installation.servers.values()}
    listening = [
        each.laddr.ip
        for pid in pids
        for each in psutil.Process(pid).net_connections("inet")
        if each.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 3
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}
    for port in (installation.servers["kafka"].port, installation.servers["redis"].port):
        with socket.socket() as outside:
            outside.settimeout(1)
            assert outside.connect_ex((_own_address(), port)) != 0


def _own_address() -> str:
    """Return an address of this machine that is not the loopback interface's."""
    found = [
        each.address for name, all_ in psutil.net_if_addrs().items() for each in all_ if each.family == socket.AF_INET
    ]
    return next((address for address in found if not address.startswith("127.")), "127.0.0.2")


def test_commands_of_the_same_user_find_the_password(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPRAT_REDIS__URL", f"redis://127.0.0.1:{installation.servers['redis'].port}/0")
    assert load_command_settings().redis.url.get_secret_value() == installation.redis_url
    monkeypatch.setenv("SPRAT_REDIS__URL", "redis://127.0.0.1:1/0")
    assert load_command_settings().redis.url.get_secret_value() == "redis://127.0.0.1:1/0"
    monkeypatch.setenv("SPRAT_REDIS__URL", f"redis://:other@127.0.0.1:{installation.servers['redis'].port}/0")
    assert ":other@" in load_command_settings().redis.url.get_secret_value()


def test_doctor_says_what_others_can_read(installation: Installation, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = local_run.find(installation.redis_url)
    assert run is not None
    files, kafka = check_rights(installation.kafka, run)
    assert (files.status, files.finding) == ("ok", f"nobody else can read {installation.folder}")
    intended = "as intended where all users of this machine may read and write the texts"
    assert (kafka.status, kafka.finding) == ("ok", f"Kafka is reached on this machine, without a password: {intended}")
    (tmp_path / ".env").write_text("SPRAT_SECRET=x")
    (tmp_path / ".env").chmod(0o640)
    installation.folder.chmod(0o750)
    try:
        variables, folder, _ = check_rights(installation.kafka, run)
    finally:
        installation.folder.chmod(0o700)
    assert (variables.status, variables.fix) == ("warning", "chmod 600 .env")
    assert (folder.status, folder.fix) == ("warning", f"chmod 700 {installation.folder}")
    remote = installation.kafka.model_copy(update={"bootstrap": "kafka.internal:9092"})
    assert [check.status for check in check_rights(remote, None)] == ["warning", "warning"]


def test_after_the_end_no_password_is_announced(tmp_path: Path) -> None:
    run = local_run.LocalRun(os.getpid(), str(tmp_path), "redis://:password@127.0.0.1:7/0")
    path = run.announce()
    assert path.stat().st_mode & 0o077 == 0
    assert local_run.find("redis://127.0.0.1:7/0") == run
    assert local_run.find("redis://elsewhere:7/0") is None
    local_run.LocalRun(2**22 + 1, str(tmp_path), "redis://:password@127.0.0.1:7/0").announce()
    assert local_run.find("redis://127.0.0.1:7/0") is None, "one that was killed"
    path.unlink()
    assert local_run.find("redis://127.0.0.1:7/0") is None
