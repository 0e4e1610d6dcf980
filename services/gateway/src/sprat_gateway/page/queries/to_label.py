"""Screen 5: what waits for a person: reviews, the oldest first; then hard texts, those that disagree first."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import ValidationError

from sprat.base.model import DEFAULT_MODEL
from sprat_contracts import IntentOutput, LabelsOutput, Output, Result, ReviewAsked, TaskTable, TextSubmitted
from sprat_contracts.reviews import PEOPLE
from sprat_gateway.page.queries.viewer import Viewer
from sprat_gateway.page.reviews import draw_name
from sprat_operations.record_summary import RecordKind

Form = Literal["label", "labels", "judge"]
"""How it is answered: by one label, by all that apply, or by a judgement of the model's answer."""
_OFFERED: Final = 20
"""So many are looked through for one that nobody else has in hand."""
_LOOKED_AT: Final = 100
"""So many of the newest escalated Results are looked through for hard ones."""


@dataclass(frozen=True, slots=True)
class ToLabel:
    """A text and a task that waits for a person."""

    name: str
    """Tells it from others: that of its draw."""
    asked: ReviewAsked | None = field(repr=False)
    """None: it was not drawn, and the answer is a correction."""
    uuid: str
    id: str
    source: str
    task: str
    at_ms: int
    """When it was drawn, or got its Result."""
    language: str
    text: str = field(repr=False)
    form: Form
    labels: tuple[str, ...]
    """To choose from."""
    answers: tuple[tuple[str, Output | None], ...] = field(repr=False)
    """Who answered, and what: hidden until a person has."""
    disagrees: bool = False
    """Whether the small model gave another label than the one that answered."""


@dataclass(frozen=True, slots=True)
class Queue:
    """The screen: the first ones that wait, in order, and how many reviews there are in all."""

    items: tuple[ToLabel, ...]
    reviews: int
    hard: int
    """Among the newest Results."""


_OPEN: Final = """FROM draws WHERE tenant = :tenant AND source = :source AND by = :by AND expires > :now
AND (:uuid IS NULL OR (uuid = :uuid AND task = :task))
AND NOT EXISTS (SELECT 1 FROM closed WHERE closed.name = draws.name)
AND NOT EXISTS (SELECT 1 FROM given WHERE given.name = draws.name AND given.token = draws.token)"""
_DRAWS: Final = f"SELECT name, uuid, at, value {_OPEN} ORDER BY offset LIMIT {_OFFERED}"
_COUNT: Final = f"SELECT count(*) {_OPEN}"
_RESULTS: Final = f"""SELECT results.text, results.at, results.language, texts.uuid, records.value
FROM results JOIN texts ON texts.id = results.text
JOIN records ON records.text = results.text AND records.task = results.task AND records.kind = :kind
AND records.partition = results.partition AND records.offset = results.offset
WHERE results.tenant = :tenant AND results.source = :source AND results.decision = 'escalated'
AND results.expires > :now AND (:uuid IS NULL OR (texts.uuid = :uuid AND results.task = :task))
ORDER BY results.seq DESC LIMIT {_LOOKED_AT}"""  # noqa: S608 - a number
_CORRECTED: Final = "SELECT 1 FROM given WHERE name = ? AND token = ''"
_TEXT: Final = "SELECT value FROM records WHERE text = ? AND kind = ? AND expires > ? ORDER BY at DESC LIMIT 1"
_ANNOUNCED: Final = """SELECT json_extract(CAST(value AS TEXT), '$.labels') FROM models WHERE task = ? AND model = ?
ORDER BY version = ? DESC, at DESC LIMIT 1"""


def to_label(
    connection: sqlite3.Connection,
    viewer: Viewer,
    tasks: TaskTable,
    now_ms: int,
    one: tuple[bytes, str] | None = None,
) -> Queue:
    """Return what waits, of the viewer's tenant and source; nothing for one who may not read texts.

    Args:
        connection: reads.
        viewer: whose texts.
        tasks: of the installation.
        now_ms: epoch milliseconds.
        one: uuid of a text, and task: of this pair alone.
    """
    if not viewer.texts:
        return Queue((), 0, 0)
    uuid, task = one or (None, None)
    given = {"tenant": viewer.tenant, "source": viewer.source, "now": now_ms, "uuid": uuid, "task": task, "by": PEOPLE}
    waiting = connection.execute(_COUNT, given).fetchone()[0]
    labels = _AnnouncedLabels(connection)
    items = [_review(labels, tasks, row) for row in connection.execute(_DRAWS, given).fetchall()]
    hard = _hard(connection, tasks, given | {"kind": RecordKind.result})
    items += [_hard_item(connection, labels, each, now_ms) for each in hard[: _OFFERED - len(items)]]
    return Queue(tuple(each for each in items if each is not None), waiting, len(hard))


def _review(announced: "_AnnouncedLabels", tasks: TaskTable, row: sqlite3.Row) -> ToLabel | None:
    try:
        asked = ReviewAsked.model_validate_json(row["value"])
    except ValidationError:  # of another version of the contract
        return None
    prediction = asked.prediction
    version = "" if prediction.model is None else prediction.model.version
    labels = announced.of(prediction.task, prediction.submitted, version)
    form = _form(tasks, prediction.task)
    return ToLabel(
        name=row["name"].hex(),
        asked=asked,
        uuid=str(UUID(bytes=row["uuid"])),
        id=prediction.text_id,
        source=prediction.text_source,
        task=prediction.task,
        at_ms=row["at"],
        language=prediction.text_language,
        text=prediction.submitted.text,
        form=form if labels else "judge",
        labels=labels if form != "judge" else (),
        answers=(("the model", prediction.output),),
    )


@dataclass(frozen=True, slots=True)
class _Hard:
    """An escalated Result that nobody has corrected."""

    row: sqlite3.Row
    result: Result
    form: Form
    disagrees: bool
    """Whether the small model gave other labels than the one that answered."""


def _hard(connection: sqlite3.Connection, tasks: TaskTable, given: Mapping[str, Any]) -> list[_Hard]:
    """Return the hard ones: those that disagree first, then those without a good answer, then the newest."""
    found = []
    for row in connection.execute(_RESULTS, given).fetchall():
        result = Result.model_validate_json(row["value"])
        form = _form(tasks, result.task)
        name = draw_name(result.text_source, result.text_id, result.task)
        if form == "judge" or connection.execute(_CORRECTED, (name,)).fetchone():
            continue
        small = set() if result.small is None else set(result.small.labels)
        disagrees = bool(small) and result.output is not None and small != _named(result.output)
        found.append(_Hard(row, result, form, disagrees))
    return sorted(found, key=lambda each: (not each.disagrees, each.result.status == "answered"))


def _hard_item(
    connection: sqlite3.Connection, announced: "_AnnouncedLabels", hard: _Hard, now_ms: int
) -> ToLabel | None:
    row, result = hard.row, hard.result
    text = connection.execute(_TEXT, (row["text"], RecordKind.text, now_ms)).fetchone()
    try:
        submitted = None if text is None else TextSubmitted.model_validate_json(text[0])
    except ValidationError:
        submitted = None
    version = "" if result.small is None else result.small.model.version
    labels = () if submitted is None else announced.of(result.task, submitted, version)
    if submitted is None or not labels:
        return None
    small = None if result.small is None else output_of(hard.form, result.small.labels)
    return ToLabel(
        name=draw_name(result.text_source, result.text_id, result.task).hex(),
        asked=None,
        uuid=str(UUID(bytes=row["uuid"])),
        id=result.text_id,
        source=result.text_source,
        task=result.task,
        at_ms=row["at"],
        language=row["language"],
        text=submitted.text,
        form=hard.form,
        labels=labels,
        answers=(("the small model", small), (f"the {result.source}", result.output)),
        disagrees=hard.disagrees,
    )


def _form(tasks: TaskTable, task: str) -> Form:
    form = tasks.get(task)
    return "label" if form is IntentOutput else "labels" if form is LabelsOutput else "judge"


def _named(output: Output) -> set[str]:
    if isinstance(output, IntentOutput):
        return set() if output.label is None else {output.label}
    return {each.label for each in output.labels} if isinstance(output, LabelsOutput) else set()


def output_of(form: Form, labels: Iterable[str]) -> Output:
    """Return the output that names labels, or none."""
    chosen = list(labels)
    if form == "label":
        return IntentOutput(label=chosen[0] if chosen else None)
    return LabelsOutput.model_validate({"labels": [{"label": each} for each in chosen]})


class _AnnouncedLabels:
    """The labels to choose from; each model's are read once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._announced: dict[tuple[str, str, str], tuple[str, ...]] = {}

    def of(self, task: str, submitted: TextSubmitted, version: str) -> tuple[str, ...]:
        """Return those that the text asks for, else those that its model has announced."""
        options = submitted.tasks.options(task)
        if options is not None and options.labels:
            return options.labels
        name = (task, DEFAULT_MODEL if options is None else options.model, version)
        if name not in self._announced:
            row = self._connection.execute(_ANNOUNCED, name).fetchone()
            labels: Any = json.loads((row and row[0]) or "[]")
            self._announced[name] = tuple(map(str, labels)) if isinstance(labels, list) else ()
        return self._announced[name]
