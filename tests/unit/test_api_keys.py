"""`sprat keys`, the file that it writes, and what the door makes of it."""

import hashlib
import json
import multiprocessing
import shlex
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sprat.base.errors import UserError
from sprat_cli.main import app
from sprat_operations import local_run
from sprat_operations.api_keys import MAX_VALID, REREAD_S, KeyRing, add_key, match_key, read_keys, revoke_key
from sprat_operations.local_run import LocalRun
from support.clock import Clock
from support.readme import commands, programs


@pytest.fixture
def path(tmp_path):
    return tmp_path / "door" / "api-keys.json"


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPRAT_GATEWAY__KEYS_FILE", raising=False)
    monkeypatch.setattr(local_run, "user_cache_path", lambda _: tmp_path / "cache")

    def ran(*arguments, code=0):
        done = CliRunner().invoke(app, ["keys", *map(str, arguments)])
        assert done.exit_code == code, done.output
        return done

    return ran


def test_a_key_is_shown_once_and_the_file_has_its_digest_alone(run, path):
    added = json.loads(run("add", "--tenant", "acme", "--source", "/web", "--file", path, "--json").stdout)
    key = added.pop("key")
    assert (added["tenant"], added["source"], added["roles"]) == ("acme", "/web", ["send"])
    assert len(key.removeprefix(f"sprat_{added['id']}_")) == 43  # 32 bytes in base64url
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key.split("_", 2)[2] not in path.read_text()
    assert hashlib.sha256(key.encode()).hexdigest() in path.read_text()
    listed = run("list", "--file", path)
    assert added["id"] in listed.stdout
    assert "sprat_" not in listed.output
    assert json.loads(run("list", "--file", path, "--json").stdout) == added


def test_two_keys_are_valid_at_a_time_so_that_one_can_replace_the_other(run, path):
    (first, one), (second, _) = (add_key(path, "acme", "/web") for _ in range(MAX_VALID))
    said = run("add", "--tenant", "acme", "--source", "/web", "--file", path, code=2).stderr
    assert f"`sprat keys revoke {one.id}`" in said
    add_key(path, "acme", "/web", ["send", "read-texts"])  # another purpose
    add_key(path, "acme", "/desk")
    assert one.id in run("revoke", one.id, "--file", path).stdout
    keys = read_keys(path)
    assert match_key(keys, first) is None
    assert match_key(keys, second) is not None
    assert add_key(path, "acme", "/web")[1].tenant == "acme"


@pytest.mark.parametrize("wrong", ["", "sprat_", "x" * 201, "sprat_\udcff", "é" * 50])
def test_what_is_no_key_is_none(path, wrong):
    key, _ = add_key(path, "acme", "/web")
    keys = read_keys(path)
    assert match_key(keys, wrong) is None
    assert match_key(keys, key[:-1]) is None
    assert match_key(keys, key + "x") is None
    assert match_key(keys, key) == keys[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tenant", "", "--source", "/web"], "tenant: "),
        (["--tenant", "a\nb", "--source", "/web"], "tenant: "),
        (["--tenant", "a", "--source", "my web"], "source: it must be a URI reference"),
        (["--tenant", "a", "--source", "/web", "--role", "admin"], "roles: Input should be 'send', 'read-texts' or"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_written(run, path, arguments, said):
    assert said in run("add", *arguments, "--file", path, code=2).stderr
    assert not path.exists()


def test_the_guides_commands(run):
    for command in commands(programs()["api-keys"]):
        said = run(*shlex.split(command.removeprefix("sprat keys "))).stdout
    assert "acme" in said


def test_a_source_is_one_tenants(run, path):
    run("add", "--tenant", "acme", "--source", "/web", "--file", path)
    run("add", "--tenant", "acme", "--source", "/web", "--role", "label", "--file", path)
    said = run("add", "--tenant", "other", "--source", "/web", "--file", path, code=2).stderr
    assert "the source /web is another tenant's" in said
    assert len(read_keys(path)) == 2


def test_an_unknown_id_is_named(run, path):
    assert "has no key with the id 'abc'" in run("revoke", "abc", "--file", path, code=2).stderr


def test_without_a_file_it_is_that_of_the_variable_else_of_sprat_up(run, path, tmp_path, monkeypatch):
    add = ("add", "--tenant", "acme", "--source", "/web")
    assert "no `sprat up` of yours runs" in run(*add, code=2).stderr
    data = tmp_path / "data"
    LocalRun(pid=1, folder=str(data), redis_url="", for_commands=True).announce()
    monkeypatch.setattr("os.kill", lambda *_: None)
    run(*add)
    assert len(read_keys(data / "api-keys.json")) == 1
    LocalRun(pid=2, folder=str(tmp_path / "more"), redis_url="", for_commands=True).announce()
    said = run("list", code=2).stderr
    assert all(f"--file {folder / 'api-keys.json'}" in said for folder in (data, tmp_path / "more")), said
    monkeypatch.setenv("SPRAT_GATEWAY__KEYS_FILE", str(path))
    run(*add)
    assert len(read_keys(path)) == 1


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"keys": [{"id": "x"}]}', '{"keyz": []}'],
)
def test_a_file_that_is_not_valid_is_named_without_its_content(path, content):
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(UserError, match="not a file of API keys"):
        read_keys(path)


def test_a_file_that_others_can_write_is_not_read(path):
    add_key(path, "acme", "/web")
    path.chmod(0o666)
    with pytest.raises(UserError, match="let anybody in"):
        read_keys(path)


def test_two_entries_of_one_id_are_refused(path):
    add_key(path, "acme", "/web")
    entry = json.loads(path.read_text())["keys"][0]
    path.write_text(json.dumps({"keys": [entry, entry | {"tenant": "other"}]}))
    with pytest.raises(UserError, match="two keys have the same id"):
        read_keys(path)


def _add_ten(path: Path, source: str) -> None:
    for n in range(10):
        add_key(path, "acme", f"{source}/{n}")


def test_commands_at_the_same_time_lose_no_key(path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_add_ten, args=(path, source)) for source in ("/a", "/b")]
    for each in processes:
        each.start()
    for each in processes:
        each.join()
    assert len(read_keys(path)) == 20


def test_a_door_follows_the_file(path):
    clock, errors = Clock(), []
    key, entry = add_key(path, "acme", "/web")
    ring = KeyRing(path, errors.append, clock)
    assert ring.find(key) == entry
    another, _ = add_key(path, "acme", "/desk")
    assert ring.find(another) is None  # it has looked just now
    clock.now_s += REREAD_S
    assert ring.find(another) is not None
    revoke_key(path, entry.id)
    clock.now_s += REREAD_S
    assert ring.find(key) is None
    assert ring.get(entry.id) is None
    assert not errors


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_text("{")])
def test_a_file_that_cannot_be_used_lets_nobody_in(path, spoil):
    clock, errors = Clock(), []
    key, _ = add_key(path, "acme", "/web")
    good = path.read_bytes()
    ring = KeyRing(path, errors.append, clock)
    assert ring.find(key)
    spoil(path)
    for _ in range(3):
        clock.now_s += REREAD_S
        assert ring.find(key) is None
    assert len(errors) <= 1  # said once
    path.write_bytes(good)
    clock.now_s += REREAD_S
    assert ring.find(key)


@pytest.mark.parametrize(("source", "warned"), [("/web/bank", False), ("/web", True)])
def test_a_key_whose_texts_the_policy_refuses_is_added_with_a_warning(run, path, monkeypatch, tmp_path, source, warned):
    policy = tmp_path / "policy.yaml"
    policy.write_text("tenants: {bank: {signing_keys: ['${K}'], door_sources: [/web/bank], door_keys: ['${D}']}}\n")
    monkeypatch.setenv("SPRAT_POLICY", str(policy))
    added = run("add", "--tenant", "bank", "--source", source, "--file", path)
    assert (
        "the gateway refuses its texts (403) until the policy is changed: source of the API key: " in added.stderr
    ) is (warned)
    assert len(read_keys(path)) == 1
