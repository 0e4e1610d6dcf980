"""The table in which `sprat retrain` keeps corrections, and those that it leaves out."""

import json
from collections import Counter

import pytest

from sprat.base.errors import UserError
from sprat_contracts import IntentOutput, LabelsOutput, ScoredLabel, TextSubmitted
from sprat_operations.correction_table import Added, merge_rows
from sprat_operations.corrections import FRONTIER, LEFT_OUT_WHY, OTHER_MODEL, GivenCorrections, of_known_labels
from sprat_operations.feedback import NOT_FOUND, SUPERSEDED, CorrectedText
from sprat_training.datasets.reader import read_labelled


def given(text, label, at=1, by="qa"):
    output = (
        LabelsOutput(labels=tuple(ScoredLabel(label=each) for each in label))
        if isinstance(label, tuple)
        else IntentOutput(label=label)
    )
    submitted = TextSubmitted.model_validate({"text": text, "tasks": {"intent": {}}, "language": "en"})
    return CorrectedText(submitted, output, ("/crm", text), by, at)


def merged(path, *examples):
    return merge_rows(path, examples, "oos", "en")


def labels(path):
    return {row["text"]: row.get("label", row.get("labels")) for row in map(json.loads, path.read_text().splitlines())}


@pytest.fixture
def table(tmp_path):
    return tmp_path / "hr-corrections.jsonl"


def test_corrections_are_added_once_and_the_table_is_readable_by_its_owner_alone(table):
    examples = [given("a day off", "leave"), given("who won", None)]
    assert merged(table, *examples) == Added(rows=2, new=2, untrainable=0)
    assert labels(table) == {"a day off": "leave", "who won": "oos"}
    assert table.stat().st_mode & 0o777 == 0o600
    before = table.read_text()
    assert merged(table, *examples) == Added(rows=2, new=0, untrainable=0)
    assert table.read_text() == before
    assert merged(table) == Added(rows=2, new=0, untrainable=0), "texts expire on Kafka, and the table keeps them"


def test_of_a_text_the_correction_that_was_given_last_counts(table):
    merged(table, given("A day off ", "badge", at=2), given("a day off", "leave", at=5))
    assert merged(table, given("A DAY OFF", "laptop", at=4)) == Added(rows=1, new=0, untrainable=0)
    assert labels(table) == {"a day off": "leave"}


def test_a_label_that_is_changed_in_the_table_stays_until_a_later_correction(table):
    first = given("a day off", "leave", at=5)
    merged(table, first)
    table.write_text(table.read_text().replace('"leave"', '"holiday"'))
    merged(table, first)
    assert labels(table) == {"a day off": "holiday"}
    assert merged(table, given("a day off", "leave", at=6)).new == 1
    assert labels(table) == {"a day off": "leave"}


def test_a_person_stands_above_the_frontier(table):
    merged(table, given("a day off", "leave", at=1), given("my pay", "badge", at=1, by=FRONTIER))
    merged(table, given("a day off", "badge", at=9, by=FRONTIER), given("my pay", "payroll", at=2))
    assert labels(table) == {"a day off": "leave", "my pay": "payroll"}


def test_several_labels_are_kept_as_training_reads_them(table):
    merged(table, given("a day off and my pay", ("leave", "payroll")), given("thank you", ()))
    assert read_labelled(table, several=True).labels == ("leave|payroll", "")


def test_training_reads_the_table_and_names_no_column_that_it_does_not_read(table):
    merged(table, given("a day off", "leave"))
    (found,) = read_labelled(table).findings
    assert found.unused_columns == ()


def test_what_training_would_refuse_is_counted_and_left_out(table):
    assert merged(table, given("my pay", "=payroll"), given("a day off", "leave")) == Added(
        rows=1, new=1, untrainable=1
    )


def test_a_table_that_is_none_is_not_written_over(table):
    table.write_text('{"label": "leave"}\n')
    with pytest.raises(UserError, match=r"hr-corrections.jsonl: row 1 is no JSON object with a text"):
        merged(table, given("a day off", "leave"))
    assert table.read_text() == '{"label": "leave"}\n'


def test_a_label_that_nothing_knows_is_left_out_and_named_with_its_authors():
    left_out = Counter()
    examples = [given("a day off", "leave"), given("my pay", "payrol", by="agent-1"), given("who won", None)]
    kept, refused = of_known_labels(examples, {"leave", "payroll"}, left_out)
    assert [each.text.text for each in kept] == ["a day off", "who won"]
    found = GivenCorrections("hr", kept, Counter(), left_out, [], refused, {"leave", "payroll"})
    assert found.lines[0].endswith("no announced model knows the label: --allow-new-label LABEL takes it")
    assert found.lines[1] == "  payrol 1, by agent-1 1; did you mean payroll?"


def test_corrections_that_are_left_out_are_counted_with_the_reason_and_those_of_other_models_are_not():
    left_out = Counter({NOT_FOUND: 1, SUPERSEDED: 2, OTHER_MODEL: 5})
    assert GivenCorrections("hr", [], Counter(), left_out, [("/crm", "t-9")], {}, ()).lines == [
        f"left out: 2  {LEFT_OUT_WHY[SUPERSEDED]}",
        "left out: 1  no text that is still there has this id and source: t-9 of /crm",
    ]
    assert left_out[OTHER_MODEL] == 5
