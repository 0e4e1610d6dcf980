"""What the translation service answers without its model: texts that are in the target's language already."""

from dataclasses import replace

import pytest

from sprat.processing.handler import Ask
from sprat_contracts import Prediction, TextWarning, TranslationOutput
from sprat_inference.card import Calibration, Card
from sprat_translation.handler import TranslationHandler
from support.router_records import TOPICS, received, text

LONGEST = 20
WARNING = TextWarning(code="unknown_field", detail="tenent, did you mean tenant?")
GERMAN = "Ihre Rechnung wurde bezahlt."


def asked(body: str, language: str, target: str, *, model: str = "default", **card: object) -> Ask | Prediction:
    """Return what the service of an en→de model asks of it, or says by itself."""
    longest = Calibration.model_construct(longest_code_points=LONGEST, parameters={})
    made = {"task": "translation", "name": "en-de", "version": "v1", "languages": ("en",), "targets": ("de",)}
    one = TranslationHandler(TOPICS, Card.model_construct(calibration=longest, **made | card), model, owns_from=0)
    record = text(text=body, language=language, tasks={"translation": {"target": target, "model": model}})
    step = one.receive(received(record))
    return step if isinstance(step, Ask) else step.events[0].message


@pytest.mark.parametrize(
    ("language", "target"),
    [("de", "de"), ("DE", "de"), ("de-AT", "de"), ("de-AT", "de-at"), ("de_CH", "de"), ("en", "en"), ("en-UK", "en"),
     ("fi", "fi"), ("zh-Hant-TW", "zh-Hant")],
)  # fmt: skip
@pytest.mark.parametrize("model", ["default", "legal"])
def test_a_text_in_the_targets_language_is_its_own_translation_whatever_the_model_serves(
    language: str, target: str, model: str
) -> None:
    made = asked(GERMAN, language, target, model=model)
    assert len(GERMAN) > LONGEST, "nor does the length matter"
    assert isinstance(made, Prediction)
    assert (made.output, made.confidence) == (TranslationOutput(text=GERMAN, target=target), 1.0)
    assert (made.declined, made.cached, made.timings_ms) == (None, False, {})
    assert made.model is not None
    assert (made.model.name, made.model.version, made.model.stage) == ("en-de", "v1", "unchanged")


def test_a_text_that_names_no_language_is_not_taken_for_its_own_translation() -> None:
    """By the installation's default it counts as English, and may be German."""
    card = Card.model_construct(task="translation", name="en-de", version="v1", languages=("en",), targets=("de",))
    record = received(text(text=GERMAN, tasks={"translation": {"target": "en"}}).read_in("en"))
    assert record.message.language == "en"
    (emit,) = TranslationHandler(TOPICS, card, "default", owns_from=0).receive(record).events
    assert (emit.message.output, emit.message.declined.code) == (None, "target")


def test_a_detected_language_is_as_sure_as_the_detection() -> None:
    made = asked(GERMAN, "auto", "de")
    assert isinstance(made, Prediction)
    assert made.language_detected is not None
    assert made.language_detected.language == "de"
    assert made.output == TranslationOutput(text=GERMAN, target="de")
    assert made.confidence == made.language_detected.confidence
    assert 0.9 < made.confidence < 1.0


def test_warnings_of_the_text_are_kept() -> None:
    record = replace(received(text(language="en", tasks={"translation": {"target": "en"}})), warnings=(WARNING,))
    card = Card.model_construct(task="translation", name="en-de", version="v1", languages=("en",))
    (emit,) = TranslationHandler(TOPICS, card, "default", owns_from=0).receive(record).events
    assert emit.message.output is not None
    assert emit.message.warnings == (WARNING,)


@pytest.mark.parametrize(
    ("language", "target", "code"),
    [("pt-BR", "pt-PT", "language"), ("zh-Hans", "zh-Hant", "language"), ("de", "de-AT", "language"),
     ("xx", "xx", "language"), ("deutsch", "deutsch", "language"), ("en", "xx", "target"), ("en", "german", "target"),
     ("en-UK", "en-UK", "target"), ("en", "en-GB", "target")],
)  # fmt: skip
def test_another_variety_or_no_known_language_is_declined(language: str, target: str, code: str) -> None:
    made = asked("Hallo", language, target)
    assert isinstance(made, Prediction)
    assert made.output is None
    assert made.declined is not None
    assert made.declined.code == code


def test_a_model_that_takes_two_varieties_for_one_language_is_not_asked_to_translate_between_them() -> None:
    made = asked("Olá", "pt-BR", "pt-PT", languages=("pt", "en"), targets=("en", "pt"))
    assert isinstance(made, Prediction)
    assert made.declined is not None
    assert made.declined.code == "target"
    assert made.declined.detail == "to the model, pt-BR and pt-PT are one language, pt"
    assert isinstance(asked("Olá", "pt-BR", "pt-PT", languages=("pt-BR",), targets=("pt-PT",)), Ask)


def test_every_other_text_is_translated_by_the_model() -> None:
    assert isinstance(asked("Where is it?", "en", "de"), Ask)
    assert isinstance(asked("4711", "auto", "de"), Ask)
