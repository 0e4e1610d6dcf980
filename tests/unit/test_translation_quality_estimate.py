from dataclasses import replace

import numpy as np
import pytest

from sprat_inference.artefact import BrokenArtefact
from sprat_inference.card import Calibration
from sprat_translation.network import BeamAgreement, Candidate, compare_candidates
from sprat_translation.quality_estimate import (
    COMPONENTS,
    SIGNALS,
    QualityEstimate,
    SignalWeights,
    SourceKinds,
    UncalibratedEstimate,
    compute_signals,
    embed_sources,
)
from sprat_translation.sentences import Hypothesis, Translation
from sprat_translation.vocabulary import HashedCounts, KnownWords, phrases_of, words_of


class FakeEncoder:
    """A text's vector is the count of each of its letters."""

    def encode(self, texts):
        class Encoded:
            vectors = np.array([[text.lower().count(letter) + 0.1 for letter in "eotaw"] for text in texts], np.float32)

        return Encoded()


WORDS = KnownWords.of(
    [
        *[("Where is my order?", "Wo ist meine Bestellung?")] * 300,
        ("The parcel came.", "Das Paket kam nicht."),
    ]
)
KINDS = SourceKinds(np.zeros(5, np.float32), np.eye(COMPONENTS, 5, dtype=np.float32))
BEAM = BeamAgreement(lead=0.5, share=0.5, consensus=0.5, indecision=0.5, least_alike=0.5, mean_alike=0.5)


def translation(source="Where is my order?", text="Wo ist meine Bestellung?", chances=(-0.1, -0.2, -0.1), **other):
    pieces = tuple(text.split())
    read = other.pop("read", source)
    hypothesis = Hypothesis(pieces, chances, replace(BEAM, **other))
    return Translation(source, text, read, hypothesis, is_kept=True)


def estimate(weights=None):
    return QualityEstimate(weights or SignalWeights.of(calibration()), WORDS, KINDS, FakeEncoder())


def signal(name, **changes):
    (row,) = estimate().signals([translation(**changes)])
    return row[SIGNALS.index(name)]


def test_words_are_folded_and_numbers_are_none():
    assert words_of("Don’t PAY 5 euros, well-known MP3!") == ["don't", "pay", "euros", "well-known", "mp"]


def test_counts_are_looked_up_and_unseen_words_have_none():
    assert WORDS.source.look_up(["order", "parcel", "Quark"]).tolist() == [255, 1, 0]
    assert HashedCounts.of([]).look_up(["order"]).tolist() == [0]


def test_a_phrase_may_be_the_beginning_or_the_end_of_a_sentence():
    assert phrases_of(["where", "is", "it"], 2) == ["< where", "where is", "is it", "it >"]
    assert phrases_of(["yes"], 3) == ["< yes >"]
    assert phrases_of([], 3) == []


def test_phrases_that_occur_once_are_not_kept():
    assert WORDS.source_phrases.look_up(["where is my", "< the parcel"]).tolist() == [255, 0]
    assert WORDS.target_phrases.look_up(["bestellung >", "paket kam"]).tolist() == [255, 0]


def test_no_training_texts_make_no_words():
    assert KnownWords.of([]).source_phrases.look_up(["where is"]).tolist() == [0]


def test_known_words_are_written_and_read_back(tmp_path):
    WORDS.save(tmp_path)
    loaded = KnownWords.load(tmp_path)
    assert (loaded.source.hashes == WORDS.source.hashes).all()
    assert (loaded.target.counts == WORDS.target.counts).all()
    assert (loaded.target_phrases.hashes == WORDS.target_phrases.hashes).all()
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
        ("least_alike", {"least_alike": 0.9}, {"least_alike": 0.3}),
        ("mean_alike", {"mean_alike": 0.9}, {"mean_alike": 0.3}),
        ("source_2_count", {}, {"source": "Where my is order?"}),
        ("source_3_count", {}, {"source": "Where my is order?"}),
        ("target_2_count", {}, {"text": "Wo meine ist Bestellung?"}),
        ("target_3_count", {}, {"text": "Wo meine ist Bestellung?"}),
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
        ("question", {}, {"text": "Wo ist meine Bestellung."}),
        ("indecision", {"indecision": 0.1}, {"indecision": 1.1}),
        ("source_2_unseen", {}, {"source": "Where my is order?"}),
        ("source_3_unseen", {}, {"source": "Where my is order?"}),
        ("target_2_unseen", {}, {"text": "Wo meine ist Bestellung?"}),
        ("target_3_unseen", {}, {"text": "Wo meine ist Bestellung?"}),
    ],
)
def test_a_signal_is_lower_for_the_better(name, better, worse):
    assert signal(name, **better) < signal(name, **worse)


def test_symbols_are_no_unseen_words():
    assert signal("unseen_share", source="Where is order AB-12?", read="Where is order ⟦0⟧?") == 0


def test_the_components_depend_on_the_source_only():
    one, same, other = (
        [signal(f"kind_{number}", **changes) for number in range(1, COMPONENTS + 1)]
        for changes in ({}, {"text": "Quark"}, {"source": "No teat."})
    )
    assert one == same
    assert one != other


def test_nothing_has_no_signals():
    assert estimate().signals([]).shape == (0, len(SIGNALS))


def test_a_translation_without_a_hypothesis_has_no_signals():
    with pytest.raises(ValueError, match="a translation without a hypothesis"):
        compute_signals([replace(translation(), hypothesis=None)], WORDS, np.zeros((1, 1 + COMPONENTS)))


def candidates(*scores):
    return [Candidate(("a", "b", "c"), score) for score in scores]


def test_equal_candidates_agree():
    beam = compare_candidates(candidates(-0.1, -0.1), ["Wo ist sie?", "Wo ist sie?"])
    assert (beam.least_alike, beam.mean_alike, beam.lead) == (1.0, 1.0, 0.0)
    assert beam.consensus == pytest.approx(1.0)
    assert beam.share == pytest.approx(0.5)
    assert beam.indecision == pytest.approx(np.log(2))


def test_an_improbable_candidate_changes_the_similarity_but_hardly_the_consensus():
    near = compare_candidates(candidates(-0.1, -5.0), ["Wo ist sie?", "Wo ist sie?"])
    far = compare_candidates(candidates(-0.1, -5.0), ["Wo ist sie?", "Und du?"])
    assert far.consensus == pytest.approx(near.consensus, abs=0.01)
    assert far.mean_alike == far.least_alike < 0.3
    assert far.indecision < 0.01


def test_a_single_candidate_agrees_with_itself():
    beam = compare_candidates(candidates(-1.0), ["Wo?"])
    assert beam == BeamAgreement(lead=0.0, share=1.0, consensus=1.0, indecision=0.0, least_alike=1.0, mean_alike=1.0)


def test_the_components_are_the_directions_of_largest_variance(tmp_path):
    dice = np.random.default_rng(0)
    source = (dice.normal(size=(200, 20)) * ([5.0, 3.0] + [0.1] * 18)).astype(np.float32)
    kinds = SourceKinds.of(source)
    assert np.abs(kinds.directions[:2, :2]).round(1).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert (kinds.directions[np.arange(COMPONENTS), np.abs(kinds.directions).argmax(axis=1)] > 0).all()
    assert np.allclose(kinds.signals(source).mean(axis=0), 0.0, atol=1e-4)
    kinds.save(tmp_path)
    assert np.array_equal(SourceKinds.load(tmp_path).directions, kinds.directions)


def test_kinds_of_another_shape_are_refused(tmp_path):
    SourceKinds(KINDS.mean, KINDS.directions[:3]).save(tmp_path)
    with pytest.raises(BrokenArtefact, match="do not fit each other"):
        SourceKinds.load(tmp_path)
    (tmp_path / "estimate.npz").write_bytes(b"rubbish")
    with pytest.raises(BrokenArtefact, match="cannot be read"):
        SourceKinds.load(tmp_path)


def test_only_the_sources_are_encoded_and_in_their_order():
    vectors = embed_sources([translation(), translation(source="Tea?", text="Tee?")], FakeEncoder())
    assert np.array_equal(vectors, FakeEncoder().encode(["Where is my order?", "Tea?"]).vectors)


def test_an_estimate_of_an_earlier_release_is_refused():
    with pytest.raises(BrokenArtefact, match="of an earlier release"):
        SignalWeights.of(calibration(similarity=(0.1, 0.5, 0.2)))


def calibration(**changes):
    parameters = dict.fromkeys(SIGNALS, (0.5, 0.0, 1.0)) | {"bias": (0.0,)} | changes
    return Calibration(method="m", fitted_on="f", outside_share=0.2, longest_code_points=100, parameters=parameters)


def test_weights_are_equal_after_the_card():
    weights = SignalWeights.of(calibration(bias=(1.5,), lead=(2.0, 0.1, 3.0)))
    again = SignalWeights.of(calibration(**weights.parameters()))
    rows = np.linspace(-1, 1, 2 * len(SIGNALS)).reshape(2, -1)
    assert np.allclose(weights.chances(rows), again.chances(rows))


def test_signals_are_clipped():
    weights = SignalWeights.of(calibration())
    far, further = np.full((1, len(SIGNALS)), 10.0), np.full((1, len(SIGNALS)), 1e9)
    assert weights.chances(far) == weights.chances(further)
    assert 0 < weights.chances(-further)[0] < weights.chances(further)[0] <= 1


@pytest.mark.parametrize("parameters", [{"lead": (1.0,)}, {"lead": (1.0, 0.0, 0.0)}, {"bias": ()}])
def test_weights_of_another_kind_are_refused(parameters):
    with pytest.raises(BrokenArtefact, match=r"card\.json"):
        SignalWeights.of(calibration(**parameters))


def test_without_an_estimate_the_confidence_is_the_squared_mean_probability():
    sure, unsure = translation(chances=(-0.1, -0.1)), translation(chances=(-0.1, -2.0))
    high, low = UncalibratedEstimate().chances([sure, unsure])
    assert low < high < np.exp(-0.1)
    assert UncalibratedEstimate().chances([replace(sure, hypothesis=None)]) == [0.0]
