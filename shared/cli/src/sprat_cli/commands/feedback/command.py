"""`sprat feedback`: publish corrections of results."""

import asyncio
import sys
from typing import Annotated

import typer

from sprat_cli.app import make_app
from sprat_cli.commands.feedback.corrections import CorrectionOptions, publish, read_bulk, read_one
from sprat_cli.commands.feedback.export import EXPORT, export
from sprat_cli.options import Bootstrap, Json, Prefix, kafka_settings, option, reject_misplaced_options
from sprat_cli.progress import read_progress
from sprat_cli.terminal import remark
from sprat_operations.connection import explain_kafka_errors
from sprat_operations.corrections import check_corrections

EPILOG = """\b
Examples:
  sprat feedback --text-id 6f1c0d5e --source /crm --task intent --label transfer --by agent-17
  sprat feedback --text-id 6f1c0d5e --source /crm --task translation --output right.json --by agent-17
  sprat feedback --from corrections.jsonl --task intent --by agent-17

\b
Id and source are the result's text_id and text_source; of what `sprat send` sent, the source is /sprat/send.
A line of corrections.jsonl: {"text_id": "…", "text_source": "/crm", "task": "intent", "label": "transfer", "by": "…"},
or "output" as a result holds it, instead of "label". Options fill in what a line leaves out. The last correction of a
text and task counts. The correction is of the text, whichever model answered: --task is intent, not intent@hr. The text
says which model it asked for, and so which labels are known.

\b
Exit codes:
  0  published
  1  Kafka did not acknowledge all
  2  wrong usage, or Kafka cannot be reached; if a correction is not valid, its label is known to no announced
     model, or its text is not on the topic, nothing was published"""

app = make_app(
    invoke_without_command=True, epilog=EPILOG, help="Publish corrections of results; export them as a training file."
)


@app.callback()
def feedback(
    context: typer.Context,
    *,
    text_id: Annotated[str | None, option("ID", "Of the text.")] = None,
    source: Annotated[str | None, option("SOURCE", "Of the text.")] = None,
    task: Annotated[str | None, option("TASK", "intent, ner or translation, without a model.")] = None,
    label: Annotated[str | None, option("LABEL", "The right intent.")] = None,
    outside: Annotated[bool, typer.Option("--outside", help="The right intent is none of the known ones.")] = False,
    output: Annotated[str | None, option("JSON|FILE", "The right output, as a result holds it.")] = None,
    by: Annotated[str | None, option("NAME", "Author of the correction: a pseudonym, or a system.")] = None,
    bulk: Annotated[str | None, option("FILE|-", "Corrections, one JSON a line.", "--from")] = None,
    allow_new_label: Annotated[
        list[str] | None, option("LABEL", "Publish this label though no announced model knows it.")
    ] = None,
    allow_new_labels: Annotated[
        bool, typer.Option("--allow-new-labels", help="Publish all labels that no announced model knows.")
    ] = False,
    allow_missing_texts: Annotated[
        bool, typer.Option("--allow-missing-texts", help="Publish corrections of texts that are not on the topic.")
    ] = False,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Publish a correction, or many."""
    if context.invoked_subcommand is not None:
        reject_misplaced_options(context, f"sprat feedback {context.invoked_subcommand} --task intent")
        return
    kafka = kafka_settings(bootstrap, prefix)
    options = CorrectionOptions(text_id, source, task, label, outside, output, by, kafka.topics.tasks)
    options.check()
    messages = read_one(options) if bulk is None else read_bulk(bulk, options, sys.stdin)
    with explain_kafka_errors(kafka):
        remarks = asyncio.run(
            check_corrections(
                kafka,
                messages,
                new_labels=allow_new_label or (),
                all_new=allow_new_labels,
                missing_texts=allow_missing_texts,
                progress=read_progress,
            )
        )
        for line in remarks:
            remark(line)
        asyncio.run(publish(kafka, messages, as_json=as_json))


app.command("export", epilog=EXPORT, short_help="Join corrections with their texts into a training file.")(export)
