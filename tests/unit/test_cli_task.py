"""`sprat task init` and `sprat task check`, and which folder of task files a command reads."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sprat_cli.main import app
from sprat_encoder import zero_shot
from sprat_inference.artefact import load_artefact, write_artefact
from sprat_inference.card import label_set_hash
from sprat_operations.chosen_policy import chosen_tasks
from sprat_operations.local_run import LocalRun
from sprat_policy import load_task_file
from support.snapshots import matches_snapshot
from support.stream import card
from support.training_files import EN_FAST

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `sprat task …` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("SPRAT_POLICY", "SPRAT_TASKS"):
        monkeypatch.delenv(name, raising=False)

    def ran(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, ["task", *arguments])
        assert done.exit_code == code, done.output
        return done.output

    return ran


def test_a_file_is_written_that_says_what_was_given(run: Run) -> None:
    given = ["--labels", "billing", "--label", "technical=it does not work: {x}", "--language", "en"]
    run("init", "queue", *given, "--artefact", "models/queue", "--goal", "0.95", "--instruction", 'Judge: it\'s "x".')
    task = load_task_file(Path("tasks/queue.yaml"))
    assert task.labels == {"billing": "", "technical": "it does not work: {x}"}
    assert (task.languages, task.artefact, task.goal) == (("en",), Path("../models/queue"), 0.95)
    assert task.instruction == 'Judge: it\'s "x".'
    assert "  billing:\n" in Path("tasks/queue.yaml").read_text()


def test_the_labels_of_a_model_are_those_of_its_card(run: Run) -> None:
    said = run("init", "desk", "--artefact", str(EN_FAST))
    card = load_artefact(EN_FAST).card
    task = load_task_file(Path("tasks/desk.yaml"))
    assert tuple(task.labels) == card.labels
    assert (task.goal, task.keep_at) == (None, None)
    assert f"its labels are those of the card of {EN_FAST}: {', '.join(card.labels or ())}" in said


def test_the_model_of_a_task_is_named_and_all_else_in_its_file_stays(run: Run) -> None:
    card = load_artefact(EN_FAST).card
    run("init", "desk", "--labels", ",".join(card.labels or ()), "--instruction", "Judge.", "--language", "en")
    before = Path("tasks/desk.yaml").read_text()
    said = run("model", "desk", str(EN_FAST))
    task = load_task_file(Path("tasks/desk.yaml"))
    assert (Path("tasks") / (task.artefact or "")).resolve() == EN_FAST.resolve()
    assert task.instruction == "Judge."
    assert "was none" in said
    assert Path("tasks/desk.yaml").read_text().startswith(before)


def test_a_model_that_does_not_fit_is_not_named(run: Run) -> None:
    run("init", "desk", "--labels", "a,b")
    before = Path("tasks/desk.yaml").read_text()
    assert "the task desk has the label 'a', which its model does not know" in run(
        "model", "desk", str(EN_FAST), code=2
    )
    assert "nowhere: there is no model that can be read" in run("model", "desk", "nowhere", code=2)
    assert "there is no task file tasks/mood.yaml" in run("model", "mood", str(EN_FAST), code=2)
    assert Path("tasks/desk.yaml").read_text() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ner", "--labels", "a,b"], "ner is a task of Sprat itself"),
        (["My Task", "--labels", "a,b"], "no name of a task"),
        (["mood", "--labels", "a"], "two labels or more"),
        (["mood", "--labels", "a,b,a"], "'a' is given twice"),
        (["mood", "--labels", "a,b", "--language", "english"], "languages.0"),
        (["mood", "--labels", "a,b", "--goal", "0.973"], "--goal 0.973: no such goal; the nearest: 0.97 and 0.975"),
        (["mood", "--artefact", "nowhere"], "nowhere: there is no model whose card names the labels"),
        (["mood", "--artefact", str(EN_FAST), "--kind", "multi_label"], "add --kind classification"),
        (["summary", "--kind", "text"], "needs --instruction"),
        (["summary", "--kind", "text", "--labels", "a,b"], "neither labels nor a model"),
        (["pii", "--kind", "pii", "--labels", "a,b"], "neither labels nor a model"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_left(run: Run, arguments: list[str], said: str) -> None:
    assert said in run("init", *arguments, code=2)
    assert not list(Path().glob("tasks/*.yaml"))


def test_a_file_that_is_there_is_kept(run: Run) -> None:
    run("init", "mood", "--labels", "a,b")
    assert "is there already" in run("init", "mood", "--labels", "c,d", code=2)
    run("init", "mood", "--labels", "c,d", "--force")
    assert [*load_task_file(Path("tasks/mood.yaml")).labels] == ["c", "d"]


def test_check_tells_every_problem_and_what_the_others_say(run: Run) -> None:
    run("init", "mood", "--labels", "a,b")
    Path("tasks/odd.yaml").write_text("kind: poem\n")
    said = run("check", code=2)
    assert "tasks/mood.yaml is valid: the task mood, classification" in said
    assert "tasks/odd.yaml:1:7: kind" in said
    told = json.loads(run("check", "tasks/mood.yaml", "--json"))
    assert (told["name"], told["task"]["labels"]) == ("mood", {"a": "", "b": ""})


@pytest.mark.parametrize(
    ("labels", "kind", "said"),
    [
        (("a", "c"), None, "the task mood has the label 'b', which its model does not know: write the same labels in"),
        (("a", "b", "c"), None, "the model of the task mood has the label 'c', which its file does not have: write"),
        (("a", "b"), "multi_label", "is of the kind classification, and its model gives a text several labels"),
    ],
    ids=["missing", "surplus", "kind"],
)
def test_check_says_what_the_service_would_of_a_model_that_does_not_fit(
    run: Run, tmp_path: Path, labels: tuple[str, ...], kind: str | None, said: str
) -> None:
    run("init", "mood", "--labels", "a,b", "--artefact", "m")
    assert "is valid" in run("check"), "the model may be made later"
    (tmp_path / "m").mkdir()
    write_artefact(
        tmp_path / "m", {**card().model_dump(), "labels": labels, "label_set": label_set_hash(labels), "kind": kind}
    )
    told = run("check", code=2)
    assert "not valid:\ntasks/mood.yaml: the " in told
    assert said in told
    assert "is valid" not in told


def test_without_any_file_check_says_how_to_write_one(run: Run) -> None:
    assert "sprat task init" in run("check", code=2)


def test_a_command_reads_the_folder_of_the_sprat_up_that_it_talks_to(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("init", "mine", "--labels", "a,b")
    other = tmp_path / "elsewhere"
    other.mkdir()
    monkeypatch.chdir(other)
    up = LocalRun(1, "folder", "", "127.0.0.1:9092", tasks=str(tmp_path / "tasks"))
    assert [*chosen_tasks(up)] == ["mine"]
    (other / "own").mkdir()
    monkeypatch.setenv("SPRAT_TASKS", str(other / "own"))
    assert [*chosen_tasks(up)] == []


def test_without_a_model_the_languages_are_those_of_the_shared_encoder(run: Run) -> None:
    read = load_artefact_card(zero_shot.ARTEFACT)["languages"]
    run("init", "mood", "--labels", "a,b")
    assert f"languages  {', '.join(read)}: those of the shared encoder" in run("check")
    page = Path(__file__).parents[2] / "docs" / "tasks.md"
    assert f"of the shared encoder, {', '.join(f'`{each}`' for each in read)}." in page.read_text("utf-8")
    run("init", "mood", "--labels", "a,b", "--language", "sv", "--force")
    assert "languages  sv\n" in run("check")


def load_artefact_card(folder: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((folder / "card.json").read_text("utf-8"))
    return card


def test_a_task_is_checked_by_its_name(run: Run) -> None:
    run("init", "haste", "--labels", "a,b")
    assert f"{Path('tasks/haste.yaml')} is valid" in run("check", "haste")
    assert "there is no task file tasks/hasty.yaml; give a file: tasks/NAME.yaml" in run("check", "hasty", code=2)


def test_the_policy_is_described_with_the_tasks_beside_it(run: Run) -> None:
    Path("policy.yaml").write_text("tenants: {}\n", encoding="utf-8")
    run("init", "mood", "--labels", "a,b", "--goal", "0.95")
    run("init", "summary", "--kind", "text", "--instruction", "Summarise it.")
    done = CliRunner().invoke(app, ["policy", "check", "policy.yaml"])
    assert done.exit_code == 0, done.output
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in done.output.splitlines() if line.startswith("  ")}
    assert lines["mood"] == "kept by goal 0.95"
    assert lines["summary"] == "the frontier alone answers"
    assert lines["intent"].startswith("kept by")
    tier = "{preset: 'ollama:x', region: eu}"
    Path("policy.yaml").write_text(f"tenants: {{}}\ntiers: [{tier}]\n", encoding="utf-8")
    said = CliRunner().invoke(app, ["policy", "check", "policy.yaml"]).output
    assert "  summary      the frontier or tiers alone answer\n" in said


def test_who_has_given_every_meaning_is_not_asked_for_them(run: Run) -> None:
    assert "next: sprat task check" in run("init", "given", "--label", "a=one", "--label", "b=two")
    assert "restart router and frontier" in run("init", "third", "--label", "a=one", "--label", "b=two")
    assert "next: say in it what each label means" in run("init", "bare", "--label", "a=one", "--labels", "b")


def test_what_task_files_say_is_told(run: Run) -> None:
    several = ["--kind", "multi_label", "--labels", "billing,delivery"]
    run("init", "topics", *several)
    run("init", "topics-with-model", *several, "--artefact", "m")
    run("init", "mood", "--labels", "a,b")
    for name in ("topics", "mood"):
        with Path(f"tasks/{name}.yaml").open("a") as file:
            file.write("models: {hr: {keep_at: 0.5}}\n")
    run("init", "pii", "--kind", "pii", "--language", "de")
    run("init", "long", "--kind", "text", "--instruction", "Explain it.")
    run("init", "short", "--kind", "text", "--instruction", "Shorten it.", "--language", "en")
    assert matches_snapshot("task_check", run("check"))
    tasks = {path.stem: load_task_file(path) for path in Path("tasks").glob("*.yaml")}
    assert (tasks["long"].max_characters, tasks["pii"].languages, tasks["topics"].goal) == (2_000, ("de",), None)
