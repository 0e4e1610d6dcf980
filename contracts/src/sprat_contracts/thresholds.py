"""Thresholds: from which confidence on the answers of one version of a model are how often right.

`thresholds.json` stands beside the card of a model. Its version is a hash of its own content, and no part of the
model's version: a new measurement makes no new model.
"""

import hashlib
import json
import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from operator import attrgetter
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import Field, model_validator

from sprat_contracts.base import OWN_TASKS, Part, Probability, TaskName
from sprat_contracts.languages import primary_subtag
from sprat_contracts.predictions import Accuracy, Entity, IntentOutput, LabelsOutput, NerOutput, Output

FORMAT: Final = 1
LEVELS: Final = tuple(number / 1000 for number in range(800, 1000, 5))
"""The accuracies that a goal may name, ascending."""
LEAST_THRESHOLD: Final = 0.5
"""No threshold is lower: an answer that is more likely wrong than right is never kept."""
CERTAINTY: Final = 0.95
MEASUREMENTS: Final = 20
"""So many of the last measurements are kept in the file."""

Says = Literal["some", "none"]
SOME: Final[Says] = "some"
NONE: Final[Says] = "none"

_RECOMMENDED_LABELS: Final = 0.97
ZERO_SHOT_GOAL: Final = 0.95

VERSION: Final = r"^[0-9a-f]{16}$"
_Accuracy = Annotated[float, Field(ge=0.8, le=0.995)]
_Rows = Annotated[float, Field(ge=0)]


def recommended_goal(task: str) -> float:
    """Return the goal of a task where neither a policy nor a file of thresholds names one."""
    return OWN_TASKS[task].goal if task in OWN_TASKS else _RECOMMENDED_LABELS


def thousandths(share: float) -> int:
    """Return a goal or a level as whole thousandths: so they are compared."""
    return round(share * 1000)


def nearest_levels(goal: float) -> tuple[float, ...]:
    """Return the goal alone where it is a level, else the one or two levels next to it; 97 is read as per cent."""
    goal = goal / 100 if 1 < goal <= 100 else goal
    if any(math.isclose(goal, each, abs_tol=1e-9) for each in LEVELS):
        return (goal,)
    below, above = [each for each in LEVELS if each < goal], [each for each in LEVELS if each > goal]
    return (*below[-1:], *above[:1])


def says(output: Output) -> Says:
    """Return whether an output names a label, a name or a member of the set, or none."""
    match output:
        case IntentOutput(label=None) | LabelsOutput(labels=()) | NerOutput(entities=()):
            return NONE
        case _:
            return SOME


class Step(Part):
    """The least confidence at which an accuracy is reached."""

    accuracy: Annotated[_Accuracy, Field(description="The share right that is reached: 0.80 to 0.995 in 0.005.")]
    threshold: Annotated[Probability, Field(description="Least confidence of the answers kept.")]
    kept: Annotated[_Rows, Field(description="Measured rows at or above it; of weighted rows the effective number.")]
    right: Annotated[_Rows, Field(description="Of these, the right ones.")]


class Cell(Part):
    """The thresholds of the answers to texts in one language that say something, or nothing."""

    language: Annotated[
        str | None, Field(pattern=r"^[a-z]{2,8}$", description="Without region; null: all languages together.")
    ] = None
    says: Annotated[
        str,
        Field(description="`some`: a label, a name, a member of the set; `none`: no label, no name, the empty set."),
    ]
    rows: Annotated[_Rows, Field(description="Measured rows; of weighted ones the effective number.")]
    estimated: Annotated[
        tuple[Step, ...], Field(description="Ascending accuracies that are reached on average; absent ones are not.")
    ] = ()
    certified: Annotated[
        tuple[Step, ...],
        Field(description="Ascending accuracies that are certified; in the cells of all languages together alone."),
    ] = ()

    @model_validator(mode="after")
    def _is_monotone(self) -> Self:
        for steps in (self.estimated, self.certified):
            _check_ascent(steps)
        if self.certified and self.language is not None:
            raise ValueError("certified steps are for all languages together alone")
        return self


class EstimatedCell(Part):
    """The thresholds of a chance that stands beside the confidence of an answer. Nothing is certified by it."""

    language: Annotated[
        str | None, Field(pattern=r"^[a-z]{2,8}$", description="Without region; null: all languages together.")
    ] = None
    rows: Annotated[_Rows, Field(description="Measured rows; of those of one text the effective number.")]
    estimated: Annotated[
        tuple[Step, ...], Field(description="Ascending accuracies that are reached on average; absent ones are not.")
    ] = ()

    @model_validator(mode="after")
    def _is_monotone(self) -> Self:
        _check_ascent(self.estimated)
        return self


class EntityCell(EstimatedCell):
    """The thresholds of the probability of the entities of one type."""

    label: Annotated[str, Field(min_length=1, description="Type of the entities.")]


class Certificate(Part):
    """What the certified steps rest on."""

    goals: Annotated[tuple[_Accuracy, ...], Field(description="Named before the labels were read.")]
    certainty: Annotated[float, Field(gt=0, lt=1, description="That the steps hold for rows drawn like these.")] = (
        CERTAINTY
    )
    attempt: Annotated[int, Field(ge=1, description="Which measurement of this version it is.")] = 1
    spent: Annotated[float, Field(gt=0, lt=1, description="What of 1 - certainty this attempt may spend.")]
    drawn: Annotated[
        str,
        Field(description="`traffic`: a random share of what services got; `reviews`: of what was kept; `file`."),
    ]
    rows: Annotated[int, Field(ge=0, description="Real rows that certify, one of each group of near doubles.")]
    outside: Annotated[int, Field(ge=0, description="Of these, the texts outside every label.")]
    no_outside_texts: Annotated[
        bool, Field(description="Whether the owner states that there are no texts outside every label.")
    ] = False
    also_chose: Annotated[bool, Field(description="Whether the rows also chose between two models.")] = False


class Measurement(Part):
    """One measurement of a version."""

    at: Annotated[str, Field(description="Date, UTC, as 2026-12-01.")]
    at_ms: Annotated[int | None, Field(ge=0, description="Epoch milliseconds; null from an earlier version.")] = None
    by: Annotated[str, Field(description="`train`, `evaluate` or `reviews`.")]
    rows: Annotated[int, Field(ge=0, description="Rows measured.")]
    outside: Annotated[int, Field(ge=0, description="Of these, the texts outside every label.")] = 0
    drawn: Annotated[
        str | None, Field(description="`traffic`, `reviews` or `file`; null where nothing was to be certified.")
    ] = None
    drawn_since: Annotated[
        int | None,
        Field(ge=0, description="Of `reviews`: none was drawn before, epoch milliseconds; null of any other."),
    ] = None
    attempt: Annotated[int, Field(ge=0, description="Number of the attempt to certify; 0: none.")] = 0
    spent: Annotated[float, Field(ge=0, lt=1, description="What this attempt could spend.")] = 0.0
    data: Annotated[str, Field(pattern=VERSION, description="Hash of the rows: the same rows change nothing.")]


class Thresholds(Part):
    """The content of `thresholds.json`; an announcement carries it without measurements and equal steps."""

    format: Annotated[int, Field(description="Of this file; readers refuse one that they do not know.")] = FORMAT
    thresholds_version: Annotated[str, Field(pattern=VERSION, description="Hash of the whole file but this field.")]
    task: Annotated[TaskName, Field(description="The task measured.")]
    model: Annotated[str, Field(min_length=1, description="Name of the artefact, or of a provider's model.")]
    model_version: Annotated[str, Field(min_length=1, description="Version that it was measured with.")]
    label_set: Annotated[str | None, Field(description="Hash of the labels; null for open tasks.")] = None
    right: Annotated[str, Field(min_length=1, description="What is called right of an answer.")]
    recommended_goal: Annotated[_Accuracy, Field(description="The goal where the policy names none.")]
    cells: Annotated[tuple[Cell, ...], Field(description="Languages × `some` or `none`, and all languages together.")]
    entities: Annotated[
        tuple[EntityCell, ...],
        Field(description="Types × languages, and all languages together; empty where no entity was measured."),
    ] = ()
    nothing_missed: Annotated[
        tuple[EstimatedCell, ...],
        Field(description="Of answers with names: from which chance on no further one is missed; empty: unmeasured."),
    ] = ()
    certificate: Annotated[Certificate | None, Field(description="Null where nothing is certified.")] = None
    measurements: Annotated[
        tuple[Measurement, ...], Field(description="The last 20, the latest last.", max_length=MEASUREMENTS)
    ] = ()

    @model_validator(mode="after")
    def _is_readable(self) -> Self:
        of_entities = [(each.language, each.label) for each in self.entities]
        of_missed = [each.language for each in self.nothing_missed]
        for places in ([(each.language, each.says) for each in self.cells], of_entities, of_missed):
            if len(set(places)) != len(places):
                raise ValueError("has two cells of one kind")
        return self

    def accuracy(self, confidence: float, language: str, said: Says) -> Accuracy:
        """Return what an answer is worth.

        Args:
            confidence: the published one, 0 to 1.
            language: that the text was read in, BCP 47.
            said: whether the answer names something.
        """
        pooled = self.cell(None, said)
        own = self.cell(primary_subtag(language), said) or pooled
        certified = None if pooled is None else _reached(pooled.certified, confidence)
        estimated = None if own is None else _reached(own.estimated, confidence)
        return Accuracy(
            certified=certified,
            estimated=max(filter(None, (estimated, certified)), default=None),
            thresholds=self.thresholds_version,
            rows=0 if own is None else round(own.rows),
        )

    def completeness(self, chance: float, language: str, said: Says) -> Accuracy | None:
        """Return what it is worth that no name is missed in an answer, or no further one; None: it is not measured.

        An answer that names nothing is right where nothing is missed, so it has the cells of its accuracy.

        Args:
            chance: that nothing is missed, 0 to 1.
            language: that the text was read in, BCP 47.
            said: whether the answer names something.
        """
        if said == NONE:
            return self.accuracy(chance, language, said)
        if (cell := _of_language(self.nothing_missed, language)) is None:
            return None
        reached = _reached(cell.estimated, chance)
        return Accuracy(estimated=reached, thresholds=self.thresholds_version, rows=round(cell.rows))

    def with_levels(self, output: Output, language: str) -> Output:
        """Return names with their levels, and any other output as it is.

        Args:
            output: of the model that was measured.
            language: that the text was read in, BCP 47.
        """
        if not isinstance(output, NerOutput) or not self.entities:
            return output
        entities = tuple(
            each.model_copy(update={"level": self._entity_level(each, language)}) for each in output.entities
        )
        return output.model_copy(update={"entities": entities})

    def _entity_level(self, entity: Entity, language: str) -> float | None:
        cell = _of_language([each for each in self.entities if each.label == entity.label], language)
        if cell is None or entity.probability is None:
            return None
        return _reached(cell.estimated, entity.probability)

    def threshold(self, goal: float, evidence: str, language: str, said: Says) -> float | None:
        """Return the least confidence that reaches a goal by `estimated` or `certified`; None where none does.

        Args:
            goal: the share right that is wanted.
            evidence: what must reach it.
            language: of the text, BCP 47.
            said: whether the answers name something.
        """
        pooled = self.cell(None, said)
        cells = [pooled and pooled.certified]
        if evidence != "certified":
            own = self.cell(primary_subtag(language), said) or pooled
            cells.append(own and own.estimated)
        found = (
            next((each.threshold for each in steps or () if thousandths(each.accuracy) >= thousandths(goal)), None)
            for steps in cells
        )
        return min((each for each in found if each is not None), default=None)

    @property
    def certified_by(self) -> Measurement | None:
        """The measurement that the certificate is of; None without one, and of what was announced."""
        attempt = None if self.certificate is None else self.certificate.attempt
        return next((each for each in reversed(self.measurements) if each.attempt == attempt), None)

    def cell(self, language: str | None, said: str) -> Cell | None:
        """Return the cell of a language without region, None: of all together; None where there is none."""
        return next((each for each in self.cells if each.language == language and each.says == said), None)

    def announced(self, *, pooled: bool = False) -> Self:
        """Return what an announcement carries: no measurements, and of equal thresholds the highest accuracy alone.

        What single names are worth is stated by the predictions, so it is not announced.

        Args:
            pooled: without the cells of single languages, where the whole is too large for the topic.
        """
        cells = tuple(
            each.model_copy(update={"estimated": _changes(each.estimated), "certified": _changes(each.certified)})
            for each in self.cells
            if each.language is None or not pooled
        )
        return self.model_copy(update={"cells": cells, "entities": (), "nothing_missed": (), "measurements": ()})


def content_version(content: Mapping[str, Any]) -> str:
    """Return the version of the content of a file: 16 digits of SHA-256 over its canonical JSON."""
    covered = {name: value for name, value in content.items() if name != "thresholds_version"}
    text = json.dumps(covered, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_threshold = attrgetter("threshold")


_CellOf = TypeVar("_CellOf", bound=EstimatedCell)


def _of_language(cells: Sequence[_CellOf], language: str) -> _CellOf | None:
    """Return the cell of a language, else that of all languages together; None where there is neither."""
    by_language = {each.language: each for each in cells}
    return by_language.get(primary_subtag(language)) or by_language.get(None)


def _check_ascent(steps: Sequence[Step]) -> None:
    for lower, higher in pairwise(steps):
        if lower.accuracy >= higher.accuracy or lower.threshold > higher.threshold:
            raise ValueError("its steps do not ascend")


def _reached(steps: Sequence[Step], confidence: float) -> float | None:
    """Return the highest accuracy whose threshold a confidence reaches."""
    reached = bisect_right(steps, confidence, key=_threshold)
    return steps[reached - 1].accuracy if reached else None


def _changes(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Return the last step of each run with one threshold."""
    by_threshold = {each.threshold: each for each in steps}
    return tuple(by_threshold.values())
