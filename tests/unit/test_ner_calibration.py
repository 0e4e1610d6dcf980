"""Is a name right, are all of a text, and is none missed: what the chances are read from, and on which rows fitted."""

import numpy as np
import pytest

from recipes.ner.calibrate import fit, misses_nothing, weights_of
from recipes.ner.gold import Sentence
from recipes.ner.thresholds import read_rows
from sprat.base.model import Answer, Question
from sprat_contracts import Entity, NerOutput
from sprat_inference.artefact import BrokenArtefact
from sprat_inference.card import Calibration
from sprat_ner.calibration import MISSED, NAME, NONE, TEXT, NameCalibrator, missed_features
from sprat_ner.decoding import SERVED_LABELS, DecodedName, Decoding

SINCE_ONE = {NAME: (0.0, 1.0, 0.0, 0.0), TEXT: (0.0, 0.0, 1.0, 0.0, 0.0, 0.0)}
SINCE_TWO = SINCE_ONE | {NONE: (0.0, -1.0), MISSED: (0.0, -1.0, 0.0, 0.0, 0.0)}


def calibrator(**parameters: tuple[float, ...]) -> NameCalibrator:
    fields = {"method": "-", "fitted_on": "-", "outside_share": 0.0, "longest_code_points": 9}
    return NameCalibrator.of(Calibration(**fields, parameters=parameters))


def decoding(*chances: float, name: float | None = None) -> Decoding:
    """A text whose words have these chances of a name, and before them a person with the chance `name`."""
    rows = np.full((len(chances), len(SERVED_LABELS)), 1e-6)
    rows[:, 0] = 1 - np.array(chances)
    labels = np.zeros(len(chances), np.int64)
    if name is None:
        return Decoding((), np.log(rows), labels)
    first = np.full((1, len(SERVED_LABELS)), 1e-6)
    first[0, :2] = 1 - name, name
    found = DecodedName(0, 4, "PER", float(np.log(name)), float(np.log(name)), 1)
    return Decoding((found,), np.log(np.concatenate([first, rows])), np.concatenate([[1], labels]))


def test_a_text_without_a_name_is_judged_by_its_most_likely_name() -> None:
    (chance,) = calibrator(**SINCE_TWO).texts([decoding(0.01, 0.3, 0.01)], ["en"])
    assert chance == pytest.approx(0.7)
    (of_many,) = calibrator(**SINCE_TWO).texts([decoding(*[0.01] * 40, 0.3)], ["en"])
    assert of_many == pytest.approx(0.7), "forty words that are surely none make a name no likelier"


def test_what_is_missed_is_looked_for_outside_the_names_found() -> None:
    text = decoding(0.1, 0.2, name=0.6)
    largest, expected, words, names = missed_features(text)
    assert largest == pytest.approx(np.log(0.2 / 0.8))
    assert expected == pytest.approx(np.log(0.3), abs=1e-3)
    assert (words, names) == (pytest.approx(np.log(3)), pytest.approx(np.log(2)))
    (missed,) = calibrator(**SINCE_TWO).nothing_missed([text], ["en"])  # type: ignore[misc] # it is fitted
    assert missed == pytest.approx(0.8)
    (whole,) = calibrator(**SINCE_TWO).texts([text], ["en"])
    assert whole == pytest.approx(0.6), "the whole is as sure as its least certain word"


def test_a_text_that_is_one_name_and_one_without_a_word_miss_nothing() -> None:
    chances = calibrator(**SINCE_TWO).nothing_missed([decoding(name=0.6), decoding()], ["en", "en"])
    assert chances is not None
    assert chances.tolist() == [pytest.approx(1.0, abs=1e-5), 1.0]


def test_without_a_name_nothing_missed_is_the_confidence_itself() -> None:
    texts = [decoding(0.3), decoding(0.1)]
    fitted = calibrator(**SINCE_TWO)
    assert fitted.nothing_missed(texts, ["en", "de"]).tolist() == fitted.texts(texts, ["en", "de"]).tolist()  # type: ignore[union-attr]


def test_a_language_shifts_each_chance_by_its_own_number() -> None:
    fitted = calibrator(**SINCE_TWO, none_de=(1.0,), missed_de=(-1.0,))
    german, english = fitted.nothing_missed([decoding(0.5), decoding(0.5)], ["de-AT", "en"])  # type: ignore[misc]
    assert (german, english) == (pytest.approx(1 / (1 + np.exp(-1))), pytest.approx(0.5))
    (with_name,) = fitted.nothing_missed([decoding(0.5, name=0.9)], ["de"])  # type: ignore[misc]
    assert with_name == pytest.approx(1 / (1 + np.exp(1)))


def test_a_card_of_an_earlier_release_judges_all_texts_by_one_calibration() -> None:
    old = calibrator(**SINCE_ONE)
    texts = [decoding(0.3), decoding(0.3, name=0.6)]
    assert old.texts(texts, ["en", "en"]).tolist() == [pytest.approx(0.7), pytest.approx(0.6)]
    assert old.nothing_missed(texts, ["en", "en"]) is None
    assert old.parameters() == SINCE_ONE


def test_parameters_are_written_as_they_are_read() -> None:
    assert calibrator(**SINCE_TWO, none_de=(0.5,)).parameters() == SINCE_TWO | {"none_de": (0.5,)}


@pytest.mark.parametrize("changed", [{NONE: (0.0, 1.0, 1.0)}, {MISSED: (0.0,)}])
def test_a_calibration_of_another_width_is_refused(changed: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(BrokenArtefact, match="of another kind"):
        calibrator(**(SINCE_TWO | changed))
    (other,) = {NONE, MISSED} - changed.keys()
    with pytest.raises(BrokenArtefact, match=f"no calibration of '{other}'"):
        calibrator(**(SINCE_ONE | {next(iter(changed)): SINCE_TWO[next(iter(changed))]}))


def test_a_name_is_missed_where_no_found_one_overlaps_it() -> None:
    wanted = {(0, 4, "PER"), (10, 16, "LOC")}
    assert misses_nothing(wanted, [(0, 9, "ORG"), (15, 20, "LOC")]), "spans and types are the names' own probabilities"
    assert not misses_nothing(wanted, [(0, 4, "PER"), (4, 10, "LOC")])
    assert misses_nothing(set(), [])


def test_a_set_weighs_the_root_of_its_rows() -> None:
    large, small = weights_of([400, 100]).tolist()
    assert small == pytest.approx(2 * large)
    assert 400 * large + 100 * small == pytest.approx(500)
    assert np.isfinite(weights_of([9, 0])).all()


class Reader:
    """Answers each text with the names given for it."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self._answers = answers

    def answer(self, questions: list[Question]) -> list[Answer]:
        return [self._answers[question.text] for question in questions]


def person(text: str, start: int, end: int, chance: float) -> Entity:
    return Entity(start=start, end=end, text=text[start:end], label="PER", probability=chance)


def test_names_are_measured_one_by_one_and_those_of_one_text_together() -> None:
    missing, none = "Anna Bea met Carl", "nobody came"
    found = NerOutput(entities=(person(missing, 0, 4, 0.9), person(missing, 5, 8, 0.7)))
    answers = {
        missing: Answer(found, 0.4, nothing_missed=0.6),
        none: Answer(NerOutput(entities=()), 0.95, nothing_missed=0.95),
    }
    sentences = [
        Sentence.of(missing.split(), ["B-PER", "O", "O", "B-PER"]),
        Sentence.of(none.split(), ["O", "O"]),
    ]

    measured = read_rows(Reader(answers), sentences, "en")  # type: ignore[arg-type] # it answers alone

    persons = measured.names.entities["PER"]
    assert (persons.confidence.tolist(), persons.right.tolist()) == ([0.9, 0.7], [True, False])
    assert persons.group.tolist() == [0, 0], "names of one text are no independent rows"
    missed = measured.names.nothing_missed
    assert (missed.confidence.tolist(), missed.right.tolist()) == ([0.6], [False]), "of answers with names alone"
    assert measured.texts.right.tolist() == [False, True]
    assert len(measured.names.entities["LOC"]) == 0


class FakeModel:
    """Finds a person in each first word that is not `none`; `certain` of it or not."""

    def recognise(self, texts: list[str], languages: list[str]) -> list[object]:
        read = []
        for text in texts:
            sure = 0.95 if "sure" in text else 0.6
            chances = [0.4 if word == "odd" else 0.05 for word in text.split()]
            one = decoding(*chances[1:], name=sure) if not text.startswith("none") else decoding(*chances)
            end = text.find(" ")
            names = (person(text, 0, end, sure),) if one.names else ()
            read.append(type("Recognition", (), {"decoding": one, "names": names})())
        return read


def sentences_of(right: str) -> list[Sentence]:
    """Texts in which a name is right where this word follows; and in which `odd` tells that one may be missed."""
    rows = [(f"Anna {word} {last}", (word == right, last == "odd")) for word in ("sure", "perhaps") for last in "ab"]
    rows += [
        ("Anna sure odd", (right == "sure", True)),
        ("none is here", (False, False)),
        ("none is odd", (False, True)),
    ]
    rows += [("none was odd", (False, False))]
    return [
        Sentence.of(text.split(), ["B-PER" if first else "O", "O", "B-LOC" if last else "O"])
        for text, (first, last) in rows
        for _ in range(5)
    ]


def test_what_is_fitted_without_a_set_follows_the_others_alone() -> None:
    sets = {"sure": sentences_of("sure"), "unsure": sentences_of("perhaps")}

    fitted = fit(FakeModel(), sets, {"de": sentences_of("sure")[:9]})  # type: ignore[arg-type] # it reads alone

    assert fitted.without["unsure"].weights[NAME][1] > 1, "in the other set, sure names are right"
    assert fitted.without["sure"].weights[NAME][1] < -1, "in the other set, sure names are wrong"
    assert abs(fitted.of_all.weights[NAME][1]) < 1
    assert set(fitted.of_all.shifts) == {"name_de", "text_de", "none_de", "missed_de"}
