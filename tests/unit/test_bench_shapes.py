"""The texts that code makes from templates: every slot is filled, nothing of `test` stands in `dev`, nothing varies."""

from collections import Counter

import pytest

from tests.bench.noisy_copies import AFTER, BEFORE, KINDS, MAILS, noisy
from tests.bench.shapes import (
    PARTS,
    Asked,
    corpus_surnames,
    denied,
    forms,
    joined,
    own_wishes,
    plain,
    rows,
    too_little,
    with_surnames,
)
from tests.bench.surname_quality import lines

TEXTS = ("please book a flight to Boston", "what's my balance?", "ok", "call mum!", "is it warm", "stop")
LABELS = ("book_flight", "balance", "yes", "make_call", "weather", "cancel")
TEMPLATES = {"denied": 2, "joined": 2, "plain": 3, "surname_shapes": 3, "too_little": 2, "own_wishes": 5, "wishes": 4}
"""File → the column of what no two parts share."""


def made(part: str) -> list[str]:
    asked: list[Asked] = [*too_little(part), *joined(TEXTS, LABELS, "en", part)]
    for data_set in ("clinc150", "banking77"):
        asked += [*denied(data_set, part), *own_wishes(data_set, part)]
    return [f"{each.language}: {each.text}" for each in (*asked, *plain(part), *with_surnames(part, ["Quux"]))]


@pytest.mark.parametrize(("file", "column"), TEMPLATES.items())
def test_no_template_stands_in_both_parts(file: str, column: int) -> None:
    place = {"too_little": 1, "own_wishes": 2, "wishes": 2}.get(file, 1)
    parts = {part: {row[column] for row in rows(file) if row[place] == part} for part in PARTS}
    assert all(parts.values())
    assert {row[place] for row in rows(file)} == {*PARTS}
    assert parts["dev"].isdisjoint(parts["test"])


@pytest.mark.parametrize(("file", "mark"), [("plain_fillers", "|"), ("surname_lists", " ")])
def test_no_filler_stands_in_both_parts(file: str, mark: str) -> None:
    parts = {part: {each for row in rows(file) if row[1] == part for each in row[-1].split(mark)} for part in PARTS}
    assert parts["dev"]
    assert parts["dev"].isdisjoint(parts["test"])


@pytest.mark.parametrize("phrases", [BEFORE, AFTER, MAILS])
def test_no_phrase_of_a_noisy_copy_stands_in_both_parts(phrases: dict[str, tuple[str, ...]]) -> None:
    assert set(phrases["dev"]).isdisjoint(phrases["test"])


@pytest.mark.parametrize("part", PARTS)
def test_every_slot_is_filled_and_every_text_stands_once(part: str) -> None:
    texts = made(part)
    assert len(texts) > 500
    assert [text for text in texts if set(text) & set("{}~|\t")] == []
    assert [text for text, count in Counter(texts).items() if count > 1] == []


def test_the_same_is_made_again() -> None:
    assert made("test") == made("test")
    assert all(noisy(TEXTS, kind, "test") == noisy(TEXTS, kind, "test") for kind in KINDS)
    assert noisy(TEXTS, "two typing errors", "test") != noisy(TEXTS, "two typing errors", "test", seed=1)


def test_an_infinitive_stands_with_its_particle() -> None:
    assert forms("de", "ein Auto ~mieten") == {"wish": "ein Auto mieten", "zu": "ein Auto zu mieten"}
    assert forms("de", "etwas ein~tragen")["zu"] == "etwas einzutragen"
    assert (forms("fr", "annuler")["de"], forms("fr", "payer")["de"]) == ("d'annuler", "de payer")


def test_two_wishes_have_two_labels_and_one_closing_mark() -> None:
    pairs = list(joined(("a?", "b?") * 20, ("one", "two") * 20, "en", "test"))
    assert pairs
    assert all("a" in each.text and "b" in each.text and "??" not in each.text for each in pairs)
    assert list(joined(("a", "b"), ("one", "one"), "en", "test")) == []
    assert list(joined(("a", "b"), ("one", "yes"), "en", "test")) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_noisy_copy_differs_as_its_kind_says(kind: str) -> None:
    copies = noisy(TEXTS, kind, "test")
    assert len(copies) == len(TEXTS)
    unchanged = [text for text, copy in zip(TEXTS, copies, strict=True) if copy == text]
    if kind in {"courtesy before", "courtesy after", "mail"}:
        assert all(text in copy for text, copy in zip(TEXTS, copies, strict=True))
    if "error" in kind:
        assert unchanged == []
        pairs = [zip(text.split(), copy.split(), strict=True) for text, copy in zip(TEXTS, copies, strict=True)]
        changed = [sum(word != other for word, other in pair) for pair in pairs]
        assert changed[0] == (2 if kind.startswith("two") else 1)
        assert set(changed[2:]) == {1}


def test_capitals_and_missing_punctuation() -> None:
    assert noisy(TEXTS, "capitals", "test")[3] == "CALL MUM!"
    assert noisy(TEXTS, "no punctuation", "test")[1] == "whats my balance"


def test_a_surname_stands_where_its_span_says() -> None:
    texts = list(with_surnames("test", ["Quux"]))
    assert all(each.text[start:end].isalpha() for each in texts for start, end in each.spans)
    assert {(each.language, each.kind) for each in texts} == {
        *((language, "listed") for language in ("en", "de", "fr")),
        ("en", "corpus"),
    }


def test_the_surnames_are_in_neither_list_of_the_older_sets() -> None:
    listed = {name for *_, names in rows("surname_lists") for name in names.split(" ")}
    older = {name for file in ("surnames", "unseen_surnames") for *_, names in lines(file) for name in names.split(" ")}
    assert listed.isdisjoint(older)


def test_surnames_of_a_corpus_are_the_last_tokens_of_persons() -> None:
    tagged = "Anna\tB-PER|Miller\tI-PER||Bob\tB-PER|ran\tO||Eva\tB-PER|de\tI-PER|Vries\tI-PER|Rome\tB-LOC"
    both = [name for part in PARTS for name in corpus_surnames(tagged.split("|"), part, 9)]
    assert sorted(both) == ["Miller", "Vries"]
