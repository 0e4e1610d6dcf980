import shutil
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest

from sprat.base.model import Answer, Model, Question
from sprat_contracts import NerOutput
from sprat_inference.artefact import BrokenArtefact, load_artefact, write_artefact
from sprat_inference.card import label_set_hash
from sprat_ner.model import LABELS, MOST_CODE_POINTS, OWN_READERS, READER, NerModel, readable

FOLDER = Path(__file__).resolve().parents[2] / "services/ner/src/sprat_ner/artefacts/default"
ANNA = "Anna Schmidt moved from Lisbon to Siemens in Munich"


@pytest.fixture(scope="module")
def model() -> NerModel:
    return NerModel.load(FOLDER)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for path in FOLDER.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path


def ask(model: NerModel, *texts: str, language: str = "en") -> list[Answer]:
    return model.answer([Question(text, language) for text in texts])


def output(answer: Answer) -> NerOutput:
    assert isinstance(answer.output, NerOutput)
    return answer.output


def found(model: NerModel, text: str, language: str = "en") -> list[tuple[str, str]]:
    (answer,) = ask(model, text, language=language)
    entities = output(answer).entities
    assert all(entity.text == text[entity.start : entity.end] for entity in entities)
    assert all(before.end <= after.start for before, after in pairwise(entities))
    return [(entity.text, entity.label) for entity in entities]


def test_it_implements_the_model_protocol(model: NerModel) -> None:
    served: Model = model
    assert served.card.task == "ner"
    assert served.card.languages == ("en", "de")
    assert served.card.reader == READER
    assert served.card.labels == LABELS
    served.probe()


def test_names_are_found_with_a_confidence_to_keep(model: NerModel) -> None:
    assert found(model, ANNA) == [("Anna Schmidt", "PER"), ("Lisbon", "LOC"), ("Siemens", "ORG"), ("Munich", "LOC")]
    for answer in ask(model, "Anna Schmidt lives in Munich.", "Peter is coming to Berlin tomorrow."):
        assert answer.confidence >= model.card.keep_at


@pytest.mark.parametrize(
    ("text", "language", "wanted"),
    [
        ("Der Bundestag in Berlin hat das Gesetz beschlossen, sagte Olaf Scholz.", "de",
         [("Bundestag", "ORG"), ("Berlin", "LOC"), ("Olaf Scholz", "PER")]),
        ("Meine Bestellung ist noch nicht angekommen, wann kommt das Paket?", "de", []),
        ("please tell me when the package will arrive", "en", []),
        ("The United Nations met in New York.", "en", [("United Nations", "ORG"), ("New York", "LOC")]),
    ],
)  # fmt: skip
def test_the_names_of_plain_texts_are_found(
    model: NerModel, text: str, language: str, wanted: list[tuple[str, str]]
) -> None:
    assert found(model, text, language) == wanted


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_offsets_count_code_points_of_the_text_as_it_is(model: NerModel, form: str) -> None:
    city = unicodedata.normalize(form, "Zürich")
    text = f"👩🏽‍🚀😀  {unicodedata.normalize(form, 'Jürgen Müller')} lives in\t{city} 🇨🇭, near  Basel\u200b!"
    assert ("Basel", "LOC") in found(model, text)
    names = dict(found(model, text))
    assert names[city] == "LOC"
    assert names[unicodedata.normalize(form, "Jürgen Müller")] == "PER"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param("\ufeffAnna Schmidt lives in Berlin.", ["Anna Schmidt", "Berlin"], id="byte order mark"),
        pytest.param("Anna Schmidt lives in \u200bBerlin\u200b.", ["Anna Schmidt", "Berlin"], id="zero-width space"),
        pytest.param("I met Anna Schmidt in \u200eMunich\u200f.", ["Anna Schmidt", "Munich"], id="directions"),
        pytest.param("Anna\u00adSchmidt in Berlin\u200d", ["Anna\u00adSchmidt", "Berlin"], id="those within stay"),
    ],
)
def test_a_name_neither_begins_nor_ends_with_invisible_characters(
    model: NerModel, text: str, wanted: list[str]
) -> None:
    assert [name for name, _ in found(model, text)] == wanted


def test_german_has_lower_confidence_than_english(model: NerModel) -> None:
    (english, german) = model.answer([Question(ANNA, "en-GB"), Question(ANNA, "de-AT")])
    assert german.confidence < english.confidence
    assert english.output != german.output  # the chances differ, the names do not
    assert [each.text for each in output(english).entities] == [each.text for each in output(german).entities]


def test_a_long_text_is_read_to_its_end(model: NerModel) -> None:
    text = "We talked for a while about this and that. " * 60 + ANNA + ". " + "Nothing more was said that day. " * 60
    assert found(model, text) == found(model, ANNA)
    start = text.index(ANNA)
    (answer,) = ask(model, text)
    assert output(answer).entities[0].start == start


def test_a_patterned_entity_wins_over_a_name_that_overlaps_it(model: NerModel) -> None:
    text = "Write to anna.schmidt@siemens.example, or see https://www.munich.example/Siemens, says Anna Schmidt."
    (answer,) = ask(model, text)
    found = [(entity.text, entity.label, entity.probability) for entity in output(answer).entities]
    assert found[0] == ("anna.schmidt@siemens.example", "EMAIL", 1.0)
    assert found[1] == ("https://www.munich.example/Siemens", "URL", 1.0)
    assert [each[:2] for each in found[2:]] == [("Anna Schmidt", "PER")]
    assert 0 < (found[2][2] or 0) < 1


def test_there_are_no_more_entities_than_the_contract_allows(model: NerModel) -> None:
    (above, at) = ask(model, "a@b.example " * 1_001, "a@b.example " * 1_000)
    assert (len(output(above).entities), output(above).truncated) == (1_000, True)
    assert (len(output(at).entities), output(at).truncated) == (1_000, False)
    assert above.confidence == 0
    assert at.confidence > 0


def test_a_text_made_to_be_expensive_is_cut_and_has_confidence_0(model: NerModel) -> None:
    ligature = "\ufdfa"
    assert len(readable(ligature * 20_000)) == MOST_CODE_POINTS // 18
    assert readable("é" * 20_000) == "é" * 20_000


def test_a_text_without_words_certainly_has_no_names(model: NerModel) -> None:
    (answer,) = ask(model, "\x01\x02")
    assert (output(answer).entities, answer.confidence) == ((), 1.0)


def test_an_answer_depends_on_its_own_text_alone(model: NerModel) -> None:
    texts = [ANNA, "hi", "x " * 300, ANNA, "Paris"]
    together = ask(model, *texts)
    assert together[0] == together[3]
    for text, answer in zip(texts, together, strict=True):
        (alone,) = ask(model, text)
        assert answer.confidence == pytest.approx(alone.confidence, abs=0.02)
        assert [each.text for each in output(answer).entities] == [each.text for each in output(alone).entities]
    assert model.answer([]) == []


@pytest.mark.parametrize("text", ["hello there", "가" * 300, "\ufdfa" * 60, "😀" * 400, "a" * 900, " ", "é" * 300])
def test_the_cost_is_bounded_without_tokenising(model: NerModel, text: str) -> None:
    _, windows = model._windows.cut([text])
    assert sum(len(window.ids) for window in windows) <= model.tokens(Question(text, "en"))


def test_an_artefact_for_other_labels_is_refused(copy: Path) -> None:
    changes = {"labels": ["PER"], "label_set": label_set_hash(["PER"])}
    write_artefact(copy, load_artefact(copy).card.model_dump(mode="json") | changes)
    with pytest.raises(BrokenArtefact):
        NerModel.load(copy)


def test_a_calibration_of_another_kind_is_refused(copy: Path) -> None:
    card = load_artefact(copy).card.model_dump(mode="json")
    card["calibration"]["parameters"] = {"name": [1.0], "text": [1.0]}
    write_artefact(copy, card)
    with pytest.raises(BrokenArtefact, match="calibration"):
        NerModel.load(copy)


def test_an_artefact_of_the_first_reader_is_served_and_says_nothing_of_missed_names(copy: Path) -> None:
    card = load_artefact(copy).card.model_dump(mode="json") | {"reader": OWN_READERS[1]}
    parameters = card["calibration"]["parameters"]
    kept = {name: values for name, values in parameters.items() if name.partition("_")[0] in {"name", "text"}}
    card["calibration"]["parameters"] = kept
    write_artefact(copy, card)

    with_name, without = ask(NerModel.load(copy), ANNA, "please tell me when the package will arrive")

    assert (with_name.nothing_missed, without.nothing_missed) == (None, None)
    assert with_name.confidence == pytest.approx(ask(NerModel.load(FOLDER), ANNA)[0].confidence, abs=1e-3)
    assert without.confidence > 0.9


def test_an_answer_says_how_surely_no_name_is_missed(model: NerModel) -> None:
    with_name, without = ask(model, ANNA, "please tell me when the package will arrive")
    assert with_name.nothing_missed is not None
    assert with_name.nothing_missed > with_name.confidence, "the whole is right only where its names are, too"
    assert without.nothing_missed == without.confidence


def test_of_a_text_that_is_not_read_to_its_end_names_may_be_missed(model: NerModel) -> None:
    (answer,) = ask(model, "a" * (MOST_CODE_POINTS + 9) + "\u00fc")
    assert (answer.confidence, answer.nothing_missed) == (0.0, 0.0)
