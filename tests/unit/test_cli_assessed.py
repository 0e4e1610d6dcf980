"""What `sprat assess` says of files, before any model reads a text."""

from types import SimpleNamespace

import pytest

from labelled_files import made
from sprat.cli.assessed import small_answers
from sprat.errors import UserError
from sprat.labelled import read_labelled

MODEL = SimpleNamespace(card=SimpleNamespace(labels=("leave",), languages=("en",)))


def refused(path):
    with pytest.raises(UserError) as caught:
        small_answers(MODEL, read_labelled(path), "en", "oos")
    return str(caught.value).removeprefix(f"{path}: ")


def test_a_label_that_the_model_does_not_know_is_told(tmp_path):
    path = made(tmp_path, "a.csv", "text,label\n" + "".join(f"text {number},badge\n" for number in range(4)))
    assert refused(path).startswith('row 2, column "label": the model has no label "badge"; correct it')


def test_labels_that_may_be_texts_are_not_told(tmp_path):
    path = made(tmp_path, "a.csv", "text,label\nhello,My name is Anna\nbye,I am Ben\n")
    assert refused(path).startswith('row 2, column "label": the model has no such label; correct it')


def test_one_text_for_each_label_is_a_test_like_any_other(tmp_path):
    path = made(tmp_path, "a.csv", "text,label\nhello,report_lost\nbye,badge-2\n")
    assert refused(path).startswith('row 2, column "label": the model has no label "report_lost"; correct it')
