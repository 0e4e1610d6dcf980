"""`sprat assess --skip-trained`: the rows that the model was trained on are neither measured nor sent."""

import csv
import json
import shutil

import pytest

from sprat_inference.artefact import write_artefact
from sprat_policy import load_policy
from sprat_training.record import FILE
from support import frontier_parts as parts
from support import training_files
from support.assessing import FRONTIER_POLICY, POLICY, run

TIERS = """
inside: [127.0.0.1]
tenants: {{acme: {{frontier: deny}}}}
tiers: [{{name: house, preset: "vllm:{house}", model: phi, keep_at: 0.8}}]
"""


@pytest.fixture
def mixed(folder, tmp_path):
    """Write the texts of `test.csv` with two of the training: they are in rows 2 and 6."""
    with (folder / "test.csv").open(encoding="utf-8", newline="") as file:
        new = [(text, label) for text, label in list(csv.reader(file))[1:]]
    trained = training_files.rows()
    return training_files.write(tmp_path / "mixed.csv", [trained[2], *new[:3], trained[4], *new[3:]])


def test_what_is_left_is_measured_as_a_file_without_those_rows(folder, mixed, tmp_path):
    page = tmp_path / "page.html"
    common = ["--model", folder / "hr", "--accuracy", "0.9", "--output", page]
    named = run("assess", mixed, *common).stderr
    how = "these figures are too good; add --skip-trained to leave them out, or take texts that it has not seen\n"
    assert f"2 of 28 texts were trained on by this model (rows 2, 6 of mixed.csv): {how}" in named
    said = run("assess", mixed, *common, "--skip-trained")
    assert said.exit_code == 0, said.output
    easier = "the rest is easier than your traffic if these were learnt because they were answered wrongly"
    line = f"left out: 2 of 28 texts were trained on by this model (rows 2, 6 of mixed.csv); {easier}"
    assert said.stdout.splitlines()[:2] == ["26 texts of mixed.csv", line]
    assert line in page.read_text("utf-8")
    assert "too good" not in said.output + page.read_text("utf-8")
    assert "; add `--policy FILE --write --as hr` to this command" in said.stdout.splitlines()[-1]
    left, without = (
        json.loads(run("assess", file, *common, "--skip-trained", "--json").stdout)
        for file in (mixed, folder / "test.csv")
    )
    rows = [{"file": "mixed.csv", "row": 2}, {"file": "mixed.csv", "row": 6}]
    assert (left.pop("left_out"), left.pop("left_out_rows")) == (2, rows)
    assert (without.pop("left_out"), without.pop("left_out_rows")) == (0, [])
    assert left == without
    assert (left["texts"], left["trained_on"]) == (26, [])


def test_the_keep_at_of_what_is_left_is_written_without_force(folder, mixed, tmp_path):
    policies, found = [tmp_path / "mixed.yaml", tmp_path / "without.yaml"], []
    for policy, file in zip(policies, (mixed, folder / "test.csv"), strict=True):
        policy.write_text(POLICY)
        more = ["--accuracy", "0.6", "--policy", policy, "--write", "--as", "hr", "--output", tmp_path / "page.html"]
        result = run("assess", file, "--model", folder / "hr", *more, "--skip-trained")
        assert result.exit_code == 0, result.output
        found.append(load_policy(policy).task("intent", "hr"))
    assert policies[0].read_text() == policies[1].read_text() != POLICY
    assert found[0].keep_at_comment("hr").source is not None, "as shown: no --force was needed"
    refused = run("assess", mixed, "--model", folder / "hr", *more)
    how = "add --skip-trained to leave them out, or take texts that it has not seen; or add --force to write"
    named = "2 of 28 texts were trained on by this model (rows 2, 6 of mixed.csv): these figures are too good"
    assert f"--write: {named}; {how}" in refused.stderr


def test_where_no_text_is_left_nothing_is_measured(folder, tmp_path):
    page, rows = tmp_path / "page.html", training_files.rows()
    both = [training_files.write(tmp_path / f"{place}.csv", [rows[place]]) for place in (2, 4)]
    for files, said in (
        (both, "2 of 2 texts were trained on by this model (rows 2 of 2.csv; 2 of 4.csv)"),
        (both[:1], "the text was trained on by this model (row 2 of 2.csv)"),
    ):
        result = run("assess", *files, "--model", folder / "hr", "--output", page, "--skip-trained")
        assert result.exit_code == 2
        assert f"--skip-trained: {said}, so no text is left; take texts that it has not seen\n" in result.stderr
        named = run("assess", *files, "--model", folder / "hr", "--output", page).stderr
        assert "these figures are too good; take texts that it has not seen\n" in named, "the option would leave none"


def test_of_a_model_that_does_not_remember_its_training_it_is_said_that_nobody_knows(folder, mixed, tmp_path):
    model, page = tmp_path / "hr", tmp_path / "page.html"
    shutil.copytree(folder / "hr", model)
    (model / FILE).unlink()
    write_artefact(model, json.loads((model / "card.json").read_text()))
    result = run("assess", mixed, "--model", model, "--output", page, "--skip-trained")
    assert result.exit_code == 0, result.output
    said = f"{model} has no training.json, so it cannot be known which texts it was trained on, and none is left out"
    assert f"--skip-trained: {said}" in result.stderr
    assert said in page.read_text("utf-8")
    assert result.stdout.startswith("28 texts of mixed.csv\nmodel: ")
    assert "cannot be known" not in run("assess", mixed, "--model", model, "--output", page).output


def test_answers_of_a_frontier_are_those_of_the_texts_that_are_left(folder, mixed, tmp_path):
    """`answers.jsonl` has none to the rows of the training, and so the option alone makes it usable."""
    more = ["--frontier-answers", folder / "answers.jsonl", "--output", tmp_path / "page.html", "--json"]
    refused = run("assess", mixed, "--model", folder / "hr", *more)
    assert refused.exit_code == 2
    assert "has no answer to 2 of the texts of" in refused.stderr
    left = json.loads(run("assess", mixed, "--model", folder / "hr", *more, "--skip-trained").stdout)
    assert left["frontier"]["accuracy"][0] == 1, "each answer stands with its own text"
    whole = json.loads(run("assess", folder / "test.csv", "--model", folder / "hr", *more).stdout)
    assert left["routed"] == whole["routed"]
    trained = [json.dumps({"text": training_files.rows()[place][0], "label": "oos"}) for place in (2, 4)]
    answers = tmp_path / "all.jsonl"
    answers.write_text("\n".join([*trained, (folder / "answers.jsonl").read_text()]))
    more[1] = answers
    also = json.loads(run("assess", mixed, "--model", folder / "hr", *more, "--skip-trained").stdout)
    assert also["routed"] == whole["routed"], "those of the rows left out do not count"


def few(tmp_path):
    """Write a text of the training between two new ones, and a file that says what a simulator answers to each."""
    trained, _ = training_files.rows()[2]
    rows = [("badge was stolen in Rome", "badge"), (trained, "leave"), ("time off for a week in Oslo", "leave")]
    gold = tmp_path / "gold.jsonl"
    gold.write_text("\n".join(json.dumps({"text": text, "gold": {"intent": label}}) for text, label in rows))
    return training_files.write(tmp_path / "few.csv", rows), gold, trained


def test_what_is_left_out_is_not_sent_to_a_provider_and_its_answer_is_not_saved(folder, tmp_path):
    file, gold, trained = few(tmp_path)
    (tmp_path / "policy.yaml").write_text(FRONTIER_POLICY)
    saved, common = tmp_path / "saved.jsonl", ["--model", folder / "hr", "--output", tmp_path / "page.html", "--json"]
    with parts.simulator(GOLD=str(gold)) as simulated:
        asked = ["--frontier", simulated.base_url, "--frontier-model", "any", "--frontier-price", "1/1"]
        own = ["--policy", tmp_path / "policy.yaml", "--tenant", "acme", "--frontier-region", "local"]
        result = run("assess", file, *common, *asked, *own, "--save-answers", saved, "--skip-trained")
        bodies = simulated.bodies
    assert result.exit_code == 0, result.output
    assert "2 texts to send to http://" in result.stderr
    assert [trained in body for body in bodies] == [False, False]
    answers = [json.loads(line) for line in saved.read_text().splitlines()]
    assert [(each["text"], each["label"]) for each in answers] == [
        ("badge was stolen in Rome", "badge"),
        ("time off for a week in Oslo", "leave"),
    ]
    assert json.loads(result.stdout)["frontier"]["accuracy"][0] == 1
    again = run("assess", file, *common, "--frontier-answers", saved, "--skip-trained")
    assert json.loads(again.stdout)["frontier"]["accuracy"][0] == 1


def test_what_is_left_out_reaches_no_tier(folder, tmp_path):
    file, gold, trained = few(tmp_path)
    with parts.simulator(GOLD=str(gold)) as house:
        (tmp_path / "tiers.yaml").write_text(TIERS.format(house=house.base_url))
        house.reset(confidence=0.9)
        own = ["--tiers", "--policy", tmp_path / "tiers.yaml", "--tenant", "acme", "--skip-trained", "--json"]
        result = run("assess", file, "--model", folder / "hr", "--output", tmp_path / "page.html", *own)
        bodies = house.bodies
    assert result.exit_code == 0, result.output
    (tier,) = json.loads(result.stdout)["tiers"]
    assert (tier["asked"], tier["right_of_answered"][0]) == (2, 1)
    assert [trained in body for body in bodies] == [False, False]
