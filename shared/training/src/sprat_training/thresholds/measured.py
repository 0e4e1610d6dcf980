"""Measure the thresholds of one version of a model: the content of `thresholds.json`."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from sprat_contracts.thresholds import (
    FORMAT,
    LEVELS,
    MEASUREMENTS,
    NONE,
    SOME,
    Cell,
    Certificate,
    EntityCell,
    EstimatedCell,
    Measurement,
    Says,
    Step,
    Thresholds,
    content_version,
)
from sprat_training.thresholds.certified import certify_cells, rows_that_certify, spend_of, walks_of
from sprat_training.thresholds.estimated import at_each, effective, estimate, least_to_reach
from sprat_training.thresholds.rows import NameRows, Purpose, Rows

_OF_NAMES: Final = ("entities", "nothing_missed")
"""The fields of thresholds that names alone have."""


def measure(
    rows: Rows,
    *,
    task: str,
    model: str,
    model_version: str,
    label_set: str | None,
    right: str,
    recommended_goal: float,
    purpose: Purpose | None,
    previous: Thresholds | None,
    by: str,
    at_ms: int,
    seed: int = 0,
    names: NameRows | None = None,
) -> Thresholds:
    """Return the thresholds of a version; the previous ones where they were measured with the same rows.

    Args:
        rows: what it says of texts whose right answer is known.
        task: that it does.
        model: its name.
        model_version: its version.
        label_set: hash of its labels; None of an open task.
        right: what is called right of an answer.
        recommended_goal: the goal where a policy names none.
        purpose: what the rows are to certify, stated before; None: nothing.
        previous: that stand beside the model; those of another version say nothing. Rows that were drawn for reviews
            are of kept answers alone, so they estimate nothing: what they do not certify stays as it was.
        by: `train`, `evaluate` or `reviews`.
        at_ms: when, epoch milliseconds.
        seed: of the choice among near doubles.
        names: what it says of the names of these texts; None: what was measured of them with this version stays.
    """
    earlier = previous.measurements if previous is not None and previous.model_version == model_version else ()
    data = _hash_of(("", rows), *(names or ()))
    stays = previous if previous is not None and previous.model_version == model_version else None
    of_names: dict[str, Any] = {} if stays is None else {name: getattr(stays, name) for name in _OF_NAMES}
    if names is not None:
        of_names = dict(zip(_OF_NAMES, _name_cells(names, least_to_reach(recommended_goal)), strict=True))
    if previous is not None and any(each.data == data for each in earlier):
        return previous
    certifying = rows_that_certify(rows, seed)
    attempt = 1 + max((each.attempt for each in earlier), default=0)
    walks = () if purpose is None else walks_of(certifying, purpose, attempt)
    is_attempt = any(each.can_certify for each in walks)
    certified = certify_cells(certifying, walks)
    certificate = None
    if purpose is not None and any(certified.values()):
        certificate = Certificate(
            goals=tuple(sorted(set(purpose.goals))),
            attempt=attempt,
            spent=spend_of(attempt, also_chose=purpose.also_chose),
            drawn=purpose.drawn,
            rows=len(certifying),
            outside=int(certifying.outside.sum()),
            no_outside_texts=purpose.no_outside_texts,
            also_chose=purpose.also_chose,
        )
    measurement = Measurement(
        at=datetime.fromtimestamp(at_ms / 1000, UTC).date().isoformat(),
        at_ms=at_ms,
        by=by,
        rows=int(rows.real.sum()),
        outside=int((rows.outside & rows.real).sum()),
        drawn=None if purpose is None else purpose.drawn,
        drawn_since=None if purpose is None else purpose.drawn_since,
        attempt=attempt if is_attempt else 0,
        spent=spend_of(attempt, also_chose=purpose.also_chose) if purpose is not None and is_attempt else 0.0,
        data=data,
    )
    cells = tuple(_cells(rows, certified, least_to_reach(recommended_goal)))
    if purpose is not None and purpose.drawn == "reviews":
        cells = _with_certified(() if previous is None else previous.cells, certified if certificate else {})
        certificate = certificate or (previous.certificate if previous is not None else None)
    content: dict[str, Any] = {
        "format": FORMAT,
        "task": task,
        "model": model,
        "model_version": model_version,
        "label_set": label_set,
        "right": right,
        "recommended_goal": recommended_goal,
        "cells": cells,
        **of_names,
        "certificate": certificate,
        "measurements": _last((*earlier, measurement)),
    }
    unnamed = Thresholds(thresholds_version="0" * 16, **content)
    return unnamed.model_copy(update={"thresholds_version": content_version(unnamed.model_dump(mode="json"))})


def _cells(rows: Rows, certified: Mapping[Says, Mapping[float, Step]], least: int) -> Iterator[Cell]:
    """Yield the cells of all languages together, then those of each language with at least so many rows.

    With fewer, a language would keep nothing at the recommended goal, where one without any row is judged by the cells
    of all languages.
    """
    by_says = {says: _by_language(rows.where(rows.says_none == (says == NONE)), least) for says in (SOME, NONE)}
    for language in (None, *sorted({each for each in rows.languages if each})):
        for says, by_language in by_says.items():
            if language not in by_language:
                continue
            cell, count = by_language[language]
            steps = _inherited(certified[says])
            yield Cell(
                language=language,
                says=says,
                rows=count,
                estimated=_estimated(cell, steps),
                certified=steps if language is None else (),
            )


def _by_language(rows: Rows, least: int) -> dict[str | None, tuple[Rows, float]]:
    """Return the rows of all languages together, and of each with at least so many; with their effective number."""
    languages = np.array(rows.languages, dtype=np.str_)
    found: dict[str | None, tuple[Rows, float]] = {}
    for language in (None, *sorted({each for each in rows.languages if each})):
        cell = rows if language is None else rows.where(languages == language)
        count = effective(cell.weight, cell.group)
        if len(cell) and (language is None or count >= least):
            found[language] = cell, count
    return found


def _name_cells(names: NameRows, least: int) -> tuple[tuple[EntityCell, ...], tuple[EstimatedCell, ...]]:
    """Return the cells of the entities by type, and those of answers of which no further name is missed."""
    entities, missed = [], []
    for label, rows in names:
        for language, (cell, count) in _by_language(rows, least).items():
            steps = estimate(cell.confidence, cell.right, cell.weight, cell.group)
            if label:
                entities.append(EntityCell(language=language, label=label, rows=count, estimated=steps))
            else:
                missed.append(EstimatedCell(language=language, rows=count, estimated=steps))
    return tuple(entities), tuple(missed)


def _with_certified(cells: Sequence[Cell], certified: Mapping[Says, Mapping[float, Step]]) -> tuple[Cell, ...]:
    """Return cells with other certified steps, as they are where none is given."""
    if not certified:
        return tuple(cells)
    steps = {says: _inherited(found) for says, found in certified.items()}
    found = [
        each
        if each.language is not None
        else each.model_copy(update={"certified": steps[SOME if each.says == SOME else NONE]})
        for each in cells
    ]
    missing = [
        says
        for says in (SOME, NONE)
        if steps[says] and not any(each.says == says and each.language is None for each in cells)
    ]
    return (*found, *(Cell(says=says, rows=steps[says][0].kept, certified=steps[says]) for says in missing))


def _inherited(certified: Mapping[float, Step]) -> tuple[Step, ...]:
    """Return the step of each level at or below a certified goal: the least threshold of the goals at or above it."""
    steps = []
    for level in LEVELS:
        found = [step for goal, step in certified.items() if goal >= level - 1e-9]
        if found:
            least = min(found, key=lambda step: step.threshold)
            steps.append(least.model_copy(update={"accuracy": level}))
    return tuple(steps)


def _estimated(cell: Rows, certified: Sequence[Step]) -> tuple[Step, ...]:
    """Return the estimated steps of a cell; where an accuracy is certified, at no higher threshold than there."""
    steps = {each.accuracy: each for each in estimate(cell.confidence, cell.right, cell.weight, cell.group)}
    each = at_each(cell.confidence, cell.right, cell.weight, cell.group)
    for step in certified:
        own = steps.get(step.accuracy)
        if own is None or own.threshold > step.threshold:
            kept = np.flatnonzero(each.threshold >= step.threshold)
            rows, wrong = (float(each.kept[kept[-1]]), float(each.wrong[kept[-1]])) if len(kept) else (0.0, 0.0)
            counts = {"kept": round(rows, 2), "right": round(rows - wrong, 2)}
            steps[step.accuracy] = step.model_copy(update=counts)
    return tuple(steps[level] for level in sorted(steps))


def _last(measurements: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """Return the last ones, with the last attempt to certify among them: its number must not be forgotten."""
    dropped, kept = measurements[:-MEASUREMENTS], measurements[-MEASUREMENTS:]
    attempts = [each for each in dropped if each.attempt]
    if attempts and not any(each.attempt for each in kept):
        kept = (attempts[-1], *kept[1:])
    return tuple(kept)


def _hash_of(*parts: tuple[str, Rows]) -> str:
    """Return the hash of the rows, in whichever order they stand."""
    lines = []
    for name, rows in parts:
        columns = (rows.confidence, rows.right, rows.says_none, rows.languages, rows.weight, rows.real, rows.outside)
        values = zip(*(np.asarray(each).tolist() for each in columns), strict=True)
        lines += [*filter(None, [name]), *sorted("\t".join(map(repr, row)) for row in values)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
