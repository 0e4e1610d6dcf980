"""`sprat promote`: a version takes the place of the one that is served, or the previous one comes back."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sprat.base.thresholds import THRESHOLDS, find_thresholds, write_thresholds
from sprat_cli.main import app
from sprat_inference.artefact import load_artefact, write_artefact
from sprat_operations import local_run
from sprat_operations.local_run import LocalRun
from support import measured, training_files


def sprat(*arguments, code=0):
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """Train two versions, `hr` and `hr-2`, whose card says `hr`."""
    folder = tmp_path_factory.mktemp("versions")
    for rows, name in ((training_files.rows()[:-4], "hr"), (training_files.rows(), "hr-2")):
        file = training_files.write(folder / "hr.csv", rows)
        encoder = ("--encoder", training_files.EN_FAST, "--no-lexical")
        sprat("train", "intent", file, "--name", "hr", "--output", folder / name, *encoder)
    return folder


@pytest.fixture
def folder(versions, tmp_path, monkeypatch):
    """Copy both into the working folder; no `sprat up` and no policy is known."""
    monkeypatch.delenv("SPRAT_POLICY", raising=False)
    monkeypatch.setattr(local_run, "for_commands", list)
    shutil.copytree(versions, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for name in ("hr", "hr-2"):
        (tmp_path / name / THRESHOLDS).unlink(missing_ok=True)
    return tmp_path


def measure(folder, **thresholds):
    card = load_artefact(folder).card
    found = measured.thresholds(model_version=card.version, label_set=card.label_set, **thresholds)
    write_thresholds(folder / THRESHOLDS, found)
    return found


def version(name):
    return load_artefact(Path(name)).card.version


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def serves(monkeypatch, folder, name="intent/hr", policy=""):
    run = LocalRun(1, str(folder), "", models={name: str(folder / "hr")}, policy=str(policy))
    monkeypatch.setattr(local_run, "for_commands", lambda: [run])


def test_a_version_takes_the_place_of_the_served_one_with_its_thresholds_and_its_report_and_comes_back(folder):
    old, new = version("hr"), version("hr-2")
    reports = [(folder / f"{name}-report.html").read_bytes() for name in ("hr", "hr-2")]
    found = measure(folder / "hr-2")
    said = sprat("promote", "hr-2").stdout
    assert (version("hr"), version("hr.previous")) == (new, old)
    assert find_thresholds(folder / "hr", model_version=new).thresholds_version == found.thresholds_version
    assert (folder / "hr-report.html").read_bytes() == reports[1]
    assert (folder / "hr.previous-report.html").read_bytes() == reports[0]
    assert not (folder / "hr-2").exists()
    assert not (folder / "hr-2-report.html").exists()
    assert said.splitlines()[-2:] == [
        f"hr: intent@hr has version {new} now; a running `sprat up` takes it over by itself",
        f"hr.previous: version {old}; back to it: sprat promote hr --back",
    ]

    sprat("promote", "hr", "--back")
    assert (version("hr"), version("hr.previous")) == (old, new)
    assert (folder / "hr-report.html").read_bytes() == reports[0]
    assert find_thresholds(folder / "hr.previous", model_version=new) is not None


def test_it_says_what_both_keep_at_the_goal_of_the_policy_as_their_thresholds_state(folder, monkeypatch):
    (folder / "policy.yaml").write_text("tasks: {intent: {models: {hr: {goal: 0.9}}}}\n")
    monkeypatch.setenv("SPRAT_POLICY", "policy.yaml")
    measure(folder / "hr", estimated=0.7)
    measure(folder / "hr-2", estimated=0.6)
    said = json.loads(sprat("promote", "hr-2", "--dry-run", "--json").stdout)
    assert (said["goal"], said["evidence"], said["done"], said["back"]) == (0.9, "estimated", False, False)
    of_cells = [
        [(cell["says"], cell["rows"], cell["kept"]) for cell in said[which]["cells"]] for which in ("served", "new")
    ]
    assert of_cells == [[(None, 450, 250), ("some", 400, 200), ("none", 50, 50)]] * 2
    thresholds = [
        next(cell["threshold"] for cell in said[which]["cells"] if cell["says"] == "some")
        for which in ("served", "new")
    ]
    assert thresholds == pytest.approx([0.7 / 1.1, 0.6 / 1.1])
    lines = sprat("promote", "hr-2", "--dry-run").stdout.splitlines()
    assert lines[0].startswith("after at goal 90 % (estimated, on average): ")
    assert len(lines) <= 40


def test_a_dry_run_moves_nothing(folder):
    before = content(folder)
    said = sprat("promote", "hr-2", "--dry-run").stdout
    assert content(folder) == before
    assert said.splitlines()[-1] == (
        f"hr: would hold version {version('hr-2')}, hr.previous the one of now, {version('hr')}; nothing was moved"
    )


@pytest.mark.parametrize(
    "asked",
    [
        "{goal: 0.97, evidence: certified}",
        "{goal: 0.97, evidence: certified, models: {}}",
        "{goal: 0.9, languages: {de: {goal: 0.97, evidence: certified}}}",
    ],
)
def test_where_the_policy_asks_for_a_certificate_a_version_without_one_is_refused_but_with_force(
    folder, monkeypatch, asked
):
    (folder / "policy.yaml").write_text(f"tasks: {{intent: {asked}}}\n")
    monkeypatch.setenv("SPRAT_POLICY", "policy.yaml")
    measure(folder / "hr")
    before = content(folder)
    refused = sprat("promote", "hr-2", code=1).stderr
    assert refused.startswith("sprat: the policy asks for 97 % certified, and hr-2 has no certificate of it")
    assert "sprat evaluate FILE --model hr-2 --goal 0.97 --write" in refused
    assert content(folder) == before
    new = version("hr-2")
    sprat("promote", "hr-2", "--force")
    assert version("hr") == new
    sprat("promote", "hr", "--back"), "the way back asks for nothing"
    assert version("hr.previous") == new


def test_a_version_with_the_certificate_is_promoted(folder, monkeypatch):
    (folder / "policy.yaml").write_text("tasks: {intent: {goal: 0.97, evidence: certified}}\n")
    monkeypatch.setenv("SPRAT_POLICY", "policy.yaml")
    measure(folder / "hr-2")
    new = version("hr-2")
    sprat("promote", "hr-2")
    assert version("hr") == new


def test_labels_that_go_away_and_new_ones_are_named(folder):
    rows = [(text, "cards" if label == "badge" else label) for text, label in training_files.rows()]
    training_files.write(folder / "other.csv", rows)
    sprat("train", "intent", "other.csv", "--name", "hr", "--output", "hr-3", "--encoder", training_files.EN_FAST)
    said = sprat("promote", "hr-3").stdout
    assert "\nlabels that it no longer knows: badge\n" in said
    assert "\nlabels that are new: cards\n" in said


def test_the_folder_is_that_of_sprat_up_whatever_its_name(folder, monkeypatch):
    serves(monkeypatch, folder, "intent/people")
    new = version("hr-2")
    said = sprat("promote", "hr-2").stdout
    assert version("hr") == new
    assert said.splitlines()[-2].startswith(f"hr: intent@people has version {new} now")
    sprat("promote", "--back", "--as", "people")
    assert version("hr.previous") == new


def test_the_policy_is_that_of_sprat_up(folder, monkeypatch):
    (folder / "up.yaml").write_text("tasks: {intent: {goal: 0.85}}\n")
    serves(monkeypatch, folder, policy=folder / "up.yaml")
    assert json.loads(sprat("promote", "hr-2", "--json").stdout)["goal"] == 0.85


def test_where_several_folders_serve_the_model_one_is_to_be_named(folder, monkeypatch):
    shutil.copytree(folder / "hr", folder / "people")
    models = {"intent/hr": str(folder / "hr"), "intent/people": str(folder / "people")}
    monkeypatch.setattr(local_run, "for_commands", lambda: [LocalRun(1, "", "", models=models)])
    write_artefact(folder / "hr-2", json.loads((folder / "hr-2" / "card.json").read_text()) | {"name": "new"})
    refused = sprat("promote", "hr-2", code=2).stderr
    assert "name it with --as NAME or --served DIR" in refused
    new = version("hr-2")
    sprat("promote", "hr-2", "--as", "people")
    assert (version("people"), version("hr") == new) == (new, False)


def test_of_two_installations_the_one_beside_the_new_version_is_meant(folder, monkeypatch):
    elsewhere = folder / "elsewhere" / "hr"
    shutil.copytree(folder / "hr", elsewhere)
    runs = [
        LocalRun(number, "", "", models={"intent/hr": str(each)})
        for number, each in ((1, elsewhere), (2, folder / "hr"))
    ]
    monkeypatch.setattr(local_run, "for_commands", lambda: runs)
    old, new = version("hr"), version("hr-2")
    sprat("promote", "hr-2")
    assert (version("hr"), version(elsewhere)) == (new, old)


def test_in_the_place_of_a_tasks_model_the_labels_must_be_those_of_its_file(folder):
    (folder / "tasks").mkdir()
    labels = ", ".join(f"{label}: x" for label in load_artefact(folder / "hr").card.labels)
    task = folder / "tasks" / "desk.yaml"
    task.write_text(f"kind: classification\nlabels: {{{labels}}}\nartefact: ../hr\n")
    card = json.loads((folder / "hr-2" / "card.json").read_text())
    new = write_artefact(folder / "hr-2", card | {"limits": ["the second"]}).version
    task.write_text(task.read_text().replace("badge: x", "badges: x"))
    refused = sprat("promote", "hr-2", "--as", "desk", code=2).stderr
    assert "the task desk has the label 'badges', which its model does not know" in refused
    task.write_text(task.read_text().replace("badges: x", "badge: x"))
    said = sprat("promote", "hr-2", "--as", "desk").stdout
    assert f"hr: desk has version {new} now" in said


def test_a_version_that_is_served_itself_is_not_moved(folder, monkeypatch):
    models = {"intent/hr": str(folder / "hr"), "intent/two": str(folder / "hr-2")}
    monkeypatch.setattr(local_run, "for_commands", lambda: [LocalRun(1, "", "", models=models)])
    refused = sprat("promote", "hr-2", "--as", "hr", code=2).stderr
    assert refused == "sprat: hr-2 is served itself, as intent@two; end that first, for the folder is moved\n"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("hr-9",), "sprat: hr-9/card.json: "),
        (("link", "--served", "hr"), "sprat: link: name the folder itself, from outside of it; no link to it"),
        (("hr/inner", "--served", "hr"), "sprat: hr, hr.previous and hr/inner: one lies in another"),
        (("copy",), "sprat: hr and copy hold the same version, "),
        (("empty",), "sprat: empty/card.json: "),
        (("hr-2", "--served", "empty"), "sprat: empty: no artefact, so no version of it is replaced"),
        (("hr", "--back"), "sprat: hr.previous: no such folder, so no version before is kept"),
        ((), "sprat: name the folder of the version to promote"),
        (("--back",), "sprat: no folder is known that serves this model"),
    ],
)
def test_nothing_is_moved_where_there_is_no_other_version(folder, arguments, why):
    shutil.copytree(folder / "hr", folder / "copy")
    shutil.copytree(folder / "copy", folder / "hr" / "inner")
    (folder / "empty").mkdir()
    (folder / "link").symlink_to("hr-2")
    before = content(folder)
    assert sprat("promote", *arguments, code=2).stderr.startswith(why)
    assert content(folder) == before


def test_a_version_that_cannot_be_loaded_or_whose_thresholds_are_torn_is_not_promoted(folder):
    (folder / "hr-2" / THRESHOLDS).write_text("{")
    refused = sprat("promote", "hr-2", code=2).stderr
    assert refused.startswith(f"sprat: hr-2/{THRESHOLDS}: not JSON")
    assert refused.endswith("; nothing was moved\n")
    (folder / "hr-2" / THRESHOLDS).unlink()
    card = json.loads((folder / "hr-2" / "card.json").read_text())
    write_artefact(folder / "hr-2", card | {"reader": "sprat-intent-linear/9"})
    refused = sprat("promote", "hr-2", code=2).stderr
    assert refused.startswith("sprat: hr-2: cannot be served: ")
    assert not (folder / "hr.previous").exists()


def test_torn_thresholds_of_the_version_that_goes_hinder_nothing(folder):
    (folder / "hr" / THRESHOLDS).write_text("{")
    new = version("hr-2")
    assert "thresholds that cannot be read: hr/" in sprat("promote", "hr-2").stdout
    assert version("hr") == new


def test_an_exchange_that_was_interrupted_is_finished(folder):
    old, new = version("hr"), version("hr-2")
    sprat("promote", "hr-2")
    (folder / "hr").rename("hr.previous.aside")
    refused = sprat("train", "intent", "hr.csv", code=2).stderr
    assert refused.endswith("finish it first: sprat promote hr --back\n")
    assert sprat("promote", "hr", "--back").stderr == "finished an exchange that was interrupted\n"
    assert (version("hr"), version("hr.previous")) == (old, new)


@pytest.mark.parametrize("fails_at", ["hr.previous", "hr", "hr-2"])
@pytest.mark.parametrize("error", [OSError(16, "Device or resource busy"), KeyboardInterrupt()])
def test_a_promotion_that_fails_at_any_step_leaves_all_as_it_was(folder, monkeypatch, fails_at, error):
    shutil.copytree(folder / "hr-2", folder / "hr.previous")
    before, rename = content(folder), Path.rename

    def failing(path, target):
        if path.name == fails_at and Path(target).name != "hr.previous" * (fails_at == "hr.previous"):
            monkeypatch.setattr(Path, "rename", rename)
            raise error
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    assert CliRunner().invoke(app, ["promote", "hr-2"]).exit_code != 0
    assert content(folder) == before


def test_after_a_promotion_that_was_killed_it_is_said_how_to_undo_it(folder):
    (folder / "hr").rename("hr.previous")
    undo = "a replacement was interrupted; undo it: mv hr.previous hr\n"
    undo = f"sprat: hr: no such folder, but hr.previous is there: {undo}"
    assert sprat("promote", "hr", "--back", code=2).stderr == undo
    assert sprat("promote", "hr-2", "--served", "hr", code=2).stderr == undo
