"""The rows from which people calibrate a model of others: JSON Lines, whatever stands in a text."""

import json

import pytest

from sprat.base.errors import UserError
from sprat_training.calibration_rows import read_span_rows
from sprat_training.datasets.rows import numbered_lines


def test_a_line_ends_at_a_line_feed_alone(tmp_path):
    path = tmp_path / "rows.jsonl"
    texts = ["one\u2028line", "one\u0085line", "the\rsame"]
    rows = [json.dumps({"text": text, "entities": []}, ensure_ascii=False) for text in texts]
    path.write_text("\n\n".join(rows * 20), encoding="utf-8")
    assert read_span_rows(path, ["PER"]).texts == tuple(texts * 20)
    assert [number for number, _ in numbered_lines(path)][:3] == [1, 3, 5]


def test_a_file_that_is_not_utf_8_is_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"rows.jsonl: cannot be read"):
        list(numbered_lines(path))
