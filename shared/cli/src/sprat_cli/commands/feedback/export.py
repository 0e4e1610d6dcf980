"""`sprat feedback export`: corrections joined with their texts, as a training file."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from sprat.base.errors import UserError
from sprat.base.model import display_name
from sprat.base.settings import default_language
from sprat.base.words import counted
from sprat_cli.options import Bootstrap, Json, Prefix, kafka_settings, option, time_before_now
from sprat_cli.progress import read_progress
from sprat_cli.terminal import printable, remark, say, say_json
from sprat_operations.connection import explain_kafka_errors
from sprat_operations.correction_table import check_format, rows_of, trainable, write_rows
from sprat_operations.corrections import (
    OUTSIDE_INTENTS,
    UNTRAINABLE,
    GivenCorrections,
    corrections_of,
    identities_json,
    left_out_lines,
    most,
)
from sprat_operations.feedback import (
    task_alone,
)
from sprat_training.datasets.reader import split_labels

EXPORT = """\b
Examples:
  sprat feedback export --output corrected.csv
  sprat feedback export --since 30d --task intent --output corrected.jsonl --out-of-scope outside.csv --json
  sprat feedback export --model hr --output hr-corrected.csv

\b
Of each text the last correction counts. Its text is looked for on the topic of texts, all of which is read; texts are
kept there for 7 days by default, so export more often than that. What cannot be joined is counted
with the reason, and up to five ids that no text has are named; so are answers to reviews, which measure a model and
never train it. Where the texts asked for several models of the task,
--model names one: each has labels of its own.
A label that no announced model knows, nor the task's file, is left out, because whoever may write corrections can make
one up: it is named with its authors, and --allow-new-label takes it. Authors are what corrections say.
Columns: text, label, language, given_by, given_at; what is outside every known intent goes to --out-of-scope. The file
holds texts as they are, personal data too, and is readable by you alone. `sprat retrain --corrections` reads it.

\b
Exit codes:
  0  written
  1  nothing could be joined, a label is not known, or a record is not a correction; what could be joined is written
     all the same
  2  wrong usage, or Kafka cannot be reached"""

_RowBy = tuple[dict[str, Any], str]
"""A row of the file, and who corrected it."""


def export(
    *,
    output: Annotated[Path, option("FILE", "To write: .csv, .tsv or .jsonl.")],
    task: Annotated[str, typer.Option(metavar="TASK", help="intent, ner or translation; the latter two as .jsonl.")] = (
        "intent"
    ),
    model: Annotated[str | None, option("NAME", "Of texts that asked for it. [default: the only one]")] = None,
    since: Annotated[str | None, option("SPAN", "Corrected in the last 12h, 30d. [default: all]")] = None,
    out_of_scope: Annotated[Path | None, option("FILE", "For texts outside every known intent.")] = None,
    allow_new_label: Annotated[
        list[str] | None, option("LABEL", "Take this label though no announced model knows it.")
    ] = None,
    allow_new_labels: Annotated[
        bool, typer.Option("--allow-new-labels", help="Take all labels that no announced model knows.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Join corrections with their texts into a training file."""
    kafka = kafka_settings(bootstrap, prefix)
    if (alone := task_alone(task, kafka.topics.tasks)) is not None:
        raise UserError(f"--task {task}: write --task {alone} --model {task[len(alone) + 1 :]}")
    if task not in (tasks := kafka.topics.tasks):
        raise UserError(f"--task {task}: no such task; known are {', '.join(tasks)}")
    for path in (output, *([out_of_scope] if out_of_scope else [])):
        check_format(path, task, tasks[task])
        if path.exists() and not force:
            raise UserError(f"{path} is there already; --force writes over it")
    since_ms = None if since is None else time_before_now(since)
    with explain_kafka_errors(kafka):
        given = asyncio.run(
            corrections_of(
                kafka,
                task,
                model,
                since_ms,
                new_labels=allow_new_label or (),
                all_new=allow_new_labels,
                progress=read_progress,
            )
        )
    examples, left_out = given.examples, given.left_out
    if given.others and not given.examples and not given.refused:
        there = ", ".join(f"{name} {count:,}" for name, count in given.others.most_common())
        remark(f"no correction is of {printable(display_name(task, given.model))}; there are corrections of: {there}")
    by_row = list(zip(rows_of(examples, default_language()), (each.by for each in examples), strict=True))
    outside = _trainable(out_of_scope, [each for each in by_row if each[0].get("label", "") is None], left_out)
    inside = _trainable(output, [each for each in by_row if each[0].get("label", "") is not None], left_out)
    if inside:
        write_rows(output, [row for row, _ in inside], overwrite=force)
    if out_of_scope is None:
        left_out[OUTSIDE_INTENTS] += len(outside)
        outside = []
    elif outside:
        write_rows(out_of_scope, [row | {"label": ""} for row, _ in outside], overwrite=force)
    end = _Exported(output, out_of_scope, task, given, inside, outside)
    if as_json:
        say_json(end.as_json())
    else:
        end.say()
    raise typer.Exit(1 if not (inside or outside) or left_out["unreadable"] or given.refused else 0)


def _trainable(path: Path | None, rows: list[_RowBy], left_out: Counter[str]) -> list[_RowBy]:
    """Return the rows that can be trained from; count the others."""
    if path is None:
        return rows
    good = [(row, by) for row, by in rows if trainable(path, row)]
    left_out[UNTRAINABLE] += len(rows) - len(good)
    return good


@dataclass(frozen=True, slots=True)
class _Exported:
    """What is said at the end."""

    output: Path
    out_of_scope: Path | None
    task: str
    given: GivenCorrections
    inside: Sequence[_RowBy]
    outside: Sequence[_RowBy]

    @property
    def labels(self) -> Counter[str]:
        """How many rows have which label."""
        return Counter(label for row, _ in self.inside for label in _labels(row))

    @property
    def authors(self) -> Counter[str]:
        """How many rows are by whom."""
        return Counter(by for _, by in (*self.inside, *self.outside))

    def as_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {
            "type": "exported",
            "model": self.given.model,
            "file": str(self.output) if self.inside else None,
            "out_of_scope": str(self.out_of_scope) if self.outside else None,
            "rows": len(self.inside),
            "outside": len(self.outside),
            "labels": dict(self.labels),
            "authors": dict(self.authors),
            "conflicts": _conflicts(row for row, _ in self.inside),
            "left_out": {code: count for code, count in self.given.left_out.items() if count},
            "new_labels": {label: dict(authors) for label, authors in self.given.refused.items()},
            "texts_not_found": identities_json(self.given.not_found),
        }

    def say(self) -> None:
        """Print a line for each file, for each reason why a correction is left out, and for each new label."""
        if self.inside:
            summary = f", {counted(len(self.labels), 'label')}: " + most(self.labels) if self.labels else ""
            display = display_name(self.task, self.given.model)
            of_model = "" if display == self.task else f" of {display}"
            say(f"{self.output}: {counted(len(self.inside), 'row')}{of_model}{summary}")
        else:
            say("there is no correction to take; nothing is written")
        if self.outside:
            say(f"{self.out_of_scope}: {counted(len(self.outside), 'row')} outside every known intent")
        if self.authors:
            say(f"by {most(self.authors)}")
        for line in left_out_lines(self.given.left_out, self.given.not_found, self.given.refused, self.given.known):
            say(line)
        if conflicts := _conflicts(row for row, _ in self.inside):
            one = conflicts == 1
            texts, them = ("1 text has", "it") if one else (f"{conflicts:,} texts have", "them")
            remark(f"{texts} more than one label: check {them} before you train")


def _labels(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the labels of a row; none where its task has none."""
    return split_labels(row["labels"]) if "labels" in row else (row["label"],) if "label" in row else ()


def _conflicts(rows: Iterable[Mapping[str, Any]]) -> int:
    """Count equal texts that have different labels."""
    labels: dict[str, set[str]] = {}
    for row in rows:
        if "label" in row or "labels" in row:
            labels.setdefault(row["text"], set()).add(row.get("labels", row.get("label")))
    return sum(len(each) > 1 for each in labels.values())
