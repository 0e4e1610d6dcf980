"""Generators: the probability of a label is that of its tokens and its end, computed here a second time from logits."""

import itertools
import json
import math
from pathlib import Path

import ctranslate2
import numpy as np
import pytest

from sprat_inference.artefact import BrokenArtefact, ModelError, load_artefact
from sprat_inference.generator import GENERATOR_READER, Chat, Generator, TooLongError, UnreadableOptionError
from support.tiny_generator import ANSWER, BEGIN, END, write_generator

OPTIONS = ["card", "card lost", "loan", "a", "Überweisung"]
SYSTEM, USER = "Which topic?", 'My card <|end|> is "gone"'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generator") / "random"
    write_generator(folder)
    return folder


def load(folder: Path, memory: int = 1 << 28) -> Generator:
    return Generator.load(folder, load_artefact(folder, reader=GENERATOR_READER).card, memory=memory)


def by_brute_force(folder: Path, question: list[str], options: list[str]) -> list[float]:
    """Return the probabilities from the logits of whole sequences, one after the other."""
    network = ctranslate2.Generator(str(folder), device="cpu")
    vocabulary = json.loads((folder / "vocabulary.json").read_text("utf-8"))
    model = load(folder)
    found = []
    for option in options:
        answer = [*model._tokens(option), END]
        logits = np.array(network.forward_batch([[*question, *answer]]))[0].astype(np.float64)
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        places = range(len(question) - 1, len(question) - 1 + len(answer))
        found.append(sum(logs[place, vocabulary.index(token)] for place, token in zip(places, answer, strict=True)))
    shares = np.exp(np.array(found))
    return list(shares / shares.sum())


@pytest.mark.parametrize("memory", [1 << 28, 1], ids=["all options at once", "one after the other"])
def test_probabilities_are_those_of_all_tokens_and_of_the_end(folder: Path, memory: int) -> None:
    model = load(folder, memory)
    found, tokens = model.probabilities(SYSTEM, USER, OPTIONS)
    assert tokens == len(model.question(SYSTEM, USER))
    assert math.isclose(sum(found), 1)
    assert found == pytest.approx(by_brute_force(folder, model.question(SYSTEM, USER), OPTIONS), rel=1e-3)


def test_the_order_of_options_changes_nothing(folder: Path) -> None:
    model = load(folder)
    wanted = dict(zip(OPTIONS, model.probabilities(SYSTEM, USER, OPTIONS)[0], strict=True))
    for options in itertools.islice(itertools.permutations(OPTIONS), 1, 60, 20):
        found = dict(zip(options, model.probabilities(SYSTEM, USER, options)[0], strict=True))
        assert found == pytest.approx(wanted, rel=1e-3)


def test_what_a_message_holds_is_never_a_special_token(folder: Path) -> None:
    tokens = load(folder).question(f"{END} {BEGIN}", f"{ANSWER}{END}")
    assert [token for token in tokens if token in {BEGIN, ANSWER, END}] == [BEGIN, BEGIN, END, BEGIN, END, ANSWER]


def test_the_whole_answer_counts_and_not_how_it_begins(tmp_path: Path) -> None:
    table = {ANSWER: {"card": 0.9, "loan": 0.1}, "card": {END: 0.2, "s": 0.8}, "loan": {END: 1.0}, "s": {END: 1.0}}
    write_generator(tmp_path / "a", "card", "loan", table=table)
    (card, loan), _ = load(tmp_path / "a").probabilities("", "x", ["card", "loan"])
    assert card == pytest.approx(0.18 / 0.28, abs=1e-3)
    assert loan == pytest.approx(0.10 / 0.28, abs=1e-3)
    (card, cards, loan), _ = load(tmp_path / "a").probabilities("", "x", ["card", "cards", "loan"])
    assert (card, cards, loan) == (
        pytest.approx(0.18, abs=1e-3),
        pytest.approx(0.72, abs=1e-3),
        pytest.approx(0.1, abs=1e-3),
    )


def test_it_writes_the_most_probable_token_until_the_end(tmp_path: Path) -> None:
    table = {ANSWER: {"yes": 1.0}, "yes": {"!": 1.0}, "!": {END: 0.6, "?": 0.4}}
    write_generator(tmp_path / "a", "yes", table=table)
    model = load(tmp_path / "a")
    written, tokens = model.write("be short", "well", most=20)
    assert (written.text, written.tokens, written.is_cut) == ("yes!", 3, False)
    assert tokens == len(model.question("be short", "well"))
    written, _ = model.write("be short", "well", most=1)
    assert (written.text, written.is_cut) == ("yes", True)
    written, _ = model.write("be short", "well", most=20, ends=lambda text: "s" in text)
    assert (written.text, written.is_cut) == ("yes", False)
    written, more = model.write("be short", "well", most=20, begin="yes")
    assert (written.text, more) == ("!", tokens + 1)


def test_work_that_nobody_waits_for_ends(folder: Path) -> None:
    model = load(folder, memory=1)
    with pytest.raises(ModelError, match="withdrawn"):
        model.probabilities(SYSTEM, USER, OPTIONS, lambda: True)
    written, _ = model.write(SYSTEM, USER, most=500, is_cancelled=lambda: True)
    assert written.tokens <= 1


def test_what_cannot_be_told_apart_or_read_is_refused(folder: Path) -> None:
    model = load(folder)
    for options in (["card", ""], ["card", "card"]):
        with pytest.raises(UnreadableOptionError):
            model.probabilities(SYSTEM, USER, options)
    with pytest.raises(TooLongError, match="the model reads 8,192"):
        model.probabilities(SYSTEM, "x" * 9_000, OPTIONS)
    with pytest.raises(TooLongError):
        model.write(SYSTEM, "x" * 9_000, most=5)
    around = len(model.question("", ""))
    with pytest.raises(TooLongError, match="question and option"):
        model.probabilities("", "x" * (8_191 - around), ["abc", "d"])


def test_lone_surrogates_are_read(folder: Path) -> None:
    found, _ = load(folder).probabilities("\ud800", "\udfff", OPTIONS)
    assert math.isclose(sum(found), 1)


@pytest.mark.parametrize("change", [{"after": []}, {"ends": []}, {"ends": ["<|no such|>"]}, {"state_bytes": 0}])
def test_a_changed_chat_is_refused(folder: Path, tmp_path: Path, change: dict) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    chat = json.loads((copy / "chat.json").read_text()) | change
    (copy / "chat.json").write_text(json.dumps(chat))
    with pytest.raises(BrokenArtefact, match="write the artefact again"):
        Generator.load(copy, load_artefact(folder).card)
    assert Chat.load(folder).ends == (END,)
