"""`sprat assess` of a task with several labels a text, where large models are asked: by the file of the task."""

import json

import pytest
from typer.testing import CliRunner

from sprat_cli.main import app
from sprat_inference.platt import Platt
from sprat_policy import load_policy, load_task_file
from support import frontier_parts as parts
from support import label_sets, training_files

TASK = "topics"
TASK_FILE = """
kind: multi_label
labels: {{badge: a key card, laptop: a computer, leave: days off, payroll: salary}}
artefact: {artefact}
instruction: Judge what the writer wants.
"""
POLICY = """
inside: [127.0.0.1]
regions: {{local: [localhost]}}
tenants: {{acme: {{frontier: allow, regions: [local]}}, closed: {{frontier: deny}}}}
tiers:
  - {{name: other, preset: "vllm:{house}", model: phi, tasks: [intent]}}
  - name: house
    preset: "vllm:{house}"
    model: phi
    keep_at: 0.8  # stays
    tasks: [topics]
  - {{name: large, preset: "openai:large", url: "{large}", region: local, price: {{input_eur: 1, output_eur: 1}}}}
"""


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a trained model, rows to test it on, and the right answers to those for a simulator."""
    folder = tmp_path_factory.mktemp("assess-sets")
    data = label_sets.write(folder / "topics.csv")
    trained = run("train", "multi-label", data, "--output", folder / "model", "--encoder", training_files.EN_FAST)
    assert trained.exit_code == 0, trained.output
    names = "March", "May", "July"  # people and places may be called so, and masked texts may be equal
    rows = [(f"{text} please", labels) for text, labels in label_sets.rows() if not any(map(text.count, names))]
    (folder / "test.jsonl").write_text(
        "\n".join(json.dumps({"text": text, "labels": labels.split("|") if labels else []}) for text, labels in rows)
    )
    gold = [{"text": text, "gold": {TASK: {"labels": labels.split("|") if labels else []}}} for text, labels in rows]
    (folder / "gold.jsonl").write_text("\n".join(map(json.dumps, gold)))
    return folder


@pytest.fixture(scope="module")
def simulators(folder):
    gold = str(folder / "gold.jsonl")
    with parts.simulator(GOLD=gold) as house, parts.simulator(GOLD=gold) as large:
        yield house, large


@pytest.fixture
def asked(folder, simulators, tmp_path):
    """Return the options that ask the tiers of a policy, beside which the task has a file; and both simulators."""
    house, large = simulators
    house.reset()
    large.reset()
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    (tasks / f"{TASK}.yaml").write_text(TASK_FILE.format(artefact=folder / "model"))
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.format(house=house.base_url, large=large.base_url.replace("127.0.0.1", "localhost")))
    options = ["--model", folder / "model", "--policy", policy, "--output", tmp_path / "page.html"]
    return ["assess", folder / "test.jsonl", *options], house, large


def test_the_tiers_are_asked_by_the_file_of_the_task_and_compared_by_sets_and_by_labels(folder, asked, tmp_path):
    options, house, large = asked
    house.reset(confidence=0.5)
    large.reset(wrong_rate=0.3)
    saved = tmp_path / "answers.jsonl"
    result = run(*options, "--tiers", "--tenant", "acme", "--save-answers", saved, "--json")
    assert result.exit_code == 0, result.output
    assert f"asked as the task {TASK}, whose file names" in result.stderr
    found = json.loads(result.stdout)
    first, last = found["tiers"]
    count = found["texts"]
    assert (first["tier"], first["asked"], first["answered"], first["kept"][0]) == ("house", count, count, 0)
    assert (first["right_of_answered"][0], first["micro_f1"][::2]) == (1, [1, 1])
    assert 0.9 < first["micro_f1"][1] < 1, "all labels are right, of no more texts than these"
    assert (last["tier"], last["asked"], last["kept"][0]) == ("large", count, 1)
    right, low, high = last["right_of_kept"]
    assert low < right < high
    assert right == found["frontier"]["accuracy"][0] == pytest.approx(0.7, abs=0.15)
    assert right < last["micro_f1"][1] <= last["micro_f1"][0] <= last["micro_f1"][2] < 1, "most of the labels are right"
    assert found["micro_f1_interval"][1] <= found["micro_f1"] <= found["micro_f1_interval"][2]
    assert 0 < last["eur_per_million"][1] <= last["eur_per_million"][0]
    body = json.loads(house.bodies[0])
    assert '"badge": "a key card"' in body["messages"][0]["content"]
    assert body["messages"][0]["content"].endswith("Judge what the writer wants.")
    assert body["logprobs"] is True
    again = json.loads(run(*options, "--frontier-answers", saved, "--json").stdout)
    assert again["frontier"] == found["frontier"]


def test_a_sure_tier_stops_them_and_says_so(asked):
    options, house, large = asked
    house.reset(confidence=0.9)
    said = run(*options, "--tiers", "--tenant", "closed")
    assert said.exit_code == 0, said.output
    assert "tier house: 96 texts reached it; kept 100.0% (" in said.stdout
    assert "micro-F1 of them 1.000 (0.9" in said.stdout
    assert "denies the frontier" not in said.stderr, "the tier is inside the house"
    assert large.bodies == []


def test_the_confidence_in_all_labels_is_calibrated_for_the_task(asked):
    options, house, _ = asked
    policy = options[options.index("--policy") + 1]
    house.reset(confidence=0.9, wrong_rate=0.4)
    asks = [*options, "--tiers", "--tenant", "closed"]
    result = run(*asks, "--calibrate-tiers", "--json")
    assert result.exit_code == 0, result.output
    before = json.loads(result.stdout)["tiers"][0]
    fitted = load_policy(policy).tiers[1].calibration[TASK]
    assert Platt(fitted.bias, fitted.slope).chance(0.9) == pytest.approx(before["right_of_answered"][0], abs=0.02)
    assert "# stays" in policy.read_text()
    after = json.loads(run(*asks, "--json").stdout)["tiers"][0]
    assert (before["kept"][0], after["kept"][0]) == (1, 0), "below its keep_at once calibrated"


def test_one_frontier_is_asked_as_well(asked):
    options, _, large = asked
    more = ["--frontier", large.base_url.replace("127.0.0.1", "localhost"), "--frontier-model", "any"]
    result = run(*options, *more, "--frontier-region", "local", "--tenant", "acme", "--task", TASK, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["frontier"]["accuracy"][0] == 1


def test_a_task_whose_file_would_tell_something_personal_is_not_asked_about(asked):
    options, house, _ = asked
    file = options[options.index("--policy") + 1].parent / "tasks" / f"{TASK}.yaml"
    file.write_text(file.read_text().replace("Judge what the writer wants", "Ask jo@example.org"))
    result = run(*options, "--tiers", "--tenant", "closed")
    assert result.exit_code == 2
    assert f"{TASK}.yaml: instruction holds a term of the policy or a personal value" in result.stderr
    assert house.bodies == []


def test_the_keep_at_of_the_file_of_the_task_is_shown_and_is_the_one_that_is_written(asked, tmp_path):
    """Not that of `tasks.intent` in the policy, which is none of this model's."""
    options, house, _ = asked
    house.reset(confidence=0.9)
    file = tmp_path / "tasks" / f"{TASK}.yaml"
    file.write_text(f"{file.read_text()}keep_at: 0.83  # ours\n")
    before = (tmp_path / "policy.yaml").read_text()
    found = run(*options, "--tiers", "--tenant", "closed", "--accuracy", "0.9", "--write", "--force", "--json")
    assert found.exit_code == 0, found.output
    said = json.loads(found.stdout)
    assert {each["of"]: each["keep_at"] for each in said["named"]}["task"] == 0.83
    assert "policy" not in {each["of"] for each in said["named"]}
    assert (said["written"]["file"], said["written"]["field"]) == (str(file), "keep_at")
    assert load_task_file(file).keep_at == pytest.approx(said["written"]["now"], abs=0.005)
    assert file.read_text().endswith("# ours\n")
    assert (tmp_path / "policy.yaml").read_text() == before
