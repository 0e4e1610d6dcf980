"""What `sprat retrain` says of corrections that it does not learn from."""

import json
from collections import Counter

from sprat_cli.feedback.export import LEFT_OUT_WHY, OTHER_MODEL
from sprat_cli.retrain.corrections import Added, add_corrections, divided, left_out_lines, waiting
from sprat_operations.feedback import NOT_FOUND, SUPERSEDED
from sprat_training.data import is_held_out


def test_corrections_that_are_left_out_are_counted_with_the_reason_and_those_of_other_models_are_not():
    assert left_out_lines(Counter({NOT_FOUND: 1, SUPERSEDED: 2, OTHER_MODEL: 5})) == [
        f"left out: 2 corrections: {LEFT_OUT_WHY[SUPERSEDED]}",
        "left out: 1 correction: no text that is still there has this id and source",
    ]
    assert left_out_lines(Counter({OTHER_MODEL: 5})) == []


def test_corrections_with_a_label_that_has_too_few_texts_are_said_to_stay(tmp_path):
    path = tmp_path / "hr-corrections.jsonl"
    rows = [("no socket works", "charger"), ("the charger is broken", "charger"), ("a day off", "leave")]
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    assert waiting(path, {"charger": 2, "other": 1}) == (
        f"2 corrections with a label that has too few texts stay in {path} for the next time: charger 2"
    )
    assert waiting(path, {}) is None


def test_it_is_said_how_many_corrections_are_trained_on_and_how_many_test(tmp_path):
    path = tmp_path / "hr-corrections.jsonl"
    texts = [f"text {number}" for number in range(60)]
    held_out, others = [text for text in texts if is_held_out(text)], [text for text in texts if not is_held_out(text)]
    rows = [(others[0], "leave"), (others[1], "oos"), (held_out[0], "leave"), (held_out[1], "oos")]
    rows += [(others[2], "charger"), (held_out[2], "charger")]
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    assert divided(path, {"charger": 2}) == (
        "2 of 6 corrections are trained on; 2 are held out and test both versions, so the new one has not learnt them"
    )
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows[1:3]))
    assert divided(path, {}) == (
        "1 of 2 corrections is trained on; 1 is held out and tests both versions, so the new one has not learnt it"
    )


def test_a_text_that_is_corrected_under_two_ids_is_one_correction_and_the_last_label_counts(tmp_path):
    path = tmp_path / "hr-corrections.jsonl"
    rows = [("a day off", "badge"), ("my pay of May", "payroll"), ("A day off ", "leave")]
    assert add_corrections(path, [{"text": text, "label": label} for text, label in rows]) == Added(total=2, read=2)
    assert [json.loads(line)["label"] for line in path.read_text().splitlines()] == ["leave", "payroll"]
    assert add_corrections(path, [{"text": "A DAY OFF", "label": "leave"}]) == Added(total=2, read=1)
    assert json.loads(path.read_text().splitlines()[0])["text"] == "A day off ", "it says the same as before"


def test_of_several_labels_each_one_with_too_few_texts_is_counted(tmp_path):
    path = tmp_path / "desk-corrections.jsonl"
    rows = [("no socket works", "charger|badge"), ("the charger is broken", "charger"), ("thank you", "")]
    path.write_text("".join(json.dumps({"text": text, "labels": labels}) + "\n" for text, labels in rows))
    assert waiting(path, {"charger": 2}, several=True) == (
        f"2 corrections with a label that has too few texts stay in {path} for the next time: charger 2"
    )
    assert waiting(path, {"laptop": 1}, several=True) is None
