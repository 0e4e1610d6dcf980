"""Which installation a command talks to where nothing names a Kafka: this user's own, never silently a stranger's."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sprat.base.checks import ok
from sprat.base.errors import UserError
from sprat_cli.options import kafka_settings
from sprat_local.checks import _usual_ports
from sprat_local.processes.ports import free_port
from sprat_operations import installation, local_run
from sprat_operations.connection import load_command_settings, writing_signatures
from sprat_operations.doctor.settings import check_settings
from sprat_operations.local_run import LocalRun

NOBODY = 65_534
AT = "127.0.0.1:43211"
Start = Callable[..., Path]


@pytest.fixture(autouse=True)
def nothing_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """No setting names a Kafka, and the usual port is one that is free."""
    monkeypatch.chdir(tmp_path)
    for name in ("KAFKA__BOOTSTRAP", "KAFKA__PREFIX", "REDIS__URL", "SECRET"):
        monkeypatch.delenv(f"SPRAT_{name}", raising=False)
    usual = f"127.0.0.1:{free_port()}"
    monkeypatch.setattr(installation, "USUAL_KAFKA", usual)
    return usual


@pytest.fixture
def start() -> Iterator[Start]:
    """Announce a `sprat up`, by default of this process."""
    files = []

    def announced(bootstrap: str, redis_url: str = "", **more: object) -> Path:
        fields = {"pid": os.getpid(), "folder": "folder", "for_commands": True} | more
        files.append(LocalRun(redis_url=redis_url, bootstrap=bootstrap, **fields).announce())
        return files[-1]

    yield announced
    for file in files:
        file.unlink(missing_ok=True)


def listen(port: int, user: int) -> subprocess.Popen[bytes]:
    """Listen on a port as another user."""
    code = (
        f"import os, socket, time; os.setuid({user}); s = socket.create_server(('127.0.0.1', {port})); "
        "print(flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as output:
        output.readline()
    return process


def test_the_own_installation_is_found_and_named(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    start(AT, prefix="mine")
    found = kafka_settings(None, None)
    assert (found.bootstrap, found.prefix) == (AT, "mine")
    assert capsys.readouterr().err == (
        f"using your `sprat up` at {AT}; for another Kafka, name it with --bootstrap HOST:PORT or "
        "SPRAT_KAFKA__BOOTSTRAP\n"
    )
    assert kafka_settings(None, "theirs").prefix == "theirs"


def test_nothing_is_said_of_the_usual_address(
    nothing_named: str, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    start(nothing_named)
    assert kafka_settings(None, None).bootstrap == nothing_named
    assert capsys.readouterr().err == ""


def test_what_is_named_wins(start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    start(AT, prefix="mine")
    monkeypatch.setattr(installation, "find_installation", pytest.fail)
    named = kafka_settings("named:1", None)
    assert (named.bootstrap, named.prefix) == ("named:1", "sprat")
    monkeypatch.setenv("SPRAT_KAFKA__BOOTSTRAP", "variable:1")
    assert kafka_settings(None, None).bootstrap == "variable:1"
    assert capsys.readouterr().err == ""


def test_of_several_the_one_at_the_usual_address_is_used_and_the_others_are_named(
    nothing_named: str, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    start(AT, "redis://:password@127.0.0.1:6399/0")
    start(nothing_named)
    assert kafka_settings(None, None).bootstrap == nothing_named
    assert f"using your `sprat up` at {nothing_named}; for yours at {AT}, name it" in capsys.readouterr().err


def test_of_several_elsewhere_none_is_guessed(start: Start) -> None:
    start(AT)
    start("127.0.0.1:43212", "redis://:password@127.0.0.1:6399/0")
    with pytest.raises(UserError, match=rf"several `sprat up` of yours run, at {AT}, 127.0.0.1:43212: name it"):
        kafka_settings(None, None)


def test_a_demo_or_one_that_was_killed_is_not_used(nothing_named: str, start: Start) -> None:
    start(AT, "redis://:password@127.0.0.1:6399/0", for_commands=False)
    killed = start("127.0.0.1:43212")
    killed.write_text(killed.read_text().replace('"born": "', '"born": "0'))  # another process has its id now
    assert local_run.for_commands() == []
    assert kafka_settings(None, None).bootstrap == "127.0.0.1:9092"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen as another user")
def test_the_kafka_of_another_user_is_not_used_unless_it_is_named(nothing_named: str) -> None:
    port = nothing_named.rpartition(":")[2]
    assert installation.listener(int(port)) is None
    stranger = listen(int(port), NOBODY)
    try:
        assert installation.listener(int(port)) == NOBODY
        with pytest.raises(UserError) as raised:
            kafka_settings(None, None)
        assert kafka_settings(nothing_named, None).bootstrap == nothing_named
    finally:
        stranger.kill()
        stranger.wait()
    assert str(raised.value) == (
        f"no `sprat up` of yours runs, and port {port} is nobody's, who would read what you send: run `sprat up`; or, "
        f"if this Kafka is meant, name it with --bootstrap {nothing_named} or SPRAT_KAFKA__BOOTSTRAP"
    )


def test_a_kafka_that_runs_as_root_is_named(
    nothing_named: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(installation, "listener", lambda _: 0)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    kafka_settings(None, None)
    said = f"using Kafka at {nothing_named}, which runs as root: no `sprat up` of yours runs\n"
    assert capsys.readouterr().err == said


def test_redis_and_secret_are_those_of_the_same_installation(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("the secret of this installation")
    start(AT, "redis://:password@127.0.0.1:6399/0", folder=str(tmp_path))
    kafka = kafka_settings(None, None)
    assert load_command_settings(kafka).redis.url.get_secret_value() == "redis://:password@127.0.0.1:6399/0"
    with pytest.raises(UserError, match=rf"export SPRAT_SECRET=\$\(cat {tmp_path}/secret\)$"):
        writing_signatures()
    doctor = {each.subject: each for each in check_settings(ok("policy", ""), None, local_run.find_by_kafka(AT))}
    assert doctor["secret"].fix == f"export SPRAT_SECRET=$(cat {tmp_path}/secret)", (
        "a new one would not be the services'"
    )
    monkeypatch.setenv("SPRAT_REDIS__URL", "redis://elsewhere:1/0")
    assert load_command_settings(kafka).redis.url.get_secret_value() == "redis://elsewhere:1/0"


def test_doctor_says_where_it_runs_instead_of_which_ports_are_free(start: Start) -> None:
    start(AT, "redis://:password@127.0.0.1:6399/0")
    said = f"your `sprat up` runs: Kafka at {AT}, Redis at 127.0.0.1:6399 (process {os.getpid()})"
    assert _usual_ports() == ok("ports", said)
