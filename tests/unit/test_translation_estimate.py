from dataclasses import replace

import numpy as np
import pytest

from sprat.models import BrokenArtefact, Calibration
from sprat_translation.estimate import Uncalibrated, Weighing
from sprat_translation.sentences import Hypothesis, Translation
from sprat_translation.signals import SIGNALS, measured
from sprat_translation.words import KnownWords, WordCounts, words_of


class FakeEncoder:
    """A text's vector is the count of each of its letters."""

    def encode(self, texts):
        class Encoded:
            vectors = np.array([[text.lower().count(letter) + 0.1 for letter in "eotaw"] for text in texts], np.float32)

        return Encoded()


WORDS = KnownWords(
    WordCounts.of(["where is my order"] * 300 + ["the parcel came"]),
    WordCounts.of(["wo ist meine bestellung", "das paket kam nicht"]),
)
MEANS = (np.zeros(5, np.float32), np.zeros(5, np.float32))


def translation(source="Where is my order?", text="Wo ist meine Bestellung?", chances=(-0.1, -0.2, -0.1), **other):
    pieces = tuple(text.split())
    figures = [other.pop(name, 0.5) for name in ("lead", "share", "consensus")]
    hypothesis = Hypothesis(pieces, chances, *figures)
    return Translation(source, text, other.pop("read", source), hypothesis, is_kept=True)


def signal(name, **changes):
    (row,) = measured([translation(**changes)], WORDS, FakeEncoder(), MEANS)
    return row[SIGNALS.index(name)]


def test_words_are_folded_and_numbers_are_none():
    assert words_of("Don’t PAY 5 euros, well-known MP3!") == ["don't", "pay", "euros", "well-known", "mp"]


def test_counts_are_looked_up_and_unseen_words_have_none():
    assert WORDS.source.look_up(["order", "parcel", "Quark"]).tolist() == [255, 1, 0]
    assert WordCounts.of([]).look_up(["order"]).tolist() == [0]


def test_known_words_come_back_from_their_file(tmp_path):
    WORDS.save(tmp_path)
    loaded = KnownWords.load(tmp_path)
    assert (loaded.source.hashes == WORDS.source.hashes).all()
    assert (loaded.target.counts == WORDS.target.counts).all()
    (tmp_path / "words.npz").write_bytes(b"rubbish")
    with pytest.raises(BrokenArtefact, match="cannot be read"):
        KnownWords.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "better", "worse"),
    [
        ("mean_log_probability", {}, {"chances": (-0.1, -5.0)}),
        ("least_log_probability", {}, {"chances": (-0.1, -5.0)}),
        ("mean_probability", {}, {"chances": (-0.1, -5.0)}),
        ("share", {"share": 0.9}, {"share": 0.3}),
        ("consensus", {"consensus": 0.9}, {"consensus": 0.3}),
        ("lead", {"lead": 0.9}, {"lead": 0.01}),
    ],
)
def test_a_signal_is_higher_for_the_better(name, better, worse):
    assert signal(name, **better) > signal(name, **worse)


@pytest.mark.parametrize(
    ("name", "better", "worse"),
    [
        ("unsure_share", {}, {"chances": (-0.1, -5.0)}),
        ("length_surprise", {}, {"text": "Wo?"}),
        ("repetition", {}, {"text": "Wo ist ist ist ist?"}),
        ("unseen_share", {}, {"source": "Where is my incunabulum?"}),
        ("rare_share", {}, {"source": "Where is the parcel?"}),
        ("strange_share", {}, {"text": "Wo ist meine Ordrung?"}),
        ("copied_share", {}, {"text": "Wo ist mein order?"}),
        ("negation", {}, {"text": "Wo ist meine Bestellung nicht?"}),
        ("negation", {"source": "It didn't come.", "text": "Das kam nicht."}, {"source": "It didn't come."}),
        ("question", {}, {"text": "Wo ist meine Bestellung."}),
    ],
)
def test_a_signal_is_lower_for_the_better(name, better, worse):
    assert signal(name, **better) < signal(name, **worse)


def test_symbols_are_no_unseen_words():
    assert signal("unseen_share", source="Where is order AB-12?", read="Where is order ⟦0⟧?") == 0


def test_nothing_has_no_signals():
    assert measured([], WORDS, FakeEncoder(), MEANS).shape == (0, len(SIGNALS))


def calibration(**changes):
    parameters = dict.fromkeys(SIGNALS, (0.5, 0.0, 1.0)) | {"bias": (0.0,)} | changes
    return Calibration(method="m", fitted_on="f", outside_share=0.2, longest_code_points=100, parameters=parameters)


def test_weights_survive_the_card():
    weighing = Weighing.of(calibration(bias=(1.5,), lead=(2.0, 0.1, 3.0)))
    again = Weighing.of(calibration(**weighing.parameters()))
    rows = np.linspace(-1, 1, 2 * len(SIGNALS)).reshape(2, -1)
    assert np.allclose(weighing.chances(rows), again.chances(rows))


def test_what_lies_far_outside_says_no_more_than_what_lies_far():
    weighing = Weighing.of(calibration())
    far, further = np.full((1, len(SIGNALS)), 10.0), np.full((1, len(SIGNALS)), 1e9)
    assert weighing.chances(far) == weighing.chances(further)
    assert 0 < weighing.chances(-further)[0] < weighing.chances(further)[0] <= 1


@pytest.mark.parametrize("parameters", [{"lead": (1.0,)}, {"lead": (1.0, 0.0, 0.0)}, {"bias": ()}])
def test_weights_of_another_kind_are_refused(parameters):
    with pytest.raises(BrokenArtefact, match=r"card\.json"):
        Weighing.of(calibration(**parameters))


def test_without_an_estimate_confidence_is_half_hearted():
    sure, unsure = translation(chances=(-0.1, -0.1)), translation(chances=(-0.1, -2.0))
    high, low = Uncalibrated().chances([sure, unsure])
    assert low < high < np.exp(-0.1)
    assert Uncalibrated().chances([replace(sure, hypothesis=None)]) == [0.0]
