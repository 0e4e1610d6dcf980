"""`sprat alarms list|explain|clear`: alarms of what is kept."""

import asyncio
import shlex
import time
from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings
from sprat.base.words import counted
from sprat_cli.app import group_help, make_app
from sprat_cli.options import Bootstrap, Json, Prefix, argument, kafka_settings, option
from sprat_cli.render import when
from sprat_cli.terminal import faint, paint, printable, remark, say, say_json, table
from sprat_contracts import AlarmRaised, ReviewCell
from sprat_contracts.reviews import ERRORS, RAISED, SHIFT, TOO_FEW_REVIEWS
from sprat_operations.alarms import (
    MAX_BECAUSE,
    KnownAlarms,
    check_certificate_after,
    name_of,
    own_name,
    read_alarms,
)
from sprat_operations.alarms import (
    clear as clear_alarm,
)
from sprat_operations.connection import explain_kafka_errors, writing_signatures

_LIST = """\b
Examples:
  sprat alarms list
  sprat alarms list --json | jq -r 'select(.kind == "errors") | .name'

\b
KIND is errors (reviews say that more of what is kept is wrong than the goal allows), shift (scores or escalations are
not those of the measured rows; no proof) or too_few_reviews. With SPRAT_SECRET, or of your `sprat up`, only what is
signed with the secret is listed.

\b
Exit codes:
  0  no alarm stands
  1  at least one stands
  2  wrong usage, or Kafka cannot be reached"""
_EXPLAIN = """\b
Examples:
  sprat alarms explain errors/intent/acme/de
  sprat alarms explain errors/intent --json

\b
NAME is that of `sprat alarms list`: kind, task, tenant, language; `*` stands for all, and may be left out at the end.

\b
Exit codes:
  0  shown
  2  wrong usage, no alarm has this name, or Kafka cannot be reached"""
_CLEAR = """\b
Examples:
  sprat alarms clear errors/intent/acme/de --certificate intent/hr
  sprat alarms clear errors/intent --because "the label was renamed back on 3 December"

\b
What an alarm changed ends with it: a raised goal, or that nothing of the cell is kept. A new test begins with the next
review, and spends a further part of the false alarms that a year allows. MODEL is a folder or a name, as hr; its
certificate must have been measured after the alarm, for a goal at or above the one that is not kept, and its service
must judge by it. One from reviews clears an alarm of a whole task alone, and only where its period began after the
alarm. WHY stands in the topic for as long as the alarm does: no text and no name in it.

\b
Exit codes:
  0  cleared
  1  Kafka did not acknowledge it
  2  wrong usage, no such alarm stands, the certificate does not do, or Kafka cannot be reached"""

app = make_app(
    no_args_is_help=True,
    help="Show the alarms of what is kept, explain one, clear one.",
    epilog=group_help("alarms", "list", "explain errors/intent/acme/de", 'clear errors/intent --because "…"'),
)
Name = Annotated[str, argument("NAME", "Of the alarm, as `sprat alarms list` shows it.")]

_WHAT: Final = {
    ERRORS: "more of what is kept is wrong than the goal allows",
    SHIFT: "scores or escalations are not those of the measured rows; this is no proof",
    TOO_FEW_REVIEWS: "too many draws have no answer, so the alarm of errors sees too little",
}


@app.command("list", epilog=_LIST, short_help="Show the alarms that stand, and those that were cleared.")
def list_(*, as_json: Json = False, bootstrap: Bootstrap = None, prefix: Prefix = None) -> None:
    """List the last alarm of each kind and place."""
    known = _known(kafka_settings(bootstrap, prefix))
    for each in known.alarms if as_json else ():
        say_json(_as_json(each))
    if not as_json and known.alarms:
        rows = [("ALARM", "STATE", "SINCE", "REVIEWS", "WRONG", "GOAL"), *map(_row, known.alarms)]
        head, *body = table(rows)
        say(faint(head))
        for row, alarm in zip(body, known.alarms, strict=True):
            say(paint(row, "red") if alarm.state == RAISED else row)
    elif not as_json:
        remark("no alarm was ever raised; reviews are drawn where the policy of a task has `review`")
    raise typer.Exit(1 if known.standing else 0)


@app.command(epilog=_EXPLAIN, short_help="Say in words what is known of one, and what to do.")
def explain(name: Name, *, as_json: Json = False, bootstrap: Bootstrap = None, prefix: Prefix = None) -> None:
    """Explain an alarm: what it means, what it rests on, and what to do next."""
    alarm = _known(kafka_settings(bootstrap, prefix)).named(name)
    if as_json:
        say_json(_as_json(alarm) | {"do": list(_next(alarm))})
        return
    for line in _explained(alarm):
        say(printable(line))


@app.command(epilog=_CLEAR, short_help="Clear one, by a new certificate or for a reason.")
def clear(
    name: Name,
    *,
    certificate: Annotated[str | None, option("MODEL", "Whose certificate was measured after the alarm.")] = None,
    because: Annotated[str | None, option("WHY", "The reason, in words.")] = None,
    by: Annotated[str | None, option("NAME", "Who clears it. [default: your login name]")] = None,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Clear an alarm: by a certificate that was measured after it, or for a reason."""
    because = (because or "").strip() or None
    if (certificate is None) == (because is None):
        raise UserError("name the new certificate with --certificate MODEL, or say why with --because WHY: one of them")
    if len(because or "") > MAX_BECAUSE:
        raise UserError(f"--because: at most {MAX_BECAUSE:,} characters")
    by = (by or own_name()).strip()[:256]
    kafka = kafka_settings(bootstrap, prefix)
    signatures = writing_signatures(kafka)
    alarm = _known(kafka).named(name)
    if alarm.state != RAISED:
        raise UserError(f"{name_of(alarm)} does not stand: it was cleared by {printable(alarm.cleared_by or '?', 60)}")
    with explain_kafka_errors(kafka):
        thresholds = None if certificate is None else _certified(kafka, alarm, certificate)
        after = asyncio.run(clear_alarm(kafka, alarm, signatures, by=by, because=because, thresholds=thresholds))
    if as_json:
        say_json(_as_json(after))
    else:
        say(f"cleared: {printable(name_of(after))}; a new test begins with the next review")


def _known(kafka: KafkaSettings) -> KnownAlarms:
    with explain_kafka_errors(kafka):
        known = asyncio.run(read_alarms(kafka))
    if not known.verified:
        remark("not verified: SPRAT_SECRET is not set, so anybody who may write to the topic may have written these")
    return known


def _certified(kafka: KafkaSettings, alarm: AlarmRaised, word: str) -> str:
    """Return the version of the thresholds with a model's certificate.

    Raises:
        UserError: it does not clear the alarm, or there is no such model.
    """
    from sprat_operations.chosen_policy import chosen_tasks  # noqa: PLC0415 - heavy, and --because does not wait for it
    from sprat_operations.models import registered_models  # noqa: PLC0415 - likewise
    from sprat_operations.named_models import named_model  # noqa: PLC0415 - likewise
    from sprat_training.evaluation.evaluate import measured_of, so_far  # noqa: PLC0415 - likewise

    model = named_model(word, chosen_tasks()).model
    thresholds, problem = so_far(model.thresholds_now, measured_of(model))
    if problem:
        raise UserError(problem)
    announced = asyncio.run(registered_models(kafka)).announced
    return check_certificate_after(alarm, thresholds, announced)


def _row(alarm: AlarmRaised) -> tuple[str, ...]:
    reviews = (f"{alarm.reviews:,}", f"{alarm.errors:,}") if alarm.reviews else ("-", "-")
    goal = "-" if alarm.goal is None else f"{alarm.goal:g}"
    return printable(name_of(alarm), 80), alarm.state, when(alarm.raised_at), *reviews, goal


def _as_json(alarm: AlarmRaised) -> dict[str, Any]:
    fields = alarm.model_dump(mode="json")
    return {"type": "alarm", "name": name_of(alarm), **fields, "show": [_trace(*each) for each in _texts(alarm)]}


def _texts(alarm: AlarmRaised) -> list[tuple[str, str]]:
    return [(each.text_id, each.text_source) for each in alarm.texts]


def _trace(id: str, source: str) -> str:
    return shlex.join(("sprat", "trace", id, "--source", source))


def _explained(alarm: AlarmRaised) -> Iterator[str]:
    """Yield what is known of an alarm, and what to do."""
    minutes = max(0, time.time_ns() // 1_000_000 - alarm.raised_at) // 60_000
    ago = f"{minutes:,} min ago" if minutes < 600 else f"{minutes // 60:,} h ago"
    yield f"{name_of(alarm)}: {alarm.state}, {when(alarm.raised_at)}, {ago}"
    yield f"{_WHAT.get(alarm.kind, alarm.kind)}: {_place(alarm)}"
    if alarm.state != RAISED:
        why = alarm.because or f"the certificate of the thresholds {alarm.thresholds}"
        yield f"cleared by {alarm.cleared_by or 'nobody who is named'}, because of: {why}"
    yield from numbers_in_words(alarm)
    if alarm.detail:
        yield alarm.detail
    if alarm.texts:
        yield "answers that were found wrong, five at most; their texts are kept for 7 days:"
        yield from (f"  {_trace(*each)}" for each in _texts(alarm))
    if alarm.state == RAISED:
        yield "what to do:"
        yield from (f"  {number}. {each}" for number, each in enumerate(_next(alarm), 1))


def _place(alarm: AlarmRaised) -> str:
    cell = alarm.cell
    parts = [
        f"the task {alarm.task}",
        "all tenants" if cell.tenant is None else f"tenant {cell.tenant}",
        "all languages" if cell.language is None else f"language {cell.language}",
    ]
    if alarm.model is not None:
        parts.append(f"{alarm.model.name} version {alarm.model.version}")
    return ", ".join(parts)


def numbers_in_words(alarm: AlarmRaised) -> Iterator[str]:
    """Yield what an alarm of errors rests on."""
    if alarm.goal is not None:
        evidence = "" if alarm.evidence is None else f", {alarm.evidence}"
        allowed, by_names = (1 - alarm.goal, "") if alarm.allowed is None else (alarm.allowed, " of each name")
        yield f"goal: {alarm.goal:g}{by_names}{evidence}, so at most {100 * allowed:.3g} % may be wrong"
    if alarm.reviews:
        since = "" if alarm.since is None else f" since {when(alarm.since)}"
        share = 100 * alarm.errors / alarm.reviews
        yield f"known: {alarm.errors:,} of {counted(alarm.reviews, 'answered review')}{since} are wrong, {share:.2g} %"
    if alarm.agreement:
        yield (
            f"some answers are those of the tier {', '.join(alarm.agreement)}: of these, wrong means that it says "
            "something else, and it may be wrong itself"
        )
    if alarm.e_value is not None and alarm.needed is not None:
        yield (
            f"evidence: an e-value of {alarm.e_value:,.4g}; the alarm is raised at {alarm.needed:,.4g}. If the goal "
            f"were kept, the chance that it ever gets there is at most {100 / alarm.needed:.2g} %"
        )
    if alarm.steps > 1:
        yield f"it is alarm {alarm.steps} of this place since the last clear"


def _next(alarm: AlarmRaised) -> Iterator[str]:
    """Yield what to do about an alarm that stands."""
    task, name = alarm.task, shlex.quote(name_of(alarm))
    if alarm.kind == TOO_FEW_REVIEWS:
        yield f"see what waits: sprat review --list; answer it: sprat review --by NAME --task {task}, or the page"
        yield f"where there are too few reviewers, lower share or per_day: policy, tasks.{task}.review"
    elif alarm.kind == SHIFT:
        yield f"see what has changed: sprat watch --task {task}; ask who sends the texts"
        yield f"reviews tell whether answers are wrong: raise share, in the policy, tasks.{task}.review"
    else:
        yield "look at the texts above: were labels renamed, is a language or a product new, was a model promoted?"
        yield "a worse version: sprat promote DIR --back; else correct answers and train: sprat feedback, sprat retrain"
        yield f"until then the policy decides: tasks.{task}.on_alarm: tighten | escalate, or a higher goal"
        yield from _measure_again(alarm)
        yield f"clear it by the new certificate: sprat alarms clear {name} --certificate MODEL"
    yield f"where it is explained, clear it: sprat alarms clear {name} --because WHY"


def _measure_again(alarm: AlarmRaised) -> Iterator[str]:
    """Yield which measurement clears an alarm: one of rows that it did not keep from being drawn."""
    whose = "new rows" if alarm.cell == ReviewCell() else "new rows of this tenant and language"
    again = "--model MODEL --write"
    yield f"measure again, with {whose}, labelled by people: sprat evaluate FILE {again}"
    if alarm.cell == ReviewCell():
        yield f"or by reviews drawn after the alarm: sprat evaluate --from-reviews --period BEGIN..END {again}"
