"""Which column is which: named, found or refused, without a word of a text; and what stands beside them."""

import pytest

from sprat_training.datasets.columns import Wanted
from sprat_training.datasets.extra_columns import as_named, column_beside
from sprat_training.datasets.reading import read_labelled
from support.labelled_files import made, refused

ANNA = "My name is Anna Schmidt"
"""What stands in row 1 of files without names."""


@pytest.mark.parametrize("wanted", [Wanted("Question", "topic"), Wanted("2", "3")], ids=["names", "numbers"])
def test_columns_are_named_by_a_person(tmp_path, wanted):
    path = made(tmp_path, "a.csv", "nr,question,topic\n1,hello,greeting\n")
    read = read_labelled(path, wanted)
    assert read.texts[-1] == "hello"
    assert read.labels[-1] == "greeting"


def test_an_unknown_column_is_refused_with_those_that_are_there(tmp_path):
    path = made(tmp_path, "a.csv", "text,label\nhi,a\n")
    assert refused(path, Wanted(label="topic")) == (
        "row 1, column \"topic\": there is no such column; there are: 'text', 'label'"
    )
    path = made(tmp_path, "a.jsonl", '{"text": "hi", "label": "a"}\n')
    assert refused(path, Wanted(label="topic")).startswith('row 1, column "topic": there is no such field')


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        pytest.param(f"1,{ANNA},greeting\n2,hello,greeting\n", Wanted(), id="not named"),
        pytest.param(f"{ANNA},greeting,x\nhello,greeting,x\n", Wanted(label="topic"), id="named by what is not there"),
        pytest.param("Anna,greeting,x\nhello,greeting,x\n", Wanted(), id="a text like a name"),
        pytest.param("Anna,greeting,x\nhello,greeting,x\n", Wanted(text="9"), id="no such number"),
        pytest.param("anna@example.org,greeting,x\n", Wanted(), id="an address"),
        pytest.param("DE89370400440532013000,greeting,x\n", Wanted(), id="digits"),
        pytest.param(f"{ANNA},topic,x\n", Wanted(label="topic"), id="one is known"),
    ],
)
def test_cells_that_may_be_texts_are_not_told_but_how_to_number_them(tmp_path, content, wanted):
    said = refused(made(tmp_path, "a.csv", content), wanted)
    assert "row 1 seems to hold data, not their names, so it is not shown" in said
    assert "number them from 1: --text-column 1 --label-column 2" in said
    assert "there are 3" in said.lower()
    assert not any(cell in said for cell in ("Anna", "anna", "DE89", "greeting"))


def test_the_numbers_that_are_hinted_at_are_taken(tmp_path):
    read = read_labelled(made(tmp_path, "a.csv", f"1,{ANNA},greeting\n2,hello,greeting\n"), Wanted("2", "3"))
    assert read.texts == (ANNA, "hello")


def test_fields_that_may_be_texts_are_not_told(tmp_path):
    said = refused(made(tmp_path, "a.jsonl", f'{{"{ANNA}": "greeting"}}\n'))
    assert said.startswith("row 1: which field holds the texts? There are 1, not shown as they do not look like names")


def test_names_of_several_words_are_told(tmp_path):
    said = refused(made(tmp_path, "a.csv", "Nr,Text der Mail,label_2\n1,hello,greeting\n"))
    assert "There are 'Nr', 'Text der Mail', 'label_2'; name them" in said


def test_columns_named_for_one_file_are_taken_from_another_where_it_has_them(tmp_path):
    wanted = Wanted("Frage", "Thema")
    alike = made(tmp_path, "a.csv", "nr;frage;thema\n1;hello;greeting\n")
    assert as_named(alike, wanted) == wanted
    assert as_named(made(tmp_path, "b.jsonl", '{"text": "hello", "label": "greeting"}\n'), wanted) == Wanted()
    assert as_named(made(tmp_path, "c.csv", "Frage,label,Thema\nhello,greeting,x\n"), Wanted("Frage")) == Wanted(
        "Frage"
    )
    assert as_named(made(tmp_path, "d.csv", "1,hello,greeting\n"), Wanted("2", "3")) == Wanted("2", "3")
    assert as_named(made(tmp_path, "e.csv", "text,label,cost_eur\nhello,greeting,1\n"), Wanted("3", "1")) == Wanted()
    assert as_named(made(tmp_path, "f.jsonl", '{"text": "hello", "label": "greeting"}\n'), Wanted("1", "2")) == Wanted()


def test_a_column_beside_is_read_by_row(tmp_path):
    table = made(tmp_path, "a.csv", 'sep=;\ntext;Cost_EUR;label\n"two\nlines";0.5;a\n\nlast;;b\n')
    assert column_beside(table, "cost_eur") == {2: "0.5", 4: ""}
    assert column_beside(made(tmp_path, "b.tsv", "text\tlabel\nhi\ta\n"), "cost_eur") == {}
    lines = made(tmp_path, "c.jsonl", '{"text": "hi", "cost_eur": 0.5}\n\n{"text": "ho"}\n')
    assert column_beside(lines, "cost_eur") == {1: 0.5}
