"""What an artefact remembers of its training: how its files were read, and fingerprints of the texts it was fitted on.

The fingerprints answer "was this text trained on?" and hold no text. They are hashes, keyed with the hashes of the
training files and cut so short that one of `CHANCE` other texts has one, too: who guesses a text learns that it may
have been there, not that it was.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from hashlib import blake2b
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sprat.base.errors import UserError
from sprat_training.datasets.columns import ColumnNames
from sprat_training.datasets.config import TrainingConfig
from sprat_training.datasets.reader import LabelledTexts
from sprat_training.datasets.rows import normalised_text

FILE: Final = "training.json"
CHANCE: Final = 8_192
"""Of so many texts that a model was not trained on, about one has the fingerprint of one that it was trained on."""
_MOST_BITS: Final = 32
_SURELY: Final = 4
"""More fingerprints than so many times what chance gives are no chance."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The options by which the files were read and the model was fitted, for a training alike."""

    text_column: str | None = None
    label_column: str | None = None
    encoding: str = "auto"
    merge_case: bool = False
    skip_bad_rows: str | None = None
    outside_label: str = "oos"
    goal: float | None = None
    lexical: bool = True
    drop_suspects: bool = False
    outside_share: float = 0.1
    licence: str = "LicenseRef-own-data"

    @classmethod
    def of(cls, config: TrainingConfig) -> "Reading":
        """Return the options of a training."""
        same = {name: getattr(config, name) for name in _SAME}
        bad_rows = None if config.skip_bad_rows is None else str(config.skip_bad_rows)
        return cls(config.columns.text, config.columns.label, skip_bad_rows=bad_rows, **same)

    def options(self) -> dict[str, Any]:
        """Return the fields of a :class:`TrainingConfig` for a training alike."""
        bad_rows = None if self.skip_bad_rows is None else Path(self.skip_bad_rows)
        columns = ColumnNames(self.text_column, self.label_column)
        return {name: getattr(self, name) for name in _SAME} | {"columns": columns, "skip_bad_rows": bad_rows}


_SAME: Final = {each.name for each in fields(Reading)} & {each.name for each in fields(TrainingConfig)} - {
    "skip_bad_rows"
}
"""Options that are remembered under their own names and as they are."""


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Short keyed hashes of texts."""

    key: str
    bits: int
    """Of each hash, at most 32."""
    hashes: str
    """Base64 of little-endian numbers of 32 bits, sorted."""

    @classmethod
    def of(cls, texts: Sequence[str], key: str) -> "Fingerprints":
        """Return the fingerprints of texts."""
        bits = min((max(len(texts), 1) * CHANCE - 1).bit_length(), _MOST_BITS)
        numbers = np.unique(_numbers(texts, key, bits))
        return cls(key=key, bits=bits, hashes=b64encode(numbers.astype("<u4").tobytes()).decode())

    def seen(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return of each text whether it was trained on, but for chance."""
        known = np.frombuffer(b64decode(self.hashes), "<u4")
        return np.isin(_numbers(texts, self.key, self.bits), known)


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """What an artefact remembers of its training."""

    reading: Reading
    texts: Fingerprints


@dataclass(frozen=True, slots=True)
class SeenRows:
    """Texts of a test that a model was trained on."""

    places: tuple[tuple[str, int], ...]
    """File, by its name where no other has the same, and row."""
    texts: int
    """All texts of the test."""
    by: str = "this model"
    """Who was trained on them."""

    @property
    def rows(self) -> tuple[int, ...]:
        """Return the rows, of all files."""
        return tuple(row for _, row in self.places)

    @property
    def named(self) -> str:
        """Return how many there are, and their rows, the first of them where they are many."""
        shown = "; ".join(
            f"{', '.join(str(row) for _, row in rows)} of {name}"
            for name, rows in groupby(self.places[:6], key=itemgetter(0))
        )
        shown += f" and {len(self.rows) - 6:,} more" if len(self.rows) > 6 else ""
        all_of_them = "the text" if self.texts == 1 else f"{len(self.rows):,} of {self.texts:,} texts"
        verb = "was" if len(self.rows) == 1 else "were"
        row = "row" if len(self.rows) == 1 else "rows"
        return f"{all_of_them} {verb} trained on by {self.by} ({row} {shown})"

    def __str__(self) -> str:
        take = "take texts that it has not seen"
        how = take if len(self.rows) == self.texts else f"add --skip-trained to leave them out, or {take}"
        return f"{self.named}: these figures are too good; {how}"

    @property
    def as_json(self) -> list[dict[str, Any]]:
        """Return file and row of each."""
        return [{"file": file, "row": row} for file, row in self.places]


def write_record(folder: Path, config: TrainingConfig, texts: Iterable[str], file_hashes: Iterable[str]) -> None:
    """Write the record of a training into a folder.

    Args:
        folder: of the artefact.
        config: what the user asked for.
        texts: those that it was fitted on, those outside every label among them.
        file_hashes: of the training files; the key of the fingerprints, so that no table of hashes fits two models.
    """
    key = blake2b("".join(file_hashes).encode(), digest_size=16).hexdigest()
    record = TrainingRecord(reading=Reading.of(config), texts=Fingerprints.of(tuple(texts), key))
    content = json.dumps(asdict(record), ensure_ascii=False, indent=1)
    (folder / FILE).write_text(content + "\n", encoding="utf-8", newline="\n")


def read_record(folder: Path) -> TrainingRecord | None:
    """Return the record of an artefact; None where it has none, as those of earlier versions.

    Options that this version does not know are left out: a later one wrote them.

    Raises:
        UserError: it cannot be read.
    """
    path = folder / FILE
    try:
        content: Any = json.loads(path.read_text("utf-8"))
        known = {each.name for each in fields(Reading)}
        options = {name: value for name, value in content["reading"].items() if name in known}
        return TrainingRecord(Reading(**options), Fingerprints(**content["texts"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise UserError(f"{path}: cannot be read; train the model again") from None


def seen_by(record: TrainingRecord | None, data: LabelledTexts) -> SeenRows | None:
    """Return the texts of a test that a model was trained on; None where there are none, or no more than by chance."""
    found = _found(record, data)
    return SeenRows(_places(data, found), len(data)) if found else None


def without_seen(
    records: Sequence[TrainingRecord | None], data: LabelledTexts, by: str
) -> tuple[LabelledTexts, SeenRows | None]:
    """Return the texts of a test of which `seen_by` names none for any of several models, and those left out.

    Args:
        records: of the models.
        data: the texts.
        by: who was trained on those left out, for a message.
    """
    left = list(range(len(data)))
    # Again and again: what is left of many texts may hold more by chance than such a part of them does.
    while found := {left[index] for record in records for index in _found(record, data.take(left))}:
        left = [index for index in left if index not in found]
    out = sorted({*range(len(data))} - {*left})
    return data.take(left), SeenRows(_places(data, out), len(data), by) if out else None


def _found(record: TrainingRecord | None, data: LabelledTexts) -> list[int]:
    """Return the places of the texts that a model was trained on; none where these are no more than by chance."""
    if record is None or not data.texts:
        return []
    found = [int(index) for index in np.flatnonzero(record.texts.seen(data.texts))]
    return [] if len(found) <= _SURELY * len(data) / CHANCE else found


def _places(data: LabelledTexts, indexes: Sequence[int]) -> tuple[tuple[str, int], ...]:
    """Return file and row of some texts."""
    alone = len({path.name for path in data.paths}) == len(set(data.paths))
    names = [data.paths[index].name if alone else str(data.paths[index]) for index in indexes]
    return tuple(zip(names, (data.rows[index] for index in indexes), strict=True))


def _numbers(texts: Sequence[str], key: str, bits: int) -> NDArray[np.uint32]:
    digests = (blake2b(normalised_text(text).encode(), key=key.encode(), digest_size=4).digest() for text in texts)
    numbers = np.frombuffer(b"".join(digests), "<u4")
    return (numbers >> np.uint32(_MOST_BITS - bits)).astype(np.uint32)
