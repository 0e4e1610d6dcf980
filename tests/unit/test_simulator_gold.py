"""A simulated model is right about a masked text, too."""

import json
import re
from pathlib import Path

import pytest

from sprat_simulator.gold import answers_to, load_gold
from support.readme import programs

GOLD = {
    "Call Anna Weber, Anna Weber of Rome": {
        "intent": {"label": "make_call"},
        "ner": {"entities": [{"text": "Anna Weber", "label": "PER"}, {"text": "Rome", "label": "LOC"}]},
        "translation": {"text": "Rufen Sie Anna Weber an, Anna Weber aus Rom"},
    },
    "Pay 5 euros": {"intent": {"label": "transfer"}},
    "Pay 50 euros": {"intent": {"label": "transfer"}},
}


def test_a_text_is_looked_up() -> None:
    assert answers_to(GOLD, "Pay 5 euros") == {"intent": {"label": "transfer"}}


def test_a_masked_text_has_the_answers_of_its_sample_masked_the_same_way() -> None:
    assert answers_to(GOLD, "Call [PERSON_1], [PERSON_1] of Rome") == {
        "intent": {"label": "make_call"},
        "ner": {"entities": [{"text": "Rome", "label": "LOC"}]},
        "translation": {"text": "Rufen Sie [PERSON_1] an, [PERSON_1] aus Rom"},
    }


def test_a_translation_without_a_masked_value_is_none_of_the_masked_text() -> None:
    gold = {"Great trip, lovely guide": {"translation=de": {"text": "Toller Ausflug"}, "intent": {"label": None}}}
    assert answers_to(gold, "Great trip, [PERSON_1] guide", "de") == {"intent": {"label": None}}


@pytest.mark.parametrize(
    "text",
    [
        "Call [PERSON_1], [PERSON_2] of Paris",
        "Pay [NUMBER_1] euros",  # two samples fit
        "Call somebody else",
    ],
)
def test_a_text_that_fits_no_sample_or_several_has_no_answer(text: str) -> None:
    assert answers_to(GOLD, text) == {}


def test_one_placeholder_means_one_value() -> None:
    assert answers_to({"Anna met Peter": {"intent": {"label": None}}}, "[PERSON_1] met [PERSON_1]") == {}


def test_the_gold_file_of_the_documentation_has_the_answers_that_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "gold.jsonl").write_text(programs()["simulator-gold"], "utf-8")
    assert list(load_gold(tmp_path / "gold.jsonl").values()) == [
        {"intent": {"label": "transfer"}},
        {"intent": {"label": None}},
        {"ner": {"entities": [{"text": "Anna Weber", "label": "PER"}, {"text": "Rome", "label": "LOC"}]}},
        {"translation=de": {"text": "Wo ist mein Paket?"}},
        {"mood": "neutral"},
        {"topics": {"labels": ["late", "broken"]}},
        {"summary": "No heating since Monday."},
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"tasks": ["mood"], "gold": {"mood": "a"}}, 'tasks: expected an object, as {"mood": {}}'),
        ({"gold": {"mood": 7}}, "gold.mood: expected a label"),
        ({"gold": {"mood": {"labels": "a"}}}, "gold.mood: expected a label"),
        ({"gold": {"intent": ["a"]}}, "gold.intent: expected a label"),
        ({"gold": {"ner": [{"text": "Rome"}]}}, "gold.ner: expected a list of names"),
        ({"gold": {"translation": None}}, "gold.translation: expected the translation"),
        ({"gold": ["mood"]}, "not a line of"),
    ],
)
def test_a_line_that_can_be_no_answer_is_refused_with_its_place(
    tmp_path: Path, line: dict[str, object], said: str
) -> None:
    file = tmp_path / "gold.jsonl"
    file.write_text("\n".join(json.dumps(each) for each in ({"text": "a", "gold": {}}, {"text": "b"} | line)))
    with pytest.raises(ValueError, match=re.escape(f"{file}:2: {said}")):
        load_gold(file)
