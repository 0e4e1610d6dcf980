"""Where the broker's files are cached, and who may change them."""

import threading
from pathlib import Path

import pytest

from sprat_local.kafka import jars


def test_the_cache_is_in_the_users_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    assert jars.kafka_dir().parent == tmp_path / ".cache" / "sprat"
    assert not (tmp_path / ".cache").exists()


def test_xdg_cache_home_moves_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    assert jars.kafka_dir().parent == tmp_path / "cache" / "sprat"


def test_a_relative_xdg_cache_home_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The XDG base directory specification: a relative path is invalid."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")

    assert jars.kafka_dir().parent == tmp_path / ".cache" / "sprat"


def test_only_one_at_a_time_changes_the_cache(tmp_path: Path) -> None:
    waiting, entered = threading.Event(), threading.Event()

    def change() -> None:
        waiting.set()
        with jars.locked(tmp_path / "kafka"):
            entered.set()

    thread = threading.Thread(target=change)
    with jars.locked(tmp_path / "kafka"):
        thread.start()
        assert waiting.wait(5)
        assert not entered.wait(0.2)
    assert entered.wait(5)
    thread.join()
