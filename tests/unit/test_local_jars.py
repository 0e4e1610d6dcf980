"""Where the broker's files are cached, and who may change them."""

import mmap
import ssl
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
import urllib3

from sprat_local.kafka import jars
from sprat_local.kafka.prepare import BrokerFiles
from sprat_local.processes.notices import DownloadError


@pytest.mark.parametrize(("named", "parent"), [(None, ".cache"), ("{home}/own", "own"), ("relative", ".cache")])
def test_the_cache_is_where_the_xdg_specification_says(
    named: str | None, parent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is invalid, so it is ignored."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if named is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", named.format(home=tmp_path))

    assert jars.kafka_dir().parent == tmp_path / parent / "sprat"
    assert not (tmp_path / parent).exists()


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


def test_an_archive_that_is_disabled_stays_whole_for_the_brokers_that_run_with_it(tmp_path):
    archive = tmp_path / "java.aot"
    archive.write_bytes(b"classes")
    files = BrokerFiles("", tmp_path, archive)
    with archive.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        files.disable_archive()
        assert (mapped.size(), mapped[:]) == (7, b"classes"), "a page that is gone ends the process"
    assert archive.exists()
    assert not files.has_archive()
