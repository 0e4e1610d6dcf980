"""Results and dead letters in words, and as JSON for machines."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sprat.base.model import display_name
from sprat_cli.terminal import faint, fit, paint, printable
from sprat_contracts import (
    Declined,
    IntentOutput,
    LabelsOutput,
    MaskedOutput,
    NerOutput,
    Output,
    ReasonCode,
    Result,
    TextOutput,
    TierStep,
    TranslationOutput,
)
from sprat_contracts.predictions import UNCHANGED
from sprat_operations.dead_letters import DeadLetter
from sprat_operations.record_summary import (
    TIER_ANSWERED,
    TIER_OUTCOMES,
    asked_in_words,
    causes_in_words,
    percent,
    tier_confidence,
)
from sprat_operations.result_stream import StoredResult

_COLOURS = {"answered": "green", "degraded": "yellow", "unanswered": "red"}
TASK_COLUMNS = 11
"""Of a task without a model of its own."""
_MAX_NAMES = 8
_ANSWER = 60
_NARROWEST = 12
"""Columns of an answer where the terminal has less than a line needs."""


def when(epoch_ms: int) -> str:
    """Return the local day and time."""
    return datetime.fromtimestamp(epoch_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def answer(result: Result, limit: int | None = None) -> str:
    """Return the answer in words, at most `limit` characters with an ellipsis; or, in full, why there is none."""
    if result.output is None:
        return printable(f"no answer: {_why(result.declined)}") if result.declined else "—"
    return said_by(result.output, result.task, limit)


def said_by(output: Output, task: str, limit: int | None = None) -> str:
    """Return an output in words, at most `limit` characters with an ellipsis."""
    if isinstance(output, IntentOutput):
        outside = "none of the known intents" if task == "intent" else f"outside every label of {task}"
        said = output.label or outside
    elif isinstance(output, LabelsOutput):
        said = ", ".join(each.label for each in output.labels) or "none of the labels"
    elif isinstance(output, TranslationOutput):
        said = f"[{output.target}] {output.text}"
    elif isinstance(output, TextOutput):
        said = output.content
    elif isinstance(output, MaskedOutput):
        said = output.masked
    else:
        said = _names(output)
    return printable(said, limit)


def _why(declined: Declined) -> str:
    """Return all causes in words, the first one first."""
    return causes_in_words((each.code, each.detail) for each in declined.causes or (declined,))


def warnings(result: Result) -> str:
    """Return what of the text was not understood; empty where all was."""
    return printable("; ".join(f"{each.code}: {each.detail}" for each in result.warnings))


def language(result: Result) -> str:
    """Return which language was detected, where the text asked for that; at 0, there was no word to judge by."""
    detected = result.language_detected
    if detected is None:
        return ""
    if not detected.confidence:
        return printable(f"no language detected, read as {detected.language}")
    return printable(f"detected {detected.language} ({percent(detected.confidence)})")


def _names(output: NerOutput) -> str:
    shown = [
        f"{entity.label} “{entity.text}”{' (uncertain)' if entity.uncertain else ''}"
        for entity in output.entities[:_MAX_NAMES]
    ]
    more = len(output.entities) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "") if shown else "no names"


def format_confidence(result: Result) -> str:
    """Return the confidence in words; a frontier reports none."""
    if result.output is None:
        return ""
    if result.confidence is None:
        return "how sure: unknown"
    among = " among the labels asked for" if result.renormalised else ""
    return f"{percent(result.confidence)} sure{among}"


def who(result: Result) -> str:
    """Return which model answered; of a policy with tiers, which tier: one may be in the house."""
    if result.model is None:
        return "no model"
    tier = next((step.tier for step in result.tiers if step.outcome == "kept"), None)
    by = result.source if tier is None or result.source == "small" else f"tier {tier},"
    version = "" if result.model.version == result.model.name else f" {result.model.version[:8]}"
    cached = ", from the cache" if result.cached else ""
    unasked = ", not asked: the text is in the target's language" if result.model.stage == UNCHANGED else ""
    return printable(f"{by} model {result.model.name}{version}{cached}{unasked}")


def route(result: Result) -> str:
    """Return whether it was kept or escalated, and why."""
    asked = "" if result.route.reason == "declined" else asked_in_words(result.route.model_dump())
    kept = f"{result.route.decision}: {result.route.reason}{asked and f' ({asked})'}"
    if result.output is not None and result.declined is not None:
        kept += f", but {_not_better(result.declined, 'the tiers' if result.tiers else 'the frontier')}"
    return printable(kept)


def _not_better(declined: Declined, who: str) -> str:
    """Return why a small model's answer stands, though the text was escalated; `who` was asked for a better one."""
    if declined.code == ReasonCode.POLICY:
        return f"it stayed here: {declined.detail}" if declined.detail else "the policy kept it here"
    # "task" alone would tell nothing: no large model is asked for it.
    if declined.code == ReasonCode.TASK and declined.detail:
        return f"{who} declined: {declined.detail}"
    return f"{who} declined: {causes_in_words([(declined.code, declined.detail)])}"


def cost(euros: float) -> str:
    """Return a price without trailing zeros: €0, €0.00012."""
    return "€0" if euros == 0 else f"€{euros:.6f}".rstrip("0").rstrip(".") if euros >= 1e-6 else "€<0.000001"


def _cost_of(result: Result) -> str:
    """Return what a Result cost, and of how much of it nobody was paid, because a simulator received it."""
    priced = [(step.cost_eur, step.egress) for step in result.tiers if step.cost_eur]
    priced = priced or [(result.cost_eur, result.egress)]
    simulated = [euros for euros, egress in priced if egress is not None and egress.simulated]
    if not sum(simulated):
        return cost(result.cost_eur)
    of_it = "" if len(simulated) == len(priced) else f"{cost(sum(simulated))} of it "
    return f"{cost(result.cost_eur)} ({of_it}simulated)"


def left(result: Result) -> str:
    """Return to which providers something was sent, those of tiers that were left among them."""
    sent = [each for each in (*(step.egress for step in result.tiers), result.egress) if each is not None and each.left]
    receivers: dict[str, list[str]] = {}
    for egress in sent:
        masked = ", ".join(f"{count} {kind}" for kind, count in sorted(egress.masked.items()))
        receiver = f"to {egress.provider} ({egress.region}{', simulated' * egress.simulated})"
        receivers.setdefault(masked, []).append(receiver)
    if not receivers:
        return "nothing was sent to a provider"
    sent_to = (_sent_to([*dict.fromkeys(names)], masked) for masked, names in receivers.items())
    return printable(f"sent {'; '.join(sent_to)}")


def _sent_to(receivers: Sequence[str], masked: str) -> str:
    """Return which providers got the text, and what of it was masked; empty where nothing was."""
    in_each = "; masked in each: " if len(receivers) > 1 else ", masked: "
    return f"{' and '.join(receivers)}{f'{in_each}{masked}' if masked else ''}"


def tiers(result: Result) -> str:
    """Return what the small model and each tier said and cost; empty where the small model's answer stands alone."""
    small = result.small
    said = [f"{step.tier}: {_said(step, result)}" for step in result.tiers]
    if small is not None and (said or result.source != "small"):
        sure = "" if small.confidence is None else percent(small.confidence)
        labels = ", ".join(small.labels) or _without_label(result)
        said.insert(0, f"small: {' '.join(filter(None, (labels, sure))) or '—'}")
    return printable(" → ".join(said))


def _said(step: TierStep, result: Result) -> str:
    sure = tier_confidence(step.confidence, step.calibrated)
    labels = ", ".join([step.label] if step.label is not None else step.labels or ())
    answered = step.outcome in TIER_ANSWERED
    if answered and not labels:
        labels = _without_label(result)
    simulated = ", simulated" if step.cost_eur and step.egress is not None and step.egress.simulated else ""
    euros = f"({cost(step.cost_eur)}{simulated})" if answered or step.cost_eur else ""
    return " ".join(filter(None, (TIER_OUTCOMES.get(step.outcome, step.outcome), labels, sure, euros)))


def _without_label(result: Result) -> str:
    """Return what an answer without a label says; empty of tasks without labels."""
    if isinstance(result.output, LabelsOutput):
        return "none of the labels"
    return "outside every label" if isinstance(result.output, IntentOutput) else ""


def _marks(result: Result, *, degraded: bool = True) -> list[str]:
    """Return what a reader must know of an answer before believing it."""
    simulated = result.egress is not None and result.egress.simulated and result.source == "frontier"
    return ["degraded"] * (degraded and result.status == "degraded") + ["simulated"] * simulated


def asked(result: Result) -> str:
    """Return the task with the model that the text asked for: `intent`, or `intent@hr`."""
    return printable(display_name(result.task, result.asked_model))


def result_lines(seen: StoredResult, about: str = "", task: str | None = None) -> list[str]:
    """Return a result in three lines: the answer, how it came about, and the ids by which other commands find it.

    `about` names the text if there are several. `task` is the task as requested, `intent@hr`: a result of an older
    router holds only the task's name.
    """
    result = seen.result
    first = [
        f"{task or asked(result):11}",
        paint(answer(result), _COLOURS.get(result.status, "white")),
        format_confidence(result),
    ]
    if marks := _marks(result):
        first.append(f"({', '.join(marks)})")
    facts = [who(result), language(result), route(result), tiers(result), left(result), f"{seen.total_ms} ms"]
    second = [fact for fact in (*facts, _cost_of(result)) if fact]
    lines = ["  ".join(part for part in first if part)]
    lines[0] += f"  {faint(about)}" if about else ""
    if unclear := warnings(result):
        lines.append(f"{'':11}  {paint(f'warning: {unclear}', 'yellow')}")
    ids = f"{'':11}  text_id {printable(result.text_id)}"
    return [*lines, faint(f"{'':11}  {' · '.join(second)}"), f"{ids}{faint(f' · trace {seen.trace_id}')}"]


def brief_result(seen: StoredResult, columns: int | None, task_columns: int = TASK_COLUMNS) -> str:
    """Return a result in one line: time, status, task, answer, why it is degraded, how sure, how long, and its id.

    Args:
        seen: the result.
        columns: of the line. The answer gives way, and the id where there is no room. None: not on a terminal, so
            nothing is cut.
        task_columns: of the task with its model; a longer name takes more.
    """
    result = seen.result
    sure = "" if result.confidence is None or result.output is None else percent(result.confidence)
    head = f"{asked(result):{task_columns}}  "
    tail = f"  {sure:>7}  {seen.total_ms:>6} ms"
    why = [] if result.output is None or result.declined is None else [printable(result.declined.code)]
    noted = [*why, *_marks(result, degraded=False), *["warning"] * bool(result.warnings)]
    marks = f" ({', '.join(noted)})" if noted else ""
    status = paint(f"{result.status:10}", _COLOURS.get(result.status, "white"))
    room = None if columns is None else columns - len(f"00:00:00  {'':10}  {head}{tail}")
    text_id = f"  {printable(result.text_id)}"
    if room is not None and room < _ANSWER // 2 + len(text_id):
        text_id = ""
    if room is None:
        said = answer(result).ljust(_ANSWER - len(marks))
    else:
        width = max(_NARROWEST, min(_ANSWER * 2, room - len(text_id)))
        said = fit(answer(result), width - len(marks) if len(marks) < width else width)
    return f"{clock(seen.decided_at)[:8]}  {status}  {head}{said}{marks}{tail}{faint(text_id) if text_id else ''}"


def text_line(text: str | None, topic: str, columns: int | None) -> str:
    """Return the text of a result in one line of so many columns, None: in full; or that it is no longer there."""
    if text is None:
        return faint(f"{'':10}its text is no longer on {topic}")
    said = f"{'':10}“{printable(text)}”"
    return (said if columns is None else fit(said, columns)).rstrip()


def brief_dead_letter(letter: DeadLetter, columns: int | None) -> str:
    """Return a dead letter in one line of so many columns: time, reason, the text's id, and where the record stands.

    Where there is no room, the place gives way first, then the id.
    """
    reason = letter.reason
    said = printable(f"{reason.code}: {reason.detail}")
    ends = [] if letter.text_id is None else [f"  {printable(letter.text_id)}"]
    ends.append(f"  {printable(f'{reason.topic} {reason.partition}@{reason.offset}')}")
    begin = f"{clock(letter.written_at)[:8]}  "
    if columns is not None:
        room = columns - len(f"{begin}dead letter  ")
        while ends and room - len("".join(ends)) < _ANSWER // 2 * len(ends):
            ends.pop()
        said = fit(said, max(_NARROWEST, room - len("".join(ends))))
    return f"{begin}{paint('dead letter', 'red')}  {said}{faint(''.join(ends)) if ends else ''}"


def result_line(seen: StoredResult) -> str:
    """Return a result in one long line, with all that is known of it."""
    result = seen.result
    parts = [
        clock(seen.decided_at),
        paint(f"{result.status:10}", _COLOURS.get(result.status, "white")),
        f"{asked(result):11}",
        answer(result, 60),
        format_confidence(result),
        f"({', '.join(marks)})" if (marks := _marks(result, degraded=False)) else "",
        paint(f"· warning: {unclear}", "yellow") if (unclear := warnings(result)) else "",
        f"· {detected}" if (detected := language(result)) else "",
        f"· {who(result)} · {route(result)}",
        f"· {steps}" if (steps := tiers(result)) else "",
        f"· {left(result)} · {seen.total_ms} ms · {_cost_of(result)}",
        faint(printable(f"· {result.tenant} · {result.text_id} · trace {seen.trace_id}")),
    ]
    return "  ".join(part for part in parts if part)


def dead_letter(letter: DeadLetter) -> str:
    """Return a dead letter in one line: reason, service, place of the record, id and source of the text."""
    reason = letter.reason
    text_id = "has no id" if letter.identity is None else "from {} · {}".format(*letter.identity)
    where = f"{reason.topic} {reason.partition}@{reason.offset}"
    parts = [
        clock(letter.written_at),
        paint(f"{'dead letter':10}", "red"),
        printable(f"{reason.code}: {reason.detail}"),
        printable(f"· by {reason.service} {reason.version} · {where}"),
        faint(printable(f"· {text_id} · trace {letter.trace_id or 'unknown'}")),
    ]
    return "  ".join(parts)


def clock(epoch_ms: int) -> str:
    """Return the local time of day, with milliseconds."""
    return datetime.fromtimestamp(epoch_ms / 1000).astimezone().strftime("%H:%M:%S.%f")[:-3]


def result_json(seen: StoredResult) -> Mapping[str, Any]:
    """Return a result for machines: the message as written, and the facts of its record."""
    return {
        "type": "result",
        "id": seen.envelope.id,
        "trace_id": seen.trace_id,
        "decided_at": seen.decided_at,
        "total_ms": seen.total_ms,
        "result": seen.result.model_dump(mode="json"),
    }


def dead_letter_json(letter: DeadLetter) -> Mapping[str, Any]:
    """Return a dead letter for machines; never its value."""
    reason = letter.reason
    source = None if letter.identity is None else letter.identity[0]
    return {
        "type": "dead_letter",
        "letter": letter.place,
        "code": reason.code,
        "detail": reason.detail,
        "service": reason.service,
        "version": reason.version,
        "origin": {"topic": reason.topic, "partition": reason.partition, "offset": reason.offset},
        "origin_at": reason.timestamp_ms,
        "replays": reason.replays,
        "text_id": letter.text_id,
        "text_source": source,
        "trace_id": letter.trace_id,
        "written_at": letter.written_at,
        "partition": letter.partition,
        "offset": letter.offset,
        "copies": list(letter.copies),
    } | ({} if letter.signed is None else {"signed": letter.signed})
