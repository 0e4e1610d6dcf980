import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from sprat.base.model import Answer, Model, Question
from sprat.processing.handler import Answered, Ask
from sprat_contracts import Prediction, TranslationOutput
from sprat_inference.artefact import BrokenArtefact, ModelError, write_artefact
from sprat_inference.converters.opus_mt import LanguagePair, convert_opus_mt
from sprat_translation.handler import TranslationHandler
from sprat_translation.model import READER, TranslationModel
from sprat_translation.network import Candidate
from sprat_translation.protected_tokens import SYMBOLS
from support.marian import write_opus_mt
from support.router_records import TOPICS, received, text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random network: its translations are nonsense, everything around them is real."""
    made = tmp_path_factory.mktemp("translation")
    write_opus_mt(made / "opus", symbols=SYMBOLS)
    convert_opus_mt(made / "opus", LanguagePair("en", "de", "CC-BY-4.0"), "tiny", made / "artefact")
    return made / "artefact"


@pytest.fixture(scope="module")
def model(folder: Path) -> TranslationModel:
    return TranslationModel.load(folder)


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def ask(model: TranslationModel, *texts: str) -> list[Answer]:
    return model.answer([Question(text, "en", "de") for text in texts])


def seal(folder: Path, **changes: object) -> None:
    """Change fields of the card, and make it fit the files as they are now."""
    write_artefact(folder, json.loads((folder / "card.json").read_text(encoding="utf-8")) | changes)


def output(answer: Answer) -> str:
    assert isinstance(answer.output, TranslationOutput)
    assert answer.output.target == "de"
    return answer.output.text


def test_it_implements_the_model_protocol(model):
    served: Model = model
    assert (served.card.task, served.card.reader) == ("translation", READER)
    served.probe()


def test_paragraphs_line_breaks_and_text_without_letters_stay(model):
    (answer,) = ask(model, "Where is my order?\r\n\r\n\t- Please wait.  \n---\n12.50 😀\n")
    head, empty, item, *rest = output(answer).splitlines()
    assert head
    assert (empty, rest) == ("", ["---", "12.50 😀"])
    assert item.startswith("\t- ")
    assert item.endswith("  ")


@pytest.mark.parametrize("text", ["", " \n ", "😀😀", "12.50", "\0", "\u0301"])
def test_a_text_without_sentences_is_copied_with_confidence_1(model, text):
    assert ask(model, text) == [Answer(TranslationOutput(text=text, target="de"), 1.0)]


def test_answers_come_in_the_order_of_the_questions_and_do_not_depend_on_neighbours(model):
    texts = [f"{'Please ' * (place % 9)}wait for my order. {'Thank you! ' * (place % 3)}" for place in range(40)]
    together = ask(model, *texts)
    assert together == [ask(model, text)[0] for text in texts]
    assert ask(model) == []


def test_threads_change_no_answer(folder, model):
    texts = [f"{'please ' * place}wait for my order" for place in range(30)]
    assert ask(TranslationModel.load(folder, threads=2), *texts) == ask(model, *texts)


def test_a_sentence_too_long_for_the_network_is_copied_with_confidence_0(model):
    long = "please wait " * model.card.max_tokens
    first, second = ask(model, long, "Please wait.")
    assert (output(first), first.confidence) == (long, 0.0)
    assert second.confidence > 0


def test_the_confidence_of_a_text_is_that_of_its_worst_sentence(model):
    sentences = ("Where is my order?", "Please wait for the parcel.")
    one, other, both = ask(model, *sentences, " ".join(sentences))
    assert both.confidence == min(one.confidence, other.confidence)


def test_a_lost_number_makes_the_confidence_of_the_whole_text_0(model, monkeypatch):
    def written(sentences, start):
        return [(Candidate(("▁is",), -0.01),) for _ in sentences]

    def certain(sources, targets, start):
        return [(-0.01, -0.01) for _ in sources]

    monkeypatch.setattr(model._translator._network, "translate", written)
    monkeypatch.setattr(model._translator._network, "log_probabilities", certain)
    sure, broken = ask(model, "Where is my order?", "Where is my order? I paid 500 for it.")
    assert sure.confidence > 0.9
    assert broken.confidence == 0.0


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x" * 20_000, id="no space"),
        pytest.param("please wait " * 1_600, id="no full stop"),
        pytest.param("\n" * 10_000, id="line breaks"),
        pytest.param("Where is my order? " * 1_000, id="1,000 equal sentences"),
        pytest.param("<p>" * 6_000, id="markup"),
        pytest.param("a\udfffb", id="lone surrogate"),
        pytest.param("Wo ist мой 包裹? ⟦0⟧ </s> <unk>", id="mixed"),
        pytest.param("\u202eمرحبا\u202c", id="right to left"),
    ],
)
def test_odd_text_gets_an_answer_and_does_not_change_others(model, text):
    odd, neighbour = ask(model, text, "Please wait.")
    assert 0 <= odd.confidence <= 1
    assert [neighbour] == ask(model, "Please wait.")


def test_a_longer_text_costs_more(model):
    costs = [model.tokens(Question(text, "en", "de")) for text in ("a", "a" * 50, "é" * 50)]
    assert costs == sorted(costs)
    assert costs[1] > 50
    assert model.tokens(Question("a\udfffb", "en", "de")) > 0


def test_a_vocabulary_of_another_model_is_refused(copy):
    (copy / "shared_vocabulary.json").write_text('["</s>", "<unk>"]')
    seal(copy)
    with pytest.raises(BrokenArtefact, match=r"source\.spm belongs to another model"):
        TranslationModel.load(copy)


@pytest.mark.parametrize("name", ["source.spm", "model.bin", "config.json"])
def test_an_unreadable_file_is_refused_even_if_the_card_fits(copy, name):
    (copy / name).write_bytes(b"rubbish")
    seal(copy)
    with pytest.raises(BrokenArtefact, match=r"cannot be (read|used)"):
        TranslationModel.load(copy)


def test_a_network_that_computes_nonsense_fails_its_probe(model, monkeypatch):
    class Broken:
        def translate_batch(self, batch, **_):
            raise RuntimeError("No position encodings are defined for positions >= 64")

    monkeypatch.setattr(model._translator._network, "_translator", Broken())
    with pytest.raises(ModelError, match="CTranslate2 failed on a batch of 1"):
        model.probe()


def test_a_score_that_is_not_finite_raises_an_error(model, monkeypatch):
    class Damaged:
        def translate_batch(self, batch, **_):
            return [SimpleNamespace(hypotheses=[["▁is"]], scores=[math.nan]) for _ in batch]

    monkeypatch.setattr(model._translator._network, "_translator", Damaged())
    with pytest.raises(ModelError, match="not finite"):
        model.probe()


def handler(model: TranslationModel, decline_below: float = 0.0) -> TranslationHandler:
    calibration = model.card.calibration.model_copy(
        update={"longest_code_points": 100, "parameters": {"decline_below": (decline_below,)}}
    )
    card = model.card.model_copy(update={"calibration": calibration})
    return TranslationHandler(TOPICS, card, "default", owns_from=0)


def prediction(outcome: object) -> Prediction:
    (emit,) = outcome.events
    return emit.message


def submitted(words: str, **fields: object) -> object:
    return received(text(text=words, tasks={"translation": {"target": fields.pop("target", "de")}}, **fields))


def test_the_question_has_the_target_language(model):
    asked = handler(model).receive(submitted("Where is my order?"))
    assert isinstance(asked, Ask)
    assert asked.question == Question("Where is my order?", "en", "de")


@pytest.mark.parametrize(
    ("words", "fields", "code"),
    [
        ("Where is my order?", {"target": "fr"}, "target"),
        ("Missä se on?", {"language": "fi"}, "language"),
        ("Wo ist sie?", {"language": "de", "target": "de-AT"}, "language"),
        ("x" * 101, {}, "too_long"),
        ("x" * 101, {"target": "fr"}, "target"),
    ],
)
def test_texts_beyond_the_model_are_declined(model, words, fields, code):
    declined = prediction(handler(model).receive(submitted(words, **fields)))
    assert declined.output is None
    assert declined.declined.code == code


@pytest.mark.parametrize(("confidence", "code"), [(0.0, "unsure"), (0.09, "unsure"), (0.1, None), (1.0, None)])
def test_a_guess_is_declined_and_not_published(model, confidence, code):
    decides = handler(model, decline_below=0.1)
    text = submitted("Where is my order?")
    asked = decides.receive(text)
    answer = Answer(TranslationOutput(text="Wo ist meine Bestellung?", target="de"), confidence)
    made = prediction(decides.answered(text, asked, Answered(answer, cached=False, timings_ms={})))
    assert (made.declined.code if made.declined else None) == code
    assert (made.output is None) == (code is not None)
    assert made.confidence == (None if code else confidence)
