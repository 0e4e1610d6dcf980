"""`sprat assess` of a task without a model: its labels alone answer it."""

import json

import pytest
from typer.testing import CliRunner

from sprat_cli.main import app
from sprat_policy import load_task_file
from support import frontier_parts as parts

TASK_FILE = """
kind: classification
labels: {food: meals and restaurants, sport: matches and clubs, travel: trips and flights}
keep_at: 0.83  # ours
"""
POLICY = """
inside: [127.0.0.1]
tenants: {{acme: {{frontier: deny}}}}
tiers: [{{name: house, preset: "vllm:{house}", model: phi, keep_at: 0.8}}]
"""
TEXTS = {
    "our club has won the match by two goals": "sport",
    "the final ended without a goal": "sport",
    "where can I eat a good pizza": "food",
    "this restaurant serves no lunch": "food",
    "book a flight to Rome": "travel",
    "when does our plane leave": "travel",
    "what is the square root of nine": "oos",
}


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def assess(tmp_path):
    """Return a function that assesses the task `subject`, which has a file beside the policy."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "subject.yaml").write_text(TASK_FILE)
    (tmp_path / "policy.yaml").write_text(POLICY.format(house="http://127.0.0.1:1"))
    rows = [json.dumps({"text": text, "label": label}) for text, label in TEXTS.items()]
    (tmp_path / "test.jsonl").write_text("\n".join(rows))
    given = ["assess", tmp_path / "test.jsonl", "--policy", tmp_path / "policy.yaml", "--tenant", "acme"]
    return lambda *options: run(*given, *options)


def test_what_the_labels_alone_answer_is_measured_and_their_keep_at_written(assess, tmp_path):
    result = assess("--task", "subject", "--accuracy", "0.8", "--write", "--force", "--json")
    assert result.exit_code == 0, result.output
    assert "the task subject has no `artefact` in its file: the nearest of its labels is measured" in result.stderr
    found = json.loads(result.stdout)
    assert found["texts"] == len(TEXTS)
    assert found["small"]["accuracy"][0] > 0.8
    assert {each["of"]: each["keep_at"] for each in found["named"]} == {"card": 0.9, "task": 0.83}
    assert (tmp_path / "test-subject-assessment.html").is_file()
    file = tmp_path / "tasks" / "subject.yaml"
    assert load_task_file(file).keep_at == pytest.approx(found["written"]["now"], abs=0.005)
    assert file.read_text().endswith("# ours\n")


def test_the_tiers_of_such_a_task_are_compared_with_it(assess, tmp_path):
    gold = [{"text": text, "gold": {"subject": {"label": label}}} for text, label in TEXTS.items() if label != "oos"]
    (tmp_path / "gold.jsonl").write_text("\n".join(map(json.dumps, gold)))
    with parts.simulator(GOLD=str(tmp_path / "gold.jsonl")) as house:
        house.reset(confidence=0.9)
        (tmp_path / "policy.yaml").write_text(POLICY.format(house=house.base_url))
        result = assess("--task", "subject", "--tiers", "--json")
        assert result.exit_code == 0, result.output
        (tier,) = json.loads(result.stdout)["tiers"]
        assert tier["asked"] == len(TEXTS)
        assert tier["right_of_kept"][0] == 1
        assert "meals and restaurants" in house.bodies[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "name the model to assess: --model DIR; or --task NAME, a task with a file"),
        (("--task", "intent"), "name the model to assess"),
        (("--task", "topics"), "the task topics has no model (no `artefact` in its file), and where several labels"),
        (("--task", "letter"), "the task letter is of the kind text: only answers that are labels are assessed"),
        (("--task", "odd"), "the task odd: the label '___' has no word that the encoder reads"),
    ],
)
def test_what_has_no_labels_to_answer_with_is_refused(assess, tmp_path, options, said):
    tasks = tmp_path / "tasks"
    (tasks / "topics.yaml").write_text("kind: multi_label\nlabels: {a: , b: }\n")
    (tasks / "letter.yaml").write_text("kind: text\ninstruction: Write a letter.\n")
    (tasks / "odd.yaml").write_text('kind: classification\nlabels: {"___": , b: }\n')
    result = assess(*options)
    assert result.exit_code == 2
    assert said in result.stderr


GERMAN = {
    "Der Verein hat das Spiel gestern verloren": "sport",
    "Wo kann man hier abends gut und günstig essen?": "food",
    "Wann geht das Flugzeug nach Rom?": "travel",
    "Der Koch hat die Suppe schon wieder versalzen": "food",
    "Die Mannschaft steht im Finale der Meisterschaft": "sport",
    "Ich möchte meinen Flug nach Wien umbuchen": "travel",
    "Das Restaurant am Markt hat montags geschlossen": "food",
}


@pytest.mark.parametrize(
    ("english", "german", "options", "said"),
    [
        (0, 7, (), "the texts look German (de), and are read as en: --language de"),
        (
            7,
            7,
            (),
            "many texts look German (de), and all are read as en: put these into a file of their own, and assess",
        ),
        (0, 7, ("--language", "de"), None),
        (7, 0, (), None),
    ],
    ids=["German", "both", "named", "English"],
)
def test_texts_that_are_read_in_another_language_are_noticed(assess, tmp_path, english, german, options, said):
    rows = [*[*TEXTS.items()][:english], *[*GERMAN.items()][:german]]
    (tmp_path / "test.jsonl").write_text(
        "\n".join(json.dumps({"text": text, "label": label}) for text, label in rows), "utf-8"
    )
    result = assess("--task", "subject", *options)
    assert result.exit_code == 0, result.output
    assert (said or "") in result.stderr
    assert ("read as" in result.stderr) == (said is not None)
