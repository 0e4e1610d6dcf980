"""What `sprat retrain` says of corrections that it does not learn from."""

import json
from collections import Counter

from sprat_cli.feedback.export import LEFT_OUT_WHY, OTHER_MODEL
from sprat_cli.retrain.corrections import left_out_lines, waiting
from sprat_operations.feedback import NOT_FOUND, SUPERSEDED


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


def test_of_several_labels_each_one_with_too_few_texts_is_counted(tmp_path):
    path = tmp_path / "desk-corrections.jsonl"
    rows = [("no socket works", "charger|badge"), ("the charger is broken", "charger"), ("thank you", "")]
    path.write_text("".join(json.dumps({"text": text, "labels": labels}) + "\n" for text, labels in rows))
    assert waiting(path, {"charger": 2}, several=True) == (
        f"2 corrections with a label that has too few texts stay in {path} for the next time: charger 2"
    )
    assert waiting(path, {"laptop": 1}, several=True) is None
