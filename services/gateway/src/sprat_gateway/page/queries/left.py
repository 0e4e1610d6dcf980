"""What of a text left the house: the calls in the audit, and the text as it stood in them."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sprat_gateway.page.queries.one_text import Left

_BY_ID: Final = "SELECT * FROM calls WHERE call_id = ? AND tenant = ? AND expires > ?"
_BY_TRACE: Final = "SELECT * FROM calls WHERE trace = ? AND tenant = ? AND expires > ? AND source IS ?"
_TEXTS_OF_TRACE: Final = "SELECT count(*) FROM texts WHERE trace = ? AND tenant = ? AND escalated"


def calls_of(
    connection: sqlite3.Connection, text: sqlite3.Row, answers: Iterable[Mapping[str, Any]], now_ms: int
) -> list[sqlite3.Row]:
    """Return the calls of a text, the oldest first: those that its answers name, and those under its own trace.

    Several texts may have one trace; then a call is a text's only where an answer names it.
    """
    tenant, found = text["tenant"], {}
    for call_id in (step["egress"]["call_id"] for step in steps_of(answers)):
        row = connection.execute(_BY_ID, (call_id, tenant, now_ms)).fetchone()
        if row is not None:
            found[call_id] = row
    trace = text["trace"]
    if trace is not None and connection.execute(_TEXTS_OF_TRACE, (trace, tenant)).fetchone()[0] == 1:
        for row in connection.execute(_BY_TRACE, (trace, tenant, now_ms, text["source"])):
            found.setdefault(row["call_id"], row)
    return sorted(found.values(), key=lambda call: call["at"] or call["ended"] or 0)


def steps_of(answers: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the parts of answers that say what left by a call: each tier's, else the answer's own."""
    steps = [step for answer in answers for step in answer.get("tiers") or [answer]]
    return [step for step in steps if isinstance((step.get("egress") or {}).get("call_id"), str)]


def left_of(
    text: sqlite3.Row,
    answers: Sequence[Mapping[str, Any]],
    calls: Sequence[sqlite3.Row],
    results: Iterable[Mapping[str, Any]],
    *,
    texts: bool,
) -> Iterable[Left]:
    """Yield what left, the oldest call first; of calls that the audit does not show, what the answers say.

    Args:
        text: whose calls they are.
        answers: of the frontier.
        calls: of the audit.
        results: of the text; they stand for longer than the answers.
        texts: whether the text that was sent is shown.
    """
    said = {step["egress"]["call_id"]: step for step in steps_of([*results, *answers])}
    tasks = {
        step["egress"]["call_id"]: answer["request"]["prediction"]["task"]
        for answer in answers
        for step in steps_of([answer])
    }
    for call in calls:
        step = said.get(call["call_id"], {})
        yield Left(
            call_id=call["call_id"],
            at_ms=call["at"] or call["ended"],
            task=call["task"] or tasks.get(call["call_id"], ""),
            tier=step.get("tier"),
            provider=call["provider"] or "",
            region=call["region"] or "",
            host=call["host"],
            model=call["model"] or "",
            bytes_out=call["bytes_out"] if call["at"] is not None else None,
            masked=json.loads(call["masked"]),
            outcome=call["outcome"],
            cost_eur=call["cost_eur"],
            simulated=bool((step.get("egress") or {}).get("simulated")),
            sent=step.get("sent") if texts else None,
            shared=call["trace"] != text["trace"],
        )
    known = {call["call_id"] for call in calls}
    for call_id, step in said.items():
        if call_id not in known:
            egress, model = step["egress"], step.get("model")
            yield Left(
                call_id=call_id,
                at_ms=text["at"],
                task=tasks.get(call_id, ""),
                tier=step.get("tier"),
                provider=egress.get("provider") or "",
                region=egress.get("region") or "",
                host=None,
                model=model.get("name", "") if isinstance(model, dict) else model or "",
                bytes_out=None,
                masked=dict(egress.get("masked") or {}),
                outcome=step.get("outcome"),
                cost_eur=step.get("cost_eur") or 0.0,
                simulated=bool(egress.get("simulated")),
                sent=step.get("sent") if texts else None,
                shared=bool(step.get("cached")),
            )
