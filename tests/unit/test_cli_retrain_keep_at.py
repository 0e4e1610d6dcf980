"""What `sprat retrain` says of the keep_at of a new version: the rule, with what is in force there."""

from pathlib import Path

import pytest

from sprat_cli.compared_at import compared_at
from sprat_cli.keep_at_in_force import advice_for_next
from sprat_inference.card import Card
from sprat_policy import NO_FILES, load_task_files
from sprat_training.keep_at import RightAt, keep_at_rule, recommend
from support.stream import card

FIELD = "tasks.intent.models.hr.keep_at"


def version(keep_at: float, *, texts: int = 400) -> Card:
    """Return the card of a version whose `keep_at` was found on so many kept texts, all right: 88 of them show 97 %."""
    chosen, rule = keep_at_rule(
        "the answers kept", 0.97, "held-out texts", recommend([RightAt(keep_at, 1, texts)], 0.97)
    )
    return card().model_copy(update={"keep_at": chosen, "keep_at_rule": rule})


@pytest.fixture
def policy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.yaml").write_text("tasks: {intent: {models: {hr: {keep_at: 0.83}}}}\n")
    monkeypatch.setenv("SPRAT_POLICY", "policy.yaml")


@pytest.mark.parametrize(
    ("new", "said", "writes"),
    [
        (version(0.80), f"0.80 may be written under {FIELD} in policy.yaml: ", True),
        (version(0.90, texts=20), f"write 0.90 under {FIELD} in policy.yaml: ", True),
        (version(0.80, texts=20), "leave 0.83, which is in force: ", False),
    ],
    ids=["lower and shown", "higher", "lower and provisional"],
)
def test_that_of_the_policy_is_compared_with_the_new_cards(policy, new, said, writes):
    advice = advice_for_next("intent", "hr", NO_FILES, new, Path("hr")).advice
    assert (advice.said.startswith(said), advice.number is not None) == (True, writes), advice
    assert "for this version" not in advice.said, "no assessment has seen the new one"


def test_one_that_assess_found_for_the_version_before_is_called_that(policy, tmp_path):
    shown = "tasks:\n  intent:\n    models:\n      hr:\n"
    shown += "        keep_at: 0.83  # sprat assess: 0.83 for version {}, --accuracy 0.9\n"
    (tmp_path / "policy.yaml").write_text(shown.format("1f"))
    advice, new = advice_for_next("intent", "hr", NO_FILES, version(0.90), Path("hr")).advice, version(0.90).version
    assert advice.said.startswith(f"0.83, which is in force, was found for version 1f, not for {new}: `sprat assess ")
    assert f" finds its own; until then, write 0.90 under {FIELD} in policy.yaml: " in advice.said
    (tmp_path / "policy.yaml").write_text(shown.format(new))
    assert advice_for_next("intent", "hr", NO_FILES, version(0.90), Path("hr")).advice is None, (
        "as on the way back to the version that it was found for"
    )


def test_the_same_one_is_not_written_again(policy):
    assert advice_for_next("intent", "hr", NO_FILES, version(0.83, texts=20), Path("hr")).advice is None


def test_where_no_policy_is_known_the_cards_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPRAT_POLICY", raising=False)
    shown = advice_for_next("intent", "hr", NO_FILES, version(0.8), Path("hr")).advice
    assert (shown.said, shown.number.value) == (
        f"write 0.80, the card's keep_at, under {FIELD} in your policy file",
        0.8,
    )
    provisional = advice_for_next("intent", "hr", NO_FILES, version(0.8, texts=20), Path("hr")).advice
    assert provisional.said == f"{shown.said}, unless a higher one is in force: 0.80 is provisional"


def test_that_of_a_task_is_in_its_file(tmp_path):
    file = tmp_path / "desk.yaml"
    file.write_text("kind: classification\nlabels: {a: x, b: y}\nkeep_at: 0.83\n")
    written = advice_for_next("desk", "default", load_task_files(file.parent), version(0.9), Path("hr")).advice
    assert written.said.startswith(f"write 0.90 under keep_at in {file}: ")
    beside = advice_for_next("desk", "new", load_task_files(file.parent), version(0.9), Path("hr")).advice
    assert beside.said.startswith(f"write 0.90 under models.new.keep_at in {file}: ")


def test_both_versions_are_compared_at_the_keep_at_in_force(policy):
    at = compared_at("intent", "hr", NO_FILES, version(0.95, texts=20), version(0.9))
    assert (at.keep_at, at.origin, at.said) == (
        0.83,
        "in_force",
        "the one in force (tasks.intent.models.hr.keep_at in policy.yaml)",
    )


def test_one_that_assess_found_for_another_version_is_called_that_in_the_comparison(policy, tmp_path):
    keep_at = "tasks:\n  intent:\n    models:\n      hr:\n"
    keep_at += "        keep_at: 0.83  # sprat assess: 0.83 for version {}, --accuracy 0.9\n"
    (tmp_path / "policy.yaml").write_text(keep_at.format("1f"))
    at = compared_at("intent", "hr", NO_FILES, version(0.95), version(0.9))
    place = "tasks.intent.models.hr.keep_at in policy.yaml"
    assert at.of_version == "1f"
    assert at.said == f"the one in force ({place}, found for version 1f, not for the served one)"
    assert compared_at("intent", "hr", NO_FILES, version(0.83), version(0.9)).of_version is None, (
        "it is that of the served card, too"
    )
    (tmp_path / "policy.yaml").write_text(keep_at.format("1f").replace("--accuracy 0.9", "that of its card"))
    assert compared_at("intent", "hr", NO_FILES, version(0.95), version(0.9)).of_version is None, (
        "it was not found for any version"
    )
    (tmp_path / "policy.yaml").write_text(keep_at.format(version(0.95).version))
    at = compared_at("intent", "hr", NO_FILES, version(0.95), version(0.9))
    assert (at.of_version, at.said) == (None, f"the one in force ({place})")


def test_without_a_policy_they_are_compared_at_that_of_the_served_versions_card(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPRAT_POLICY", raising=False)
    at = compared_at("intent", "hr", NO_FILES, version(0.95, texts=20), version(0.9))
    assert (at.keep_at, at.origin) == (0.95, "served_card")
    nothing = version(0.9).model_copy(update={"keep_at": 1.0})
    at = compared_at("intent", "hr", NO_FILES, nothing, version(0.9))
    assert (at.keep_at, at.origin) == (0.9, "new_card")
    assert at.said == (
        "that of the new version: at 1.00, that of the card of the served version, as no policy is known, nothing is "
        "kept"
    )


def test_where_1_is_in_force_they_are_compared_at_that_of_the_new_version(tmp_path):
    file = tmp_path / "desk.yaml"
    file.write_text("kind: classification\nlabels: {a: x, b: y}\nkeep_at: 1.0\n")
    at = compared_at("desk", "default", load_task_files(file.parent), version(0.7), version(0.8))
    assert (at.keep_at, at.origin) == (0.8, "new_card")
    assert at.said == f"that of the new version: at 1.00, the one in force (keep_at in {file}), nothing is kept"


def test_the_default_model_with_a_section_of_its_own_has_its_keep_at_there(policy, tmp_path):
    (tmp_path / "policy.yaml").write_text("tasks: {intent: {models: {default: {keep_at: 0.7}}}}\n")
    advice = advice_for_next("intent", "default", NO_FILES, version(0.9), Path("hr")).advice
    assert advice.said.startswith("write 0.90 under tasks.intent.models.default.keep_at in policy.yaml: ")
