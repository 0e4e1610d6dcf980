"""Two installations that start together do not take one port."""

import socket

import pytest

from sprat_local.processes.ports import HOST, PortClaims, free_port


@pytest.fixture
def claims():
    made = PortClaims()
    yield made
    made.release()


def test_a_port_is_claimed_once_until_it_is_released(claims):
    port, other = free_port(), PortClaims()
    assert claims.claim(port)
    assert not other.claim(port)
    claims.release()
    assert other.claim(port)
    other.release()


def test_a_port_on_which_somebody_listens_is_not_claimed_and_not_blocked(claims):
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        listening.listen()
        port = listening.getsockname()[1]
        assert not claims.claim(port)
    assert claims.claim(port)


def test_a_lock_that_is_a_link_is_left_alone(claims, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    port = free_port()
    assert claims.claim(port)
    (lock,) = tmp_path.iterdir()
    claims.release()
    lock.unlink()
    lock.symlink_to(tmp_path / "elsewhere")
    assert not claims.claim(port)
    assert not (tmp_path / "elsewhere").exists()
