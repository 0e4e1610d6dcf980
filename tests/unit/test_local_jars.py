"""Where the broker's files are cached, and who may change them."""

import ssl
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
import urllib3

from sprat_local.kafka import jars
from sprat_local.processes.notices import DownloadError


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


def refuse_certificate() -> None:
    """Raise what requests raises when a proxy presents a certificate of an unknown authority."""
    reason = urllib3.exceptions.SSLError("certificate verify failed")
    try:
        try:
            raise reason from ssl.SSLCertVerificationError("unable to get local issuer certificate")
        except urllib3.exceptions.SSLError:
            raise urllib3.exceptions.MaxRetryError(None, "/maven2", reason) from reason
    except urllib3.exceptions.MaxRetryError as error:
        raise requests.exceptions.SSLError(error)  # noqa: B904 - as requests does


def refuse_connection() -> None:
    raise requests.exceptions.ConnectionError("no route to host")


@pytest.mark.parametrize(
    ("fail", "advice"),
    [(refuse_certificate, "set REQUESTS_CA_BUNDLE to a file"), (refuse_connection, "get this machine online once")],
)
def test_the_advice_after_a_failed_download_fits_its_cause(fail, advice, tmp_path):
    artifact = SimpleNamespace(resolve=fail, cached_path=tmp_path / "incomplete.jar")
    component = SimpleNamespace(at_version=lambda _: SimpleNamespace(artifact=lambda: artifact))

    with pytest.raises(DownloadError, match=f"What to do, one of: {advice}"):
        jars._fetch(jars.pinned()[0], tmp_path, SimpleNamespace(project=lambda *_: component), retry_pause_s=0)
