"""`sprat models add` from a hub that lies: it writes nothing outside the cache, and goes to no other host."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from sprat_inference.converters.hub_client import MOST_REQUESTS
from support.model_hub import COMMIT, TOKEN, ModelHub, add_model, model_hub

MODELS = Path(__file__).parents[1] / "data" / "hub"
PLANTED = "import os; open('ran', 'w').close()\n"
"""A line that Python runs at its start, where the file is a `.pth` of its site-packages."""
UP = "../../../../"
"""From `blobs`, `trees` and `.no_exist` of a model in the cache `home/hub` to the folder that holds `home`."""


class Liar(ModelHub):
    """Serves the model with other headers on its files, or another commit in its description."""

    of_files: Mapping[str, str] = {}
    status = 200
    commit = COMMIT
    media_type = "application/json"

    def answer(self, path: str, token: str | None) -> tuple[int, dict[str, str], bytes]:
        path = path.removeprefix("/prefix")
        status, headers, body = super().answer(path, token)
        if "/resolve/" in path and status == 200 and path.endswith(".pth") | (not self.only_planted):
            return self.status, headers | self.of_files, body
        if path.startswith("/api/models/") and "/tree/" not in path and status == 200:
            body = json.dumps(json.loads(body) | {"sha": self.commit}).encode()
            headers = {"Content-Type": self.media_type}
        if "/tree/" in path and self.commit != COMMIT:
            return 200, headers, b"[]"
        return status, headers, body

    only_planted = False


def liar(**fields: Any) -> type[Liar]:
    return type("Lying", (Liar,), fields)


def outside(tmp_path: Path) -> set[str]:
    """Return what lies beside the cache and the model."""
    return {each.name for each in tmp_path.iterdir()} - {"home", "served"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(MODELS / "bert", tmp_path / "served"))
    (folder / "LICENSE.pth").write_text(PLANTED)
    return folder


def add(hub: ModelHub, tmp_path: Path, **variables: str) -> tuple[int, str]:
    """Add the hub's model, and return the exit code and what is said."""
    done = add_model(
        hub, tmp_path / "home", "owner/tiny", "--task", "intent", "--no-compare", "--output",
        str(tmp_path / "home" / "added"), **variables,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, " ".join(done.stderr.split())


@pytest.mark.parametrize(("header", "form"), [("ETag", '"{}"'), ("ETag", 'W/"{}"'), ("X-Linked-Etag", "{}")])
def test_an_etag_is_never_a_path(tmp_path: Path, model: Path, header: str, form: str) -> None:
    lie = liar(of_files={header: form.format(f"{UP}planted.pth")}, only_planted=True)
    with model_hub({"owner/tiny": model}, kind=lie) as hub:
        code, said = add(hub, tmp_path)
    assert outside(tmp_path) == set()
    assert code == 2
    assert f"the {header} " in said
    assert "40 or 64 hexadecimal digits" in said


@pytest.mark.parametrize(
    ("media_type", "prefix"), [("application/json", ""), ("text/plain", ""), ("application/json", "/prefix")]
)
def test_a_commit_in_a_description_is_never_a_path(tmp_path: Path, model: Path, media_type: str, prefix: str) -> None:
    with model_hub({"owner/tiny": model}, kind=liar(commit=f"{UP}planted", media_type=media_type)) as hub:
        code, said = add(hub, tmp_path, HF_ENDPOINT=hub.url + prefix)
    assert outside(tmp_path) == set()
    assert code == 2
    assert "40 hexadecimal digits" in said


@pytest.mark.parametrize("status", [200, 404])
def test_a_commit_beside_a_file_is_never_a_path(tmp_path: Path, model: Path, status: int) -> None:
    """Of a file that is not there, the client notes that under the commit."""
    lie = liar(of_files={"X-Repo-Commit": f"{UP}planted", "X-Error-Code": "EntryNotFound"}, status=status)
    with model_hub({"owner/tiny": model}, kind=lie) as hub:
        code, said = add(hub, tmp_path)
    assert outside(tmp_path) == set()
    assert code == 2
    assert "40 hexadecimal digits" in said


def test_a_file_outside_the_cache_is_refused(tmp_path: Path, model: Path) -> None:
    """Somebody else can write to the cache, or a later client writes there where it should not."""
    with model_hub({"owner/tiny": model}) as hub:
        assert add(hub, tmp_path)[0] == 0
        (snapshot,) = (tmp_path / "home" / "hub").glob("models--*/snapshots/*")
        shutil.rmtree(tmp_path / "home" / "added")
        shutil.copy(snapshot / "README.md", tmp_path / "elsewhere")
        (snapshot / "README.md").unlink()
        (snapshot / "README.md").symlink_to(tmp_path / "elsewhere")
        code, said = add(hub, tmp_path, HF_HUB_OFFLINE="1")
    assert code == 2
    assert "README.md lies outside the cache" in said


def test_the_file_name_of_a_hub_stays_below_the_cache(tmp_path: Path, model: Path) -> None:
    class Names(ModelHub):
        def answer(self, path: str, token: str | None) -> tuple[int, dict[str, str], bytes]:
            status, headers, body = super().answer(path, token)
            return status, headers, body.replace(b"LICENSE.pth", b"LICENSE/../../../../../../planted.pth")

    with model_hub({"owner/tiny": model}, kind=Names) as hub:
        code, said = add(hub, tmp_path)
    assert outside(tmp_path) == set()
    assert code == 2
    assert "the hub's answer cannot be used (\"Invalid filename" in said


def moved(hub: ModelHub) -> type[Liar]:
    """Return a hub whose files are at `hub`."""

    class Moved(Liar):
        def answer(self, path: str, token: str | None) -> tuple[int, dict[str, str], bytes]:
            status, headers, body = super().answer(path, token)
            return (
                (302, headers | {"Location": hub.url + path}, b"") if "/resolve/" in path else (status, headers, body)
            )

    return Moved


def test_files_at_another_host_are_taken_where_a_setting_names_it_and_without_the_token(
    tmp_path: Path, model: Path
) -> None:
    with model_hub({"owner/tiny": model}) as other, model_hub({"owner/tiny": model}, kind=moved(other)) as hub:
        code, said = add(hub, tmp_path, HF_TOKEN=TOKEN)
        assert code == 2
        assert f"goes on at {other.url}, which is not the hub's host" in said
        assert "SPRAT_HUB_HOSTS" in said
        assert other.requests == []
        assert hub.tokens, "the hub itself gets the token"
        host = other.url.removeprefix("http://")
        code, said = add(hub, tmp_path, HF_TOKEN=TOKEN, SPRAT_HUB_HOSTS=f"files.example, {host}")
    assert code == 0, said
    assert other.requests
    assert other.tokens == []


def test_the_storage_that_a_hub_names_is_not_asked(tmp_path: Path, model: Path) -> None:
    """Its client would send the token there."""
    with model_hub({}) as other:
        lie = liar(of_files={"X-Xet-Hash": "0" * 64, "X-Xet-Refresh-Route": f"{other.url}/refresh"})
        with model_hub({"owner/tiny": model}, kind=lie) as hub:
            code, said = add(hub, tmp_path, HF_TOKEN=TOKEN)
    assert other.requests == []
    assert code == 0, said


def test_a_hub_that_never_answers_is_not_waited_for(tmp_path: Path, model: Path) -> None:
    class Silent(ModelHub):
        def answer(self, path: str, token: str | None) -> tuple[int, dict[str, str], bytes]:
            done.wait(120)
            return super().answer(path, token)

    done = Event()
    with model_hub({"owner/tiny": model}, kind=Silent) as hub:
        try:
            code, said = add(hub, tmp_path, HF_HUB_DOWNLOAD_TIMEOUT="1")
        finally:
            done.set()
    assert code == 2
    assert f"{hub.url} did not answer within 1 s" in said
    assert "HF_HUB_DOWNLOAD_TIMEOUT" in said


def test_a_list_of_files_without_an_end_is_left(tmp_path: Path, model: Path) -> None:
    class Endless(ModelHub):
        def answer(self, path: str, token: str | None) -> tuple[int, dict[str, str], bytes]:
            status, headers, body = super().answer(path, token)
            return status, headers | ({"Link": f'<{self.url}{path}>; rel="next"'} if "/tree/" in path else {}), body

    with model_hub({"owner/tiny": model}, kind=Endless) as hub:
        code, said = add(hub, tmp_path)
    assert code == 2
    assert "takes more than 1,000 requests" in said
    assert len(hub.requests) == MOST_REQUESTS


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"HF_ENDPOINT": "http://hub.example"}, "http://hub.example is not encrypted; give https://"),
        ({"SPRAT_HUB_HOSTS": "https://files.example/x"}, "SPRAT_HUB_HOSTS"),
    ],
)
def test_a_setting_that_cannot_be_used_is_said(
    tmp_path: Path, model: Path, variables: dict[str, str], message: str
) -> None:
    with model_hub({"owner/tiny": model}) as hub:
        code, said = add(hub, tmp_path, **variables)
        assert hub.requests == []
    assert code == 2
    assert message in said
