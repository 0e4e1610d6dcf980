"""Corrections, validated before anything is sent."""

import json
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from sprat_cli.commands.feedback.corrections import CorrectionOptions, read_one
from sprat_cli.main import app
from sprat_contracts import IntentOutput, LabelsOutput, Record, ScoredLabel, TaskTable, TextSubmitted
from sprat_operations import corrections as given_corrections
from sprat_operations import feedback as module
from sprat_operations.correction_table import check_format, rows_of, trainable, write_rows
from sprat_operations.corrections import in_doubt, judge_labels
from sprat_operations.feedback import CorrectedText, Corrections, InvalidCorrection, correction, feedback_record, join
from sprat_training.datasets.reader import read_labelled
from support.snapshots import matches_snapshot

FIELDS = {"text_id": "t-1", "text_source": "/crm", "task": "intent", "by": "qa", "output": {"label": "transfer"}}


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, stdin="": CliRunner().invoke(app, ["feedback", *arguments], input=stdin)


def record(offset: int = 0, at: int = 0, **changes) -> Record:
    out = feedback_record(correction(FIELDS | changes), "sprat.feedback.v1")
    return Record("sprat.feedback.v1", 0, offset, at, out.key, out.value, tuple(out.headers))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "sentiment"}, "task: unknown; known are intent, ner, translation"),
        ({"task": 5}, "task: unknown"),
        ({"task": "intent/members"}, "task: write intent: the correction is of the text, whichever model answered"),
        ({"task": "banana@members"}, "task: unknown"),
        ({"text_id": ""}, "text_id: String should have at least 1 character"),
        ({"by": "x" * 257}, "by: String should have at most 256 characters"),
        ({"output": {"labels": "secret words"}}, "output.label: Field required"),
        ({"output": "secret words"}, "output: Input should be an object"),
        ({"task": "ner"}, "output.entities: Field required"),
        (
            {"task": "ner", "output": {"entities": [{"start": 0, "end": 3, "text": "Anna", "label": "PER"}]}},
            "output.entities.0: end - start is 3, but the text has 4 code points",
        ),
        ({"output": {"label": float("nan")}}, "output.label"),
    ],
)
def test_an_invalid_correction_is_reported_by_field_without_its_content(changes, said):
    with pytest.raises(InvalidCorrection) as error:
        correction(FIELDS | changes)
    assert said in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("field", ["text_id", "text_source", "task", "by", "output"])
def test_a_missing_field_is_named(field):
    with pytest.raises(InvalidCorrection, match=f"{field}: Field required"):
        correction({name: value for name, value in FIELDS.items() if name != field})


@pytest.mark.parametrize("label", ["transfer", None])
def test_a_label_stands_for_an_intents_output(label):
    fields = {name: value for name, value in FIELDS.items() if name != "output"}
    assert correction(fields | {"label": label}).output == IntentOutput(label=label)


def test_unknown_fields_are_passed_on():
    assert json.loads(feedback_record(correction(FIELDS | {"ticket": 7}), "t").value or b"")["ticket"] == 7


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{}", "text_id: Field required"),
        ("[]", "not a JSON object"),
        ("{", "not JSON"),
        ("words", "not JSON"),
        ('{"text_id": "t-1", "source": "/crm"}', "source: the field is called text_source"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_sent(run, line, said):
    good = json.dumps(FIELDS)
    result = run("--from", "-", "--bootstrap", "127.0.0.1:1", stdin=f"{good}\n\n{line}\n")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"sprat: standard input, line 3: {said}")


def test_the_last_correction_of_a_text_counts_whatever_the_order_they_are_read_in():
    for order in ((0, 1), (1, 0)):
        records = [record(0, 1_000, output={"label": "a"}), record(1, 2_000, output={"label": "b"})]
        corrections = Corrections("intent", IntentOutput)
        for place in order:
            corrections.add(records[place])
        ((_, last),) = corrections.latest.items()
        assert last.output == IntentOutput(label="b")
        assert corrections.left_out == {"superseded": 1}


def test_corrections_of_another_task_or_kind_are_not_taken():
    corrections = Corrections("intent", IntentOutput)
    corrections.add(record(task="translation", output={"text": "Hallo", "target": "de"}))
    wrong = record()
    value = json.dumps(FIELDS | {"output": {"text": "Hallo", "target": "de"}}).encode()
    corrections.add(Record(wrong.topic, 0, 1, 0, wrong.key, value, wrong.headers))
    corrections.add(Record(wrong.topic, 0, 2, 0, None, b"{", ()))
    assert not corrections.latest
    assert corrections.left_out == {"wrong_output": 1, "unreadable": 1}


def test_an_answer_to_a_review_is_no_correction_and_supersedes_none():
    corrections = Corrections("intent", IntentOutput)
    corrections.add(record(0, 1_000, output={"label": "a"}))
    corrections.add(record(1, 2_000, output={"label": "b"}, of="review", token="0" * 64))
    ((_, last),) = corrections.latest.items()
    assert last.output == IntentOutput(label="a")
    assert corrections.left_out == {"review": 1}


@pytest.fixture
def joined(monkeypatch):
    """Replace what Kafka holds: call it with the corrections and their texts."""

    def replace(examples):
        async def join(*_):
            return examples, Counter(), []

        async def announced(_):
            return {"intent": {"default": {"a", "label-one", "label-three"}, "bank": {"label-two"}}}

        monkeypatch.setattr(given_corrections, "joined_corrections", join)
        monkeypatch.setattr(given_corrections, "announced_labels", announced)
        return examples

    return replace


@pytest.mark.parametrize("as_json", [False, True])
def test_an_export_leaves_out_what_train_would_refuse_and_says_so(run, joined, tmp_path, as_json):
    fields = {"tasks": {"intent": {}}, "language": "en"}
    examples = [
        CorrectedText(TextSubmitted.model_validate({"text": text} | fields), IntentOutput(label=label), ("/crm", text))
        for text, label in (("plain", "a"), ("=A1", "a"), ("=B2", None), ("outside", None))
    ]
    joined(examples)
    files = ["--output", "out.csv", "--out-of-scope", "outside.csv"]
    result = run("export", *files, "--bootstrap", "127.0.0.1:1", *(["--json"] if as_json else []))
    assert result.exit_code == 0
    if as_json:
        assert json.loads(result.stdout)["left_out"] == {"untrainable": 2}
    else:
        assert "left out: 2  sprat train would refuse" in result.stdout
    assert (tmp_path / "out.csv").read_text().splitlines() == ["text,label,language,given_by,given_at", "plain,a,en,,0"]
    assert (tmp_path / "outside.csv").read_text().splitlines() == [
        "text,label,language,given_by,given_at",
        "outside,,en,,0",
    ]


def corrected(text: str, output, by: str, task: str = "intent") -> CorrectedText:
    submitted = TextSubmitted.model_validate({"text": text, "tasks": {task: {}}})
    return CorrectedText(submitted, output, ("/crm", text), by)


@pytest.fixture
def of_a_forger(joined):
    """Corrections by two authors, one of whom makes labels up."""
    labels = [("one", "a", "qa"), ("two", "fraud", "bot"), ("three", "fraud", "qa"), ("four", "aa", "bot")]
    return joined([corrected(text, IntentOutput(label=label), by) for text, label, by in labels])


def test_an_export_refuses_labels_that_no_model_announced_and_names_their_authors(run, tmp_path, of_a_forger):
    result = run(*EXPORT)
    assert (result.exit_code, result.stdout.splitlines()) == (
        1,
        [
            "out.csv: 1 row, 1 label: a 1",
            "by qa 1",
            "left out: 3  no announced model knows the label: --allow-new-label LABEL takes it",
            "  fraud 2, by bot 1, qa 1",
            "  aa 1, by bot 1; did you mean a?",
        ],
    )
    assert (tmp_path / "out.csv").read_text().splitlines()[1:] == ["one,a,en,qa,0"]


@pytest.mark.parametrize(
    ("allowed", "rows", "new"),
    [
        (["--allow-new-label", "fraud"], 3, {"aa": {"bot": 1}}),
        (["--allow-new-label", "fraud", "--allow-new-label", "aa"], 4, {}),
        (["--allow-new-labels"], 4, {}),
        ([], 1, {"fraud": {"bot": 1, "qa": 1}, "aa": {"bot": 1}}),
    ],
)
def test_an_export_takes_the_new_labels_that_are_allowed(run, of_a_forger, allowed, rows, new):
    result = run(*EXPORT, "--json", *allowed)
    exported = json.loads(result.stdout)
    assert (exported["rows"], exported["new_labels"], result.exit_code) == (rows, new, 1 if new else 0)
    assert exported["left_out"].get("new_label", 0) == 4 - rows
    assert exported["authors"] == {1: {"qa": 1}, 3: {"qa": 2, "bot": 1}, 4: {"qa": 2, "bot": 2}}[rows]


def test_a_label_of_another_model_is_new_to_the_one_that_the_texts_asked_for(run, joined):
    joined([corrected("one", IntentOutput(label="label-two"), "qa"), corrected("two", IntentOutput(label=None), "qa")])
    exported = json.loads(run(*EXPORT, "--out-of-scope", "none.csv", "--json").stdout)
    assert (exported["new_labels"], exported["outside"]) == ({"label-two": {"qa": 1}}, 1)


def test_the_labels_of_a_tasks_file_are_known_without_an_announcement(run, joined, tmp_path):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "desk.yaml").write_text("kind: multi_label\nlabels:\n  hr: pay\n  it: laptops\n")
    labels = [("hr", "it"), ("hr", "spam")]
    outputs = [LabelsOutput(labels=tuple(ScoredLabel(label=label) for label in each)) for each in labels]
    joined([corrected(f"text {n}", output, "qa", "desk") for n, output in enumerate(outputs)])
    exported = json.loads(run(*EXPORT, "--task", "desk", "--json").stdout)
    assert (exported["rows"], exported["new_labels"]) == (1, {"spam": {"qa": 1}})


@pytest.fixture
def of_two_models(joined):
    """Corrections of texts that asked for the default and for `bank`, and of one that asked for another task alone."""
    asked = (("one", {"intent": {}}), ("two", {"intent": {"model": "bank"}}), ("three", {"ner": {}}))
    examples = [
        CorrectedText(
            TextSubmitted.model_validate({"text": text, "tasks": tasks}),
            IntentOutput(label=f"label-{text}"),
            ("/crm", text),
        )
        for text, tasks in asked
    ]
    return joined(examples)


EXPORT = ("export", "--output", "out.csv", "--bootstrap", "127.0.0.1:1")


def test_corrections_of_several_models_do_not_end_in_one_file(run, tmp_path, of_two_models):
    result = run(*EXPORT)
    assert (result.exit_code, result.stdout, (tmp_path / "out.csv").exists()) == (2, "", False)
    assert result.stderr == (
        "sprat: these are corrections of 2 models of intent, each with labels of its own: default 2, bank 1; "
        "export one with --model NAME\n"
    )


@pytest.mark.parametrize(("model", "texts"), [("default", ["one", "three"]), ("bank", ["two"])])
def test_the_corrections_of_one_model_are_exported_and_the_others_counted(run, tmp_path, of_two_models, model, texts):
    result = run(*EXPORT, "--model", model, "--json")
    exported = json.loads(result.stdout)
    assert (result.exit_code, exported["model"], exported["left_out"]) == (0, model, {"other_model": 3 - len(texts)})
    assert [row.split(",")[0] for row in (tmp_path / "out.csv").read_text().splitlines()[1:]] == texts


def test_a_model_without_corrections_is_reported_with_those_that_have_some(run, tmp_path, of_two_models):
    result = run(*EXPORT, "--model", "bnak")
    assert (result.exit_code, (tmp_path / "out.csv").exists()) == (1, False)
    assert result.stderr == "no correction is of intent@bnak; there are corrections of: default 2, bank 1\n"


def test_one_model_needs_no_name_and_is_named_with_its_file(run, joined, of_two_models):
    joined(of_two_models[1:2])
    exported = json.loads(run(*EXPORT, "--json").stdout)
    assert (exported["rows"], exported["model"]) == (1, "bank")
    assert run(*EXPORT, "--force").stdout.startswith("out.csv: 1 row of intent@bank, 1 label: ")


KNOWN = {"default": {"transfer", "balance"}, "bank": {"transfer", "fees"}}


def given(label, id="t-1"):
    return correction({name: FIELDS[name] for name in ("text_source", "task", "by")} | {"text_id": id, "label": label})


@pytest.mark.parametrize(("label", "doubt"), [("transfer", False), ("fees", True), ("fess", False), (None, False)])
def test_only_a_label_that_some_models_know_and_others_do_not_asks_for_the_text(label, doubt):
    assert in_doubt(label, KNOWN) == doubt
    assert not in_doubt(label, {"default": {"fees"}})


NEAR = {"default": {"Miscellaneus", "other"}}
JUDGED = {
    "of a text that is not found": (["fees"], KNOWN, []),
    "that the model knows": (["fees"], KNOWN, ["bank"]),
    "that another model knows": (["fees"], KNOWN, ["default"]),
    "of a text that asks for no announced model": (["fees"], KNOWN, ["gone"]),
    "that nothing knows": (["fess"], KNOWN, []),
    "that nothing knows, near one of the model": (["fess"], KNOWN, ["bank"]),
    "that nothing knows, near one of another model": (["fess"], KNOWN, ["default"]),
    "that nothing knows, of texts that ask for two models": (["fess", "fess"], KNOWN, ["default", "bank"]),
    "near another one of the model that is asked for": (["fees"], {"a": {"feed"}, "b": {"fees"}}, ["a"]),
    "that means outside, near a label": (["miscellaneous"], NEAR, []),
    "that means outside, near one that does, too": (["Sonstiges"], {"default": {"Sonstige"}}, []),
    "that means outside and that another model knows": (
        ["misc"],
        {"default": {"misc"}, "bank": {"transfer"}},
        ["bank"],
    ),
    "of many texts": (["fees"] * 3, KNOWN, ["default", "default"]),
    "that all know": (["transfer"], KNOWN, []),
    "outside": ([None], KNOWN, []),
    "where no model announces labels": (["fees"], {}, []),
}


def test_a_label_is_judged_by_the_model_that_the_text_asked_for():
    shown = []
    for name, (labels, known, asked) in JUDGED.items():
        messages = [given(label, f"t-{number}") for number, label in enumerate(labels)]
        models = {("/crm", f"t-{number}"): model for number, model in enumerate(asked)}
        problems, notes = judge_labels(messages, known, models)
        shown += [f"# a label {name}", *problems, *(f"note: {each}" for each in notes)]
    assert matches_snapshot("labels_of_corrections", "\n".join([*shown, ""]))


def text_record(offset: int, value: bytes) -> Record:
    headers = {"ce_specversion": "1.0", "ce_id": "t-1", "ce_source": "/crm", "ce_type": TextSubmitted.event_type}
    return Record("sprat.texts.v1", 0, offset, offset, None, value, tuple((k, v.encode()) for k, v in headers.items()))


@pytest.mark.parametrize(("fixed", "left_out"), [(True, {}), (False, {"invalid_text": 1})])
async def test_an_invalid_text_does_not_hide_a_fixed_one_with_its_id(monkeypatch, fixed, left_out):
    records = [text_record(0, b"{}"), text_record(1, b"{")]
    if fixed:
        records.insert(1, text_record(2, b'{"text": "fixed", "tasks": {"intent": {}}}'))

    class FakeReader:
        async def read_since(self, topics, since_ms):
            for record in records:
                yield [record]

    @asynccontextmanager
    async def open_reader(client, progress):
        yield FakeReader()

    monkeypatch.setattr(module, "TopicReader", open_reader)
    corrections = Corrections("intent", IntentOutput)
    corrections.add(record(0, 1_000))
    examples = await join({}, "sprat.texts.v1", corrections)
    assert [example.text.text for example in examples] == ["fixed"] * fixed
    assert corrections.left_out == left_out


SEVERAL = TaskTable({"topics": LabelsOutput})


def test_a_correction_of_several_labels_is_a_list_of_them():
    fields = {name: FIELDS[name] for name in ("text_source", "by")} | {"text_id": "t-1", "task": "topics"}
    given = correction(fields | {"labels": ["billing", "delivery"]}, SEVERAL)
    assert [(each.label, each.probability) for each in given.output.labels] == [("billing", None), ("delivery", None)]
    assert correction(fields | {"labels": []}, SEVERAL).output.labels == ()
    with pytest.raises(InvalidCorrection, match="labels: not a list"):
        correction(fields | {"labels": "billing"}, SEVERAL)
    with pytest.raises(InvalidCorrection, match=r"output\.labels: Field required"):
        correction(fields | {"output": {"label": "billing"}}, SEVERAL)


def test_the_option_label_takes_several_with_the_separator_of_files():
    options = CorrectionOptions(
        text_id="t-1",
        source="/crm",
        task="topics",
        label="billing|delivery",
        outside=False,
        output=None,
        by="qa",
        tasks=SEVERAL,
    )
    (given,) = read_one(options)
    assert [each.label for each in given.output.labels] == ["billing", "delivery"]
    (none,) = read_one(replace(options, label=None, outside=True))
    assert none.output.labels == ()


def test_each_of_several_labels_is_judged():
    fields = {name: FIELDS[name] for name in ("text_source", "by")} | {"text_id": "t-1", "task": "topics"}
    given = correction(fields | {"labels": ["billing", "delivry"]}, SEVERAL)
    problems, _ = judge_labels([given], {"default": {"billing", "delivery"}}, {})
    assert problems == ["no announced model knows the label delivry; did you mean delivery?"]


def test_rows_of_several_labels_can_be_trained_from(tmp_path):
    text = TextSubmitted.model_validate({"text": "late and broken", "tasks": {"topics": {}}})
    both, none = LabelsOutput(labels=(ScoredLabel(label="a"), ScoredLabel(label="b"))), LabelsOutput(labels=())
    rows = rows_of([CorrectedText(text, output, ("/crm", "t-1")) for output in (both, none)])
    assert [row["labels"] for row in rows] == ["a|b", ""]
    path = tmp_path / "rows.csv"
    check_format(path, "topics", LabelsOutput)
    assert all(trainable(path, row) for row in rows)
    assert not trainable(path, rows[0] | {"labels": "a|=b"})
    write_rows(path, rows, overwrite=False)
    assert read_labelled(path, several=True).labels == ("a|b", "")
