"""The German sentences with their names, and what turns brackets into their lines."""

import json

import pytest

from recipes.ner.annotate import DATA, doubles, row_of, wrong

ROWS = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
README = DATA.with_name("README.md").read_text(encoding="utf-8")


def test_brackets_become_offsets_in_code_points() -> None:
    row = row_of("😀 [Anna Weber|P] wohnt in [Ulm|L], bei [Bosch|O].")
    assert row["text"] == "😀 Anna Weber wohnt in Ulm, bei Bosch."
    assert [(row["text"][each["start"] : each["end"]], each["label"]) for each in row["entities"]] == [
        ("Anna Weber", "PER"),
        ("Ulm", "LOC"),
        ("Bosch", "ORG"),
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("[Anna|X] wohnt hier.", "brackets or spaces left: "),
        ("Anna  wohnt hier.", "brackets or spaces left: "),
        ("In [Ulm|L]er Straßen", "no whole words: 'Ulm'"),
        ("[Anna|P] sagt, Anna komme nicht.", "marked 1 times, there more often: 'Anna'"),
    ],
)
def test_what_is_wrong_in_a_sentence_is_said(line: str, problem: str) -> None:
    (said,) = wrong([row_of(line)])
    assert said.startswith(problem)


def test_a_name_inside_another_one_is_marked_with_it() -> None:
    assert list(wrong([row_of("[Anna|P] kennt [Anna Weber|P].")])) == []


def test_a_sentence_that_is_there_already_is_said_whatever_its_case_and_punctuation() -> None:
    before, again = row_of("Guten Tag, Anna!"), row_of("guten Tag Anna")
    assert list(doubles([again], [before])) == ["there already: guten Tag Anna"]
    assert len(list(doubles([before, again], []))) == 1


def test_the_committed_sentences_are_well_formed_and_counted_in_their_readme() -> None:
    assert list(wrong(ROWS)) == []
    assert list(doubles(ROWS, [])) == []
    nameless = sum(not row["entities"] for row in ROWS)
    assert f"| {len(ROWS)} German sentences with their names; {nameless} hold none |" in README
