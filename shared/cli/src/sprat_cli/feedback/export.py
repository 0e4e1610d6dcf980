"""`sprat feedback export`: corrections joined with their texts, as a training file."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sprat.errors import UserError
from sprat.kafka.clients import client_arguments
from sprat.model import display_name
from sprat.settings import KafkaSettings, default_language
from sprat_cli.connection import explain_kafka_errors, kafka_settings
from sprat_cli.feedback.labels import identities_json, named_texts
from sprat_cli.feedback.training_file import check_format, rows_of, trainable, write_rows
from sprat_cli.options import Bootstrap, Json, Prefix, time_before_now
from sprat_cli.progress import read_progress
from sprat_cli.terminal import counted, printable, remark, say, say_json
from sprat_operations.dead_letters import Identity
from sprat_operations.feedback import (
    NOT_FOUND,
    WHY,
    CorrectedText,
    join,
    read_corrections,
    requested_model,
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
with the reason, and up to five ids that no text has are named. Where the texts asked for several models of the task,
--model names one: each has labels of its own.
Columns: text, label, language; what is outside every known intent goes to --out-of-scope. The file holds texts as they
are, personal data too, and is readable by you alone.

\b
Exit codes:
  0  written
  1  nothing could be joined, or a record is not a correction; what could be joined is written all the same
  2  wrong usage, or Kafka cannot be reached"""

OUTSIDE = "outside"
UNTRAINABLE = "untrainable"
OTHER_MODEL = "other_model"
LEFT_OUT_WHY = {
    **WHY,
    OTHER_MODEL: "the text asked for another model than --model",
    OUTSIDE: "outside every known intent: --out-of-scope FILE takes them",
    UNTRAINABLE: "sprat train would refuse the text or the label in such a file: it may be a formula (take .jsonl)",
}


def export(
    *,
    output: Annotated[Path, typer.Option(metavar="FILE", show_default=False, help="To write: .csv, .tsv or .jsonl.")],
    task: Annotated[str, typer.Option(metavar="TASK", help="intent, ner or translation; the latter two as .jsonl.")] = (
        "intent"
    ),
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="Of texts that asked for it. [default: the only one]"),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="SPAN", show_default=False, help="Corrected in the last 12h, 30d. [default: all]"),
    ] = None,
    out_of_scope: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="For texts outside every known intent."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Join corrections with their texts into a training file."""
    kafka = kafka_settings(bootstrap, prefix)
    if (alone := task_alone(task, kafka.topics.tasks)) is not None:
        raise UserError(f"--task {task}: write --task {alone} --model {task[len(alone) + 1 :]}")
    if task not in (known := kafka.topics.tasks):
        raise UserError(f"--task {task}: no such task; known are {', '.join(known)}")
    for path in (output, *([out_of_scope] if out_of_scope else [])):
        check_format(path, task, known[task])
        if path.exists() and not force:
            raise UserError(f"{path} is there already; --force writes over it")
    since_ms = None if since is None else time_before_now(since)
    with explain_kafka_errors(kafka):
        examples, left_out, not_found = asyncio.run(joined_corrections(kafka, task, since_ms))
    model, examples = _of_one_model(task, model, examples, left_out)
    rows = rows_of(examples, default_language())
    outside = _trainable(out_of_scope, [row for row in rows if row.get("label", "") is None], left_out)
    inside = _trainable(output, [row for row in rows if row.get("label", "") is not None], left_out)
    if inside:
        write_rows(output, inside, overwrite=force)
    if out_of_scope is None:
        left_out[OUTSIDE] += len(outside)
    elif outside:
        write_rows(out_of_scope, [row | {"label": ""} for row in outside], overwrite=force)
    _say_end(output, out_of_scope, task, model, inside, outside, left_out, not_found, as_json=as_json)
    raise typer.Exit(1 if not (inside or (out_of_scope and outside)) or left_out["unreadable"] else 0)


def _of_one_model(
    task: str, model: str | None, examples: list[CorrectedText], left_out: Counter[str]
) -> tuple[str | None, list[CorrectedText]]:
    """Return the model (the only one if none is named) and its corrections; count those of other models.

    Raises:
        UserError: none is named and there are several.
    """
    counts = Counter(requested_model(each.text, task) for each in examples)
    models = ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
    if model is None and len(counts) > 1:
        raise UserError(
            f"these are corrections of {len(counts)} models of {task}, each with labels of its own: {models}; "
            "export one with --model NAME"
        )
    if model is None:
        return next(iter(counts), None), examples
    if counts and not counts[model]:
        remark(f"no correction is of {printable(display_name(task, model))}; there are corrections of: {models}")
    left_out[OTHER_MODEL] += counts.total() - counts[model]
    return model, [each for each in examples if requested_model(each.text, task) == model]


def _trainable(path: Path | None, rows: list[dict[str, Any]], left_out: Counter[str]) -> list[dict[str, Any]]:
    """Return the rows that can be trained from; count the others."""
    if path is None:
        return rows
    good = [row for row in rows if trainable(path, row)]
    left_out[UNTRAINABLE] += len(rows) - len(good)
    return good


async def joined_corrections(
    kafka: KafkaSettings, task: str, since_ms: int | None
) -> tuple[list[CorrectedText], Counter[str], list[Identity]]:
    """Return the corrections given since a time with their texts, why others are left out, and texts not found."""
    client = client_arguments(kafka)
    with read_progress("corrections") as progress:
        corrections = await read_corrections(client, kafka.topics, task, since_ms, progress=progress)
    with read_progress("texts") as progress:
        examples = await join(client, kafka.topics.texts, corrections, progress=progress)
    return examples, corrections.left_out, corrections.not_found


def left_out_reasons(left_out: Counter[str], not_found: Sequence[Identity]) -> Iterator[tuple[str, int, str]]:
    """Yield code, number of corrections and reason of what is left out; with the texts that were not found."""
    for code, why in LEFT_OUT_WHY.items():
        if left_out[code]:
            named = f": {named_texts(not_found)}" if code == NOT_FOUND and not_found else ""
            yield code, left_out[code], f"{why}{named}"


def _say_end(
    output: Path,
    out_of_scope: Path | None,
    task: str,
    model: str | None,
    inside: Sequence[Mapping[str, Any]],
    outside: Sequence[Mapping[str, Any]],
    left_out: Counter[str],
    not_found: Sequence[Identity],
    *,
    as_json: bool,
) -> None:
    labels = Counter(label for row in inside for label in _labels(row))
    conflicts = _conflicts(inside)
    if as_json:
        files = {"file": str(output) if inside else None, "out_of_scope": str(out_of_scope) if outside else None}
        counts = {"rows": len(inside), "outside": len(outside), "labels": dict(labels), "conflicts": conflicts}
        say_json(
            {
                "type": "exported",
                "model": model,
                **files,
                **counts,
                "left_out": {k: n for k, n in left_out.items() if n},
                "texts_not_found": identities_json(not_found),
            }
        )
        return
    if inside:
        summary = f", {counted(len(labels), 'label')}: " + _most(labels) if labels else ""
        of_model = "" if display_name(task, model) == task else f" of {display_name(task, model)}"
        say(f"{output}: {counted(len(inside), 'row')}{of_model}{summary}")
    else:
        say("no correction could be joined with its text; nothing is written")
    if out_of_scope is not None and outside:
        say(f"{out_of_scope}: {counted(len(outside), 'row')} outside every known intent")
    for _, count, why in left_out_reasons(left_out, not_found):
        say(f"left out: {count:,}  {why}")
    if conflicts:
        one = conflicts == 1
        texts, them = ("1 text has", "it") if one else (f"{conflicts:,} texts have", "them")
        remark(f"{texts} more than one label: check {them} before you train")


def _labels(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the labels of a row; none where its task has none."""
    return split_labels(row["labels"]) if "labels" in row else (row["label"],) if "label" in row else ()


def _conflicts(rows: Sequence[Mapping[str, Any]]) -> int:
    """Count equal texts that have different labels."""
    labels: dict[str, set[str]] = {}
    for row in rows:
        if "label" in row or "labels" in row:
            labels.setdefault(row["text"], set()).add(row.get("labels", row.get("label")))
    return sum(len(each) > 1 for each in labels.values())


def _most(labels: Counter[str], shown: int = 8) -> str:
    parts = [f"{printable(label, 40)} {count:,}" for label, count in labels.most_common(shown)]
    return ", ".join(parts) + ("" if len(labels) <= shown else f" and {len(labels) - shown} more")
