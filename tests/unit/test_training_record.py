"""What an artefact remembers of its training: options, and fingerprints that hold no text."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sprat.base.errors import UserError
from sprat_training.datasets.columns import ColumnNames
from sprat_training.datasets.config import TrainingConfig
from sprat_training.datasets.reader import LabelledTexts, joined
from sprat_training.datasets.record import (
    CHANCE,
    FILE,
    Fingerprints,
    Reading,
    read_record,
    seen_by,
    without_seen,
    write_record,
)

TEXTS = [f"where is my payslip of the year {number}" for number in range(500)]


@pytest.fixture
def folder(tmp_path):
    config = TrainingConfig(
        files=(Path("hr.csv"),),
        output=tmp_path,
        name="hr",
        columns=ColumnNames("Was", None),
        merge_case=True,
        skip_bad_rows=Path("bad.csv"),
        outside_share=0.0,
        licence="CC0-1.0",
    )
    write_record(tmp_path, config, TEXTS, ["a hash"])
    return tmp_path


def test_the_options_of_a_training_are_remembered(folder):
    record = read_record(folder)
    assert record is not None
    files = {"text_column": "Was", "merge_case": True, "skip_bad_rows": "bad.csv"}
    assert record.reading == Reading(**files, outside_share=0.0, licence="CC0-1.0")


def test_an_option_of_a_later_version_is_left_out(folder):
    record = read_record(folder)
    content = json.loads((folder / FILE).read_text())
    content["reading"]["an_option_of_later"] = True
    (folder / FILE).write_text(json.dumps(content))
    assert read_record(folder) == record


def of_file(name, texts):
    """Return the rows of a file."""
    rows, path = range(2, 2 + len(texts)), Path(name)
    return LabelledTexts(path, tuple(texts), ("x",) * len(texts), tuple(rows), ("text",), (path,) * len(texts))


def test_texts_that_were_trained_on_are_recognised_and_others_are_not_but_for_chance(folder):
    record = read_record(folder)
    found = seen_by(record, of_file("new.csv", ["something else", TEXTS[3].upper(), " ".join(TEXTS[4].split())]))
    assert found is not None
    assert found.rows == (3, 4)
    assert "2 of 3 texts were trained on by this model (rows 3, 4 of new.csv): these figures are too good" in str(found)
    assert str(found).endswith("; add --skip-trained to leave them out, or take texts that it has not seen")
    assert str(seen_by(record, of_file("new.csv", TEXTS[3:5]))).endswith(" too good; take texts that it has not seen")
    both = joined([of_file("new.csv", [TEXTS[3]]), of_file("more.csv", ["something else", TEXTS[4]])])
    said = "2 of 3 texts were trained on by this model (rows 2 of new.csv; 3 of more.csv): these figures"
    assert said in str(seen_by(record, both))
    others = [f"a text {number} that it has not seen" for number in range(20_000)]
    by_chance = Fingerprints.of(TEXTS, "key").seen(others).sum()
    assert 0 < by_chance < 5 * len(others) / CHANCE
    assert seen_by(record, of_file("new.csv", others)) is None


def test_what_any_of_two_models_was_trained_on_is_left_out_and_nothing_else(folder):
    record = read_record(folder)
    other = replace(record, texts=Fingerprints.of(["text a", "text b"], "other"))
    data = of_file("new.csv", [TEXTS[3], "something else", "text b", TEXTS[4]])
    left, out = without_seen([record, other], data, "one or both")
    assert (left.texts, left.rows, left.labels) == (("something else",), (3,), ("x",))
    assert (out.places, out.texts) == ((("new.csv", 2), ("new.csv", 4), ("new.csv", 5)), 4)
    assert out.named == "3 of 4 texts were trained on by one or both (rows 2, 4, 5 of new.csv)"
    assert without_seen([None], data, "it") == (data, None)
    assert seen_by(record, left) is None


def test_what_is_left_of_many_texts_holds_no_more_than_by_chance(folder):
    """Few of many texts are no more than by chance; once those of the other model are gone, they are."""
    record = read_record(folder)
    others = [f"a text {number} that it has not seen" for number in range(20_000)]
    other = replace(record, texts=Fingerprints.of(others, "other"))
    data = of_file("new.csv", [*others, *TEXTS[:3], "something else"])
    assert seen_by(record, data) is None
    left, out = without_seen([record, other], data, "one or both")
    assert left.texts == ("something else",)
    assert out.texts - len(out.rows) == 1


def test_the_fingerprints_hold_no_text_and_none_that_another_model_has(folder):
    content = (folder / FILE).read_text()
    assert "payslip" not in content
    first = Fingerprints.of(TEXTS, "a")
    assert first.bits <= 23  # too few to tell which of many guessed texts it was
    assert first.seen(TEXTS).all()
    assert replace(first, key="b").seen(TEXTS).sum() < 5


def test_an_artefact_without_a_record_is_read_and_a_broken_one_refused(tmp_path):
    assert read_record(tmp_path) is None
    assert seen_by(None, of_file("new.csv", TEXTS)) is None
    for content in ("{", "[]", '{"reading": {}}', '{"reading": {"no": 1}, "texts": {}}'):
        (tmp_path / FILE).write_text(content)
        with pytest.raises(UserError, match=r"training\.json: cannot be read"):
            read_record(tmp_path)
