"""From the rows of a file to what is fitted, and what was found on the way: a first look at the data."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat.errors import UserError
from sprat_training.datasets.json_lines import JSON_SUFFIXES
from sprat_training.datasets.rows import Labelled, alike, counted, group_of, key_of, may_be_texts

LEAST_ROWS: Final = 5
"""Different texts that a label needs: with fewer its cross-validated figures would say nothing."""
FEW_ROWS: Final = 20
MOST_ROWS: Final = 100_000
_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Repeat:
    """One text that stands several times."""

    rows: tuple[int, ...]
    labels: tuple[str, ...]
    """Different ones, most rows first."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the data are like before anything is fitted."""

    read: int
    """Rows in the file."""
    repeats: tuple[Repeat, ...]
    """Texts that stand several times with one label: they count once."""
    torn: tuple[Repeat, ...]
    """Texts that stand with several labels. The label of most rows is kept; where there is no such label, none."""
    few: Mapping[str, int]
    """Labels with fewer than `FEW_ROWS` texts → texts."""
    dropped: Mapping[str, int]
    """Labels that were left out because they are too small, as asked."""
    alike: tuple[tuple[str, ...], ...]
    """Labels that differ by case or white space alone, from one another or from the one that stands for outside."""
    sampled_from: int | None
    """Different texts there were, where only some are fitted."""


@dataclass(frozen=True, slots=True)
class Training:
    """What is fitted: different texts, each with one label. Sequences are parallel but for `labels`."""

    path: Path
    texts: tuple[str, ...]
    gold: NDArray[np.int64]
    """Place of the label among `labels`."""
    rows: tuple[int, ...]
    labels: tuple[str, ...]
    """All there are, sorted."""


def prepare(
    data: Labelled, *, drop_small: bool = False, sample: int | None = None, outside_label: str | None = None
) -> tuple[Training, Look]:
    """Merge what is equal, settle what contradicts itself, and see that there is enough.

    Raises:
        UserError: fewer than two labels, labels too small, or more rows than are fitted.
    """
    if len(set(data.labels)) < 2:
        raise UserError(_one_label(data, data.labels[:1]))
    places, repeats, torn = _merged(data)
    counts = counted(data.labels[place] for place in places)
    small = {label: count for label, count in counts.items() if count < LEAST_ROWS}
    small |= dict.fromkeys(set(data.labels) - set(counts), 0)
    near = alike((*data.labels, *([] if outside_label is None else [outside_label])))
    if small and not drop_small:
        raise UserError(_too_small(data, small, near))
    places = [place for place in places if data.labels[place] not in small]
    labels = tuple(label for label in counts if label not in small)
    if len(labels) < 2:
        raise UserError(_one_label(data, labels))
    before = len(places)
    if sample is not None and sample < before:
        places = _sampled(places, data.labels, max(sample, LEAST_ROWS * len(labels)))
    if len(places) > MOST_ROWS:
        raise UserError(
            f"{data.path}: {len(places):,} different texts; at most {MOST_ROWS:,} are fitted, for more take time and "
            f"change little; give --sample {MOST_ROWS} to take so many, drawn evenly over the labels"
        )
    number = {label: place for place, label in enumerate(labels)}
    gold = np.array([number[data.labels[place]] for place in places], dtype=np.int64)
    texts, rows = tuple(data.texts[place] for place in places), tuple(data.rows[place] for place in places)
    few = {label: count for label, count in counted(data.labels[place] for place in places).items() if count < FEW_ROWS}
    look = Look(len(data), tuple(repeats), tuple(torn), few, small, near, before if len(places) < before else None)
    return Training(data.path, texts, gold, rows, labels), look


def _merged(data: Labelled) -> tuple[list[int], list[Repeat], list[Repeat]]:
    """Give the places of the rows that stand for all equal ones."""
    by_key: dict[str, list[int]] = {}
    for place, text in enumerate(data.texts):
        by_key.setdefault(key_of(text), []).append(place)
    kept: list[int] = []
    repeats: list[Repeat] = []
    torn: list[Repeat] = []
    for places in by_key.values():
        if len(places) == 1:
            kept.append(places[0])
            continue
        votes = Counter(data.labels[place] for place in places).most_common()
        repeat = Repeat(tuple(data.rows[place] for place in places), tuple(label for label, _ in votes))
        (repeats if len(votes) == 1 else torn).append(repeat)
        if len(votes) == 1 or votes[0][1] > votes[1][1]:
            kept.append(next(place for place in places if data.labels[place] == votes[0][0]))
    return kept, repeats, torn


def _sampled(places: Sequence[int], labels: Sequence[str], count: int) -> list[int]:
    """Draw so many, as evenly over the labels as their sizes allow, in the order of the file."""
    random = np.random.default_rng(0)
    by_label: dict[str, list[int]] = {}
    for place in places:
        by_label.setdefault(labels[place], []).append(place)
    drawn: list[int] = []
    left, open_labels = count, sorted(by_label.values(), key=len)
    for number, candidates in enumerate(open_labels):
        take = min(len(candidates), left // (len(open_labels) - number))
        drawn += [candidates[at] for at in random.permutation(len(candidates))[:take]]
        left -= take
    return sorted(drawn)


def _too_small(data: Labelled, small: Mapping[str, int], near: Sequence[tuple[str, ...]]) -> str:
    said = "1 label has" if len(small) == 1 else f"{len(small)} labels have"
    first = next(place for place, label in enumerate(data.labels) if label in small)
    where = f"{data.path}: row {data.rows[first]}: {said} fewer than {LEAST_ROWS} different texts"
    if may_be_texts(data.labels):
        column = data.columns[1]
        hint = f'most rows have one of their own; is "{column}" the column of labels? Else name it: --label-column NAME'
        return f"{where}: {hint}; or add texts, or leave these out with --drop-small"
    shown = ", ".join(f'"{label}" {count}' for label, count in sorted(small.items())[:_SHOWN])
    more = f" and {len(small) - _SHOWN} more" if len(small) > _SHOWN else ""
    hints = ""
    if groups := [group_of(group) for group in near if not small.keys().isdisjoint(group)]:
        hints += f"; differing by case or white space alone, to be written one way: {', '.join(groups[:_SHOWN])}"
    if data.rows[first] == 1 and data.path.suffix.lower() not in JSON_SUFFIXES:
        hints += "; is row 1 the columns' names? Then name them: --text-column NAME --label-column NAME"
    return f"{where}: {shown}{more}; add texts, merge labels, or leave these out with --drop-small{hints}"


def _one_label(data: Labelled, labels: Sequence[str]) -> str:
    column = f'column "{data.columns[1]}"'
    if len(set(data.labels)) == 1:
        return f'{data.path}: {column}: every row has the label "{data.labels[0]}"; at least two labels are needed'
    return f"{data.path}: {column}: only {len(labels)} label is left with enough texts; at least two are needed"
