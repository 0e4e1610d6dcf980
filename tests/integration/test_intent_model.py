import json
import shutil
from pathlib import Path

import ctranslate2
import numpy as np
import pytest

from sprat.base.model import Answer, Model, Question, Unfinished
from sprat_contracts import IntentOutput
from sprat_encoder.label_model import LabellingModel
from sprat_inference.artefact import BrokenArtefact, ModelError, load_artefact, write_artefact
from sprat_inference.heads import LABEL_READER

FOLDER = Path(__file__).resolve().parents[2] / "services/intent/src/sprat_intent/artefacts/en-fast"


@pytest.fixture(scope="module")
def model() -> LabellingModel:
    return LabellingModel.load(FOLDER)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for path in FOLDER.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path


def ask(model: LabellingModel, *texts: str) -> list[Answer]:
    return model.answer([Question(text, "en") for text in texts])


def label(answer: Answer) -> str | None:
    assert isinstance(answer.output, IntentOutput)
    return answer.output.label


def seal(folder: Path, **changes: object) -> None:
    """Change fields of the card, and make it fit the files again."""
    write_artefact(folder, load_artefact(FOLDER).card.model_dump(mode="json") | changes)


def test_it_implements_the_model_protocol(model: LabellingModel) -> None:
    served: Model = model
    assert served.card.task == "intent"
    assert served.card.languages == ("en",)
    assert served.card.reader == LABEL_READER
    assert len(served.card.labels or ()) == 150
    served.probe()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("please move 100 euros to my savings", "transfer"),
        ("Book a flight to Paris on Friday", "book_flight"),
        ("I've lost my suitcase at the airport", "lost_luggage"),
        ("how do I change my PIN?", "pin_change"),
        ("what's the exchange rate between dollars and euros", "exchange_rate"),
    ],
)
def test_a_plain_request_gets_its_label_with_a_confidence_to_keep(
    model: LabellingModel, text: str, wanted: str
) -> None:
    (answer,) = ask(model, text)
    assert label(answer) == wanted
    assert answer.confidence >= model.card.keep_at


@pytest.mark.parametrize("text", ["who won the cup final in 1974", "how tall is the eiffel tower"])
def test_a_text_outside_every_intent_has_no_label(model: LabellingModel, text: str) -> None:
    (answer,) = ask(model, text)
    assert label(answer) is None


def test_answers_come_in_the_order_of_the_questions(model: LabellingModel) -> None:
    answers = ask(model, "tell me a joke", "x " * 200, "hi", "please move 100 euros to my savings", "hi")
    assert [label(answers[place]) for place in (0, 2, 3, 4)] == ["tell_joke", "greeting", "transfer", "greeting"]
    # Equal up to the last bits: rows of one matrix product may be added up in another order, by the processor.
    assert answers[2].confidence == pytest.approx(answers[4].confidence, abs=1e-6)


def test_no_questions_get_no_answers(model: LabellingModel) -> None:
    assert model.answer([]) == []


def test_a_text_gets_the_same_answer_alone_and_among_others(model: LabellingModel) -> None:
    texts = [f"{'please ' * (place % 25)}move {place} euros to my savings" for place in range(50)]
    together = ask(model, *texts)
    for text, answer in list(zip(texts, together, strict=True))[::7]:
        (alone,) = ask(model, text)
        assert label(alone) == label(answer)
        assert alone.confidence == pytest.approx(answer.confidence, abs=1e-4)


def test_three_alternatives_best_first_and_their_chances_add_up(model: LabellingModel) -> None:
    for answer in ask(model, "move money to my account", "hello", "who won the cup final in 1974", "asdf", ""):
        assert isinstance(answer.output, IntentOutput)
        chances = [each.probability for each in answer.output.alternatives]
        assert len({each.label for each in answer.output.alternatives}) == 3
        assert chances == sorted(chances, reverse=True)
        assert sum(chances) <= 1 + 1e-9
        if answer.output.label is not None:
            assert answer.output.label == answer.output.alternatives[0].label
            assert answer.confidence == chances[0]


def test_the_decision_is_the_likelier_of_label_and_outside(model: LabellingModel) -> None:
    texts = ["move 100 euros to my savings", "how tall is the eiffel tower", "what about it then"]
    classification = model.classify(texts, ["en", "en-GB", "EN"])
    assert (classification.is_outside == (classification.outside > classification.right)).all()
    assert ((classification.right + classification.outside) <= 1).all()
    assert np.allclose(classification.confidence, np.maximum(classification.right, classification.outside))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\0", id="NUL"),
        pytest.param("\x01\x1b\x7f", id="control characters"),
        pytest.param("\u0301" * 300, id="combining marks"),
    ],
)
def test_a_text_without_tokens_is_certainly_outside(model: LabellingModel, text: str) -> None:
    (answer,) = ask(model, text)
    assert label(answer) is None
    assert answer.confidence == 1.0


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("😀" * 20_000, id="20,000 emoji"),
        pytest.param("\u202eمرحبا\u202c", id="right to left"),
        pytest.param("[CLS] [SEP] [MASK]", id="special tokens"),
        pytest.param("a\udfffb", id="lone surrogate"),
        pytest.param("lorem ipsum " * 1_666, id="20,000 characters"),
    ],
)
def test_odd_text_gets_an_answer_and_does_not_change_others(model: LabellingModel, text: str) -> None:
    odd, neighbour = ask(model, text, "tell me a joke")
    assert 0 <= odd.confidence <= 1
    assert label(neighbour) == "tell_joke"


def test_a_long_text_outside_every_intent_has_a_low_confidence(model: LabellingModel) -> None:
    filler = "The town lies at the foot of the hills. The river was bridged in 1802. " * 20
    (answer,) = ask(model, filler + "Please move 100 euros to my savings.")
    assert label(answer) is None
    assert answer.confidence < model.card.keep_at


def test_a_longer_text_costs_more_up_to_what_the_model_reads(model: LabellingModel) -> None:
    costs = [model.tokens(Question("x" * length, "en")) for length in (1, 40, 20_000)]
    assert costs == [3, 42, model.card.max_tokens]


def test_the_card_states_the_promised_scores(model: LabellingModel) -> None:
    score = model.card.score
    assert score("in_scope_accuracy_raw") >= 0.95
    assert score("auroc_out_of_scope") >= 0.955
    assert score("tuned_in_scope_accuracy") >= 0.94
    assert score("tuned_out_of_scope_recall") >= 0.67
    assert all(score(f"ece_at_{share}") <= 0.03 for share in (3, 10, 20))


def test_an_unreadable_head_is_refused_even_if_the_card_fits(copy: Path) -> None:
    (copy / "head.npz").write_bytes(b"rubbish")
    seal(copy)
    with pytest.raises(BrokenArtefact, match=r"head\.npz: cannot be read"):
        LabellingModel.load(copy)


def test_a_head_for_other_labels_is_refused(copy: Path) -> None:
    np.savez(copy / "head.npz", mean=np.zeros(384), weights=np.zeros((384, 3)), bias=np.zeros(3))
    seal(copy)
    with pytest.raises(BrokenArtefact, match="150 labels"):
        LabellingModel.load(copy)


def test_a_calibration_of_another_kind_is_refused(copy: Path) -> None:
    card = json.loads((copy / "card.json").read_text(encoding="utf-8"))
    seal(copy, calibration=card["calibration"] | {"parameters": {"temperature": [1.0]}})
    with pytest.raises(BrokenArtefact, match="no calibration of this kind"):
        LabellingModel.load(copy)


def test_a_model_that_computes_nonsense_fails_its_probe(model: LabellingModel, monkeypatch: pytest.MonkeyPatch) -> None:
    class NotFinite:
        def forward_batch(self, ids: ctranslate2.StorageView, lengths: ctranslate2.StorageView) -> object:
            class Output:
                last_hidden_state = np.full((*ids.shape, 384), np.nan, np.float32)

            return Output()

    monkeypatch.setattr(model._network._encoder._states, "_model", NotFinite())
    with pytest.raises(ModelError, match="not finite"):
        model.probe()


def test_whichever_stage_answers_some_labels_are_asked_for_in_the_same_way(model: LabellingModel) -> None:
    """Of the first text the words alone are sure, of the second the encoder is."""
    texts = ("what is my balance", "please move 100 euros to my savings")
    for labels, wanted in ((("balance", "transfer"), ["balance", "transfer"]), (("weather", "greeting"), [None, None])):
        questions = [Question(text, "en", labels=labels) for text in texts]
        by_words, left = model.begin(questions)
        assert isinstance(by_words, Answer)
        assert isinstance(left, Unfinished)
        answers = [by_words, *model.finish([left])]
        assert [each.stage for each in answers] == ["lexical", "encoder"]
        assert [label(each) for each in answers] == wanted
        assert {each.renormalised for each in answers} == {wanted[0] is None}
        assert [each.output for each in answers] == [each.output for each in model.answer(questions)]
