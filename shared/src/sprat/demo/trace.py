"""One text's way, hop by hop: every record that carries its trace id, in the order of the broker's clock."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sprat.demo.account import Account, Pair, trace_id
from sprat.demo.publishing import Published
from sprat_contracts import KafkaRecord


@dataclass(frozen=True, slots=True)
class Hop:
    """A record of the trace."""

    after_ms: int
    """After the text was appended, by the broker's clock."""
    topic: str
    partition: int
    offset: int
    says: str
    """What it says, without the text."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A text to follow."""

    trace_id: str
    text_id: str
    hops: tuple[Hop, ...]


def pick_trace(published: Iterable[Published], account: Account) -> Trace | None:
    """Choose a text that went all the way: an intent that the small model was unsure of and the frontier answered.

    Where there is none, the text with most hops.
    """
    accepted = [one for one in published if one.accepted_tasks]
    whole = [one for one in accepted if _went_out(one, account)]
    return max((_trace(one, account) for one in whole or accepted), key=lambda trace: len(trace.hops), default=None)


def _went_out(one: Published, account: Account) -> bool:
    if one.accepted_tasks != ("intent",):
        return False
    endings = account.endings.get(Pair(*one.identity, "intent"), [])
    return any(e.result.source == "frontier" and e.result.route.reason == "low_confidence" for e in endings)


def _trace(one: Published, account: Account) -> Trace:
    name = trace_id(one.outgoing.headers)
    records = sorted(account.traces.get(name, []), key=lambda record: (record.timestamp, _depth(record)))
    hops = tuple(
        Hop(record.timestamp - one.timestamp_ms, record.topic, record.partition, record.offset, _says(record))
        for record in records
    )
    return Trace(name, one.identity[1], hops)


_ORDER = (".texts.", ".predictions.", ".frontier.requests.", ".audit.", ".frontier.answers.", ".results.")


def _depth(record: KafkaRecord) -> int:
    """Order records of the same millisecond as they cause each other."""
    return next((number for number, part in enumerate(_ORDER) if part in record.topic), len(_ORDER))


def _says(record: KafkaRecord) -> str:
    """Tell in a few words what a record says; never the text."""
    try:
        value = json.loads(record.value or b"")
        for part, say in _WORDS.items():
            if part in record.topic:
                return say(value)
    except (ValueError, KeyError, TypeError):
        pass
    return ""


def _prediction(value: dict[str, Any]) -> str:
    if value["declined"] is not None:
        return f"the small model declines: {value['declined']['code']}"
    return f"{value['model']['name']}: {_short(value['output'])}, {100 * value['confidence']:.0f} % sure"


def _request(value: dict[str, Any]) -> str:
    threshold = value["threshold"]
    needs = f", {100 * threshold:.0f} % needed" if threshold is not None else ""
    return f"escalated: {', '.join(value['reasons'])}{needs}"


def _egress(value: dict[str, Any]) -> str:
    if value["phase"] == "attempt":
        return f"{value['bytes_out']:,} bytes are about to leave for {value['provider']} ({value['region']})"
    return f"{value['provider']}: {value['outcome']}, €{value['cost_eur']:.6f}"


def _answer(value: dict[str, Any]) -> str:
    if value["declined"] is not None:
        return f"the frontier declines: {value['declined']['code']}"
    return f"{value['model']['name']}: {_short(value['output'])}"


def _result(value: dict[str, Any]) -> str:
    return f"{value['status']} by {value['source']}: {_short(value['output'])}"


def _short(output: dict[str, Any] | None) -> str:
    if output is None:
        return "nothing"
    if "label" in output:
        return str(output["label"] or "outside every intent")
    return f"{len(output['entities'])} names" if "entities" in output else f"a text in {output['target']}"


_WORDS = {
    ".texts.": lambda value: f"asks for {', '.join(value['tasks'])}",
    ".predictions.": _prediction,
    ".frontier.requests.": _request,
    ".audit.egress.": _egress,
    ".frontier.answers.": _answer,
    ".results.": _result,
}
