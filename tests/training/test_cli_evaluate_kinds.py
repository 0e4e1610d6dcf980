"""`sprat evaluate` of a task without a model, of label sets, of names and of translations."""

import json

import pytest

from sprat.base.thresholds import read_thresholds
from support import label_sets, training_files
from support.evaluating import run

TEXTS = {
    "our club has won the match by two goals": "sport",
    "the final ended without a goal": "sport",
    "where can I eat a good pizza": "food",
    "this restaurant serves no lunch": "food",
    "book a flight to Rome": "travel",
    "when does our plane leave": "travel",
    "what is the square root of nine": "oos",
}


def json_lines(path, rows):
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    return path


def evaluated(*arguments):
    result = run("evaluate", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    """Return the folder of task files that is the working folder's."""
    monkeypatch.delenv("SPRAT_TASKS", raising=False)
    monkeypatch.delenv("SPRAT_POLICY", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tasks").mkdir()
    return tmp_path / "tasks"


def test_what_the_labels_of_a_task_alone_answer_is_measured_and_written_beside_its_file(tasks, tmp_path):
    labels = "{food: meals and restaurants, sport: matches and clubs, travel: trips and flights}"
    (tasks / "subject.yaml").write_text(f"kind: classification\nlabels: {labels}\n")
    file = json_lines(tmp_path / "rows.jsonl", [{"text": text, "label": label} for text, label in TEXTS.items()])
    found = evaluated(file, "--model", "subject", "--write")
    assert (found["task"], found["goal"], found["rows"], found["outside"]) == ("subject", 0.95, 7, 1)
    assert found["served"]["thresholds"]["model"] == "zero-shot", "until then, those of all such models hold"
    written = tasks / "thresholds" / "subject.json"
    assert found["written"] == str(written.relative_to(tmp_path)) or found["written"] == str(written)
    thresholds = read_thresholds(written, model_version=found["new"]["version"])
    assert (thresholds.model, thresholds.recommended_goal) == ("zero-shot", 0.95)
    (tasks / "subject.yaml").write_text(f"kind: classification\nlabels: {labels}\ngoal: 0.9\n")
    assert evaluated(file, "--model", "subject")["goal"] == 0.9


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("kind: multi_label\nlabels: {a: , b: }\n", "the task odd has no small model: its file names no `artefact`"),
        ("kind: text\ninstruction: Write a letter.\n", "not for text"),
        (
            'kind: classification\nlabels: {"___": , b: }\n',
            "the task odd: the label '___' has no word that the encoder",
        ),
    ],
)
def test_a_task_that_no_small_model_answers_is_refused(tasks, tmp_path, content, said):
    (tasks / "odd.yaml").write_text(content)
    file = json_lines(tmp_path / "rows.jsonl", [{"text": "hello", "label": "b"}])
    result = run("evaluate", file, "--model", "odd")
    assert result.exit_code == 2
    assert said in result.stderr


def test_of_label_sets_the_whole_set_is_right_and_none_is_outside(tmp_path):
    data = label_sets.write(tmp_path / "topics.csv")
    trained = run("train", "multi-label", data, "--output", tmp_path / "topics", "--encoder", training_files.EN_FAST)
    assert trained.exit_code == 0, trained.output
    rows = [(f"{text} please", labels) for text, labels in label_sets.rows()]
    rows = [{"text": text, "labels": labels.split("|") if labels else []} for text, labels in rows]
    file = json_lines(tmp_path / "rows.jsonl", rows)
    found = evaluated(file, "--model", tmp_path / "topics")
    assert found["outside"] == sum(not row["labels"] for row in rows)
    assert found["thresholds"]["right"] == "the whole set of labels is right"
    right = found["new"]["cells"][0]["right"]
    wrong = [row | {"labels": sorted({"badge", "leave"} ^ {*row["labels"]})} for row in rows]
    assert evaluated(json_lines(file, wrong), "--model", tmp_path / "topics")["new"]["cells"][0]["right"] < right


NAMES = [
    {"text": "Angela Merkel lives in Berlin.", "spans": [("Angela Merkel", "PER"), ("Berlin", "LOC")]},
    {"text": "I work for Siemens.", "spans": [("Siemens", "ORG")]},
    {"text": "My laptop is broken.", "spans": []},
]


def named(rows):
    return [
        {
            "text": row["text"],
            "language": "en",
            "entities": [
                {"start": (start := row["text"].index(name)), "end": start + len(name), "label": label}
                for name, label in row["spans"]
            ],
        }
        for row in rows
    ]


def test_of_names_all_are_right_and_none_is_missed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = named(NAMES)
    found = evaluated(json_lines(tmp_path / "names.jsonl", rows), "--model", "ner/default", "--goal", "0.8")
    assert (found["task"], found["rows"], found["outside"]) == ("ner", 3, 0)
    by_says = {each["says"]: each["rows"] for each in found["new"]["cells"] if each["language"] is None}
    assert by_says == {None: 3, "some": 2, "none": 1}
    rows[0]["entities"].pop()
    rows[1]["entities"][0]["label"] = "NOBODY"
    result = run("evaluate", json_lines(tmp_path / "names.jsonl", rows), "--model", "ner/default")
    assert result.exit_code == 2
    assert 'row 2: needs "entities": [{"start": 0, "end": 4, "label": "…"}]' in result.stderr
    assert "Siemens" not in result.stderr


def test_of_translations_a_person_judges_or_a_reference_estimates(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [{"text": "The weather is nice today.", "reference": "Das Wetter ist heute schön."}] * 2
    rows.append({"text": "I lost my key.", "reference": "Quite another text that nobody has said."})
    found = evaluated(json_lines(tmp_path / "pairs.jsonl", rows), "--model", "translation/en-de")
    assert "chrF" in found["thresholds"]["right"]
    assert any("no row may certify" in note for note in found["notes"])
    judged = [
        {"text": "The weather is nice today.", "translation": "Das Wetter ist heute schön.", "right": "yes"},
        {"text": "I lost my key.", "translation": "So übersetzt es niemand.", "right": "no"},
    ]
    found = evaluated(json_lines(tmp_path / "judged.jsonl", judged), "--model", "translation/en-de")
    assert (found["rows"], found["thresholds"]["right"]) == (1, "a person calls the translation right")
    for wrong, said in (
        ([{**judged[0], "right": "maybe"}], 'column "right": write yes or no'),
        ([{"text": "Hello."}], "translations need the columns `translation` and `right`"),
        ([judged[1]], "in no row stands what the model says: judge its own translations"),
    ):
        result = run("evaluate", json_lines(tmp_path / "wrong.jsonl", wrong), "--model", "translation/en-de")
        assert result.exit_code == 2
        assert said in result.stderr
