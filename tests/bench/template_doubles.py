"""Measure the search for texts that repeat another one but for opening and ending.

* How many texts that people wrote are called doubles: CLINC150 and BANKING77, whole, and 12 labels of 15, 30, 100 rows.
* What is stated of models that were trained on rows from a template, with and without the search, and what is right of
  other sentences that people wrote for the same labels.
"""

import argparse
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import sprat_training  # noqa: F401 - before numpy, which it pins to one thread, as in the command

# isort: split
import numpy as np
from numpy.typing import NDArray

from sprat_inference.encoder import SentenceEncoder
from sprat_inference.heads import Floats
from sprat_training.config import no_progress
from sprat_training.doubles import core_numbers, doubles_of
from sprat_training.encoding import encode_texts, load_base
from sprat_training.fitting import fit_head, logits_of, text_folds

Rows = Sequence[tuple[str, str]]

SETS: Final = {"CLINC150": "intent/clinc150/tsv", "BANKING77": "intent/banking77"}
OPENINGS: Final = (
    "", "Hello, ", "Hi there, ", "Good morning, ", "Could you tell me: ", "I have a question, ", "Dear team, ",
    "Please help, ",
)  # fmt: skip
ENDINGS: Final = ("", ", please", ", thanks", " as soon as possible", ", thank you very much", " today")
LABELS: Final = 12
FOLDS: Final = 10
TEST_TEXTS: Final = 40
"""Of each label."""


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=3)
    options = parser.parse_args()
    encoder = load_base(None, threads=1).encoder
    for name, folder in SETS.items():
        rows = list(_read(options.data / folder / "train.tsv"))
        tested = [text for text, _ in _read(options.data / folder / "test.tsv")]
        print(f"{name}: {_doubles(rows):.1%} of {len(rows):,} texts are doubles", end="")
        print(f", {doubles_of(tested, [text for text, _ in rows]).mean():.1%} of {len(tested):,} of the test")
        for each in (15, 30, 100):
            shares = [_doubles(_drawn(rows, each, draw)) for draw in range(10)]
            print(f"  {LABELS} labels, {each} rows each: {np.mean(shares):.1%}, at most {max(shares):.1%} of 10 draws")
        for sentences, each in ((4, 30), (8, 40)):
            draws = [_templated(rows, encoder, sentences, each, draw) for draw in range(options.draws)]
            alone, together, right, found = np.mean(draws, axis=0)
            print(
                f"  {LABELS} labels of {sentences} sentences, {each} rows made of each: stated {alone:.1%} without, "
                f"{together:.1%} with the search; right of other sentences {right:.1%}; {found:.1%} of doubles found"
            )


def _read(path: Path) -> Iterator[tuple[str, str]]:
    lines = (line.split("\t")[:2] for line in path.read_text("utf-8").splitlines())
    yield from {text: (text, label) for text, label in lines}.values()


def _doubles(rows: Rows) -> float:
    """Return the share of texts that are doubles of an earlier one of their label."""
    cores = core_numbers([text for text, _ in rows])
    return 1 - len({(label, int(core)) for (_, label), core in zip(rows, cores, strict=True)}) / len(rows)


def _drawn(rows: Rows, each: int, seed: int) -> Rows:
    draws = random.Random(seed)
    chosen = draws.sample(sorted({label for _, label in rows}), LABELS)
    of_label = ([row for row in rows if row[1] == label] for label in chosen)
    return [row for own in of_label for row in draws.sample(own, min(each, len(own)))]


def _templated(
    rows: Rows, encoder: SentenceEncoder, sentences: int, each: int, seed: int
) -> tuple[float, float, float, float]:
    """Return what is stated without and with the search, what is right of other sentences, and doubles found."""
    draws = random.Random(seed)
    chosen = draws.sample(sorted({label for _, label in rows}), LABELS)
    made: list[tuple[str, int]] = []
    others: list[tuple[str, int]] = []
    for number, label in enumerate(chosen):
        own = [text for text, other in rows if other == label]
        draws.shuffle(own)
        texts: set[str] = set()
        while len(texts) < each:
            sentence = draws.choice(own[:sentences]).rstrip("?.! ")
            texts.add(draws.choice(OPENINGS) + sentence + draws.choice(ENDINGS))
        made += [(text, number) for text in sorted(texts)]
        others += [(text, number) for text in own[sentences : sentences + TEST_TEXTS]]
    vectors, gold = _encoded(encoder, made)
    cores = core_numbers([text for text, _ in made])
    stated = [_stated(vectors, gold, text_folds(vectors, gold, FOLDS, cores=each)) for each in (None, cores)]
    other_vectors, other_gold = _encoded(encoder, others)
    head = fit_head(vectors, gold, LABELS)
    right = float((logits_of(head, other_vectors).argmax(axis=1) == other_gold).mean())
    different = len(set(zip(gold.tolist(), cores.tolist(), strict=True)))
    found = (len(made) - different) / (len(made) - sentences * LABELS)
    return stated[0], stated[1], right, found


def _encoded(encoder: SentenceEncoder, rows: Sequence[tuple[str, int]]) -> tuple[Floats, NDArray[np.int64]]:
    vectors = encode_texts(encoder, [text for text, _ in rows], no_progress).vectors
    return vectors, np.array([number for _, number in rows])


def _stated(vectors: Floats, gold: NDArray[np.int64], folds: NDArray[np.int64]) -> float:
    right = 0
    for fold in range(FOLDS):
        rest, held_out = folds != fold, folds == fold
        head = fit_head(vectors[rest], gold[rest], LABELS)
        right += int((logits_of(head, vectors[held_out]).argmax(axis=1) == gold[held_out]).sum())
    return right / len(gold)


if __name__ == "__main__":
    main()
