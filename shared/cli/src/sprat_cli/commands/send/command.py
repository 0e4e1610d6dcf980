"""`sprat send`: publish texts, wait for their results, show them."""

import asyncio
import sys
from enum import StrEnum
from typing import Annotated

import typer

from sprat.base.settings import environment
from sprat_cli.commands.send.sending import SendRun
from sprat_cli.commands.send.submission import SOURCE, parse_reference, parse_tasks, prepare, signing_key, task_words
from sprat_cli.options import Bootstrap, Json, Prefix, argument, kafka_settings, option
from sprat_cli.terminal import remark
from sprat_cli.text_input import read_lines
from sprat_contracts import BUILT_IN
from sprat_operations.chosen_policy import chosen_tasks
from sprat_operations.connection import explain_kafka_errors

EPILOG = """\b
Examples:
  sprat send "please move 100 euros to my savings"
  sprat send "Peter is coming to Berlin tomorrow." --task ner --task translation=de
  sprat send texts.jsonl --tenant acme --frontier allow --json
  echo '{"text": "what is my balance", "reference": {"ticket": "4711"}}' | sprat send - --task intent@hr
  cat letter.txt | sprat send - --whole --task translation=de
  sprat send "what is my balance" --task intent=balance,transfer
  sprat send "what is my balance" --tenant acme-bank --source /crm/test --sign-with SPRAT_CRM_KEY

\b
A file or standard input is read line by line: a line is a text, or a whole TextSubmitted if it begins with {:
text, tasks, language, tenant, frontier, deadline_ms and reference, which each Result returns; options fill in what it
leaves out. Without --json, the first line on stderr says how the argument was read. Each result ends with the
text's id, as `sprat feedback --text-id` and `sprat trace` take it; its source is that of --source.

\b
Exit codes:
    0  every text and task was answered (by the small model alone where the frontier declined: degraded)
    1  one was not: unanswered, a dead letter, or no result in time
    2  wrong usage, or Kafka cannot be reached; if a text is not valid, nothing was sent
  130  interrupted; what was sent is still answered on the result topics"""

_DEFAULT = " by default (--frontier allow, deny)"


class Frontier(StrEnum):
    """Whether a hard case may be sent to a provider."""

    allow = "allow"
    redact = "redact"
    deny = "deny"


def _frontier(word: str) -> Frontier:
    try:
        return Frontier(word)
    except ValueError:
        raise typer.BadParameter(f"{word!r}: one of {', '.join(Frontier)}") from None


def _complete_task(incomplete: str) -> list[str]:
    return [word for word in task_words(chosen_tasks().table) if word.startswith(incomplete)]


def send(
    what: Annotated[str, argument("TEXT|FILE|-", "A text, a file, or stdin.")],
    *,
    task: Annotated[
        list[str] | None,
        option(
            "TASK[@MODEL][=TARGET|LABELS]",
            f"{', '.join(task_words(BUILT_IN))}, or one from a file; can be repeated. [default: intent]",
            autocompletion=_complete_task,
        ),
    ] = None,
    language: Annotated[
        str | None, option("TAG", "Of the text, BCP 47; auto: detected. [default: that of the services, en]")
    ] = None,
    tenant: Annotated[str | None, option("NAME", "Whose policy. [default: default]")] = None,
    frontier: Annotated[
        Frontier | None,
        option(
            "[allow|redact|deny]",
            "Send a hard case to a provider: whole, masked, not. [default: redact]",
            parser=_frontier,
        ),
    ] = None,
    deadline_ms: Annotated[int | None, option("MS", "How long a hard case may wait.")] = None,
    reference: Annotated[list[str] | None, option("KEY=VALUE", "Returned untouched; can be repeated.")] = None,
    id: Annotated[str | None, option("ID", "Of the text. [default: a new UUID]")] = None,
    source: Annotated[
        str, typer.Option(metavar="SOURCE", help="Of the text: one that the policy gives to its tenant.")
    ] = SOURCE,
    sign_with: Annotated[
        str | None, option("VARIABLE", "Sign for the tenant with the key in this variable or in .env.")
    ] = None,
    key: Annotated[str | None, option("KEY", "Of the record: equal keys keep their order.")] = None,
    text: Annotated[bool, typer.Option("--text", help="It is the text, even if a file is called so.")] = False,
    whole: Annotated[bool, typer.Option("--whole", help="The file or stdin is one text, not one a line.")] = False,
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="Stop when no result has come for this long.")
    ] = 60.0,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the results.")] = True,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Publish a text, or the lines of a file or of stdin, and show the results."""
    kafka = kafka_settings(bootstrap, prefix)
    options = {
        "tasks": parse_tasks(task or ["intent"], kafka.topics.tasks),
        "language": language,
        "tenant": tenant,
        "frontier": frontier and frontier.value,
        "deadline_ms": deadline_ms,
        "reference": parse_reference(reference or []) or None,
    }
    lines = read_lines(what, sys.stdin, as_text=text, whole=whole)
    chosen = {name: value for name, value in options.items() if value is not None}
    signs = None if sign_with is None else signing_key(sign_with, environment())
    submissions = prepare(lines, chosen, id=id, key=key, plain=text or whole, source=source, sign_with=signs)
    if not as_json:
        asked = " and ".join(sorted({str(each.message.frontier) for each in submissions}))
        # The texts say it, not the policy: a reader of "masked" should know who asked for that.
        is_default = any("frontier" not in each.message.model_fields_set for each in submissions)
        remark(f"sending {lines.description}; with frontier: {asked}{_DEFAULT if is_default else ''}")
    with explain_kafka_errors(kafka):
        sending = SendRun(kafka, submissions, as_json=as_json)
        answered = asyncio.run(sending.run(timeout) if wait else sending.only_publish())
    raise typer.Exit(0 if answered else 1)
