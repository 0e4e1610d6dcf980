"""What the measurement of surnames counts, and what its second set of sentences holds."""

from collections import Counter
from collections.abc import Sequence

import pytest

from sprat_privacy.detectors.tagger import SHIPPED_TAGGER, Tagger
from tests.bench import privacy_tables
from tests.bench.surname_quality import Plain, Tally, carried, count, false_alarms, filled, lines, words

LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl")


def unseen() -> Sequence[tuple[str, str, str]]:
    return [(each.language, each.stands, each.kind) for each in carried("unseen_surname_carriers", "unseen_surnames")]


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger.load(SHIPPED_TAGGER)


def test_a_carrier_says_where_its_names_stand() -> None:
    text = filled("en", "surname-first", "word", "For {surname}, {first}.", "Page", "Diane")
    assert [text.text[start:end] for start, end in text.spans] == ["Page", "Diane"]
    text = filled("en", "lower", "word", "thx\n{lower}\nsent by phone", "Page", "Diane")
    assert [text.text[start:end] for start, end in text.spans] == ["page"]


def test_each_language_of_the_second_set_holds_the_same_of_each_kind() -> None:
    per_language = {"bare": 4, "title": 2, "role": 2, "greeting": 2, "surname-first": 3, "lower": 3}
    expected = {
        (language, stands, kind): carriers * surnames
        for language in LANGUAGES
        for stands, carriers in per_language.items()
        for kind, surnames in (("name", 8), ("word", 4))
    }
    assert Counter(unseen()) == expected
    assert Counter(each.language for each in words("unseen_surname_words")) == dict.fromkeys(LANGUAGES, 16)


def test_surname_and_first_name_of_the_second_set_belong_together() -> None:
    texts = [each.text for each in carried("unseen_surname_carriers", "unseen_surnames")]
    assert any("Okonkwo, Chidi" in text for text in texts)
    assert any("Prins, Esther" in text for text in texts)


def test_every_word_of_the_second_set_stands_in_four_sentences_as_often_as_it_is_a_surname() -> None:
    listed = {
        (language, word)
        for language, kind, names in lines("unseen_surnames")
        if kind == "word"
        for word in names.split(" ")
    }
    sentences = list(lines("unseen_surname_words"))
    assert Counter((language, word) for language, _, word, _ in sentences) == dict.fromkeys(listed, 4)
    assert all(word.lower() in text.lower() for _, _, word, text in sentences)


def test_the_two_sets_share_no_sentence() -> None:
    first, second = ({text for *_, text in lines(name)} for name in ("surname_carriers", "unseen_surname_carriers"))
    assert first
    assert first.isdisjoint(second)


def test_a_name_counts_as_masked_when_every_part_of_it_is(tagger: Tagger) -> None:
    whole = filled("en", "bare", "name", "Yesterday {first} {surname} called from Berlin.", "Miller", "Anna")
    part = filled("en", "bare", "name", "Yesterday {first} Miller called about the {lower}.", "Printer", "Anna")
    nothing = filled("en", "bare", "name", "The {lower} does not work.", "Printer", "Anna")
    assert count([whole], tagger, [])["bare",] == (1, 1)
    assert count([part, nothing], tagger, [])["bare",] == (0, 2)
    assert count([whole, nothing], tagger, [])["language", "en", "bare"] == (1, 2)


def test_a_false_alarm_is_a_person_masked_where_none_is(tagger: Tagger) -> None:
    clean = Plain("en", "inside", "The cable is too short.")
    person = Plain("en", "start", "Anna Miller called yesterday.")
    place = Plain("en", "start", "We drove from Berlin to Hamburg.")
    counts = false_alarms([clean, person, place], tagger, [])
    assert counts["all",] == (1, 3)
    assert counts["anything",] == (2, 3)
    assert (counts["inside",], counts["start",]) == ((0, 1), (1, 2))


def test_a_row_says_what_is_left_with_its_interval() -> None:
    tally = Tally()
    for masked in (True, True, True, False):
        tally.add(("bare",), so=masked)
    assert tally.counts() == {("bare",): (3, 4)}
    every = dict.fromkeys((*privacy_tables.STANDS, *privacy_tables.ALARMS), (3, 4))
    before = every | {"bare": (1, 4)}
    page = privacy_tables.surnames(
        {"after": every, "before": before}, {"after": every, "before": before, "alarms": {"after": every}}
    )
    # Wilson's interval for 1 of 4, computed by hand: 0.0456 to 0.6994.
    assert "| alone in a sentence (*Has Young paid?*) | 4 | 25.0 | 75.0 | 4 | 25.0 (4.6–69.9) |" in page
    assert "| all sentences | 4 | 75.0 (30.1–95.4) |" in page
