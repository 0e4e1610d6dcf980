"""What `sprat up` prints when everything runs."""

import os
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from sprat_cli.main import app
from sprat_contracts import ModelAnnounced
from sprat_inference.artefact import write_artefact
from sprat_local.installation import servers
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import POLICY, Options, named_kafka_port, without_password
from sprat_local.processes.notices import LocalError, Notice
from sprat_local.processes.ports import PortClaims
from sprat_local.processes.server_starts import ConcurrentStarts
from sprat_local.processes.supervisor import Supervisor
from sprat_local.up.answers import AnswerNotices
from sprat_local.up.session import UpSession, example, greeting
from sprat_operations.local_run import LocalRun
from sprat_operations.services import ServedModel
from sprat_operations.traffic import TrafficFigures
from sprat_policy import load_task_files
from support.stream import card

TRY = 'sprat send "please move 100 euros to my savings" --task '


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("INTENT__MODEL", "KAFKA__BOOTSTRAP", "POLICY", "DEFAULT_LANGUAGE"):
        monkeypatch.delenv(f"SPRAT_{name}", raising=False)


@pytest.mark.parametrize("kafka", ["127.0.0.1:9092", "127.0.0.1:43211"])
def test_the_example_needs_no_options_where_commands_find_it(kafka: str) -> None:
    assert example(Installation(Options(bootstrap=kafka))) == f"{TRY}intent"


def test_beside_another_one_it_says_how_commands_tell_them_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Installation, "logs", "logs")
    other = LocalRun(os.getpid(), "folder", "", "127.0.0.1:9092", for_commands=True).announce()
    second = Installation(Options(bootstrap="127.0.0.1:43211", redis="redis://h/0"))
    said, shown = "\n".join(greeting(second)), example(second)
    other.unlink()
    assert "commands in this folder look for it at 127.0.0.1:9092: write into .env, or export," in said
    assert "SPRAT_KAFKA__BOOTSTRAP=127.0.0.1:43211\n" in said
    assert shown.endswith("--bootstrap 127.0.0.1:43211")


def test_the_example_has_the_options_that_differ_from_the_defaults() -> None:
    options = Options(bootstrap="h:1", prefix="other", environment={"SPRAT_INTENT__MODEL": "hr"})

    assert example(Installation(options)) == f"{TRY}intent@hr --prefix other"


def test_the_example_is_for_a_model_of_ones_own_where_there_is_one(tmp_path: Path) -> None:
    german = card().model_copy(update={"languages": ("de",)})
    write_artefact(tmp_path, german.model_dump(mode="json"))
    policy = tmp_path / "policy.yaml"
    policy.write_text("tenants:\n  laden: {frontier: deny}\n")
    models = (ServedModel("intent", "anfragen", tmp_path, "1"),)
    own = Options(bootstrap="h:1", models=models, policy=policy)
    assert example(Installation(own)) == 'sprat send "…" --task intent@anfragen --tenant laden'
    policy.write_text("tenants:\n  laden: {frontier: deny}\n  default: {frontier: deny}\n")
    assert example(Installation(own)) == 'sprat send "…" --task intent@anfragen'
    write_artefact(tmp_path, german.model_copy(update={"languages": ("en", "de")}).model_dump(mode="json"))
    assert example(Installation(own)) == 'sprat send "…" --task intent@anfragen'


@pytest.mark.parametrize(
    ("setting", "shown", "own"),
    [("de", " --language en", ""), ("auto", "", ""), ("en-GB", "", " --language de")],
)
def test_the_example_names_its_language_where_that_is_not_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, shown: str, own: str
) -> None:
    monkeypatch.setenv("SPRAT_DEFAULT_LANGUAGE", setting)
    assert example(Installation(Options(bootstrap="127.0.0.1:9092"))) == f"{TRY}intent{shown}"
    write_artefact(tmp_path, card().model_copy(update={"languages": ("de",)}).model_dump(mode="json"))
    options = Options(bootstrap="127.0.0.1:9092", models=(ServedModel("intent", "anfragen", tmp_path, "1"),))
    assert example(Installation(options)).partition(" --bootstrap")[0] == (
        f'sprat send "…" --task intent@anfragen{own}'
    )


@pytest.mark.parametrize(
    ("named", "port"),
    [
        ("127.0.0.1:19092", 19092),
        ("localhost:19093", 19093),
        ("kafka.internal:9094", 9092),
        ("127.0.0.1:1,127.0.0.1:2", 9092),
        ("127.0.0.1:", 9092),
        (None, 9092),
    ],
)
def test_kafka_is_started_where_the_settings_say_that_commands_look(
    named: str | None, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("" if named is None else f"SPRAT_KAFKA__BOOTSTRAP={named}\n")
    assert named_kafka_port() == port
    started: list[int | None] = []

    def take(_folder: Path, *, ports: list[int | None], **_: object) -> SimpleNamespace:
        started.extend(ports)
        return SimpleNamespace(nodes=())

    monkeypatch.setattr(PortClaims, "claim", lambda *_: True)
    monkeypatch.setattr(servers, "EmbeddedKafka", take)
    monkeypatch.setattr(ConcurrentStarts, "begin", lambda *_: None)
    options = Options(usual_ports=True, kafka_port=named_kafka_port(), redis="redis://h/0")
    notices: list[Notice] = []
    of_it = servers.BackingServers(options, Supervisor(notices.append), notices.append, lambda _: None)
    of_it.begin_start(tmp_path, tmp_path)
    assert started == [port]


@pytest.mark.parametrize(
    ("kept", "brokers", "said"),
    [("log", 3, "has the data of one broker: leave out --brokers"), ("1/log", 1, "of several brokers: --brokers 3")],
)
def test_kept_data_is_of_the_number_of_brokers_that_wrote_it(
    kept: str, brokers: int, said: str, tmp_path: Path
) -> None:
    log = tmp_path / "kafka" / kept
    log.mkdir(parents=True)
    (log / "meta.properties").write_text("cluster.id=kept\n")
    notices: list[Notice] = []
    options = Options(brokers=brokers, data=tmp_path)
    of_it = servers.BackingServers(options, Supervisor(notices.append), notices.append, lambda _: None)
    with pytest.raises(LocalError, match=f"{said}, or another folder for --data"):
        of_it.begin_start(tmp_path, tmp_path)


def test_where_its_port_was_taken_it_says_what_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Installation, "logs", "logs")
    (tmp_path / ".env").write_text("SPRAT_KAFKA__BOOTSTRAP=localhost:19092\n")
    at_another = Installation(Options(bootstrap="127.0.0.1:43211", redis="redis://h/0"))
    said = "\n".join(greeting(at_another))
    assert "commands in this folder look for it at localhost:19092" in said
    assert "SPRAT_KAFKA__BOOTSTRAP=127.0.0.1:43211\n" in said
    assert example(at_another).endswith("--bootstrap 127.0.0.1:43211")
    as_named = Installation(Options(bootstrap="127.0.0.1:19092", redis="redis://h/0"))
    assert "commands in this folder" not in "\n".join(greeting(as_named))
    assert "--bootstrap" not in example(as_named)


def test_in_a_folder_of_init_nothing_is_to_be_written_for_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Installation, "logs", "logs")
    assert CliRunner().invoke(app, ["init", str(tmp_path)]).exit_code == 0
    at_another = Installation(Options(bootstrap="127.0.0.1:43211", redis="redis://h/0"))
    assert "commands in this folder" not in "\n".join(greeting(at_another))
    assert "--bootstrap" not in example(at_another)
    assert named_kafka_port() == 9092


def test_passwords_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    options = Options(bootstrap="h:1", redis="redis://:hunter2@host:6380/1", frontier="https://me:hunter2@models/v1")
    monkeypatch.setattr(Installation, "logs", "logs")
    text = "\n".join(greeting(Installation(options)))

    assert "  Redis     redis://host:6380/1\n" in text
    assert "  frontier  https://models/v1\n" in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("policy", "said"),
    [(Path("own.yaml"), "own.yaml\n"), (POLICY, "the demo's: a text without a tenant may go, masked, to a model on ")],
)
def test_it_says_which_policy_is_in_force(policy: Path, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Installation, "logs", "logs")
    shown = "\n".join(greeting(Installation(Options(bootstrap="h:1", redis="redis://h/0", policy=policy))))
    assert f"  policy    {said}" in shown
    tenants = "  tenants   acme-bank, nordic-travel, default; any other: nothing leaves\n"
    assert (tenants in shown) == (policy == POLICY)


@pytest.mark.parametrize("url", ["redis://host/0?password=hunter2", "redis://[hunter2/0", "unix://hunter2@/socket"])
def test_passwords_in_unusual_places_are_not_shown_either(url: str) -> None:
    assert "hunter2" not in without_password(url)


@pytest.mark.parametrize(
    ("last", "frontier"),
    [("frontier", "simulated"), ("ollama:phi", "not asked: none of the tiers of the policy is the frontier")],
)
def test_the_tiers_of_the_policy_are_named_and_a_frontier_that_none_of_them_is_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str, frontier: str
) -> None:
    policy = tmp_path / "policy.yaml"
    region = "" if last == "frontier" else ", region: eu"
    house = "{preset: 'ollama:x', name: house, region: eu}"
    policy.write_text(f"tenants: {{}}\ntiers: [{house}, {{preset: '{last}'{region}}}]\n")
    installation = Installation(Options(policy=policy, data=tmp_path))
    monkeypatch.setattr(Installation, "folder", tmp_path)
    said = list(greeting(installation))
    assert f"  frontier  {frontier}" in said
    assert any(line.startswith("  tiers     house, ") and line.endswith(", in this order") for line in said)


def test_of_each_model_that_it_serves_it_says_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Installation, "logs", "logs")
    monkeypatch.setattr("sprat_local.up.session.serves", lambda _, announced: announced.model != "old")
    folder, policy, tasks = tmp_path / "hr", tmp_path / "policy.yaml", tmp_path / "tasks"
    folder.mkdir()
    tasks.mkdir()
    (tasks / "shop.yaml").write_text("kind: classification\nlabels: {a: , b: }\ngoal: 0.9\n")
    (tasks / "mood.yaml").write_text("kind: text\ninstruction: Say how the writer feels.\n")
    version = write_artefact(folder, card().model_dump()).version
    policy.write_text("tasks: {intent: {models: {hr: {keep_at: 0.82}}}}\n")
    options = Options(
        bootstrap="h:1",
        redis="redis://h/0",
        models=(ServedModel("intent", "hr", folder, version),),
        policy=policy,
        task_files=load_task_files(tasks),
    )
    announced = [
        ModelAnnounced(task=task, model=model, version=version, card={"keep_at": 0.7})
        for task, model in (("intent", "default"), ("intent", "hr"), ("intent", "old"), ("shop", "default"))
    ]
    said = "\n".join(greeting(Installation(options), announced))
    assert f"  model     intent/hr {version} from {folder}\n" in said
    kept = [line.partition("  keeps     ")[2] for line in said.splitlines() if line.startswith("  keeps")]
    assert kept == [
        "intent/default: goal 0.97 (recommended): not measured, so its card decides, from 0.70 on",
        "intent/hr: keep_at 0.82",
        "shop/default: goal 0.9: not measured, so its card decides, from 0.70 on",
    ]
    assert "  unserved  intent/old is announced" in said
    assert f"\n  tasks     mood, shop, from {tasks}\n" in said
    policy.write_text("tasks: {intent: {keep_at: 7}}\n")
    broken = "\n".join(greeting(Installation(options), announced))
    assert f"  model     intent/hr {version} from {folder}\n" in broken, "the services say what is wrong with it"
    assert "keeps" not in broken


def test_a_server_that_answers_again_is_told_with_how_long_it_took() -> None:
    notices: list[Notice] = []
    now = iter((10.0, 52.4, 100.0, 400.0))
    kafka = AnswerNotices("kafka", "the services try it again", notices.append, clock=lambda: next(now))
    for answers in (True, False, False, True, True, False, True):
        kafka.tell(answers=answers)
    assert notices == [
        Notice("kafka", "warning", "does not answer; the services try it again"),
        Notice("kafka", "info", "answers again, after 42 s"),
        Notice("kafka", "warning", "does not answer; the services try it again"),
        Notice("kafka", "info", "answers again, after 5 min"),
    ]


def test_plain_lines_leave_it_to_the_notices_that_kafka_does_not_answer() -> None:
    out = StringIO()
    session, figures = UpSession(Options(), Console(file=out)), TrafficFigures(texts=3, results=3, kept=3)
    for reachable in (True, False, True):
        figures.reachable = reachable
        session._show(figures)
    (line,) = out.getvalue().splitlines()
    assert line.startswith("texts 3  kept 3 ")
