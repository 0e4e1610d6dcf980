"""Which columns are read: named, found or refused, and no message shows a text; and reading other columns."""

import pytest

from sprat.base.errors import UserError
from sprat_training.datasets.columns import ColumnNames
from sprat_training.datasets.reader import read_column, read_labelled, read_texts
from support.dataset_files import error_of, write_file

ANNA = "My name is Anna Schmidt"
"""Row 1 of files without column names."""


@pytest.mark.parametrize(
    "user_columns", [ColumnNames("Question", "topic"), ColumnNames("2", "3")], ids=["names", "numbers"]
)
def test_the_user_names_columns_by_name_or_number(tmp_path, user_columns):
    path = write_file(tmp_path, "a.csv", "nr,question,topic\n1,hello,greeting\n")
    read = read_labelled(path, user_columns)
    assert read.texts[-1] == "hello"
    assert read.labels[-1] == "greeting"


def test_the_error_for_an_unknown_column_lists_the_existing_ones(tmp_path):
    path = write_file(tmp_path, "a.csv", "text,label\nhi,a\n")
    assert error_of(path, ColumnNames(label="topic")) == (
        "row 1, column \"topic\": there is no such column; there are: 'text', 'label'"
    )
    path = write_file(tmp_path, "a.jsonl", '{"text": "hi", "label": "a"}\n')
    assert error_of(path, ColumnNames(label="topic")).startswith('row 1, column "topic": there is no such field')


@pytest.mark.parametrize(
    ("content", "user_columns"),
    [
        pytest.param(f"1,{ANNA},greeting\n2,hello,greeting\n", ColumnNames(), id="not named"),
        pytest.param(
            f"{ANNA},greeting,x\nhello,greeting,x\n", ColumnNames(label="topic"), id="named by a missing name"
        ),
        pytest.param("Anna,greeting,x\nhello,greeting,x\n", ColumnNames(), id="a text like a name"),
        pytest.param("Anna,greeting,x\nhello,greeting,x\n", ColumnNames(text="9"), id="no such number"),
        pytest.param("anna@example.org,greeting,x\n", ColumnNames(), id="an address"),
        pytest.param("DE89370400440532013000,greeting,x\n", ColumnNames(), id="digits"),
        pytest.param(f"{ANNA},topic,x\n", ColumnNames(label="topic"), id="one is known"),
    ],
)
def test_an_error_shows_no_cells_that_may_be_texts_but_how_to_number_columns(tmp_path, content, user_columns):
    message = error_of(write_file(tmp_path, "a.csv", content), user_columns)
    assert "row 1 seems to hold data, not their names, so it is not shown" in message
    assert "number them from 1: --text-column 1 --label-column 2" in message
    assert "there are 3" in message.lower()
    assert not any(cell in message for cell in ("Anna", "anna", "DE89", "greeting"))


def test_the_numbers_in_the_hint_work(tmp_path):
    read = read_labelled(write_file(tmp_path, "a.csv", f"1,{ANNA},greeting\n2,hello,greeting\n"), ColumnNames("2", "3"))
    assert read.texts == (ANNA, "hello")


def test_an_error_shows_no_fields_that_may_be_texts(tmp_path):
    message = error_of(write_file(tmp_path, "a.jsonl", f'{{"{ANNA}": "greeting"}}\n'))
    assert message.startswith(
        "row 1: which fields hold the texts and the labels? There are 1, not shown as they do not look like names; use "
    )


def test_an_error_lists_names_of_several_words(tmp_path):
    message = error_of(write_file(tmp_path, "a.csv", "Nr,Text der Mail,label_2\n1,hello,greeting\n"))
    assert "There are 'Nr', 'Text der Mail', 'label_2'; name them: --text-column NAME --label-column NAME" in message


def test_another_column_is_read_by_row(tmp_path):
    table = write_file(tmp_path, "a.csv", 'sep=;\ntext;Cost_EUR;label\n"two\nlines";0.5;a\n\nlast;;b\n')
    assert read_column(table, "cost_eur") == {2: "0.5", 4: ""}
    assert read_column(write_file(tmp_path, "b.tsv", "text\tlabel\nhi\ta\n"), "cost_eur") == {}
    lines = write_file(tmp_path, "c.jsonl", '{"text": "hi", "cost_eur": 0.5}\n\n{"text": "ho"}\n')
    assert read_column(lines, "cost_eur") == {1: 0.5}


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Meldung", "Kategorie"),
        ("Anfrage", "Thema"),
        ("Nachricht", "Kategorie"),
        ("Betreff", "Thema"),
        ("Anliegen", "Zuordnung"),
        ("Betreff,Anliegen", "Rubrik"),
        ("Inhalt", "Einordnung"),
        ("Contenu", "Rubrique"),
        ("Contenido", "Clasificación"),
        ("Beschreibung", "Kategorie"),
        ("Description", "Catégorie"),
        ("Objet", "Thème"),
        ("Descripción", "Categoría"),
        ("Asunto", "Tema"),
    ],
)
def test_usual_names_in_other_languages_are_known(tmp_path, text, label):
    others = "x," * text.count(",")
    read = read_labelled(write_file(tmp_path, "a.csv", f"Nr,{text},{label}\n1,{others}hello,greeting\n"))
    assert (read.texts, read.labels) == (("hello",), ("greeting",))


def test_the_error_lists_all_known_names(tmp_path):
    message = error_of(write_file(tmp_path, "a.csv", "Nr,Xyz,label\n1,hi,a\n"))
    assert all(name in message for name in ("text", "meldung", "betreff", "objet", "asunto"))


@pytest.mark.parametrize(
    "name",
    [
        *("queue", "Queue", "Group", "assignment_group", "Assignment group", "Assigned Group", "team", "department"),
        *("Warteschlange", "Gruppe", "Zuweisungsgruppe", "Abteilung", "Zuständigkeit"),
        *("file d'attente", "Groupe", "Groupe d'affectation", "Équipe"),
        *("cola", "Grupo", "Grupo de asignación", "equipo", "Departamento"),
    ],
)
def test_where_a_ticket_goes_is_its_label_where_no_other_column_is_known(tmp_path, name):
    read = read_labelled(write_file(tmp_path, "a.csv", f"no,subject,text,{name}\n1,x,hello,second level\n"))
    assert (read.texts, read.labels, read.columns) == (("hello",), ("second level",), ("text", name))
    assert read.findings[0].taken_for_labels == name
    lines = f'{{"no": 1, "text": "hello", "{name}": "second level"}}\n'
    assert read_labelled(write_file(tmp_path, "a.jsonl", lines)).labels == ("second level",)
    named = ColumnNames("Was")
    read = read_labelled(write_file(tmp_path, "b.csv", f"no,Was,{name}\n1,hello,second level\n"), named)
    assert (read.texts, read.labels) == (("hello",), ("second level",))


def test_a_column_that_is_known_to_hold_labels_goes_before_where_a_ticket_goes(tmp_path):
    read = read_labelled(write_file(tmp_path, "a.csv", "team,text,category\nnorth,hello,greeting\n"))
    assert (read.labels, read.findings[0].taken_for_labels) == (("greeting",), None)
    read = read_labelled(write_file(tmp_path, "b.csv", "team,text,x\nnorth,hello,greeting\n"), ColumnNames(label="x"))
    assert (read.labels, read.findings[0].taken_for_labels) == (("greeting",), None)


def test_of_several_columns_where_a_ticket_goes_the_user_names_one(tmp_path):
    message = error_of(write_file(tmp_path, "a.csv", "text,queue,team\nhello,mail,north\n"))
    assert message.startswith(
        "row 1: which column holds the labels? There are 'text', 'queue', 'team'; the texts are in 'text'; 'queue' and "
        "'team' may each hold the labels; name it: --label-column NAME, or by number, from 1 (known: label, "
    )
    message = error_of(write_file(tmp_path, "a.jsonl", '{"text": "hello", "queue": "mail", "team": "north"}\n'))
    assert message == (
        "row 1: which field holds the labels? There are 'text', 'queue', 'team'; the texts are in 'text'; 'queue' and "
        "'team' may each hold the labels; use --label-column NAME"
    )


def test_a_label_in_a_file_without_names_is_not_taken_for_a_name(tmp_path):
    read = read_labelled(write_file(tmp_path, "a.csv", "who is with us,team\nhello,team\nbye,queue\n"))
    assert read.texts == ("who is with us", "hello", "bye")
    assert read.labels == ("team", "team", "queue")


def test_only_what_was_not_found_is_asked_for(tmp_path):
    message = error_of(write_file(tmp_path, "a.csv", "no,subject,text,xyz\n1,x,hello,second level\n"))
    assert message.startswith(
        "row 1: which column holds the labels? There are 'no', 'subject', 'text', 'xyz'; the texts are in 'text'; name "
        "it: --label-column NAME, or by number, from 1 (known: label, "
    )
    assert "queue" in message
    assert "--text-column" not in message
    message = error_of(write_file(tmp_path, "b.csv", "no,xyz,label\n1,hello,greeting\n"))
    assert message.startswith(
        "row 1: which column holds the texts? There are 'no', 'xyz', 'label'; the labels are in 'label'; name it: "
        "--text-column NAME, or by number, from 1 (known: text, "
    )
    assert "--label-column" not in message
    message = error_of(write_file(tmp_path, "c.jsonl", '{"xyz": "hello", "label": "greeting"}\n'))
    assert message == (
        "row 1: which field holds the texts? There are 'xyz', 'label'; the labels are in 'label'; use "
        "--text-column NAME"
    )
    with pytest.raises(UserError, match=r"holds the texts\? There are 'a', 'b'; name it: --text-column NAME, or by"):
        read_texts(write_file(tmp_path, "d.csv", "a,b\nhello,x\n"))
