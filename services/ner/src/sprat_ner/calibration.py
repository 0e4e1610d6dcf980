"""From what the head says to chances that hold: is a name right, and are all names of a text?

Both are logistic regressions, fitted on development data: the head alone is too sure of itself. They are fitted in
English; another language may have a shift of its own, fitted on few texts, that lowers or raises all its log-odds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log, log1p
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from sprat_contracts.languages import primary_subtag
from sprat_inference.artefact import BrokenArtefact
from sprat_inference.card import Calibration
from sprat_ner.decoding import LEAST, Name, Row

Doubles = NDArray[np.float64]

METHOD: Final = (
    "logistic regression; of a name: log-odds of the product of its words' chances and of the least of them, log of "
    "its words; of a text: log of the expected number of wrong words, log-odds of the least certain word and of the "
    "least certain name, log of the words, of the names"
)
NAME, TEXT = "name", "text"
_WIDTH: Final = {NAME: 3, TEXT: 5}


def name_features(names: Sequence[Name]) -> Doubles:
    """Names × 3."""
    rows = [(_odds(exp(name.whole)), _odds(exp(name.least)), log(name.words)) for name in names]
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def text_features(row: Row) -> tuple[float, ...]:
    """Of a text with at least one word; one row."""
    taken = row.logs[np.arange(len(row.labels)), row.labels]
    surest = _odds(exp(float(taken.min())))
    weakest = min((_odds(exp(name.whole)) for name in row.names), default=_odds(1.0))
    return log(LEAST - float(taken.sum())), surest, weakest, log(len(taken)), log1p(len(row.names))


def _odds(chance: float) -> float:
    held = min(max(chance, LEAST), 1 - LEAST)
    return log(held / (1 - held))


@dataclass(frozen=True, slots=True)
class Calibrator:
    """The card's parameters."""

    weights: Mapping[str, Doubles]
    """`name` and `text` → bias, then one weight a feature."""
    shifts: Mapping[str, float] = field(default_factory=dict)
    """`name_de`, `text_de`, … → what is added to the log-odds in that language."""

    @classmethod
    def of(cls, calibration: Calibration) -> Self:
        """Take the parameters from a card.

        Raises:
            BrokenArtefact: when they are another calibration's.
        """
        parameters = dict(calibration.parameters)
        try:
            weights = {name: np.array(parameters.pop(name), dtype=np.float64) for name in _WIDTH}
        except KeyError as error:
            raise BrokenArtefact(f"card.json: no calibration of {error}; run the recipe again") from None
        if any(len(weights[name]) != width + 1 for name, width in _WIDTH.items()):
            raise BrokenArtefact("card.json: a calibration of another kind; run the recipe again")
        return cls(weights, {name: values[0] for name, values in parameters.items()})

    def parameters(self) -> dict[str, tuple[float, ...]]:
        """For the card."""
        fitted = {name: tuple(map(float, weights)) for name, weights in self.weights.items()}
        return fitted | {name: (shift,) for name, shift in self.shifts.items()}

    def names(self, rows: Sequence[Row], languages: Sequence[str]) -> Doubles:
        """Chance, for each name of each row in order, that span and type are right.

        Args:
            rows: what was made of the texts.
            languages: of each text.
        """
        names = [name for row in rows for name in row.names]
        shifts = [self._shift(NAME, each) for row, each in zip(rows, languages, strict=True) for _ in row.names]
        return self._chances(NAME, name_features(names), np.array(shifts))

    def texts(self, rows: Sequence[Row], languages: Sequence[str]) -> Doubles:
        """Chance, for each text, that all its names are right and none was missed; 1 where there is no word."""
        chances = np.ones(len(rows))
        some = [place for place, row in enumerate(rows) if len(row.labels)]
        if some:
            features = np.array([text_features(rows[place]) for place in some])
            shifts = np.array([self._shift(TEXT, languages[place]) for place in some])
            chances[some] = self._chances(TEXT, features, shifts)
        return chances

    def _shift(self, what: str, language: str) -> float:
        return self.shifts.get(f"{what}_{primary_subtag(language)}", 0.0)

    def _chances(self, what: str, rows: Doubles, shifts: Doubles) -> Doubles:
        weights = self.weights[what]
        chances: Doubles = 1 / (1 + np.exp(-(rows @ weights[1:] + weights[0] + shifts)))
        return chances
