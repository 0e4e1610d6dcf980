"""`sprat assess` where a provisional `keep_at` is above that of the card, which was shown at the training."""

import json
import shutil

import pytest

from sprat_cli.doctor.check import CheckStatus
from sprat_cli.doctor.models import check_policy
from sprat_contracts import ModelAnnounced
from sprat_inference.artefact import load_artefact, write_artefact
from sprat_policy import KeepAtSource, load_policy, set_keep_at
from support import owner_files, training_files
from support.assessing import POLICY, run

PLACE = "tasks.intent.models.hr.keep_at"


@pytest.fixture
def assess_looser(folder, tmp_path):
    """Assess a model whose card says 0.50, which was shown, on some rows, with the policy `policy.yaml`."""
    rule = "the least hundredth at which the answers kept are right, with 95 % confidence"
    model = tmp_path / "hr"
    shutil.copytree(folder / "hr", model)
    write_artefact(model, json.loads((model / "card.json").read_text()) | {"keep_at": 0.50, "keep_at_rule": rule})
    (tmp_path / "policy.yaml").write_text(POLICY)

    def assess_looser(rows, *more):
        file = training_files.write(tmp_path / "new.csv", rows)
        policy = ("--policy", tmp_path / "policy.yaml", "--as", "hr")
        return run("assess", file, "--model", model, "--output", tmp_path / "page.html", *policy, *more)

    return assess_looser


def of_doctor(tmp_path):
    """Return what `sprat doctor` finds about the keep_at in the policy."""
    card = load_artefact(tmp_path / "hr").card
    advised = {"keep_at": card.keep_at, "keep_at_rule": card.keep_at_rule}
    announced = ModelAnnounced(task="intent", model="hr", version=card.version, owns_from=1, card=advised)
    (check,) = check_policy(load_policy(tmp_path / "policy.yaml"), [announced])
    return check


def test_that_of_the_card_goes_first_where_nothing_speaks_against_it(assess_looser, tmp_path):
    policy, rows = tmp_path / "policy.yaml", owner_files.held_out()[1:]
    found = assess_looser(rows, "--accuracy", "0.97")
    assert (found.exit_code, policy.read_text()) == (0, POLICY), found.output
    first = "The keep_at of the card is lower, 0.50: it was shown at the training, and here 98.0% (89.5% to 99.7%) of "
    assert (
        found.stdout.count(f"\n{first}those that it keeps are right, so nothing speaks against it, and it goes ") == 1
    )
    assert found.stdout.splitlines()[-1] == (
        f"to write 0.50, the card's, under {PLACE} in {policy}, add `--write --as hr` to this command"
    )
    written = assess_looser(rows, "--accuracy", "0.97", "--write")
    assert f"{PLACE} is now 0.50 (that of the card, shown at its training; 0." in written.stdout
    assert load_policy(policy).task("intent", "hr").keep_at == 0.50
    assert of_doctor(tmp_path).finding.endswith("keep_at 0.50 in the policy, as its card advises")
    again = assess_looser(rows, "--accuracy", "0.97", "--write")
    assert "It is in force, so there is nothing to do. More texts may show another one.\n" in again.stdout
    assert "\nnothing is written: 0." in again.stdout
    forced = assess_looser(rows, "--accuracy", "0.97", "--write", "--force")
    assert load_policy(policy).task("intent", "hr").keep_at > 0.50, forced.output


def test_one_that_is_found_goes_first_where_that_of_the_card_misses_the_accuracy(assess_looser, tmp_path):
    policy, rows = tmp_path / "policy.yaml", training_files.rows()[3::4]
    found = assess_looser(rows, "--accuracy", "0.9", "--write")
    assert found.exit_code == 0, found.output
    assert "The keep_at of the card is lower" not in found.stdout
    assert load_policy(policy).task("intent", "hr").keep_at > 0.9
    comment = f"for version {load_artefact(tmp_path / 'hr').card.version}, --accuracy 0.9, provisional"
    assert comment in policy.read_text()
    check = of_doctor(tmp_path)
    assert (check.status, check.fix) == (CheckStatus.ok, ""), "it does not advise against what was found"
    assert "found for this version: --accuracy 0.9, provisional" in check.finding


def test_that_of_the_card_was_not_shown_for_a_higher_accuracy_than_that_of_its_training(assess_looser):
    found = assess_looser(owner_files.held_out()[1:], "--accuracy", "0.975")
    assert found.exit_code == 0, found.output
    assert "The keep_at of the card is lower" not in found.stdout


@pytest.mark.parametrize(
    ("shown_for", "accuracy", "stays"), [(0.97, "0.97", True), (0.9, "0.97", False), (0.98, "0.975", True)]
)
def test_a_number_that_was_shown_for_as_high_an_accuracy_stays(assess_looser, tmp_path, shown_for, accuracy, stays):
    policy, version = tmp_path / "policy.yaml", load_artefact(tmp_path / "hr").card.version
    set_keep_at(policy, "intent", 0.7, "hr", KeepAtSource(version, shown_for))
    found = assess_looser(owner_files.held_out()[1:], "--accuracy", accuracy, "--write")
    assert (load_policy(policy).task("intent", "hr").keep_at == 0.7) is stays, found.output
    assert ("0.70 is in force, shown for this version" in found.stdout) is stays


def test_a_higher_one_that_was_found_for_this_version_or_written_by_hand_is_not_made_lower(assess_looser, tmp_path):
    policy, version = tmp_path / "policy.yaml", load_artefact(tmp_path / "hr").card.version
    rows = owner_files.held_out()[1:]
    set_keep_at(policy, "intent", 0.95, "hr", KeepAtSource(version, 0.97, "provisional"))
    found = assess_looser(rows, "--accuracy", "0.97", "--write").stdout
    both = (
        "0.95 is in force, found for this version (--accuracy 0.97, provisional), and keeps less than the card's, 0.50"
    )
    assert f"\n{both}: where that was on other texts, assess both files at once" in found
    set_keep_at(policy, "intent", 0.9, "hr")
    found = assess_looser(rows, "--accuracy", "0.97", "--write").stdout
    assert "\n0.90 is in force, as you wrote it, and keeps less than the card's, 0.50.\n" in found
    assert load_policy(policy).task("intent", "hr").keep_at == 0.9
