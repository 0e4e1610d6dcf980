"""A model's card in words."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sprat_cli.commands.models.card import card_lines
from sprat_cli.main import app
from sprat_inference.artefact import load_artefact

SHIPPED = Path(__file__).resolve().parents[2] / "services/intent/src/sprat_intent/artefacts/en-fast"


def show(*arguments):
    return CliRunner().invoke(app, ["models", "show", *map(str, arguments)])


def test_a_folder_shows_what_it_is_how_good_made_of_what_and_not_good_for():
    card = load_artefact(SHIPPED).card
    lines = list(card_lines(card, "hr"))
    assert card.built_on is not None
    assert lines[0] == f"intent/hr, version {card.version}, on minilm-l6 {card.built_on.version}"
    assert all(title in lines for title in ("how good it is:", "made of:", "what it cannot do:"))
    shown = " ".join(" ".join(lines).split())
    assert all(limit in shown for limit in card.limits)
    assert all(work.name in shown and work.licence in shown for work in card.made_of)
    assert all(score.name in shown and score.protocol in shown for score in card.scores)
    assert f"keep_at {card.keep_at:.2f}, {card.keep_at_rule}" in shown
    assert f"without a label kept from {card.keep_at_outside:.2f} on" in shown
    assert card.lexical is not None
    least = card.lexical.answers_from
    assert f"by words texts in en, without the encoder, from {least:.3f} on, {card.lexical.rule}" in shown
    assert max(map(len, lines)) <= 112


@pytest.mark.parametrize(("share", "said"), [(0.0, "none: nothing is kept"), (0.4, "1")])
def test_a_model_that_keeps_nothing_has_no_accuracy_of_what_it_keeps(share, said):
    card = load_artefact(SHIPPED).card
    score = card.scores[0]
    values = {"calibrated_kept_share": share, "calibrated_kept_accuracy": 1.0}
    scores = [score.model_copy(update={"name": name, "value": value}) for name, value in values.items()]
    lines = card_lines(card.model_copy(update={"scores": scores}), "hr")
    (row,) = (line for line in lines if "calibrated_kept_accuracy" in line)
    assert row.split(maxsplit=1)[1] == said


def test_a_model_without_a_lexical_stage_says_nothing_of_one():
    card = load_artefact(SHIPPED).card.model_copy(update={"lexical": None})
    assert not any("by words" in line for line in card_lines(card, "hr"))


def test_a_threshold_for_a_language_stands_beside_the_one_for_all_others():
    card = load_artefact(SHIPPED).card.model_copy(update={"keep_at": 0.9, "keep_at_by_language": {"de": 0.95}})
    shown = " ".join(" ".join(card_lines(card, "hr")).split())
    assert f"keep_at 0.90, de:0.95, {card.keep_at_rule}" in shown


def test_the_command_shows_a_folder_for_people_and_for_machines():
    assert show(SHIPPED).stdout.startswith("intent/en-fast, version ")
    assert json.loads(show(SHIPPED, "--json").stdout)["name"] == "en-fast"


def test_a_folder_that_is_not_what_its_card_says_is_exit_code_one(tmp_path):
    result = show(tmp_path)
    assert result.exit_code == 1
    assert "card.json: not found" in result.stderr


@pytest.mark.parametrize("name", ["list", "show", "retire"])
def test_the_help_has_an_example_and_the_exit_codes(name):
    shown = CliRunner().invoke(app, ["models", name, "--help"]).output
    assert f"sprat models {name}" in shown.split("Example")[1]
    assert "Exit codes:" in shown
