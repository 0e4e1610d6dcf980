"""What `sprat retrain` says of corrections that it does not learn from."""

import json
from collections import Counter

from sprat_cli.feedback.export import LEFT_OUT_WHY, OTHER_MODEL
from sprat_cli.retrain.corrections import (
    Added,
    add_corrections,
    left_out_lines,
    rows_to_keep,
    waiting,
)
from sprat_contracts import IntentOutput, LabelsOutput, ScoredLabel, TextSubmitted
from sprat_operations.feedback import NOT_FOUND, SUPERSEDED, CorrectedText
from sprat_training.datasets.reader import read_labelled


def test_corrections_that_are_left_out_are_counted_with_the_reason_and_those_of_other_models_are_not():
    assert left_out_lines(Counter({NOT_FOUND: 1, SUPERSEDED: 2, OTHER_MODEL: 5}), [("/crm", "t-9")]) == [
        f"left out: 2 corrections: {LEFT_OUT_WHY[SUPERSEDED]}",
        "left out: 1 correction: no text that is still there has this id and source: t-9 of /crm",
    ]
    assert left_out_lines(Counter({OTHER_MODEL: 5}), []) == []


def test_of_texts_that_are_not_found_five_are_named_with_their_sources_and_the_others_counted():
    missing = [("/crm", f"t-{number}") for number in range(7)]
    (line,) = left_out_lines(Counter({NOT_FOUND: 7}), missing)
    assert line.endswith(": t-0 of /crm, t-1 of /crm, t-2 of /crm, t-3 of /crm, t-4 of /crm and 2 more")


def test_corrections_with_a_label_that_has_too_few_texts_are_said_to_stay(tmp_path):
    path = tmp_path / "hr-corrections.jsonl"
    rows = [("no socket works", "charger"), ("the charger is broken", "charger"), ("a day off", "leave")]
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    assert waiting(path, {"charger": 2, "other": 1}) == (
        f"2 corrections with a label that has too few texts stay in {path} for the next time: charger 2"
    )
    assert waiting(path, {}) is None


def test_a_text_that_is_corrected_under_two_ids_is_one_correction_and_the_last_label_counts(tmp_path):
    path = tmp_path / "hr-corrections.jsonl"
    rows = [("a day off", "badge"), ("my pay of May", "payroll"), ("A day off ", "leave")]
    assert add_corrections(path, [{"text": text, "label": label} for text, label in rows]) == Added(
        total=2, read=2, new=2
    )
    assert [json.loads(line)["label"] for line in path.read_text().splitlines()] == ["leave", "payroll"]
    assert add_corrections(path, [{"text": "A DAY OFF", "label": "leave"}]) == Added(total=2, read=1, new=0)
    assert json.loads(path.read_text().splitlines()[0])["text"] == "A day off ", "it says the same as before"


def test_of_several_labels_each_one_with_too_few_texts_is_counted(tmp_path):
    path = tmp_path / "desk-corrections.jsonl"
    rows = [("no socket works", "charger|badge"), ("the charger is broken", "charger"), ("thank you", "")]
    path.write_text("".join(json.dumps({"text": text, "labels": labels}) + "\n" for text, labels in rows))
    assert waiting(path, {"charger": 2}, several=True) == (
        f"2 corrections with a label that has too few texts stay in {path} for the next time: charger 2"
    )
    assert waiting(path, {"laptop": 1}, several=True) is None


def given(**labels: str | None):
    """Return the rows of corrections of the texts with these ids."""
    texts = {"t1": "a day off", "t2": "my pay of May", "t3": "a new badge"}
    submitted = {
        id: TextSubmitted.model_validate({"text": text, "tasks": {"intent": {}}}) for id, text in texts.items()
    }
    examples = [CorrectedText(submitted[id], IntentOutput(label=label), ("/crm", id)) for id, label in labels.items()]
    return rows_to_keep(examples, "other")


def change(path, text: str, **fields) -> None:
    """Change the row of a text by hand."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row | fields if row["text"] == text else row) + "\n" for row in rows))


def labels_in(path) -> list[str]:
    return [json.loads(line)["label"] for line in path.read_text().splitlines()]


def test_a_row_says_which_correction_of_which_text_it_came_of_and_training_does_not_name_these_fields(tmp_path):
    path = tmp_path / "hr-corrections.jsonl"
    add_corrections(path, given(t1="leave", t2=None))
    first, second = map(json.loads, path.read_text().splitlines())
    assert first == {"text": "a day off", "label": "leave", "given": "leave", "text_id": "t1", "text_source": "/crm"}
    assert (second["label"], second["given"]) == ("other", "other")
    assert read_labelled(path).findings[0].unused_columns == ()
    path.write_text('{"text": "a day off", "label": "leave", "given": "May"}\n')
    assert read_labelled(path).findings[0].unused_columns == ("given",), "a field of the owner's"


def test_a_label_that_was_changed_in_the_file_stays_until_another_correction_is_given(tmp_path):
    path = tmp_path / "hr-corrections.jsonl"
    add_corrections(path, given(t1="leave", t2="badge"))
    change(path, "my pay of May", label="payroll", note="seen by Ann")
    kept = f"{path}: row 2 keeps the label that it was given in this file, not that of the correction on Kafka"
    assert add_corrections(path, given(t1="leave", t2="badge")).edits == (kept,)
    assert add_corrections(path, given(t1="leave", t2="badge", t3="badge")) == Added(3, 3, 1, (kept,))
    assert labels_in(path) == ["leave", "payroll", "badge"]
    assert json.loads(path.read_text().splitlines()[1])["note"] == "seen by Ann"

    replaced = (
        f"{path}: row 2 had the label 'payroll' and has 'leave' now, as the last correction of its text says "
        "(text_id 't2', text_source '/crm'); if 'payroll' is right, give it again by `sprat feedback`"
    )
    assert add_corrections(path, given(t2="leave")).edits == (replaced,)
    assert labels_in(path) == ["leave", "leave", "badge"]
    assert add_corrections(path, given(t2="payroll")).edits == (), "what nobody changed in the file is no edit"
    assert labels_in(path) == ["leave", "payroll", "badge"]


def test_an_edit_that_was_given_as_a_correction_too_is_no_edit_any_more(tmp_path):
    path = tmp_path / "hr-corrections.jsonl"
    add_corrections(path, given(t2="badge"))
    change(path, "my pay of May", label="payroll")
    assert add_corrections(path, given(t2="payroll")) == Added(1, 1, 0)
    assert add_corrections(path, given(t2="badge")) == Added(1, 1, 1), "another correction, which counts"
    assert labels_in(path) == ["badge"]


def test_of_a_row_of_an_earlier_version_it_cannot_be_known_who_changed_it_and_it_is_said_what_is_replaced(tmp_path):
    path = tmp_path / "hr-corrections.jsonl"
    path.write_text('{"text": "a day off", "label": "badge"}\n{"text": "my pay of May", "label": "payroll"}\n')
    added = add_corrections(path, given(t1="leave", t2="payroll"))
    assert len(added.edits) == 1
    assert "row 1 had the label 'badge' and has 'leave' now" in added.edits[0]
    assert labels_in(path) == ["leave", "payroll"]


def test_of_several_labels_too_what_was_changed_in_the_file_stays(tmp_path):
    path = tmp_path / "desk-corrections.jsonl"
    text = TextSubmitted.model_validate({"text": "late and broken", "tasks": {"desk": {}}})
    output = LabelsOutput(labels=(ScoredLabel(label="late"), ScoredLabel(label="lost")))
    rows = rows_to_keep([CorrectedText(text, output, ("/crm", "t1"))], "oos")
    add_corrections(path, rows, several=True)
    change(path, "late and broken", labels=["late", "broken"])
    edits = add_corrections(path, rows, several=True).edits
    assert len(edits) == 1
    assert "row 1 keeps the label" in edits[0]
    assert json.loads(path.read_text())["labels"] == ["late", "broken"]
