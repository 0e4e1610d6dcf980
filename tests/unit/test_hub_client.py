"""The rules by which models are downloaded: where requests go, who gets the token, and what an answer may name."""

from pathlib import Path

import pytest
from httpx2 import URL, Request, Response

from sprat.base.errors import UserError
from sprat_inference.converters.hub_client import HubRules, HubSettings, check_downloaded

COMMIT, SHA256 = "3f2a91c0d4e5b6a7988776655443322110ffeedd", "0" * 64
MIRROR = HubRules(URL("https://mirror.example"), frozenset({"files.example", "other.example:8443"}))
PUBLIC = HubRules(URL("https://huggingface.co"))
LOOPBACK = HubRules(URL("http://127.0.0.1:9000"))


def request(url: str, method: str = "GET") -> Request:
    return Request(method, url, headers={"Authorization": "Bearer hf_consented"})


@pytest.mark.parametrize(
    ("rules", "url", "gets_token"),
    [
        (MIRROR, "https://mirror.example/owner/tiny/resolve/main/config.json", True),
        (MIRROR, "https://MIRROR.example:443/x", True),
        (MIRROR, "https://files.example/x", False),
        (MIRROR, "https://other.example:8443/x", False),
        (PUBLIC, "https://huggingface.co/x", True),
        (PUBLIC, "https://cdn-lfs-us-1.hf.co/x", False),
        (PUBLIC, "https://cas-bridge.xethub.hf.co/x", False),
        (PUBLIC, "https://cdn-lfs.huggingface.co/x", False),
        (LOOPBACK, "http://127.0.0.1:9000/x", True),
    ],
)
def test_the_hub_alone_gets_the_token(rules: HubRules, url: str, *, gets_token: bool) -> None:
    asked = request(url)
    rules.check_request(asked)
    assert ("Authorization" in asked.headers) is gets_token


@pytest.mark.parametrize(
    ("rules", "url", "message"),
    [
        (MIRROR, "http://mirror.example/x", "not encrypted"),
        (MIRROR, "http://files.example/x", "not encrypted"),
        (MIRROR, "https://mirror.example:8443/x", "not the hub's host"),
        (MIRROR, "https://other.example/x", "not the hub's host"),
        (MIRROR, "https://sub.mirror.example/x", "not the hub's host"),
        (MIRROR, "https://huggingface.co/x", "not the hub's host"),
        (MIRROR, "http://169.254.169.254/latest/meta-data", "not encrypted"),
        (MIRROR, "https://127.0.0.1/x", "not the hub's host"),
        (PUBLIC, "https://evilhf.co/x", "not the hub's host"),
        (PUBLIC, "https://hf.co.evil.example/x", "not the hub's host"),
        (PUBLIC, "http://huggingface.co/x", "not encrypted"),
        (PUBLIC, "http://127.0.0.1/x", "not the hub's host"),
        (PUBLIC, "file:///etc/passwd", "not encrypted"),
        (LOOPBACK, "http://127.0.0.1:9001/x", "not the hub's host"),
        (LOOPBACK, "http://127.0.0.1.evil.example:9000/x", "not encrypted"),
        (LOOPBACK, "http://127.0.0.1:9000@evil.example/x", "not encrypted"),
    ],
)
def test_a_request_goes_nowhere_else(rules: HubRules, url: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        rules.check_request(request(f"{url}?signature=secret"))
    assert "secret" not in str(raised.value)


def test_each_request_has_a_timeout() -> None:
    rules = HubRules(URL("https://mirror.example"), timeout_s=7)
    for stated, read in (
        (None, 7),
        ({"connect": None, "read": None, "write": None, "pool": None}, 7),
        ({"read": 3}, 3),
    ):
        asked = request("https://mirror.example/x")
        if stated is not None:
            asked.extensions["timeout"] = stated
        rules.check_request(asked)
        assert asked.extensions["timeout"] == {"connect": 7, "read": read, "write": 7, "pool": 7}


def answer(status: int = 200, method: str = "HEAD", path: str = "/resolve/x", **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, headers=named, request=request(f"https://mirror.example{path}", method))


@pytest.mark.parametrize(
    "found",
    [
        answer(ETag=f'"{COMMIT}"', X_Repo_Commit=COMMIT),
        answer(ETag=f'W/"{SHA256}"'),
        answer(ETag='"of-the-page"', X_Linked_Etag=f'"{SHA256}"'),
        answer(302, Location="/x", ETag='W/"8d-of-the-page"', X_Linked_Etag=f'"{SHA256}"'),
        answer(404, ETag='W/"f-of-the-page"', X_Repo_Commit=COMMIT),
        answer(method="GET", path="/api/models/x", ETag='W/"of-the-json"'),
    ],
)
def test_what_a_hub_states_is_taken(found: Response) -> None:
    MIRROR.check_response(found)


@pytest.mark.parametrize(
    "found",
    [
        answer(ETag='"../x"'),
        answer(ETag=COMMIT[1:]),
        answer(ETag=f'"{COMMIT}/.."'),
        answer(ETag=f'"{COMMIT}\n"'),
        answer(ETag=COMMIT.upper()),
        answer(ETag=f'"{COMMIT}"', X_Linked_Etag="../x"),
        answer(302, Location="https://files.example", X_Linked_Etag="../x"),
        answer(ETag=f'"{COMMIT}"', X_Repo_Commit="main"),
        answer(404, X_Repo_Commit=f"../{COMMIT}"),
        answer(method="GET", X_Repo_Commit=".."),
    ],
)
def test_what_is_no_hash_is_refused(found: Response) -> None:
    with pytest.raises(UserError, match="hexadecimal digits; nothing is written for it"):
        MIRROR.check_response(found)


def test_an_etag_of_a_redirect_itself_is_not_read() -> None:
    found = answer(302, Location="https://files.example", ETag='"../x"')
    MIRROR.check_response(found)
    assert "ETag" not in found.headers


@pytest.mark.parametrize("stated", ["../x", "main", f"{COMMIT}\n", COMMIT.upper(), 7, ["x"], None])
def test_the_commit_of_a_description_is_checked(stated: object) -> None:
    assert MIRROR.check_commit(COMMIT) == COMMIT
    with pytest.raises(UserError, match="states the commit"):
        MIRROR.check_commit(stated)


def test_a_commit_that_was_asked_for_is_the_one_stated() -> None:
    assert MIRROR.check_commit(COMMIT, COMMIT) == MIRROR.check_commit(COMMIT, "main") == COMMIT
    with pytest.raises(UserError, match=f"{COMMIT} where {'0' * 40} was asked for"):
        MIRROR.check_commit(COMMIT, "0" * 40)


def test_files_lie_in_the_cache(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    (tmp_path / "cache" / "blob").touch()
    (folder / "config.json").symlink_to("../../blob")
    check_downloaded(folder, tmp_path / "cache")
    (folder / "README.md").symlink_to("../../../elsewhere")
    with pytest.raises(UserError, match=r"README\.md lies outside the cache"):
        check_downloaded(folder, tmp_path / "cache")
    with pytest.raises(UserError, match="named for no commit"):
        check_downloaded(folder.parent, tmp_path / "cache")


@pytest.mark.parametrize("hosts", ["https://files.example", "files.example/x", "a b", "user@files.example"])
def test_hosts_are_names(hosts: str) -> None:
    assert HubSettings(hub_hosts=" files.example, [::1]:8443,").hub_hosts
    with pytest.raises(ValueError, match="no hosts"):
        HubSettings(hub_hosts=hosts)
