"""`sprat models rollback` and `replace`: another version in the folder of a model, and the keep_at for it."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sprat_cli.main import app
from sprat_inference.artefact import load_artefact, write_artefact
from sprat_operations import local_run
from sprat_operations.local_run import LocalRun
from sprat_policy import KeepAtSource, load_policy, set_keep_at
from support import label_sets, training_files

PLACE = "tasks.intent.models.hr.keep_at"
OWN = "tasks:\n  intent:\n    models:\n      {}:\n        keep_at: {}\n"
"""A policy with an entry of one model."""


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
    monkeypatch.delenv("SPRAT_POLICY", raising=False)
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
    policy.write_text(OWN.format("hr", "0.50"))
    set_keep_at(policy, "intent", 0.91, "hr", KeepAtSource(before.version, 0.9))
    set_keep_at(policy, "intent", 0.98, "hr", KeepAtSource(now.version, 0.9))
    said = sprat("models", "rollback", "hr").stdout
    why = f"`sprat assess` showed it for version {before.version}, as the comment behind 0.98 says"
    assert f"\nkeep_at: 0.91 may be written again under {PLACE} in policy.yaml: {why}; 0.98, which is in force" in said
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
        "written": [],
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
    assert " under keep_at in tasks/desk.yaml, unless `sprat assess` showed 0.10 for this version" in said
    sprat("models", "rollback", "topics", "--write")
    assert float(re.search(r"(?m)^keep_at: (\S+)", task.read_text())[1]) == pytest.approx(
        load_artefact(tmp_path / "topics").card.keep_at, abs=0.005
    )
    shutil.rmtree(tmp_path / "tasks")
    refused = sprat("models", "rollback", "topics", "--write", code=2).stderr
    assert refused.startswith("sprat: --write: no file of a task names topics as its artefact")
    assert refused.endswith("; nothing was moved\n")


def written_in(policy):
    return re.search(r"keep_at: (?P<number>\S+)(?P<comment>.*)", policy.read_text())


def test_the_number_of_the_version_that_is_back_is_written_and_so_is_that_of_the_other_one_on_the_way_forth(
    folder, monkeypatch
):
    now, before = cards(folder)
    monkeypatch.setenv("SPRAT_POLICY", "policy.yaml")
    policy = folder / "policy.yaml"
    policy.write_text(OWN.format("hr", "0.50"))
    set_keep_at(policy, "intent", 0.91, "hr", KeepAtSource(before.version, 0.9))
    set_keep_at(policy, "intent", 0.98, "hr", KeepAtSource(now.version, 0.9))
    for was, number, version in (("0.98", "0.91", before.version), ("0.91", "0.98", now.version)):
        said = sprat("models", "rollback", "hr", "--write").stdout
        why = f"`sprat assess` showed it for version {version}"
        assert said.endswith(f"\npolicy.yaml: {PLACE} is now {number} ({why}), was {was}; restart the router\n")
        assert written_in(policy)["number"] == number
        assert f"sprat assess: {number} for version {version}, --accuracy 0.9; before: {was} for" in policy.read_text()


def test_the_cards_number_is_written_where_it_is_higher_and_one_that_the_owner_may_have_shown_is_not_lowered(
    folder, monkeypatch
):
    _, before = cards(folder)
    monkeypatch.setenv("SPRAT_POLICY", "policy.yaml")
    policy = folder / "policy.yaml"
    policy.write_text(OWN.format("hr", "0.50"))
    (change,) = json.loads(sprat("models", "rollback", "hr", "--write", "--json").stdout)["written"]
    number = round(before.keep_at, 2)
    assert change == {"file": "policy.yaml", "field": PLACE, "now": number, "was": 0.5, "changed": True}
    comment = f"  # sprat assess: {number:.2f} for version {before.version}, that of its card"
    assert (written_in(policy)["number"], written_in(policy)["comment"]) == (f"{number:.2f}", comment)

    policy.write_text(OWN.format("hr", "0.99"))
    said = sprat("models", "rollback", "hr", "--write").stdout
    assert written_in(policy)["number"] == "0.99"
    assert f"policy.yaml: {PLACE} is now" not in said


def test_without_a_policy_in_which_to_write_nothing_is_moved(folder, monkeypatch):
    monkeypatch.delenv("SPRAT_POLICY", raising=False)
    there = cards(folder)
    refused = sprat("models", "rollback", "hr", "--write", code=2).stderr
    assert refused == (
        "sprat: --write: no policy is known, so nothing is replaced; name yours with SPRAT_POLICY, or leave --write "
        "out\n"
    )
    (folder / "policy.yaml").write_text("no: policy\n")
    monkeypatch.setenv("SPRAT_POLICY", "policy.yaml")
    assert "policy.yaml" in sprat("models", "rollback", "hr", "--write", code=2).stderr
    assert cards(folder) == there


def test_a_policy_that_cannot_be_edited_safely_is_named_after_the_exchange(folder, monkeypatch):
    now, before = cards(folder)
    monkeypatch.setenv("SPRAT_POLICY", "policy.yaml")
    policy = folder / "policy.yaml"
    policy.write_text("tasks: {intent: {keep_at: 0.50}}\n")
    result = sprat("models", "rollback", "hr", "--write", code=2)
    assert result.stderr == (
        "sprat: the other version is served, but its keep_at is not written: tasks.intent in line 1 is written on one "
        f"line; add models.hr.keep_at: {before.keep_at:.2f}\n"
    )
    assert f"\nkeep_at: write {before.keep_at:.2f} under {PLACE} in policy.yaml" in result.stdout
    assert cards(folder) == [before, now]


@pytest.fixture
def apart(folder):
    """Lay the version before into a folder of its own, as `sprat retrain --output hr-2` writes one."""
    (folder / "hr.previous").rename("hr-2")
    (folder / "hr.previous-report.html").rename("hr-2-report.html")
    return folder


def test_the_version_of_another_folder_takes_the_place_of_the_served_one_with_its_report(apart, monkeypatch):
    served, new = (load_artefact(apart / name).card for name in ("hr", "hr-2"))
    report_served, report_new = ((apart / f"{name}-report.html").read_bytes() for name in ("hr", "hr-2"))
    monkeypatch.setenv("SPRAT_POLICY", "policy.yaml")
    (apart / "policy.yaml").write_text(OWN.format("hr", "0.50"))
    said = sprat("models", "replace", "hr", "hr-2", "--write").stdout
    assert cards(apart) == [new, served]
    assert reports(apart) == [report_new, report_served]
    assert not (apart / "hr-2").exists()
    assert not (apart / "hr-2-report.html").exists()
    first, second, third = said.splitlines()
    assert first.startswith(f"hr: version {new.version}, keep_at {new.keep_at:.2f}    (a running `sprat up`")
    back = "back to it: sprat models rollback hr"
    assert second == f"hr.previous: version {served.version}, keep_at {served.keep_at:.2f}; {back}"
    assert third == f"policy.yaml: {PLACE} is now {new.keep_at:.2f} (the card's), was 0.50; restart the router"
    sprat("models", "rollback", "hr")
    assert cards(apart) == [served, new]
    assert reports(apart) == [report_served, report_new]


def test_an_earlier_version_before_is_thrown_away_and_that_is_said(apart):
    served, new = (load_artefact(apart / name).card for name in ("hr", "hr-2"))
    shutil.copytree(apart / "hr-2", apart / "hr.previous")
    said = json.loads(sprat("models", "replace", "hr", "hr-2", "--json").stdout)
    assert (said["type"], said["version"], said["previous"]["version"]) == ("replaced", new.version, served.version)
    shutil.copytree(apart / "hr.previous", apart / "hr-3")
    said = sprat("models", "replace", "hr", "hr-3").stdout
    assert "; back to it: sprat models rollback hr; the version before that is thrown away\n" in said
    assert cards(apart) == [served, new]


@pytest.mark.parametrize(
    ("served", "new", "why"),
    [
        ("hr", "hr.previous", "sprat: hr.previous is the version before that of hr: sprat models rollback exchanges"),
        ("hr", "hr-9", "sprat: hr-9: no such folder"),
        ("hr", "link", "sprat: link: name the folder itself, from outside of it; no link to it"),
        ("hr", "hr/inner", "sprat: hr, hr.previous and hr/inner: one lies in another; move the new version beside hr"),
        ("hr", "hr.previous/inner", "sprat: hr, hr.previous and hr.previous/inner: one lies in another"),
        ("hr.previous", "hr", "sprat: hr.previous: name the folder that is served, hr, not the one before it"),
        ("hr", "copy", "sprat: hr and copy hold the same version, "),
        ("hr", "empty", "sprat: empty/card.json: "),
        ("empty", "hr", "sprat: empty: not an artefact"),
    ],
)
def test_nothing_is_moved_where_the_other_folder_holds_no_other_version(folder, served, new, why):
    shutil.copytree(folder / "hr", folder / "copy")
    for outer in ("hr", "hr.previous"):
        shutil.copytree(folder / "copy", folder / outer / "inner")
    (folder / "empty").mkdir()
    (folder / "link").symlink_to("hr.previous")
    there = sorted(folder.rglob("*"))
    assert sprat("models", "replace", served, new, code=2).stderr.startswith(why)
    assert sorted(folder.rglob("*")) == there


def test_a_version_that_serves_a_task_of_its_own_is_not_moved(apart):
    (apart / "tasks").mkdir()
    labels = ", ".join(f"{label}: x" for label in load_artefact(apart / "hr-2").card.labels)
    (apart / "tasks" / "desk.yaml").write_text(f"kind: classification\nlabels: {{{labels}}}\nartefact: ../hr-2\n")
    refused = sprat("models", "replace", "hr", "hr-2", code=2).stderr
    assert refused == "sprat: hr-2 is served itself, as desk/default; end that first, for the folder is moved\n"


@pytest.mark.parametrize("fails_at", ["hr.previous", "hr", "hr-2"])
@pytest.mark.parametrize("error", [OSError(16, "Device or resource busy"), KeyboardInterrupt()])
def test_a_replacement_that_fails_at_any_step_leaves_all_as_it_was(apart, monkeypatch, fails_at, error):
    shutil.copytree(apart / "hr-2", apart / "hr.previous")
    there, rename = sorted(apart.rglob("*")), Path.rename

    def failing(path, target):
        if path.name == fails_at and Path(target).name != "hr.previous" * (fails_at == "hr.previous"):
            monkeypatch.setattr(Path, "rename", rename)
            raise error
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    result = CliRunner().invoke(app, ["models", "replace", "hr", "hr-2"])
    assert result.exit_code != 0
    assert sorted(apart.rglob("*")) == there


def test_after_a_replacement_that_was_killed_it_is_said_how_to_undo_it(apart):
    (apart / "hr").rename("hr.previous")
    for command in (("rollback", "hr"), ("replace", "hr", "hr-2")):
        refused = sprat("models", *command, code=2).stderr
        undo = "a replacement was interrupted; undo it: mv hr.previous hr\n"
        assert refused == f"sprat: hr: no such folder, but hr.previous is there: {undo}"


def test_it_is_written_for_the_name_by_which_texts_ask_for_the_model(apart, monkeypatch):
    monkeypatch.setenv("SPRAT_POLICY", "policy.yaml")
    policy = apart / "policy.yaml"
    of_people = OWN.format("people", "0.50")
    policy.write_text(of_people)
    there = sorted(apart.rglob("*"))
    refused = sprat("models", "replace", "hr", "hr-2", "--write", code=2).stderr
    assert refused.endswith("the name by which texts ask for it is not sure: name it with --as; nothing was moved\n")
    assert sorted(apart.rglob("*")) == there
    said = sprat("models", "replace", "hr", "hr-2", "--write", "--as", "people").stdout
    assert "policy.yaml: tasks.intent.models.people.keep_at is now " in said
    assert "models:\n      people:" in policy.read_text()


def test_a_version_that_was_trained_under_another_name_is_not_written_under_that(apart, monkeypatch):
    monkeypatch.setenv("SPRAT_POLICY", "policy.yaml")
    card = json.loads((apart / "hr-2" / "card.json").read_text())
    write_artefact(apart / "hr-2", card | {"name": "hr-2"})
    policy = apart / "policy.yaml"
    policy.write_text(OWN.format("hr", "0.50"))
    said = sprat("models", "replace", "hr", "hr-2", "--write").stdout
    assert f"policy.yaml: {PLACE} is now " in said, "the folder has the name of an entry"
    policy.write_text(OWN.format("hr-2", "0.50"))
    result = sprat("models", "rollback", "hr")
    assert f"which keep_at to write for version {cards(apart)[0].version} is not said: no `sprat up`" in result.stderr
    assert "keep_at: " not in result.stdout


def test_the_name_is_not_that_of_another_model_with_an_entry(apart, monkeypatch):
    """Where the folder `people` holds a version whose card is called `hr`, the entry of `hr` is another model's."""
    monkeypatch.setenv("SPRAT_POLICY", "policy.yaml")
    (apart / "hr").rename("people")
    policy = apart / "policy.yaml"
    entries = OWN.format("hr", "0.50")
    policy.write_text(entries)
    assert "name it with --as" in sprat("models", "replace", "people", "hr-2", "--write", code=2).stderr
    policy.write_text(f"{entries}      people:\n        keep_at: 0.50\n")
    said = sprat("models", "replace", "people", "hr-2", "--write").stdout
    assert "policy.yaml: tasks.intent.models.people.keep_at is now " in said
    assert load_policy(policy).task("intent", "hr").keep_at == 0.5


def test_that_sprat_up_has_not_read_the_number_in_force_is_said_last(folder, monkeypatch):
    monkeypatch.setenv("SPRAT_POLICY", "policy.yaml")
    policy = folder / "policy.yaml"
    policy.write_text("tasks: {}\n")
    told = LocalRun(1, str(folder), "", policy=str(policy), models={"intent/hr": str(folder / "hr")})
    run = dataclasses.replace(told, files=told.files_now())
    monkeypatch.setattr(local_run, "for_commands", lambda: [run])
    set_keep_at(policy, "intent", 0.8, "hr", KeepAtSource(cards(folder)[1].version, 0.9))
    said = sprat("models", "rollback", "hr").stdout.splitlines()
    assert said[-2] == "the keep_at in force holds for this version: nothing is to be written"
    assert said[-1].startswith("your `sprat up` reads it when it starts: stop it (Ctrl-C), and start it again")


def test_numbers_of_languages_are_named_as_nothing_changes_them(folder, monkeypatch):
    monkeypatch.setenv("SPRAT_POLICY", "policy.yaml")
    number = cards(folder)[1].keep_at
    (folder / "policy.yaml").write_text(
        f"tasks: {{intent: {{models: {{hr: {{keep_at: {number:.2f}, keep_at_by_language: {{en: 0.1}}}}}}}}}}\n"
    )
    assert sprat("models", "rollback", "hr").stdout.endswith(
        "nothing is to be written\ntexts in some languages have their own, keep_at_by_language, which nothing here "
        "changes: en 0.10\n"
    )


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ((0.9, "provisional"), "in force with version {} before: --accuracy 0.9, provisional"),
        ((None, "by --budget"), "in force with version {} before: by --budget"),
        ((None, "that of its card"), "the card's"),
        ((0.9, ""), "`sprat assess` showed it for version {}"),
    ],
)
def test_what_is_written_again_is_called_shown_only_where_it_was(folder, monkeypatch, source, why):
    now, before = cards(folder)
    monkeypatch.setenv("SPRAT_POLICY", "policy.yaml")
    policy = folder / "policy.yaml"
    policy.write_text(OWN.format("hr", "0.50"))
    set_keep_at(policy, "intent", 0.98, "hr", KeepAtSource(before.version, *source))
    set_keep_at(policy, "intent", 0.60, "hr", KeepAtSource(now.version, 0.9))
    said = sprat("models", "rollback", "hr", "--write").stdout
    assert f"policy.yaml: {PLACE} is now 0.98 ({why.format(before.version)}), was 0.60" in said
