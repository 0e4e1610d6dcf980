"""Restoring: an answer about a masked text becomes an answer about the original."""

import pytest

from sprat_contracts import Alternative, Entity, IntentOutput, NerOutput, TextOutput, TranslationOutput
from sprat_privacy import MaskedText, NotRestorable, mask, restore, restore_text
from support.detectors import Words

TEXT = "Anna Müller e\u0301crit: call Ben, ANNA MÜLLER is in Rome 👩‍💻, a@b.de"
WORDS = {"Anna Müller": "PERSON", "Ben": "PERSON", "Rome": "LOCATION", "a@b.de": "EMAIL"}


@pytest.fixture
def sent() -> MaskedText:
    masked = mask(TEXT, "en", [Words(WORDS)])
    assert masked.text == ("[PERSON_1] e\u0301crit: call [PERSON_2], [PERSON_1] is in [LOCATION_1] 👩💻, [EMAIL_1]")
    return masked


def ner(sent: MaskedText, *mentions: tuple[str, str], truncated: bool = False) -> NerOutput:
    """Return the answer of a frontier that found these mentions in the masked text, each once, in order."""
    entities: list[Entity] = []
    for text, label in mentions:
        start = sent.text.index(text, entities[-1].start if entities else 0)
        entities.append(Entity(start=start, end=start + len(text), text=text, label=label))
    return NerOutput(entities=tuple(entities), truncated=truncated)


def mentions_of(output: object) -> list[tuple[str, str]]:
    assert isinstance(output, NerOutput)
    for entity in output.entities:
        assert TEXT[entity.start : entity.end] == entity.text
    assert list(output.entities) == sorted(output.entities, key=lambda entity: entity.start)
    return [(entity.text, entity.label) for entity in output.entities]


OWN = [("Anna Müller", "PER"), ("Ben", "PER"), ("ANNA MÜLLER", "PER"), ("Rome", "LOC"), ("a@b.de", "EMAIL")]


def test_an_intent_is_not_changed(sent: MaskedText) -> None:
    output = IntentOutput(label="transfer", alternatives=(Alternative(label="x", probability=0.5),))
    assert restore(output, sent) is output


def test_a_translation_is_restored_with_its_values(sent: MaskedText) -> None:
    said = "Ruf [PERSON_2] an, schreibt [PERSON_1] ([EMAIL_1]). [PERSON_1] ist in [LOCATION_1]."
    restored = restore(TranslationOutput(text=said, target="de"), sent)
    assert restored == TranslationOutput(
        text="Ruf Ben an, schreibt Anna Müller (a@b.de). ANNA MÜLLER ist in Rome.", target="de"
    )


def test_the_masked_text_is_restored_exactly(sent: MaskedText) -> None:
    assert restore_text(sent.text, sent) == TEXT.replace("\u200d", ""), "what was dropped does not come back"
    assert sent.unmasked() == TEXT


@pytest.mark.parametrize(
    "change",
    [
        ("[PERSON_2]", ""), ("[PERSON_2]", "[PERSON_2] [PERSON_2]"), ("[PERSON_2]", "[PERSON_1]"),
        ("[PERSON_2]", "[PERSON_3]"), ("[PERSON_2]", "[person_2]"), ("[PERSON_2]", "[PERSON 2]"),
        ("[PERSON_2]", "[ PERSON_2 ]"), ("[PERSON_2]", "PERSON_2"), ("[PERSON_2]", "(PERSON_2)"),
        ("[PERSON_2]", "[PERSON\\_2]"), ("call", "[PHONE_1]"), ("call", "[Person-2]"),
        ("[PERSON_2]", "［PERSON_2］"), ("[PERSON_2]", "[PERSON_02]"),
    ],
)  # fmt: skip
def test_a_lost_changed_or_invented_placeholder_makes_the_answer_unusable(
    sent: MaskedText, change: tuple[str, str]
) -> None:
    answer = sent.text.replace(*change, 1)
    with pytest.raises(NotRestorable) as caught:
        restore(TranslationOutput(text=answer, target="de"), sent)
    assert caught.value.code == "masking"
    assert "Ben" not in str(caught.value)


def test_placeholders_of_the_original_text_must_be_in_the_answer_too() -> None:
    sent = mask("[PERSON_1] is Anna", "en", [Words({"Anna": "PERSON"})])
    assert restore_text("[PERSON_2]: [PERSON_1]", sent) == "Anna: [PERSON_1]"
    with pytest.raises(NotRestorable):
        restore_text("[PERSON_2] only", sent)


def test_a_value_that_looks_like_a_placeholder_is_not_restored_twice() -> None:
    sent = mask("A [PERSON_1] and Ben", "en", [Words({"[PERSON_1]": "NOTE", "Ben": "PERSON"})])
    assert sent.text == "A [NOTE_1] and [PERSON_2]"
    assert restore_text("[PERSON_2] und [NOTE_1]", sent) == "Ben und [PERSON_1]"


def test_masked_values_are_entities_even_if_the_frontier_reports_none(sent: MaskedText) -> None:
    restored = restore(NerOutput(entities=()), sent)
    assert mentions_of(restored) == OWN
    assert isinstance(restored, NerOutput)
    assert {entity.probability for entity in restored.entities} == {None}


def test_entities_between_placeholders_move_to_the_original(sent: MaskedText) -> None:
    restored = restore(ner(sent, ("e\u0301crit", "MISC"), ("👩💻", "MISC")), sent)
    assert [entity for entity in mentions_of(restored) if entity[1] == "MISC"] == [
        ("e\u0301crit", "MISC"),
        ("👩‍💻", "MISC"),
    ]


@pytest.mark.parametrize(
    ("mention", "label", "expected"),
    [
        ("[PERSON_2]", "PER", "Ben"), ("PERSON_2", "PER", "Ben"), ("[PERSON_2", "PER", "Ben"),
        ("call [PERSON_2]", "PER", "call Ben"), ("call [PERSON_", "PER", "call Ben"),
        ("2], [PERSON_1", "PER", "Ben, ANNA MÜLLER"),
    ],
)  # fmt: skip
def test_an_entity_that_overlaps_a_placeholder_of_its_type_is_widened(
    sent: MaskedText, mention: str, label: str, expected: str
) -> None:
    restored = mentions_of(restore(ner(sent, (mention, label)), sent))
    assert (expected, label) in restored
    assert len(restored) == len(OWN) - expected.count(",")


@pytest.mark.parametrize(
    ("mention", "label"),
    [("[PERSON_2]", "ORG"), ("call [PERSON_2]", "ORG"), ("[LOCATION_1] 👩💻, [EMAIL_1]", "LOC"), ("PERSON", "MISC")],
)
def test_a_masked_value_keeps_its_own_type(sent: MaskedText, mention: str, label: str) -> None:
    assert mentions_of(restore(ner(sent, (mention, label)), sent)) == OWN


def test_two_entities_on_one_placeholder_are_one(sent: MaskedText) -> None:
    assert mentions_of(restore(ner(sent, ("call [PERSON_2]", "PER"), ("[PERSON_2]", "PER")), sent))[1] == (
        "call Ben",
        "PER",
    )


def test_an_entity_that_is_not_in_the_masked_text_is_refused(sent: MaskedText) -> None:
    with pytest.raises(NotRestorable):
        restore(NerOutput(entities=(Entity(start=0, end=3, text="Ann", label="PER"),)), sent)


def test_the_contracts_limit_of_entities_holds() -> None:
    text = " ".join(f"w{number}" for number in range(1200))
    sent = mask(text, "en", [Words({f"w{number}": "THING" for number in range(1200)})])
    restored = restore(NerOutput(entities=()), sent)
    assert isinstance(restored, NerOutput)
    assert (len(restored.entities), restored.truncated) == (1000, True)
    assert isinstance(kept := restore(ner(sent, truncated=True), mask("x", "en", [Words({})])), NerOutput)
    assert kept.truncated


def test_an_answer_about_an_unmasked_text_is_not_changed() -> None:
    sent = mask("Rome", "en", [Words({})])
    output = NerOutput(entities=(Entity(start=0, end=4, text="Rome", label="LOC", probability=0.5),))
    assert restore(output, sent) == output


def test_a_text_that_a_model_has_written_may_leave_values_out_and_repeat_them(sent: MaskedText) -> None:
    written = restore(TextOutput(content="[PERSON_1] wrote. [PERSON_1] gave [EMAIL_1]."), sent)
    assert written == TextOutput(content="Anna Müller wrote. Anna Müller gave a@b.de.")
    assert restore(TextOutput(content="nothing"), sent) == TextOutput(content="nothing")


@pytest.mark.parametrize(
    "content", ["[PERSON_9] wrote", "[person 1] wrote", "[PERSON_1] and [Person_1]", "[IBAN_1]"], ids=str
)
def test_a_placeholder_that_was_not_sent_or_was_changed_is_refused(sent: MaskedText, content: str) -> None:
    with pytest.raises(NotRestorable):
        restore(TextOutput(content=content), sent)


def test_what_was_like_a_placeholder_in_the_original_may_be_repeated() -> None:
    masked = mask("Ben wrote [person 7]", "en", [Words({"Ben": "PERSON"})])
    assert restore(TextOutput(content="[person 7] by [PERSON_1]"), masked).content == "[person 7] by Ben"  # type: ignore[union-attr]


def test_an_entity_beside_a_dropped_character_keeps_its_offsets() -> None:
    text = "\u200bZoe\u200b \u00adwent\u2060 to Ol\u200bso, Anna\u200b"
    dropped = mask(text, "en", [Words({"Anna": "PERSON"})])
    assert dropped.text == "Zoe went to Olso, [PERSON_1]"
    entities = (Entity(start=0, end=3, text="Zoe", label="PER"), Entity(start=12, end=16, text="Olso", label="LOC"))
    output = restore(NerOutput(entities=entities), dropped)
    assert isinstance(output, NerOutput)
    assert [(each.start, each.end, each.text) for each in output.entities] == [
        (1, 4, "Zoe"), (16, 21, "Ol\u200bso"), (23, 27, "Anna"),
    ]  # fmt: skip
