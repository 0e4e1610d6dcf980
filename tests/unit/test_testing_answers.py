"""Fixed answers: which one fits a text, and what it says."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from sprat_testing import Text
from sprat_testing.answers import AnswersFile, FixedAnswer, FixedAnswers


def test_an_answer_fits_texts_by_task_and_by_who_answers() -> None:
    answer = FixedAnswer(task="intent", contains="cat", label="animal")
    assert answer.fits("a cat", "intent", "small")
    assert not answer.fits("a dog", "intent", "small")
    assert not answer.fits("a cat", "ner", "small")
    assert not answer.fits("a cat", "intent", "frontier")


def test_equals_is_the_whole_text() -> None:
    answer = FixedAnswer(task="intent", equals="cat", label="animal")
    assert answer.fits("cat", "intent", "small")
    assert not answer.fits("a cat", "intent", "small")


def test_the_last_that_fits_is_found() -> None:
    answers = FixedAnswers(answers=[FixedAnswer(task="intent", label=label) for label in ("one", "two")])
    assert answers.find("any", "intent", "small").label == "two"
    assert answers.find("any", "ner", "small") is None


def test_a_repeated_name_is_found_once_for_each_mention() -> None:
    answer = FixedAnswer(task="ner", entities=(("Ada", "PER"), ("Ada", "PER"), ("Bob", "PER")))
    output = answer.output("Ada, Ada, you said", None)
    assert [(each.start, each.end) for each in output.entities] == [(0, 3), (5, 8)]


def test_a_frontier_writes_what_its_schema_asks_for() -> None:
    written = [
        FixedAnswer(task="intent", label=None),
        FixedAnswer(task="ner", entities=(("Ada", "PER"),)),
        FixedAnswer(task="translation", translation="ja"),
    ]
    assert [json.loads(answer.written()) for answer in written] == [
        {"label": None},
        {"entities": [{"text": "Ada", "label": "PER"}]},
        {"text": "ja"},
    ]


def test_labels_are_those_of_the_answers_and_the_additional_ones() -> None:
    answers = FixedAnswers(
        answers=[FixedAnswer(task="intent", label="b"), FixedAnswer(task="intent", label="a", by="frontier")],
        labels=("c", "a"),
    )
    assert answers.all_labels() == ("a", "b", "c")


def test_the_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    FixedAnswers().write(path)
    file = AnswersFile(path)
    assert file.current() == FixedAnswers()
    changed = FixedAnswers(answers=[FixedAnswer(task="intent", label="new")])
    changed.write(path)
    assert file.current() == changed
    assert [each.name for each in tmp_path.iterdir()] == ["answers.json"]


def test_a_confidence_is_a_probability() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        FixedAnswer(task="intent", label="a", confidence=97)


def test_a_text_is_an_event_of_the_contract() -> None:
    text = Text("hello", {"translation": {"target": "de"}}, {"tenant": "acme-bank"}, source="/crm")
    value, headers = text.record()
    assert json.loads(value) | {"text": "hello", "tenant": "acme-bank"} == json.loads(value)
    assert json.loads(value)["tasks"] == {"translation": {"model": "default", "target": "de"}}
    assert dict(headers)["ce_id"] == text.id.encode()
    assert dict(headers)["ce_source"] == b"/crm"
    with pytest.raises(ValidationError, match="at least one known task"):
        Text("hello", ["Sentiment"]).record()
