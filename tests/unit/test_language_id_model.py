"""The language model: labels, alternatives and confidences, and a card that belongs to the detector."""

import pytest

from recipes.language_id.build import near_and_unknown
from sprat.base.model import Question
from sprat_langid import LANGUAGES, VERSION, detect
from sprat_language_id.__main__ import SHIPPED
from sprat_language_id.model import READER, LanguageIdModel


@pytest.fixture(scope="module")
def model() -> LanguageIdModel:
    return LanguageIdModel.load(SHIPPED)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Where is the parcel that I ordered last week?", "en"),
        ("Wo bleibt das Paket, das ich letzte Woche bestellt habe?", "de"),
        ("Où est le colis que j'ai commandé la semaine dernière ?", "fr"),
        ("Missä on paketti, jonka tilasin viime viikolla?", "fi"),
        ("先週注文した荷物はどこですか。", "ja"),
    ],
)
def test_the_label_is_the_tag_of_the_language(model: LanguageIdModel, text: str, language: str) -> None:
    (answer,) = model.answer([Question(text, "en")])
    assert answer.output.label == language
    assert answer.confidence >= model.card.keep_at
    likeliest = answer.output.alternatives
    assert [each.label for each in likeliest] == [each.language for each in detect(text).chances[:3]]
    assert likeliest[0].probability == answer.confidence


@pytest.mark.parametrize("text", ["12345", "…?!", "+49 30 901820"])
def test_without_a_letter_the_language_is_undetermined_and_that_is_sure(model: LanguageIdModel, text: str) -> None:
    (answer,) = model.answer([Question(text, "en")])
    assert (answer.output.label, answer.output.alternatives, answer.confidence) == (None, (), 1.0)


def test_the_answers_are_in_the_order_of_the_questions(model: LanguageIdModel) -> None:
    texts = ["Guten Morgen, wie geht es Ihnen?", "42", "Buongiorno, come sta oggi?"]
    answers = model.answer([Question(text, "en") for text in texts])
    assert [answer.output.label for answer in answers] == ["de", None, "it"]


def test_the_card_is_that_of_the_detector_and_of_its_labels(model: LanguageIdModel) -> None:
    card = model.card
    assert (card.task, card.reader, card.labels, card.languages) == ("language-id", READER, LANGUAGES, ())
    assert VERSION in card.reader
    assert card.score("kept") > 0.85
    assert card.score("kept_right") > 0.95


def test_the_card_says_what_is_right_of_near_languages_and_kept_of_unknown_ones(model: LanguageIdModel) -> None:
    scores = {each.name: each for each in model.card.scores}
    for name, (value, protocol) in near_and_unknown().items():
        assert (scores[name].value, scores[name].protocol) == (round(value, 4), protocol)
    assert "of the 60 kept of 60 texts" in scores["kept_right_da_no_sv"].protocol
