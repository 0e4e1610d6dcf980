"""The open data in `SPRAT_DATA`: pairs to train on, development and test sets, and English beyond the model.

No source of a development or test set is among the training pairs.
"""

import gzip
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from recipes.common import ROOT

Pair = tuple[str, str]
_CHAT_COPIES = 3  # the service chat is 5 % of the pairs and half of what the model is for
_LONGEST, _RATIO = 400, 3.0

TESTS = {
    "tatoeba": "tatoeba/test_v2020-07-28.en-de.tsv.gz",
    "chat": "bcontrast/test.agent.en-de.tsv.gz",
    "flores": "flores200_devtest_eval/devtest.en-de.tsv.gz",
}
"""For evaluation only: not used to train, to fit or to choose anything."""

WRITTEN = ROOT / "tests/data/chat_en_de.tsv"
"""Service chat that is not of the training family; lines of domain, source and reference. For evaluation only."""

DEVELOPMENT = {
    "tatoeba": "tatoeba/dev.en-de.tsv.gz",
    "chat": "bcontrast/dev.agent.en-de.tsv.gz",
}

NAMES = {
    "tatoeba": "Tatoeba test 2020-07-28 (10,000 everyday sentences)",
    "chat": "BConTrasT test, agent (1,133 turns of service chat)",
    "flores": "FLORES-200 devtest (1,012 sentences of news, travel and encyclopaedia)",
    "written": "service chat written for Sprat (160 turns: banks, travel, shops, telecom, insurance)",
}

ARTICLES = tuple(
    f"crossner/{name}.{part}"
    for name in ("politics", "science", "music", "literature", "ai")
    for part in ("train", "dev")
)
FILES = (*ARTICLES, "wikigold/all", "sec_filings/train")
SHORTEST_WORDS = 8
"""Shorter ones are headings and fragments."""

_BEFORE = re.compile(r"\s+([.,;:!?%)\]}’”]|n't\b|'(?:s|re|ve|ll|d|m)\b)")
_AFTER = re.compile(r"([(\[{“$€£])\s+")
_QUOTED = re.compile(r'(["\'])\s+(.*?)\s+\1')


@dataclass(frozen=True)
class Corpus:
    """Training pairs, repeated by their weight, and named development and test sets."""

    train: tuple[Pair, ...]
    dev: dict[str, tuple[Pair, ...]]
    tests: dict[str, tuple[Pair, ...]]
    dropped: int


@dataclass(frozen=True, slots=True)
class ParallelTexts:
    """Sources with their human translations: row i of both belongs together."""

    sources: tuple[str, ...]
    references: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.sources)

    def every(self, step: int) -> "ParallelTexts":
        """Return each `step`-th row, beginning with the first."""
        return ParallelTexts(self.sources[::step], self.references[::step])


def read_pairs(data: Path, name: str) -> ParallelTexts:
    """Read `name`, a file of `data`/mt.

    Raises:
        FileNotFoundError: when the file is missing.
    """
    rows = [line.split("\t")[:2] for line in lines(data / "mt" / name)]
    return ParallelTexts(tuple(source for source, _ in rows), tuple(reference for _, reference in rows))


def written_pairs() -> ParallelTexts:
    """Read the service chat written for Sprat."""
    rows = [line.split("\t") for line in WRITTEN.read_text("utf-8").splitlines()]
    return ParallelTexts(tuple(source for _, source, _ in rows), tuple(reference for *_, reference in rows))


def open_corpus(data: Path) -> Corpus:
    """Read the open English-German sets of `data`/mt: everyday sentences, service chat, software texts."""
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
    """Read Multi30k as the published figure uses it: lower-cased, normalised, tokenised. No weights are released."""
    folder = data / "mt/multi30k/lc_norm_tok"
    sets = {
        name: tuple(zip(_lines(folder / f"{name}.en.gz"), _lines(folder / f"{name}.de.gz"), strict=True))
        for name in ("train", "val", "test_2016_flickr")
    }
    return Corpus(sets["train"], {"val": sets["val"]}, {"test2016": sets["test_2016_flickr"]}, 0)


def hard_sentences(data: Path, every: int) -> list[str]:
    """Return each `every`-th sentence of the articles and contracts in `data`/ner, joined from their words.

    They have no reference. A model of this size reaches chrF 60 on at most one such sentence in thirty, so all of them
    count as failures; the error is on the safe side.
    """
    found = [text for name in FILES for text in _sentences(data / "ner" / f"{name}.bio.tsv.gz")]
    return [text for text in dict.fromkeys(found) if len(text.split()) >= SHORTEST_WORDS][::every]


def lines(path: Path) -> Iterator[str]:
    """Yield the lines of a gzip file, without line ends."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.rstrip("\n")


def read(path: Path) -> Iterator[list[str]]:
    """Yield the fields of each line of a gzipped, tab-separated file, with white space normalised."""
    for line in lines(path):
        yield [" ".join(part.split()) for part in line.split("\t")]


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


def _sentences(path: Path) -> Iterator[str]:
    words: list[str] = []
    for line in (*lines(path), ""):
        if line.strip():
            words.append(line.split("\t")[0])
        elif words:
            yield _join(" ".join(words))
            words = []


def _join(text: str) -> str:
    text = text.replace("-LRB-", "(").replace("-RRB-", ")").replace("``", '"').replace("''", '"')
    text = _QUOTED.sub(r"\1\2\1", text)
    return _AFTER.sub(r"\1", _BEFORE.sub(r"\1", text))
