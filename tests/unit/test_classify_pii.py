"""The model of personal data: what it masks, how sure it is, and what it refuses."""

import math
from pathlib import Path
from typing import Any

import pytest

from sprat.base.errors import UserError
from sprat.base.model import Question
from sprat_classify.pii import CARD, PiiModel, left_feature
from sprat_inference.artefact import BrokenArtefact, ModelError, load_artefact, write_artefact
from sprat_policy import PatternRule, PrivacyPolicy, TaskFile
from sprat_privacy import MaskedSpan, MaskedText

FILE = TaskFile(kind="pii")


@pytest.fixture(scope="module")
def model() -> PiiModel:
    return PiiModel.load("pii", FILE, PrivacyPolicy())


def answer(model: PiiModel, text: str, language: str = "en") -> Any:
    (given,) = model.answer([Question(text, language)])
    return given


def test_equal_values_have_one_placeholder_and_no_value_is_in_the_answer(model: PiiModel) -> None:
    text = "Anna Schmidt called. Tell Anna Schmidt that anna@example.org bounced."
    output = answer(model, text).output
    assert output.masked == "[PERSON_1] called. Tell [PERSON_1] that [EMAIL_1] bounced."
    assert [text[span.start : span.end] for span in output.spans] == [
        "Anna Schmidt",
        "Anna Schmidt",
        "anna@example.org",
    ]
    assert "Anna" not in output.model_dump_json()


def test_a_text_without_personal_data_is_as_it_was_and_surer_than_one_with_a_doubtful_word(model: PiiModel) -> None:
    plain = answer(model, "where is my order")
    assert (plain.output.masked, plain.output.spans) == ("where is my order", ())
    doubtful = answer(model, "ask wójcik or nakamura about it, they know kowalczyk")
    assert plain.confidence > doubtful.confidence


def test_each_text_is_answered_as_by_itself(model: PiiModel) -> None:
    questions = [Question("Call Anna Schmidt", "en"), Question("", "en"), Question("Ruf Peter Maier an", "de")]
    together = model.answer(questions)
    assert [each.output for each in together] == [model.answer([each])[0].output for each in questions]
    assert model.answer([]) == []


def test_what_stays_decides_and_what_is_masked_does_not() -> None:
    masked = MaskedText("[PERSON_1] met 7up", "Anna Lee met 7up", (MaskedSpan(0, 8, 0, "[PERSON_1]", "PERSON", "t"),))
    words = [(0, 4, 0.99), (5, 8, 0.97), (8, 9, 0.9), (9, 12, 0.01), (13, 16, 0.04)]
    assert left_feature(masked, words) == pytest.approx(math.log(0.04), abs=1e-3)
    assert left_feature(masked, words[:3]) < -13  # a space is no word


def test_of_a_text_longer_than_those_fitted_on_it_is_less_sure(model: PiiModel) -> None:
    longest = load_artefact(CARD).card.calibration.longest_code_points
    short, long = (answer(model, "where is my order? " * (times * longest // 19)).confidence for times in (1, 4))
    assert long == pytest.approx(short**4, rel=0.1)


def test_the_policys_own_words_are_masked_and_make_another_version() -> None:
    perimeter = PrivacyPolicy(patterns=(PatternRule(type="CUSTOMER", pattern="K-[0-9]{6}"),))
    own = PiiModel.load("pii", FILE, perimeter)
    assert answer(own, "order of K-123456").output.masked == "order of [CUSTOMER_1]"
    assert own.card.version != PiiModel.load("pii", FILE, PrivacyPolicy()).card.version


def test_languages_are_those_in_which_names_are_found_or_the_policy_accepts_none() -> None:
    with pytest.raises(UserError, match=r"the task pii: languages: names are found in en, .* not in fi"):
        PiiModel.load("pii", TaskFile(kind="pii", languages=("de", "fi")), PrivacyPolicy())
    accepted = PrivacyPolicy(validators_alone=("fi",))
    assert PiiModel.load("pii", TaskFile(kind="pii", languages=("de", "fi")), accepted).card.languages == ("de", "fi")
    assert "fi" in PiiModel.load("pii", FILE, accepted).card.languages


def test_a_text_that_cannot_be_masked_breaks_the_batch_and_is_then_found_by_itself(model: PiiModel) -> None:
    with pytest.raises(ModelError, match="no detector of names covers the text's language") as refused:
        answer(model, "Soita Aino Virtaselle", "fi")
    assert "Aino" not in str(refused.value)


def test_a_card_of_another_tagger_is_refused(tmp_path: Path) -> None:
    card = load_artefact(CARD).card.model_dump(mode="json")
    write_artefact(tmp_path, card | {"built_on": {"name": "rampart", "version": "0" * 16}})
    with pytest.raises(BrokenArtefact, match="calibrated with another tagger"):
        PiiModel.load("pii", FILE, PrivacyPolicy(), folder=tmp_path)


def test_the_card_says_what_was_measured_and_on_what() -> None:
    card = load_artefact(CARD).card
    assert (card.name, card.task) == ("pii", "pii")
    assert card.score("kept_clean") > card.score("clean")
    assert 0.5 <= card.keep_at < 1.0
    assert any("synthetic" in limit for limit in card.limits)
