"""A model of the names of labels and what they mean, on the shipped encoder."""

import shlex

import numpy as np
import pytest

from sprat.base.model import Question
from sprat_encoder.label_model import LabellingModel
from sprat_encoder.zero_shot import ARTEFACT, KEEP_AT, READER, load_zero_shot, words
from sprat_inference.artefact import BrokenArtefact, load_part
from support.readme import commands, programs

SUBJECTS = {"food": "meals and restaurants", "sport": "matches and clubs", "travel": "trips and flights"}
TEXTS = {
    "our club has won the match by two goals": "sport",
    "where can I eat a good pizza": "food",
    "book a flight to Rome": "travel",
    "Der Verein hat das Spiel verloren": "sport",
    "Wo kann man hier gut essen?": "food",
    "Je cherche un vol pour Rome": "travel",
}


@pytest.fixture(scope="module")
def model() -> LabellingModel:
    return load_zero_shot("subject", SUBJECTS, ("en",))


def test_the_nearest_label_answers_in_several_languages(model: LabellingModel) -> None:
    answers = model.answer([Question(text, "en") for text in TEXTS])
    assert [answer.output.label for answer in answers] == [*TEXTS.values()]  # type: ignore[union-attr]
    assert all(0 <= answer.confidence <= 1 for answer in answers)


def test_what_fits_no_label_is_not_kept(model: LabellingModel) -> None:
    odd = ["what is the square root of nine", "please change my password", "my wife's blood pressure is too high"]
    for answer in model.answer([Question(text, "en") for text in odd]):
        assert answer.output.label is None or answer.confidence < KEEP_AT  # type: ignore[union-attr]


def test_the_readme_shows_answers_that_are_kept() -> None:
    init, _, *sends = commands(programs()["readme-desk"])
    model = load_zero_shot("desk", dict.fromkeys(shlex.split(init)[-1].split(","), ""))
    assert len(sends) == 2
    for send in sends:
        text, label = shlex.split(send)[2], send.rpartition("# ")[2]
        for language in ("en", "de"):
            (answer,) = model.answer([Question(text, language)])
            assert answer.output.label == label  # type: ignore[union-attr]
            assert answer.confidence >= KEEP_AT


def test_a_name_that_says_nothing_is_known_by_its_meaning() -> None:
    model = load_zero_shot("subject", {f"q{place}": meaning for place, meaning in enumerate(SUBJECTS.values())})
    assert model.answer([Question("our club has won the match", "en")])[0].output.label == "q1"  # type: ignore[union-attr]


def test_the_version_is_that_of_all_that_decides_an_answer(model: LabellingModel) -> None:
    card = model.card
    assert (card.task, card.languages, card.labels) == ("subject", ("en",), tuple(SUBJECTS))
    assert load_zero_shot("other", SUBJECTS).card.version == card.version
    assert load_zero_shot("subject", {**SUBJECTS, "food": "eating"}).card.version != card.version


def test_a_name_without_a_word_is_refused() -> None:
    with pytest.raises(BrokenArtefact, match="the label '__' has no word"):
        load_zero_shot("subject", {"food": "", "__": ""})


def test_names_are_read_as_words() -> None:
    assert words("Card_arrival-late") == "card arrival late"


def test_the_part_says_what_it_was_measured_on() -> None:
    part = load_part(ARTEFACT, reader=READER)
    assert np.isclose(part.score("banking77_accuracy"), 0.58, atol=0.02)
    assert part.score("banking77_kept_right") >= 0.94
