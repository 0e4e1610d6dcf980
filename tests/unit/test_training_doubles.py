"""Texts that repeat another one but for opening and ending are found; texts that people wrote are let alone."""

import itertools
from pathlib import Path

import numpy as np

from sprat_training.datasets.distinct import TrainingData
from sprat_training.datasets.doubles import core_numbers, doubles_of, find_doubles
from sprat_training.fitting.heads import text_folds
from support.training_data import clusters

SENTENCES = {
    "badge": ("my badge opens no door", "the turnstile does not let me in", "where do I get a new key card"),
    "leave": ("how many days off are left", "I want to take a week off in May", "who approves my holidays"),
    "payroll": ("my salary of last month is wrong", "where is my payslip", "when do we get the bonus"),
}
OPENINGS = ("", "Hello, ", "Good morning, ", "Could you tell me: ", "Dear team, ")
ENDINGS = ("", ", please", ", thank you very much")
MADE = [
    (f"{opening}{sentence}{ending}", label, sentence)
    for label, sentences in SENTENCES.items()
    for opening, sentence, ending in itertools.product(OPENINGS, sentences, ENDINGS)
]


def made() -> tuple[TrainingData, list[str]]:
    texts, labels, sentences = zip(*MADE, strict=True)
    names = tuple(SENTENCES)
    gold = np.array([names.index(label) for label in labels])
    path = Path("hr.csv")
    rows = tuple(range(len(texts)))
    return TrainingData(texts, gold, rows, (path,) * len(texts), names, path), list(sentences)


def test_one_sentence_with_many_openings_and_endings_has_one_core():
    data, sentences = made()
    cores = core_numbers(data.texts)
    assert len(set(zip(cores.tolist(), sentences, strict=True))) == len(set(sentences)) == len(set(cores.tolist()))


def test_doubles_are_held_out_together_though_their_vectors_differ():
    data, sentences = made()
    vectors, _ = clusters(labels=3, each=len(MADE) // 3, spread=9)
    folds = text_folds(vectors, data.gold, 3, cores=core_numbers(data.texts))
    of_sentence = {(sentence, int(fold)) for sentence, fold in zip(sentences, folds, strict=True)}
    assert len(of_sentence) == len(set(sentences))
    alone = text_folds(vectors, data.gold, 3)
    assert len({(sentence, int(fold)) for sentence, fold in zip(sentences, alone, strict=True)}) > len(of_sentence)


NUMBERED = {
    "transfer": ("please transfer {} euros to my savings", "move {} euros to my brother", "put {} euros aside for me"),
    "order": ("where is my order {}", "order {} has not arrived yet", "when will number {} be delivered to me"),
}


def test_rows_that_differ_by_numbers_are_one_sentence():
    rows = [each.format(100 + 7 * n) for sentences in NUMBERED.values() for each in sentences for n in range(10)]
    cores = core_numbers(rows)
    assert len(set(cores.tolist())) == 6
    assert all(len(set(cores[start : start + 10].tolist())) == 1 for start in range(0, 60, 10))


def test_rows_that_differ_by_a_word_of_many_are_one_sentence():
    rows = [f"I want to order a new {thing} for my desk" for thing in ("laptop", "phone", "chair", "screen")]
    assert len(set(core_numbers([*rows, "the screen of my desk is broken"]).tolist())) == 2


def test_short_questions_that_people_wrote_stay_apart():
    texts = ["what is my balance", "what is my limit", "where is my card", "why is my card late", "how old are you"]
    assert len(set(core_numbers(texts).tolist())) == len(texts)


def test_a_group_is_held_out_whole_but_for_a_label_of_one_sentence():
    gold = np.repeat([0, 1], 30)
    groups = np.concatenate([np.repeat([0, 1], [20, 10]), np.full(30, 2)])
    vectors, _ = clusters(labels=2, each=30, spread=9)
    folds = text_folds(vectors, gold, 5, cores=groups)
    assert {len(set(folds[groups == number].tolist())) for number in (0, 1)} == {1}
    assert len(set(folds[groups == 2].tolist())) == 3


def test_labels_with_few_sentences_are_named_and_a_test_is_compared():
    data, _ = made()
    tested = ["Hello, where is my payslip, thank you very much!", "I have not been paid", "where is my PAYSLIP please"]
    found = find_doubles(data, core_numbers(data.texts), tested)
    assert (found.different, found.few) == (9, {"badge": 3, "leave": 3, "payroll": 3})
    assert found.test.tolist() == [True, False, True]


def test_texts_that_people_wrote_are_not_called_doubles_for_a_beginning_that_they_share():
    texts = [f"how do I {what}" for what in (
        "change my pin", "close my account", "order a card", "find a cash machine", "pay a bill", "pay in a cheque",
    )]  # fmt: skip
    assert len(set(core_numbers(texts).tolist())) == len(texts)
    assert not doubles_of(["change my address", "I lost my pin"], texts).any()
