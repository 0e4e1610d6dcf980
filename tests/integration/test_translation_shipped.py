"""The translation model as it is shipped, with its encoder: what it was built for, and what it must not guess at."""

import time

import pytest

from sprat.base.model import Answer, Question
from sprat_contracts import TranslationOutput
from sprat_translation.__main__ import SHIPPED
from sprat_translation.model import READER, TranslationModel
from support.int8 import needs_vnni
from support.translated_texts import protected_texts

NEWS = (
    "The central bank unexpectedly lowered its benchmark rate on Thursday, citing weakness in manufacturing.",
    "Prosecutors allege that the former minister embezzled subsidies earmarked for flood defences along the estuary.",
    "Researchers sequenced the genome of a tardigrade retrieved from permafrost sediment in northeastern Siberia.",
    "Striking dockworkers rejected the arbitration panel's proposal, prolonging a blockade of the container terminal.",
)


@pytest.fixture(scope="module")
def model() -> TranslationModel:
    return TranslationModel.load(SHIPPED)


def ask(model: TranslationModel, *texts: str) -> list[Answer]:
    return model.answer([Question(text, "en", "de") for text in texts])


def output(answer: Answer) -> str:
    assert isinstance(answer.output, TranslationOutput)
    return answer.output.text


def test_the_card_describes_the_model(model):
    card = model.card
    assert (card.reader, card.languages, card.targets) == (READER, ("en",), ("de",))
    assert card.licence == "CC-BY-SA-4.0"
    assert card.score("flores_kept_share") < 0.001 or card.score("flores_kept_poor") < 0.05


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Where is my order?", "Wo ist meine Bestellung?"),
        ("Thank you very much.", "Vielen Dank."),
        ("Where is my order?\n\nThank you very much.\n", "Wo ist meine Bestellung?\n\nVielen Dank.\n"),
    ],
)
def test_an_everyday_sentence_is_translated_with_a_confidence_to_keep(model, text, wanted):
    (answer,) = ask(model, text)
    assert output(answer) == wanted
    assert answer.confidence >= model.card.keep_at


@pytest.mark.parametrize("unit", ["x", "é", "한", "😀", "～", "\ufdfa", "㍿", "e\u0301", "please wait ", "x 😀 "])
@pytest.mark.parametrize("many", [0, 1, 100])
def test_the_cost_of_a_sentence_is_bounded_without_tokenising(model, unit, many):
    text = "a" + unit * many + "a"
    (pieces,) = model._translator._vocabulary.encode([text])
    assert 2 * len(pieces) <= model.tokens(Question(text, "en", "de"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("It costs 20 euros.", "20 Euro"),
        ("It costs £30.", "£30"),
        ("I paid $50.", "$50"),
        ("You owe me €50.", "€50"),
    ],
)
def test_an_amount_keeps_its_currency(model, text, wanted):
    (answer,) = ask(model, text)
    assert wanted in output(answer)
    assert "\ufffd" not in output(answer)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("It costs 1,000 euros.", id="a German reads one"),
        pytest.param("The store opens at 9 am.", id="no German time"),
        pytest.param("I cant find my keys.", id="a not that is lost"),
    ],
)
def test_a_misleading_translation_has_confidence_0(model, text):
    (answer,) = ask(model, text)
    assert answer.confidence == 0.0


@pytest.mark.parametrize(
    "text",
    ["I don't care what you say.", "Your card is not valid.", "I dislike coffee.", "I am unable to open the door."],
)
def test_a_negation_in_other_words_has_a_confidence_above_0(model, text):
    (answer,) = ask(model, text)
    assert answer.confidence > 0.0


@pytest.mark.parametrize("text", NEWS)
def test_a_sentence_of_news_is_not_kept(model, text):
    (answer,) = ask(model, text)
    assert answer.confidence < model.card.keep_at


@pytest.mark.long
def test_500_texts_keep_their_protected_tokens_or_have_confidence_0(model):
    texts = protected_texts(500)
    answers = ask(model, *(text for text, _ in texts))
    broken = 0
    for (_, values), answer in zip(texts, answers, strict=True):
        kept = all(value in output(answer) for value in values)
        assert kept or answer.confidence == 0.0
        broken += not kept
    assert broken <= 50  # one in ten; losing a number is what such models do


def test_a_text_gets_the_same_answer_alone_and_among_others(model):
    texts = [text for text, _ in protected_texts(40)]
    together = ask(model, *texts)
    for text, answer in list(zip(texts, together, strict=True))[::4]:
        (alone,) = ask(model, text)
        assert alone.output == answer.output
        assert alone.confidence == pytest.approx(answer.confidence, abs=1e-4)


SENTENCES = "".join(f"I have {place} cats. " for place in range(1_200))[:20_000]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a" * 20_000, id="no space"),
        pytest.param("lorem ipsum " * 1_666, id="no full stop"),
        pytest.param("\n" * 10_000, id="line breaks"),
        pytest.param("word\n" * 4_000, id="short lines"),
        pytest.param(SENTENCES, marks=pytest.mark.long, id="1,100 sentences"),
        pytest.param("😀" * 20_000, id="emoji"),
        pytest.param("<p>Hi</p>" * 2_000, id="markup"),
        pytest.param("Wo ist мой 包裹? " * 1_000, id="mixed languages"),
    ],
)
def test_no_text_takes_more_than_ten_seconds(model, text):
    began = time.process_time()
    (answer,) = ask(model, text)
    took_s = time.process_time() - began
    assert output(answer).count("\n") == text.count("\n")
    if took_s >= 10:
        needs_vnni()
    assert took_s < 10
