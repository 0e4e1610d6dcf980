"""The training data: distinct texts with one label each, and the findings in the files."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from sprat.base.errors import UserError
from sprat_training.datasets.columns import folded
from sprat_training.datasets.reader import JSON_SUFFIXES, FileFindings, LabelledTexts
from sprat_training.datasets.rows import look_like_texts, normalised_text

MIN_TEXTS: Final = 5
"""Distinct texts that a label needs: with fewer, its cross-validated figures mean nothing."""
FEW_TEXTS: Final = 20
"""Below it, the figures of a label are uncertain."""
MAX_TEXTS: Final = 100_000
OUTSIDE: Final = "oos"
"""The label that means "outside every label" in every file, beside the one that the user names."""
_REMAINDERS: Final = {
    *("other", "others", "none", "misc", "miscellaneous", "unknown"),
    *("sonstiges", "sonstige", "anderes", "keine"),
    *("autre", "autres", "aucun", "aucune", "otro", "otros", "ninguno", "ninguna"),
}
"""Names of what belongs to no other label."""
_MAX_LISTED: Final = 8


class TooFewToHoldOutError(UserError):
    """Some texts cannot be held out: a label has none left to train on, or none would be tested."""


@dataclass(frozen=True, slots=True)
class RepeatedText:
    """One text that occurs in several rows."""

    rows: tuple[int, ...]
    paths: tuple[Path, ...]
    """The file of each row."""
    labels: tuple[str, ...]
    """Distinct labels, the most frequent first; where a later file corrects an earlier one, its label."""
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DataSummary:
    """Findings in the file, before anything is fitted."""

    rows: int
    """Rows in the file."""
    repeats: tuple[RepeatedText, ...]
    """Texts that occur several times with one label: each counts once."""
    conflicts: tuple[RepeatedText, ...]
    """Texts that occur with several labels in one file. The most frequent is used; on a tie the text is left out."""
    corrected: tuple[RepeatedText, ...]
    """Texts to which a later file gives another label, which is used."""
    small_labels: Mapping[str, int]
    """Labels with fewer than `FEW_TEXTS` texts → texts."""
    dropped_labels: Mapping[str, int]
    """Labels left out because they have fewer than `MIN_TEXTS` texts, as the user asked → texts."""
    similar_labels: tuple[tuple[str, ...], ...]
    """Groups of labels that differ only by case or white space, the label for "outside" included."""
    files: tuple[FileFindings, ...]
    sampled_from: int | None
    """Distinct texts in the file, where only a sample of them is fitted."""


@dataclass(frozen=True, slots=True)
class DistinctTexts:
    """Distinct texts with what is right of each. `texts`, `gold`, `rows` and `paths` are parallel."""

    texts: tuple[str, ...]
    gold: NDArray[Any]
    """A row for each text."""
    rows: tuple[int, ...]
    """Numbers of the rows in their files."""
    paths: tuple[Path, ...]
    """The file of each row."""
    labels: tuple[str, ...]
    """All labels, sorted."""

    def take(self, indexes: Iterable[int]) -> Self:
        """Return these texts, with all labels."""
        chosen = [int(index) for index in indexes]
        return replace(
            self,
            texts=tuple(self.texts[index] for index in chosen),
            gold=self.gold[chosen],
            rows=tuple(self.rows[index] for index in chosen),
            paths=tuple(self.paths[index] for index in chosen),
        )

    def without(self, texts: frozenset[str]) -> tuple[Self, Self]:
        """Return the other texts, and these, each of them as :func:`normalised_text` returns it.

        Raises:
            TooFewToHoldOutError: none of them is there.
        """
        held_out = np.array([normalised_text(text) in texts for text in self.texts])
        if not held_out.any():
            raise TooFewToHoldOutError("no text is held out")
        return self.take(np.flatnonzero(~held_out)), self.take(np.flatnonzero(held_out))

    def unseen(self, test: LabelledTexts) -> tuple[list[int], tuple[int, ...]]:
        """Return the places of a test's rows whose text is none of these, and the numbers of the other rows.

        Raises:
            UserError: every text of the test is one of these.
        """
        trained_on = {normalised_text(text) for text in self.texts}
        leaks = [normalised_text(text) in trained_on for text in test.texts]
        if all(leaks):
            raise UserError(f"{test.path}: every text of it is trained on, too; a test needs texts of its own")
        leaked = tuple(row for row, leak in zip(test.rows, leaks, strict=True) if leak)
        return [index for index, leak in enumerate(leaks) if not leak], leaked


@dataclass(frozen=True, slots=True)
class TrainingData(DistinctTexts):
    """Distinct texts with one label each."""

    gold: NDArray[np.int64]
    """Index of each text's label in `labels`."""
    path: Path
    """The file, or the first of several."""


def prepare(
    data: LabelledTexts,
    *,
    drop_small: bool = False,
    sample: int | None = None,
    outside_label: str | None = None,
    max_texts: int = MAX_TEXTS,
) -> tuple[TrainingData, DataSummary]:
    """Merge equal texts, resolve conflicting labels, and check that there is enough of each label.

    Raises:
        UserError: there are fewer than two labels, labels with too few texts, or more than `max_texts` texts.
    """
    if len(set(data.labels)) < 2:
        raise UserError(_too_few_labels(data, data.labels[:1]))
    indexes, repeats, conflicts, corrected = _distinct(data)
    counts = _texts_per_label(data.labels[index] for index in indexes)
    too_small = {label: count for label, count in counts.items() if count < MIN_TEXTS}
    too_small |= dict.fromkeys(set(data.labels) - set(counts), 0)
    similar = similar_labels((*data.labels, *([] if outside_label is None else [outside_label])))
    if too_small and not drop_small:
        raise UserError(_too_few_texts(data, too_small, similar))
    indexes = [index for index in indexes if data.labels[index] not in too_small]
    labels = tuple(label for label in counts if label not in too_small)
    if len(labels) < 2:
        raise UserError(_too_few_labels(data, labels))
    distinct = len(indexes)
    if sample is not None and sample < distinct:
        indexes = _sampled(indexes, data.labels, max(sample, MIN_TEXTS * len(labels)))
    if len(indexes) > max_texts:
        raise UserError(
            f"{data.path}: {len(indexes):,} different texts; at most {max_texts:,} are fitted, for more take time and "
            f"change little; give --sample {max_texts} to take so many, drawn evenly over the labels"
        )
    numbers = {label: number for number, label in enumerate(labels)}
    kept = data.take(indexes)
    gold = np.array([numbers[label] for label in kept.labels], dtype=np.int64)
    small = {label: count for label, count in _texts_per_label(kept.labels).items() if count < FEW_TEXTS}
    sampled_from = distinct if len(indexes) < distinct else None
    summary = DataSummary(
        rows=len(data),
        repeats=tuple(repeats),
        conflicts=tuple(conflicts),
        corrected=tuple(corrected),
        small_labels=small,
        dropped_labels=too_small,
        similar_labels=similar,
        files=data.findings,
        sampled_from=sampled_from,
    )
    return TrainingData(kept.texts, gold, kept.rows, kept.paths, labels, data.path), summary


def hold_out(data: TrainingData, texts: frozenset[str]) -> tuple[TrainingData, LabelledTexts]:
    """Return the texts to train on, and those that are held out. Every label keeps its number.

    Args:
        data: all texts.
        texts: to hold out, each as :func:`normalised_text` returns it.

    Raises:
        TooFewToHoldOutError: a label has no text left, or no text is held out.
    """
    left, test = data.without(texts)
    counts = np.bincount(left.gold, minlength=len(data.labels))
    if not counts.all():
        raise TooFewToHoldOutError(f'no text of the label "{data.labels[int(counts.argmin())]}" is left to train on')
    labels = tuple(data.labels[number] for number in test.gold)
    return left, LabelledTexts(data.path, test.texts, labels, test.rows, ("text", "label"), test.paths)


def is_remainder(label: str) -> bool:
    """Return whether a label is called like one for what belongs to no other label."""
    return folded(label) in _REMAINDERS


def with_one_outside_label(
    data: LabelledTexts, outside_label: str, others: Sequence[str] = (OUTSIDE,)
) -> LabelledTexts:
    """Return the rows with `outside_label` in place of `others`, by default `OUTSIDE`, which means it in every file."""
    return replace(data, labels=tuple(outside_label if label in others else label for label in data.labels))


def split_outside(data: LabelledTexts, outside_label: str) -> tuple[LabelledTexts, LabelledTexts]:
    """Return the rows that have a label, and those whose label means "outside every label".

    Raises:
        UserError: no row has a label.
    """
    inside = [index for index, label in enumerate(data.labels) if label != outside_label]
    if not inside:
        raise UserError(f'{data.path}: every row has the label "{outside_label}", which means "outside every label"')
    outside = [index for index, label in enumerate(data.labels) if label == outside_label]
    return data.take(inside), data.take(outside)


@dataclass(frozen=True, slots=True)
class MovedTexts:
    """Texts that a later file moves into or out of all labels."""

    texts: tuple[RepeatedText, ...]
    rows: int
    """Earlier rows that are left out for it."""
    labels: frozenset[str]
    """Labels of these rows."""


def drop_moved(data: LabelledTexts, outside_label: str) -> tuple[LabelledTexts, MovedTexts]:
    """Return the rows without those of texts that a later file moves into or out of all labels, and what was moved."""
    by_text: dict[str, list[int]] = {}
    for index, text in enumerate(data.texts):
        by_text.setdefault(normalised_text(text), []).append(index)
    dropped: set[int] = set()
    moved: list[RepeatedText] = []
    for indexes in by_text.values():
        last = [index for index in indexes if data.paths[index] == data.paths[indexes[-1]]]
        is_outside = {data.labels[index] == outside_label for index in last}
        before = [
            index for index in indexes if index not in last and (data.labels[index] == outside_label) not in is_outside
        ]
        if before and len(is_outside) == 1:
            dropped.update(before)
            moved.append(
                RepeatedText(
                    tuple(data.rows[index] for index in indexes),
                    tuple(data.paths[index] for index in indexes),
                    tuple(dict.fromkeys(data.labels[index] for index in last)),
                    data.texts[indexes[0]],
                )
            )
    kept = data.take([index for index in range(len(data)) if index not in dropped])
    labels = frozenset(data.labels[index] for index in dropped)
    return kept, MovedTexts(tuple(moved), len(dropped), labels - {outside_label})


def without_corrected(outside: LabelledTexts, data: LabelledTexts, corrections: Path) -> LabelledTexts:
    """Return the texts outside every label without those to which the file of corrections gives a label."""
    corrected = {
        normalised_text(text) for text, path in zip(data.texts, data.paths, strict=True) if path == corrections
    }
    return outside.take([index for index, text in enumerate(outside.texts) if normalised_text(text) not in corrected])


def merge_spellings(data: LabelledTexts, like: Iterable[str] = ()) -> LabelledTexts:
    """Return the rows with one spelling for labels that differ only by case, white space or character width.

    Args:
        data: the rows.
        like: spellings that are used wherever a label is one of them but for case; else the most frequent one is used.
    """
    counts: dict[str, Counter[str]] = {}
    for label in data.labels:
        counts.setdefault(normalised_text(label), Counter())[label] += 1
    spelling = {form: max(sorted(spellings), key=spellings.__getitem__) for form, spellings in counts.items()}
    spelling |= {normalised_text(label): label for label in like}
    return replace(data, labels=tuple(spelling[normalised_text(label)] for label in data.labels))


def outside_texts(data: TrainingData, *sources: LabelledTexts) -> tuple[str, ...]:
    """Return the distinct texts outside every label: those of the files themselves and those of `--out-of-scope`.

    Raises:
        UserError: one of them has a label in the files that are fitted.
    """
    labelled = {normalised_text(text): index for index, text in enumerate(data.texts)}
    for source in sources:
        for index, text in enumerate(source.texts):
            if (found := labelled.get(normalised_text(text))) is not None:
                raise UserError(
                    f"{source.place(index)}: {data.paths[found]} gives the same text a label; it is either outside or "
                    "not: delete one of them"
                )
    return tuple({normalised_text(text): text for source in sources for text in source.texts}.values())


def check_test(test: LabelledTexts, data: TrainingData) -> tuple[LabelledTexts, tuple[int, ...]]:
    """Return the rows of a test whose text is not trained on, and the numbers of the rows whose text is.

    Raises:
        UserError: it has a label that no text is trained with, or every text of it is trained on.
    """
    for index, label in enumerate(test.labels):
        if label not in data.labels:
            shown = "this label" if look_like_texts(test.labels) else f'the label "{label}"'
            raise UserError(
                f'{test.place(index)}, column "{test.columns[1]}": no text is trained with {shown}; '
                f"correct it, or add texts with it to {data.path}"
            )
    places, leaked_rows = data.unseen(test)
    return test.take(places), leaked_rows


def check_outside_test(
    test: LabelledTexts, data: TrainingData, outside: Iterable[str]
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the distinct texts of a test that are outside every label, and the rows whose text is trained on."""
    trained_on = {normalised_text(text) for text in (*data.texts, *outside)}
    distinct = {normalised_text(text): text for text in test.texts}
    leaked_rows = tuple(
        row for row, text in zip(test.rows, test.texts, strict=True) if normalised_text(text) in trained_on
    )
    return tuple(text for form, text in distinct.items() if form not in trained_on), leaked_rows


def similar_labels(labels: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Return groups of labels that differ only by case, white space or character width, each group sorted."""
    groups: dict[str, set[str]] = {}
    for label in labels:
        groups.setdefault(normalised_text(label), set()).add(label)
    return tuple(sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1))


def quoted_group(labels: Sequence[str]) -> str:
    """Return similar labels for a message, quoted so that white space shows."""
    return " = ".join(f'"{label}"' for label in labels)


def repeated_texts(data: LabelledTexts) -> Sequence[RepeatedText]:
    """Return the texts that stand in several rows with the same label."""
    return _distinct(data)[1]


def _distinct(
    data: LabelledTexts,
) -> tuple[list[int], list[RepeatedText], list[RepeatedText], list[RepeatedText]]:
    """Return the index of one row per text, the repeats, the conflicts, and what a later file corrects."""
    by_text: dict[str, list[int]] = {}
    for index, text in enumerate(data.texts):
        by_text.setdefault(normalised_text(text), []).append(index)
    kept: list[int] = []
    repeats: list[RepeatedText] = []
    conflicts: list[RepeatedText] = []
    corrected: list[RepeatedText] = []
    for indexes in by_text.values():
        if len(indexes) == 1:
            kept.append(indexes[0])
            continue
        last = [index for index in indexes if data.paths[index] == data.paths[indexes[-1]]]
        votes = Counter(data.labels[index] for index in last).most_common()
        found = corrected if any(data.labels[index] not in dict(votes) for index in indexes) else repeats
        found = found if len(votes) == 1 else conflicts
        found.append(
            RepeatedText(
                tuple(data.rows[index] for index in indexes),
                tuple(data.paths[index] for index in indexes),
                tuple(label for label, _ in votes),
                data.texts[indexes[0]],
            )
        )
        if len(votes) == 1 or votes[0][1] > votes[1][1]:
            kept.append(next(index for index in last if data.labels[index] == votes[0][0]))
    return kept, repeats, conflicts, corrected


def _sampled(indexes: Sequence[int], labels: Sequence[str], count: int) -> list[int]:
    """Draw `count` rows as evenly over the labels as their sizes allow; return them in the order of the file."""
    random = np.random.default_rng(0)
    by_label: dict[str, list[int]] = {}
    for index in indexes:
        by_label.setdefault(labels[index], []).append(index)
    drawn: list[int] = []
    remaining, groups = count, sorted(by_label.values(), key=len)
    for number, group in enumerate(groups):
        take = min(len(group), remaining // (len(groups) - number))
        drawn += [group[at] for at in random.permutation(len(group))[:take]]
        remaining -= take
    return sorted(drawn)


def _texts_per_label(labels: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(labels).items()))


def _too_few_texts(data: LabelledTexts, too_small: Mapping[str, int], similar: Sequence[tuple[str, ...]]) -> str:
    subject = "1 label has" if len(too_small) == 1 else f"{len(too_small)} labels have"
    first = next(index for index, label in enumerate(data.labels) if label in too_small)
    problem = f"{data.place(first)}: {subject} fewer than {MIN_TEXTS} different texts"
    if look_like_texts(data.labels):
        column = data.columns[1]
        hint = f'most rows have one of their own; is "{column}" the column of labels? Else name it: --label-column NAME'
        return f"{problem}: {hint}; or add texts, or leave these out with --drop-small"
    shown = ", ".join(f'"{label}" {count}' for label, count in sorted(too_small.items())[:_MAX_LISTED])
    more = f" and {len(too_small) - _MAX_LISTED} more" if len(too_small) > _MAX_LISTED else ""
    hints = ""
    if groups := [quoted_group(group) for group in similar if not too_small.keys().isdisjoint(group)]:
        listed = ", ".join(groups[:_MAX_LISTED])
        hints += f"; differing by case or white space alone: {listed}; --merge-case takes each group as one label"
    if data.rows[first] == 1 and data.paths[first].suffix.lower() not in JSON_SUFFIXES:
        hints += "; is row 1 the columns' names? Then name them: --text-column NAME --label-column NAME"
    return f"{problem}: {shown}{more}; add texts, merge labels, or leave these out with --drop-small{hints}"


def _too_few_labels(data: LabelledTexts, labels: Sequence[str]) -> str:
    column = f'column "{data.columns[1]}"'
    if len(set(data.labels)) == 1:
        return f'{data.path}: {column}: every row has the label "{data.labels[0]}"; at least two labels are needed'
    return f"{data.path}: {column}: only {len(labels)} label is left with enough texts; at least two are needed"
