"""`sprat init`, `sprat policy check` and `sprat clean`: what they write, say and remove."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sprat_cli.main import app
from sprat_cli.options import kafka_settings
from sprat_contracts import TASKS
from sprat_operations import local_cache, local_run
from sprat_policy import load_policy
from support.snapshots import matches_snapshot

POLICY = Path(__file__).parents[2] / "compose" / "policy.yaml"


def run(*words: str, code: int = 0, typed: str | None = None) -> str:
    ran = CliRunner().invoke(app, list(words), input=typed)
    assert ran.exit_code == code, ran.output
    return ran.output


def test_init_writes_what_a_use_case_begins_with_and_overwrites_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "my case"
    said = run("init", str(folder))
    assert f"next: cd '{folder}' && sprat up; in another terminal: python producer.py" in said
    assert {each.name for each in folder.iterdir()} == {"policy.yaml", ".env", "producer.py"}
    assert all(str(each) in said for each in folder.iterdir())
    assert (folder / "policy.yaml").read_bytes() == POLICY.read_bytes()
    assert (folder / ".env").stat().st_mode & 0o777 == 0o600
    compile((folder / "producer.py").read_text("utf-8"), "producer.py", "exec")
    assert "is valid" in run("policy", "check", str(folder / "policy.yaml"))

    (folder / ".env").unlink()
    (folder / "producer.py").write_text("mine")
    refused = run("init", str(folder), code=2)
    assert "producer.py; nothing was written" in refused
    assert (folder / "producer.py").read_text() == "mine"
    assert not (folder / ".env").exists()


STAND_IN = """
class Producer:
    def __init__(self, settings):
        self.where = settings["bootstrap.servers"]
    def produce(self, *_, **__):
        pass
    def flush(self, _):
        return 1
class Consumer(Producer):
    def subscribe(self, _):
        pass
"""
"""For confluent-kafka; no broker answers it."""


@pytest.mark.parametrize(("variable", "asked"), [(None, "127.0.0.1:19092"), ("other:9092", "other:9092")])
def test_the_example_producer_finds_kafka_where_the_settings_say(
    cache: Path, tmp_path: Path, variable: str | None, asked: str
) -> None:
    folder = tmp_path / "case"
    run("init", str(folder))
    settings = folder / ".env"
    line = "SPRAT_KAFKA__BOOTSTRAP=127.0.0.1:"
    settings.write_text(settings.read_text().replace(f"#{line}9092\n", f"{line}19092\n"))
    (folder / "confluent_kafka.py").write_text(STAND_IN)
    env = {name: value for name, value in os.environ.items() if not name.startswith("SPRAT_")}
    env |= {} if variable is None else {"SPRAT_KAFKA__BOOTSTRAP": variable}
    command = [sys.executable, str(folder / "producer.py")]
    ended = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert f"Kafka at {asked} does not answer" in ended.stderr
    assert str(settings) in ended.stderr


def test_in_its_folder_commands_still_find_a_sprat_up_at_another_address(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BOOTSTRAP", "PREFIX"):
        monkeypatch.delenv(f"SPRAT_KAFKA__{name}", raising=False)
    folder = tmp_path / "case"
    run("init", str(folder))
    assert "#SPRAT_KAFKA__BOOTSTRAP=127.0.0.1:9092\n" in (folder / ".env").read_text()
    monkeypatch.chdir(folder)
    where = "redis://127.0.0.1:6399/0", "127.0.0.1:43211"
    demo = local_run.LocalRun(os.getpid(), "folder", "redis://127.0.0.1:6398/0", "127.0.0.1:43210").announce()
    announced = local_run.LocalRun(os.getpid(), "folder", *where, for_commands=True).announce()
    found = kafka_settings(None, None).bootstrap
    said = run("init", str(tmp_path / "later"))
    demo.unlink()
    announced.unlink()
    assert found == "127.0.0.1:43211"
    later = tmp_path / "later" / ".env"
    assert f"your `sprat up` is at 127.0.0.1:43211: commands find it; for producer.py, set it in {later}" in said
    assert "\n#SPRAT_KAFKA__BOOTSTRAP=127.0.0.1:43211\n" in later.read_text()


@pytest.mark.parametrize("name", ["kundendienst", "no", "2026", 'Müller: "Söhne" #1', "default"])
def test_init_writes_a_policy_with_ones_own_tenant(tmp_path: Path, name: str) -> None:
    run("init", str(tmp_path), "--tenant", name)
    written = (tmp_path / "policy.yaml").read_text("utf-8")
    shipped, own = load_policy(POLICY), load_policy(tmp_path / "policy.yaml")
    assert own.tenants == {name: shipped.tenants["acme-bank"]}
    assert own.model_copy(update={"tenants": shipped.tenants}) == shipped
    assert "    # Where to." in written  # its fields are explained
    assert ("It has no section here" in written) == (name != "default")


@pytest.mark.parametrize("name", ["", "*", "a\nb", "x" * 257])
def test_init_refuses_what_is_no_tenant(tmp_path: Path, name: str) -> None:
    assert "a tenant's name has 1 to 256 printable characters" in run("init", str(tmp_path), "--tenant", name, code=2)
    assert not list(tmp_path.iterdir())


BY_GOAL = "kept by the model's recommended goal"


def told_by_check(policy: Path) -> tuple[dict[str, str], str]:
    """Return what the command says of each task, and what it says after that."""
    said = run("policy", "check", str(policy)).partition("\n")[2]
    of_tasks, section, others = said.partition("tenants\n")
    words = ((line.split()[0], line.split(maxsplit=1)[1]) for line in of_tasks.splitlines())
    return dict(words), section + others


def test_a_policy_that_is_right_is_told_in_words(tmp_path: Path) -> None:
    of_tasks, shipped = told_by_check(POLICY)
    assert of_tasks == dict.fromkeys(TASKS, BY_GOAL)
    file = tmp_path / "own.yaml"
    file.write_text("""
tasks: {intent: {models: {hr: {keep_at: 0.6}}}, ner: {keep_at: 0.999}}
tenants:
  '*': {frontier: redact, regions: [eu]}
  crm: {frontier: redact, regions: [eu], signing_keys: ['${SPRAT_NO_SUCH_KEY}']}
  vault: {frontier: deny}
  other: {frontier: deny}
inside: [gpu.internal]
tiers:
  - {preset: "vllm:http://gpu.internal:8000/v1", model: phi-4, keep_at: 0.8, tasks: [intent], tenants: [crm, vault]}
  - {preset: frontier}
""")
    of_tasks, own = told_by_check(file)
    kept = {"intent": f"{BY_GOAL}; hr by keep_at 0.6", "ner": "kept by keep_at 0.999"}
    assert of_tasks == dict.fromkeys(TASKS, BY_GOAL) | kept
    assert matches_snapshot("policy_check", f"# the shipped policy\n{shipped}# one with tiers\n{own}")
    assert json.loads(run("policy", "check", str(file), "--json"))["policy"]["tenants"]["crm"]["regions"] == ["eu"]
    assert "SPRAT_NO_SUCH_KEY" in run("policy", "check", str(file), "--keys", code=2)


def test_the_tasks_of_a_tier_are_those_of_sprat_and_of_the_task_files(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("tenants: {}\ntiers: [{preset: frontier, tasks: [mood]}]\n")
    assert f"{file}:2:36: tiers.0.tasks.0: no task 'mood'" in run("policy", "check", str(file), code=2)
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "mood.yaml").write_text("{kind: classification, labels: {good: , bad: }}")
    assert "for mood" in run("policy", "check", str(file))


def test_a_policy_that_is_wrong_is_refused_with_line_and_field(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("tenants:\n  acme:\n    frontier: perhaps\n")
    said = run("policy", "check", str(file), code=2)
    assert f"{file}:3:" in said
    assert "tenants.acme.frontier" in said
    assert "not valid" not in run("policy", "check", str(tmp_path / "none.yaml"), code=2)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (local_cache, local_run):
        monkeypatch.setattr(module, "user_cache_path", lambda _: tmp_path / "sprat")
    return tmp_path / "sprat"


def test_clean_says_what_lies_in_the_cache_and_removes_it(cache: Path, tmp_path: Path) -> None:
    assert run("clean") == f"nothing of Sprat in {cache}\n"
    kafka = "kafka-4.1.1-8032a3ac32ee"
    made = ((kafka, 3_000_000), ("kubernetes", 10), ("npm", 10), ("rampart", 1))
    for name, size in (*made, ("kafka-backup", 1), ("notes", 5), ("run", 5)):
        (cache / name / "deep").mkdir(parents=True)
        (cache / name / "deep" / "file").write_bytes(b"x" * size)
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_bytes(b"x" * 9_000_000)
    (cache / "kubernetes" / "link").symlink_to(kept)
    (cache / "kubernetes" / "deep").chmod(0o500)  # as the folders of what `go` fetches

    said = run("clean", "--dry-run")
    assert [line.split()[:2] for line in said.splitlines()[:5]] == [["3", "MB"], *[["0", "kB"]] * 3, ["3", "MB"]]
    assert "Apache Kafka" in said
    assert "not made by Sprat, and left there: kafka-backup, notes" in said
    assert "make test-clients" in said
    assert json.loads(run("clean", "--dry-run", "--json").splitlines()[0])["size"] == 3_000_000
    assert "nothing was removed" in run("clean", code=1, typed="n\n")
    assert (cache / kafka).exists()
    announced = local_run.LocalRun(os.getpid(), "folder", "redis://127.0.0.1:6399/0").announce()
    assert f"(process {os.getpid()}) with these files: stop it first" in run("clean", "--yes", code=2)
    announced.unlink()
    assert "removed 3 MB" in run("clean", "--yes")
    assert sorted(each.name for each in cache.iterdir()) == ["kafka-backup", "notes", "run"]
    assert (kept / "file").exists()


def test_clean_removes_nothing_through_a_link(cache: Path, tmp_path: Path) -> None:
    others = tmp_path / "others"
    (others / "npm").mkdir(parents=True)
    (others / "npm" / "mine").touch()
    cache.symlink_to(others)
    assert f"{cache} is a link, to {others}: nothing is removed through it" in run("clean", "--yes", code=2)
    assert (others / "npm" / "mine").exists()
    cache.unlink()
    cache.mkdir()
    (cache / "npm").symlink_to(others / "npm")
    run("clean", "--yes")
    assert not (cache / "npm").is_symlink()
    assert (others / "npm" / "mine").exists()


def test_the_policy_of_the_folder_is_checked_where_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPRAT_POLICY", raising=False)
    assert "there is no policy: name its FILE, or set SPRAT_POLICY" in run("policy", "check", code=2)
    Path("own.yaml").write_text("tenants: {}\n")
    Path(".env").write_text("SPRAT_POLICY=own.yaml\n")
    assert run("policy", "check").startswith("own.yaml is valid")
