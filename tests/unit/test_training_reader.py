"""Files of labelled texts, good and bad: what is read, and the errors of what cannot be."""

import pytest

from sprat.base.errors import UserError
from sprat_training.datasets.reader import read_labelled, read_texts
from sprat_training.datasets.rows import RowProblem
from support.dataset_files import error_of, write_file


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.csv", "text,label\nhello there,greeting\n", id="CSV"),
        pytest.param("a.csv", "label,text\r\ngreeting,hello there\r\n", id="other order, Windows line ends"),
        pytest.param("a.csv", "id;Intent;Text\n1;greeting;hello there\n", id="semicolons, a third column"),
        pytest.param("a.csv", '"text","label"\n"hello there","greeting"\n', id="quoted"),
        pytest.param("a.csv", b"\xef\xbb\xbftext,label\nhello there,greeting\n", id="byte order mark"),
        pytest.param("a.csv", "text,label\n\nhello there, greeting \n,\n", id="blank rows and spaces"),
        pytest.param("a.csv", "sep=;\r\ntext;label\r\nhello there;greeting\r\n", id="a separator's own line"),
        pytest.param(
            "a.csv", b'\xef\xbb\xbf"SEP=|"\ntext|label\nhello there|greeting\n', id="a separator's line, quoted"
        ),
        pytest.param("a.tsv", "sep=\t\ntext\tlabel\nhello there\tgreeting\n", id="a separator's line in TSV"),
        pytest.param("a.tsv", "text\tlabel\nhello there\tgreeting\n", id="TSV"),
        pytest.param("a.csv", "text\tlabel\nhello there\tgreeting\n", id="tabs in .csv"),
        pytest.param("a.jsonl", '{"label": "greeting", "text": "hello there"}\n', id="JSON Lines"),
        pytest.param("a.jsonl", '{"utterance": "hello there", "intent": "greeting", "id": 7}\n', id="other names"),
    ],
)
def test_columns_are_found_by_their_names(tmp_path, name, content):
    read = read_labelled(write_file(tmp_path, name, content))
    assert (read.texts, read.labels) == (("hello there",), ("greeting",))


def test_two_columns_need_no_names(tmp_path):
    read = read_labelled(write_file(tmp_path, "a.tsv", "hi\tgreeting\nhello\tgreeting\nbye\tfarewell\n"))
    assert read.texts == ("hi", "hello", "bye")
    assert read.rows == (1, 2, 3)
    turned = read_labelled(write_file(tmp_path, "b.tsv", "greeting\thi\ngreeting\thello\nfarewell\tbye\n"))
    assert turned.texts == ("hi", "hello", "bye")


def test_rows_are_numbered_as_a_spreadsheet_does(tmp_path):
    path = write_file(tmp_path, "a.csv", 'text,label\n"two\nlines",a\n\nlast,b\n')
    assert read_labelled(path).rows == (2, 4)
    assert read_labelled(path).texts == ("two\nlines", "last")


def test_quotes_in_tsv_are_text_unless_a_spreadsheet_wrote_them(tmp_path):
    path = write_file(tmp_path, "a.tsv", 'text\tlabel\nsay "hi"\ta\n"a ""quoted"" cell"\tb\n"open\tb\n')
    assert read_labelled(path).texts == ('say "hi"', 'a "quoted" cell', '"open')


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("a.csv", "", "the file is empty; it needs a row for each text", id="empty"),
        pytest.param("a.csv", " \n\n", "the file is empty", id="blank"),
        pytest.param("a.csv", "text,label\n", "there are column names and no rows below", id="names alone"),
        pytest.param(
            "a.csv", "text\nhello\n", "row 1: there is one column, a text and a label are needed", id="one column"
        ),
        pytest.param(
            "a.csv",
            "text,label\nfine é,a\n".encode() + "gr\xfc\xdfe,b\n".encode("latin-1"),
            'row 3, column "text": byte 0xfc is not UTF-8, after 2 characters of the line; save it as UTF-8',
            id="Latin-1 below UTF-8",
        ),
        pytest.param(
            "a.csv",
            b"text,label\n\xfcber,a\n\xc3\xa9,b\n",
            'row 2, column "text": byte 0xfc is not UTF-8, after 0',
            id="first byte",
        ),
        pytest.param(
            "a.csv",
            b'label;text\na;"one; two";\xfc\n\xc3\xa9',
            'row 2, column "3": byte 0xfc is not UTF-8',
            id="cell too many",
        ),
        pytest.param(
            "a.tsv", b'text\tlabel\n"open\t\xfc\n\xc3\xa9', 'row 2, column "label": byte 0xfc is not', id="TSV byte"
        ),
        pytest.param(
            "a.csv", b"hi,a\nho,\xfc\n\xc3\xa9", 'row 2, column "2": byte 0xfc is not UTF-8', id="byte without names"
        ),
        pytest.param("a.jsonl", b'{"text": "\xfc\xc3\xa9"}', "row 1: byte 0xfc is not UTF-8", id="byte in JSON"),
        pytest.param("a.csv", b"\xff\xfet\0e", "line 1: it is not UTF-16; name another --encoding", id="UTF-16 cut"),
        pytest.param("a.csv", b"text,label\nhi\x81,a\n", 'row 2, column "text": byte 0x81 is not', id="no encoding"),
        pytest.param("a.csv", b"\xef\xbb\xbf", "the file is empty", id="byte order mark alone"),
        pytest.param("a.csv", ",\n,\n", "row 1: every row is blank; it needs a row for each", id="commas alone"),
        pytest.param(
            "a.csv", b"PK\x03\x04\x14\xb4", "this is a spreadsheet's own format, or another packed file", id="renamed"
        ),
        pytest.param(
            "a.csv",
            b"\xd0\xcf\x11\xe0\xa1\xb1",
            "this is a spreadsheet's own format, whatever the name says: export the sheet as CSV",
            id="renamed, old",
        ),
        pytest.param(
            "a.csv",
            b"sep=;\ntext;label\nhi;\xfc\n\xc3\xa9",
            'row 2 (line 3), column "label": byte 0xfc is not UTF-8',
            id="byte below a separator's line",
        ),
        pytest.param(
            "a.csv", "sep=;\ntext;label\nhi;\n", 'row 2 (line 3), column "label": empty', id="below a separator's line"
        ),
        pytest.param("a.xlsx", b"PK\x03\x04", "a spreadsheet's own format is not read; save the sheet", id="workbook"),
        pytest.param("a.csv.gz", b"\x1f\x8b", "packed; unpack it first", id="packed"),
        pytest.param("a.pdf", "text,label\nhi,a\n", "name it .csv, .tsv or .jsonl", id="another kind"),
        pytest.param(
            "a.csv",
            "a,b,c\n1,2,3\n",
            "row 1: which columns hold the texts and the labels? There are 'a', 'b', 'c'; name them: ",
            id="unknown",
        ),
        pytest.param("a.csv", "text,b,c\n1,2,3\n", "row 1: which column holds the labels?", id="labels unknown"),
        pytest.param(
            "a.csv",
            'text,label\nfine,a\n"open,b\nmore,c\nmore,d\n',
            "row 3: a quote is opened and not closed (the file ends in it); close it",
            id="open quote",
        ),
        pytest.param(
            "a.csv",
            'text,label\n"open,a\n' + "more,c\n" * 500 + 'close",b\n',
            'row 2, column "2": a quote is opened and not closed (it goes on for 502 lines)',
            id="open quote closed by another",
        ),
        pytest.param(
            "a.csv",
            'text,label\n"a "b" c",d\n',
            'row 2: a quote is inside a quoted cell; write it twice: ""; or the one that opens',
            id="inner quote",
        ),
        pytest.param(
            "a.csv",
            'text,label\nfine,a\n"open,b\n"next",c\n',
            "row 3: a quote is opened and not closed (or there is one inside the quoted cell, in line 4); close it",
            id="open quote above a quoted row",
        ),
        pytest.param(
            "a.csv", "text,label\na,b,c\n", "row 2: 3 columns, row 1 has 2; put a text that holds", id="comma"
        ),
        pytest.param(
            "a.csv", "text,label\nalone\n", "row 2: 1 columns, row 1 has 2; is a cell missing?", id="short row"
        ),
        pytest.param("a.csv", "text,label\n ,a\n", 'row 2, column "text": empty; write the text', id="no text"),
        pytest.param("a.csv", "text,label\nhi,\n", 'row 2, column "label": empty; write the label', id="no label"),
        pytest.param(
            "a.csv",
            'text,label\n"=HYPERLINK(""x"")",a\n',
            'row 2, column "text": a spreadsheet formula: what it would',
            id="formula",
        ),
        pytest.param(
            "a.csv", "text,label\n#NAME?,a\n", 'row 2, column "text": #NAME? is what a spreadsheet shows', id="failed"
        ),
        pytest.param(
            "a.csv",
            "text,label\nhi,=cmd\n",
            'row 2, column "label": begins like a spreadsheet formula',
            id="label formula",
        ),
        pytest.param(
            "a.csv",
            f"text,label\n{'x' * 20_001},a\n",
            'row 2, column "text": 20,001 characters, at most 20,000',
            id="long",
        ),
        pytest.param("a.csv", "text,label\na\0b,a\n", 'row 2, column "text": holds a NUL', id="NUL"),
        pytest.param(
            "a.jsonl", '{"text": "hi", "label": "a"}\n{"text": "hi"\n', "row 2: not JSON after", id="bad JSON"
        ),
        pytest.param(
            "a.jsonl", '{"text": "hi", "label": null}\n', 'row 1, column "label": null; write a string', id="null"
        ),
        pytest.param("a.jsonl", '[{"text": "hi"}]', "row 1: a JSON array; write one object per line", id="array"),
        pytest.param("a.jsonl", '{"text": "hi", "x": "a"}\n', "row 1: which field holds the labels?", id="no field"),
        pytest.param(
            "a.jsonl",
            '{"text": "\\ud800", "label": "a"}\n',
            'row 1, column "text": holds half a character',
            id="surrogate",
        ),
    ],
)
def test_the_error_of_a_bad_file_names_row_and_column_and_what_to_do(tmp_path, name, content, message):
    assert error_of(write_file(tmp_path, name, content)).startswith(message)


def test_of_many_problems_the_first_twenty_are_listed(tmp_path):
    message = error_of(write_file(tmp_path, "a.csv", "text,label\n" + "hi,\n" * 24))
    assert message.count("\n") == 20
    assert message.endswith("and 4 more")


def test_a_missing_file_is_refused(tmp_path):
    assert error_of(tmp_path / "none.csv") == "there is no such file"
    (tmp_path / "folder.csv").mkdir()
    assert error_of(tmp_path / "folder.csv") == "a folder; give the path of one file"


def test_texts_without_labels_are_read_by_line_or_from_their_column(tmp_path):
    assert read_texts(write_file(tmp_path, "a.txt", "one, two\n\nthree\n")).texts == ("one, two", "three")
    assert read_texts(write_file(tmp_path, "b.csv", "text,label\nhi,a\n")).texts == ("hi",)
    assert read_texts(write_file(tmp_path, "c.csv", "hi\nho\n")).texts == ("hi", "ho")


GERMAN = (
    "Frage;Kategorie;Datum\r\nWo ist die Gehaltsabrechnung für März?;Lohn;1.4.\r\n"
    ";;2.4.\r\n\r\nIch möchte Urlaub;Urlaub;\r\n"
)


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("utf-8", None), ("utf-8-sig", None), ("utf-16", "UTF-16"), ("cp1252", "Windows-1252")],
)
def test_a_file_is_read_as_a_spreadsheet_writes_it(tmp_path, encoding, said):
    read = read_labelled(write_file(tmp_path, "a.csv", GERMAN.encode(encoding)))
    assert read.texts == ("Wo ist die Gehaltsabrechnung für März?", "Ich möchte Urlaub")
    assert (read.labels, read.rows) == (("Lohn", "Urlaub"), (2, 5))
    (finding,) = read.findings
    assert (finding.encoding, finding.blank_rows, finding.unused_columns) == (said, 2, ("Datum",))


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
@pytest.mark.parametrize(("end", "blank"), [("", 1), ("\n", 1), ("\n,\n,\n", 3), ("\n\n\n", 3), ("\n,", 2)])
def test_blank_rows_are_counted_also_at_the_end(tmp_path, suffix, end, blank):
    lines = f"text,label\nhello there,greeting\n,\nbye,greeting{end}"
    file = write_file(tmp_path, f"a.{suffix}", lines.replace(",", "," if suffix == "csv" else "\t"))
    read = read_labelled(file)
    assert (len(read), read.findings[0].blank_rows) == (2, blank)


@pytest.mark.parametrize(("end", "blank"), [("", 1), ("\n", 1), ("\n\n\n", 3), ("\r\n \r\n", 2)])
def test_blank_lines_of_json_are_counted_also_at_the_end(tmp_path, end, blank):
    lines = '{"text": "hello", "label": "greeting"}\n\n{"text": "bye", "label": "greeting"}'
    read = read_labelled(write_file(tmp_path, "a.jsonl", lines + end))
    assert (len(read), read.findings[0].blank_rows) == (2, blank)


def test_another_encoding_is_read_where_it_is_named(tmp_path):
    path = write_file(tmp_path, "a.csv", "text;label\nцена;a\n".encode("koi8-r"))
    assert read_labelled(path, encoding="koi8-r").texts == ("цена",)
    with pytest.raises(UserError, match=r"a\.csv: line 2: it is not ascii; name another --encoding"):
        read_labelled(path, encoding="ascii")
    for wrong in ("klingon", "hex"):
        with pytest.raises(UserError, match=f"--encoding {wrong}: no such encoding"):
            read_labelled(path, encoding=wrong)


def test_rows_that_cannot_be_used_are_left_out_where_a_list_takes_them(tmp_path):
    path = write_file(tmp_path, "a.csv", "text,label\nhi,a\n,a\nho,b,c\nhey,\nbye,b\n")
    bad: list[RowProblem] = []
    read = read_labelled(path, bad_rows=bad)
    assert read.texts == ("hi", "bye")
    assert [(problem.row, problem.column, problem.cells) for problem in bad] == [
        (3, "text", ("", "a")),
        (4, None, ("ho", "b", "c")),
        (5, "label", ("hey", "")),
    ]
