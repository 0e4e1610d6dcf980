"""Two installations that start at the same time do not choose the same port."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sprat_local.installation.servers import wanted_ports
from sprat_local.processes.ports import HOST, PortClaims, free_port


@pytest.fixture
def claims() -> Iterator[PortClaims]:
    claims = PortClaims()
    yield claims
    claims.release()


def test_a_port_is_claimed_once_until_it_is_released(claims: PortClaims) -> None:
    port, other = free_port(), PortClaims()
    assert claims.claim(port)
    assert not other.claim(port)
    claims.release()
    assert other.claim(port)
    other.release()


def test_no_port_is_returned_twice() -> None:
    """What will listen on it may still be starting."""
    ports = [free_port() for _ in range(500)]
    assert len(set(ports)) == len(ports)


def test_a_port_in_use_is_not_claimed_and_can_be_claimed_later(claims: PortClaims) -> None:
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        listening.listen()
        port = listening.getsockname()[1]
        assert not claims.claim(port)
    assert claims.claim(port)


def test_a_lock_file_that_is_a_link_is_not_followed(
    claims: PortClaims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    port = free_port()
    assert claims.claim(port)
    (lock,) = tmp_path.iterdir()
    claims.release()
    lock.unlink()
    lock.symlink_to(tmp_path / "elsewhere")
    assert not claims.claim(port)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("written", "named", "wanted"),
    [
        (None, 8088, (8088,)),
        ("17282", 8088, (17282, 8088)),
        ("17282", 9000, (9000, 17282)),
        ("no port", 8088, (8088,)),
        ("0", 8088, (8088,)),
    ],
)
def test_the_port_of_the_last_run_comes_before_the_usual_one(
    tmp_path: Path, written: str | None, named: int, wanted: tuple[int, ...]
) -> None:
    if written is not None:
        (tmp_path / "port").write_text(written, "utf-8")
    assert wanted_ports(tmp_path / "port", named, 8088) == wanted
