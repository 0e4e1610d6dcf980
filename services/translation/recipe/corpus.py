"""The pairs a run reads: training pairs with weights, development and test sets, and no test sentence in training."""

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

Pair = tuple[str, str]
_CHAT_COPIES = 3  # the service chat is 5 % of the pairs and half of what the model is for
_LONGEST, _RATIO = 400, 3.0


@dataclass(frozen=True)
class Corpus:
    """Pairs to train on (repeated as often as their weight says), and named development and test sets."""

    train: tuple[Pair, ...]
    dev: dict[str, tuple[Pair, ...]]
    tests: dict[str, tuple[Pair, ...]]
    dropped: int


def read(path: Path) -> Iterator[list[str]]:
    """The fields of each line of a gzipped, tab-separated file."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            yield [" ".join(part.split()) for part in line.rstrip("\n").split("\t")]


def open_corpus(data: Path) -> Corpus:
    """The open English-German sets under `data`/mt: everyday sentences, service chat, software texts."""
    mt = data / "mt"
    dev = {"tatoeba": _pairs(mt / "tatoeba/dev.en-de.tsv.gz"), "chat": _pairs(mt / "bcontrast/dev.agent.en-de.tsv.gz")}
    tests = {
        "tatoeba": _pairs(mt / "tatoeba/test_v2020-07-28.en-de.tsv.gz"),
        "chat": _pairs(mt / "bcontrast/test.agent.en-de.tsv.gz"),
        "flores": _pairs(mt / "flores200_devtest_eval/devtest.en-de.tsv.gz"),
    }
    held_out = {source for part in (*dev.values(), *tests.values()) for source, _ in part}
    for part in ("dev", "test"):
        held_out.update(english for _, english in _pairs(mt / f"bcontrast/{part}.customer.de-en.tsv.gz"))
    chat = set(_pairs(mt / "bcontrast/train_clean.en-de.tsv.gz"))
    rows = list(read(mt / "open_train/open_train.en-de.tsv3.gz"))
    chat.update((row[0], row[1]) for row in rows if row[2] == "bcontrast")
    other = dict.fromkeys((row[0], row[1]) for row in rows if row[2] != "bcontrast")
    everything = [*other, *sorted(chat)]
    kept = [pair for pair in everything if pair[0] not in held_out and _plausible(pair)]
    train = [pair for pair in kept for _ in range(_CHAT_COPIES if pair in chat else 1)]
    return Corpus(tuple(train), dev, tests, len(everything) - len(kept))


def captions(data: Path) -> Corpus:
    """Multi30k as the published figure uses it: lower-cased, normalised, tokenised. Its weights are not released."""
    folder = data / "mt/multi30k/lc_norm_tok"
    sets = {
        name: tuple(zip(_lines(folder / f"{name}.en.gz"), _lines(folder / f"{name}.de.gz"), strict=True))
        for name in ("train", "val", "test_2016_flickr")
    }
    return Corpus(sets["train"], {"val": sets["val"]}, {"test2016": sets["test_2016_flickr"]}, 0)


def _pairs(path: Path) -> tuple[Pair, ...]:
    return tuple((row[0], row[1]) for row in read(path))


def _lines(path: Path) -> Iterable[str]:
    return [row[0] for row in read(path)]


def _plausible(pair: Pair) -> bool:
    source, target = pair
    if not source or not target or max(len(source), len(target)) > _LONGEST:
        return False
    longer, shorter = max(len(source), len(target)), min(len(source), len(target))
    return longer <= _RATIO * shorter + 10
