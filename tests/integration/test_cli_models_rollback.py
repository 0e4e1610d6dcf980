"""`sprat models rollback`: two trained versions are exchanged, and what is said of the one that is back."""

import json
import re
import shutil

import pytest
from typer.testing import CliRunner

from sprat_cli.main import app
from sprat_inference.artefact import load_artefact
from sprat_policy import KeepAtSource, set_keep_at
from support import label_sets, training_files

PLACE = "tasks.intent.models.hr.keep_at"


def sprat(*arguments, code=0):
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """Train twice into one folder, and return what lies there."""
    folder = tmp_path_factory.mktemp("versions")
    for rows in (training_files.rows()[:-4], training_files.rows()):
        file = training_files.write(folder / "hr.csv", rows)
        encoder = ("--encoder", training_files.EN_FAST, "--no-lexical")
        said = sprat("train", "intent", file, "--output", folder / "hr", "--force", *encoder).stdout
    assert said.endswith(f"; back to it, with its report:\n  sprat models rollback {folder / 'hr'}\n")
    return folder


@pytest.fixture
def folder(versions, tmp_path, monkeypatch):
    """Copy both versions into the working folder."""
    shutil.copytree(versions, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def cards(folder):
    return [load_artefact(folder / name).card for name in ("hr", "hr.previous")]


def reports(folder):
    return [(folder / name).read_bytes() for name in ("hr-report.html", "hr.previous-report.html")]


def test_both_versions_and_their_reports_are_exchanged_and_the_same_command_undoes_it(folder):
    now, before = cards(folder)
    assert now.version != before.version
    report_now, report_before = reports(folder)
    said = sprat("models", "rollback", "hr").stdout
    assert cards(folder) == [before, now]
    assert reports(folder) == [report_before, report_now]
    assert sorted(path.name for path in folder.iterdir()) == [
        "hr", "hr-report.html", "hr.csv", "hr.previous", "hr.previous-report.html"
    ]  # fmt: skip
    first, second, *_ = said.splitlines()
    notices = "    (a running `sprat up` of that folder notices by itself)"
    assert first == f"hr: version {before.version}, keep_at {before.keep_at:.2f}{notices}"
    assert second == f"hr.previous: version {now.version}, keep_at {now.keep_at:.2f}; the same command puts it back"
    assert f"\nkeep_at: write {before.keep_at:.2f}, the card's keep_at, under {PLACE} in your policy file" in said
    assert said.endswith("\nrestart the router\n")
    sprat("models", "rollback", "hr")
    assert (cards(folder), reports(folder)) == ([now, before], [report_now, report_before])


def test_the_rule_says_what_becomes_of_the_keep_at_in_force(folder, monkeypatch):
    now, before = cards(folder)
    monkeypatch.setenv("SPRAT_POLICY", "policy.yaml")
    policy = folder / "policy.yaml"

    policy.write_text(f"tasks: {{intent: {{models: {{hr: {{keep_at: {before.keep_at:.2f}}}}}}}}}\n")
    holds = "\nthe keep_at in force holds for this version: nothing is to be written\n"
    assert sprat("models", "rollback", "hr").stdout.endswith(holds)

    policy.write_text("tasks: {intent: {models: {hr: {keep_at: 0.50}}}}\n")
    said = sprat("models", "rollback", "hr").stdout
    shown = "unless `sprat assess` showed 0.50 for this version: the card's keep_at is higher than 0.50"
    assert f"\nkeep_at: write {now.keep_at:.2f} under {PLACE} in policy.yaml, {shown}, which is in force\n" in said

    policy.write_text("no: policy\n")
    result = sprat("models", "rollback", "hr")
    assert f"which keep_at to write for version {before.version} cannot be said: policy.yaml" in result.stderr
    assert cards(folder) == [before, now], "a policy that cannot be read does not hinder the way back"


def test_the_number_that_was_in_force_with_the_version_that_is_back_may_be_written_again(folder, monkeypatch):
    now, before = cards(folder)
    monkeypatch.setenv("SPRAT_POLICY", "policy.yaml")
    policy = folder / "policy.yaml"
    policy.write_text("tasks:\n  intent:\n    models:\n      hr:\n        keep_at: 0.50\n")
    set_keep_at(policy, "intent", 0.91, "hr", KeepAtSource(before.version, 0.9))
    set_keep_at(policy, "intent", 0.98, "hr", KeepAtSource(now.version, 0.9))
    said = sprat("models", "rollback", "hr").stdout
    why = f"`sprat assess` showed it for version {before.version}, as the comment behind 0.98 says"
    assert (
        f"\nkeep_at: 0.91 may be written again, by hand, under {PLACE} in policy.yaml: {why}; 0.98, which is in force"
        in said
    )
    assert said.endswith("\nrestart the router\n")


def test_for_machines_it_is_one_object(folder):
    now, before = cards(folder)
    said = json.loads(sprat("models", "rollback", "hr", "--json").stdout)
    assert said.pop("policy")[0].startswith(f"write {before.keep_at:.2f}, the card's keep_at, under {PLACE}")
    assert said == {
        "type": "rolled_back",
        "folder": "hr",
        "version": before.version,
        "keep_at": before.keep_at,
        "previous": {"folder": "hr.previous", "version": now.version, "keep_at": now.keep_at},
        "finished": False,
    }


def test_an_exchange_that_was_interrupted_is_finished(folder):
    now, before = cards(folder)
    (folder / "hr").rename("hr.previous.aside")
    refused = sprat("train", "intent", "hr.csv", code=2).stderr
    assert "hr.previous.aside: left by an exchange with the version before that was interrupted" in refused
    assert refused.endswith("finish it first: sprat models rollback hr\n")
    result = sprat("models", "rollback", "hr")
    assert result.stderr == "finished an exchange that was interrupted\n"
    assert cards(folder) == [before, now]
    assert not (folder / "hr.previous.aside").exists()


def test_a_version_that_cannot_be_read_is_not_moved(folder):
    (folder / "hr.previous" / "card.json").write_text("{}")
    result = sprat("models", "rollback", "hr", code=2)
    assert result.stderr.startswith("sprat: hr.previous/card.json: not a card")
    assert result.stderr.endswith("; nothing was moved\n")
    assert load_artefact(folder / "hr").card.version
    assert (folder / "hr.previous-report.html").exists()
    shutil.rmtree(folder / "hr.previous")
    result = sprat("models", "rollback", "hr", code=2)
    assert "hr.previous: no such folder, so no version before is kept" in result.stderr


def test_of_a_model_with_several_labels_it_names_the_file_of_its_task(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "topics.csv"
    for rows in (label_sets.rows()[:-8], label_sets.rows()):
        file.write_text("".join(f"{text},{labels}\n" for text, labels in [("text", "labels"), *rows]))
        train = ("train", "multi-label", file, "--output", "topics", "--force", "--encoder", training_files.EN_FAST)
        said = sprat(*train).stdout
    assert said.endswith("\n  sprat models rollback topics\n")
    said = sprat("models", "rollback", "topics").stdout
    keep_at = load_artefact(tmp_path / "topics").card.keep_at
    assert f"\nkeep_at: write {keep_at:.2f}, the card's keep_at, under keep_at in the file of its task" in said

    sprat("task", "init", "desk", "--kind", "multi_label", "--artefact", "topics")
    task = tmp_path / "tasks" / "desk.yaml"
    task.write_text(re.sub(r"(?m)^keep_at: .*$", "keep_at: 0.1", task.read_text()))
    said = sprat("models", "rollback", "topics").stdout
    assert " under keep_at in the file of the task desk, unless `sprat assess` showed 0.10 for this version" in said
