"""The open data sets for training, calibration and evaluation. Not used in serving.

Each set has its own idea of a name; this is what was done about it:

* CrossNER, wikigold: PER, ORG, LOC and MISC as annotated.
* UNER-EWT, BTC, SEC: MISC is not annotated (or as good as never), so a word outside may still be MISC: training takes
  either for right.
* WNUT17: corporation and group are ORG, location is LOC; creative works and products are MISC, other MISC is not
  annotated. Groups are mostly bands and teams: measured twice, with them (`wnut17`) and with companies alone as ORG
  (`wnut17_companies`).
* SEC: the parties of a contract ("Borrower", "Lender") are PER there; so the model marks them in contracts.
* BTC: user names are PER, written `@ name`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from recipes.ner.gold import Sentence, read_sentences

FOLDER: Final = Path("ner")
"""Path under the folder of open data, `SPRAT_DATA` or `--data`."""

_SIX: Final = {"person": "PER", "location": "LOC", "corporation": "ORG"}
_ALL: Final = {"PER": "PER", "ORG": "ORG", "LOC": "LOC", "MISC": "MISC"}
_NAMES: Final = {"PER": "PER", "ORG": "ORG", "LOC": "LOC"}
_DOMAINS: Final = ("ai", "literature", "music", "politics", "science")

HOLD_OUT: Final = 10
"""Sets without development data: every tenth training sentence is held out for calibration."""


@dataclass(frozen=True, slots=True)
class SetPart:
    """A file, or some of its sentences."""

    path: str
    every: int = 1
    """Sentences are numbered from 0 modulo this number, …"""
    without: tuple[int, ...] = ()
    """… and those with these remainders are left out."""
    types: Mapping[str, str] = field(default_factory=lambda: _NAMES)

    def read(self, data: Path) -> list[Sentence]:
        """Read it.

        Raises:
            FileNotFoundError: when `data` does not hold it.
        """
        sentences = read_sentences(data / FOLDER / self.path, self.types)
        return [one for place, one in enumerate(sentences) if place % self.every not in self.without]


_TENTH = tuple(range(HOLD_OUT - 1))
_REST = (HOLD_OUT - 1,)

TRAINING: Final[Mapping[str, tuple[SetPart, ...]]] = {
    "uner_ewt": (SetPart("uner_en_ewt/train.bio.tsv.gz"),),
    "btc": (SetPart("btc/train.bio.tsv.gz"),),
    "wnut17": (SetPart("wnut17/train.bio.tsv.gz", types=_ALL),),
    "wikigold": (SetPart("wikigold/all.bio.tsv.gz", HOLD_OUT, _REST, _ALL),),
    "sec": (SetPart("sec_filings/train.bio.tsv.gz", HOLD_OUT, _REST),),
    "crossner": (
        *(SetPart(f"crossner/{one}.train.bio.tsv.gz", types=_ALL) for one in _DOMAINS),
        *(SetPart(f"crossner/{one}.dev.bio.tsv.gz", 3, (2,), _ALL) for one in _DOMAINS),
    ),
}
"""CrossNER's training parts are tiny: two thirds of its development data are used for training, a third is held out."""

WITH_MISC: Final = frozenset({"wikigold", "crossner"})
"""The sets that annotate MISC."""

DEVELOPMENT: Final[Mapping[str, tuple[SetPart, ...]]] = {
    "uner_ewt": (SetPart("uner_en_ewt/dev.bio.tsv.gz"),),
    "btc": (SetPart("btc/dev.bio.tsv.gz"),),
    "wnut17": (SetPart("wnut17/dev.bio.tsv.gz"),),
    "wikigold": (SetPart("wikigold/all.bio.tsv.gz", HOLD_OUT, _TENTH),),
    "sec": (SetPart("sec_filings/train.bio.tsv.gz", HOLD_OUT, _TENTH),),
    "crossner": tuple(SetPart(f"crossner/{one}.dev.bio.tsv.gz", 3, (0, 1)) for one in _DOMAINS),
}
"""For model selection and calibration; not used for training."""

TESTS: Final[Mapping[str, tuple[SetPart, ...]]] = {
    "uner_ewt": (SetPart("uner_en_ewt/test.bio.tsv.gz"),),
    "wnut17": (SetPart("wnut17/test.bio.tsv.gz"),),
    "wnut17_companies": (SetPart("wnut17/test.orig6.bio.tsv.gz", types=_SIX),),
    "btc": (SetPart("btc/test.bio.tsv.gz"),),
    **{f"crossner_{one}": (SetPart(f"crossner/{one}.test.bio.tsv.gz"),) for one in _DOMAINS},
    "sec": (SetPart("sec_filings/test.bio.tsv.gz"),),
}
"""For scores only."""


def read_set(data: Path, parts: tuple[SetPart, ...]) -> list[Sentence]:
    """Read all parts of a set, in order."""
    return [sentence for part in parts for sentence in part.read(data)]
