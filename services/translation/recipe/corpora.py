"""The open data that the model is measured on, as `SPRAT_DATA` holds them."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TESTS = {
    "tatoeba": "tatoeba/test_v2020-07-28.en-de.tsv.gz",
    "chat": "bcontrast/test.agent.en-de.tsv.gz",
    "flores": "flores200_devtest_eval/devtest.en-de.tsv.gz",
}
"""Evaluation only: neither the network nor its estimate has seen them, and nothing was chosen by them."""

DEVELOPMENT = {
    "tatoeba": "tatoeba/dev.en-de.tsv.gz",
    "chat": "bcontrast/dev.agent.en-de.tsv.gz",
}

NAMES = {
    "tatoeba": "Tatoeba test 2020-07-28 (10,000 everyday sentences)",
    "chat": "BConTrasT test, agent (1,133 turns of service chat)",
    "flores": "FLORES-200 devtest (1,012 sentences of news, travel and encyclopaedia)",
}


@dataclass(frozen=True, slots=True)
class Pairs:
    """Row i of `references` is what a person made of row i of `sources`."""

    sources: tuple[str, ...]
    references: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.sources)

    def every(self, step: int) -> "Pairs":
        """Each `step`-th row, beginning with the first."""
        return Pairs(self.sources[::step], self.references[::step])


def read_pairs(data: Path, name: str) -> Pairs:
    """Read a file of `data`/mt, one of those named above.

    Raises:
        FileNotFoundError: when `data` does not hold it.
    """
    rows = [line.split("\t")[:2] for line in lines(data / "mt" / name)]
    return Pairs(tuple(source for source, _ in rows), tuple(reference for _, reference in rows))


def lines(path: Path) -> Iterator[str]:
    """The lines of a gzip file."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.rstrip("\n")
