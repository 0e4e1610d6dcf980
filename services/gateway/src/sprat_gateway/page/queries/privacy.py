"""Screen 7: what left the house, what was masked before, and what was not let out."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sprat_contracts import ReasonCode
from sprat_gateway.page.notes import AUDIT, noted
from sprat_gateway.page.queries.overview import SPANS, Span
from sprat_gateway.page.queries.viewer import Viewer


@dataclass(frozen=True, slots=True)
class EgressRow:
    """Calls of one tenant to one provider in one region."""

    tenant: str
    region: str
    provider: str
    host: str | None
    calls: int
    bytes_out: int
    input_tokens: int
    output_tokens: int
    cost_eur: float
    masked: dict[str, int]
    failures: dict[str, int]
    """Outcome → calls that were not answered."""


@dataclass(frozen=True, slots=True)
class AuditVerified:
    """The last verification of the audit."""

    at_ms: int
    findings: int
    """How many there were; 0: nothing is missing or changed."""


@dataclass(frozen=True, slots=True)
class Privacy:
    """The screen."""

    span: Span
    begin_ms: int
    egress: tuple[EgressRow, ...]
    masked: dict[str, int]
    """Type of personal data → items, in all calls."""
    denied: dict[str, int]
    """Code of the reason → escalated pairs that the policy did not let out."""
    unasked: dict[str, int]
    """The same for other reasons (no such model, deadline, …): nothing left, and not because of the policy."""
    inside: int
    """Pairs of a text and a task that were answered without anything leaving."""
    left: int
    """Pairs for which something left."""
    verified: AuditVerified | None
    """None where no verification is known."""
    command: str
    """That verifies the audit."""


VERIFY: Final = "sprat audit verify"
_CALLS: Final = """SELECT region, provider, host, masked, coalesce(outcome, 'under way') AS outcome, count(*) AS calls,
sum(bytes_out) AS bytes_out, sum(coalesce(input_tokens, 0)) AS input_tokens,
sum(coalesce(output_tokens, 0)) AS output_tokens, sum(cost_eur) AS cost_eur FROM calls
WHERE tenant = ? AND source = ? AND at >= ? AND expires > ? GROUP BY region, provider, host, masked, outcome"""
_PAIRS: Final = """SELECT sum(kept + escalated), sum(has_left) FROM sums
WHERE width = ? AND tenant = ? AND source = ? AND at >= ?"""
_DENIED: Final = """SELECT code, sum(pairs) AS pairs FROM denials
WHERE width = ? AND tenant = ? AND source = ? AND at >= ? GROUP BY code ORDER BY pairs DESC"""

_BY_POLICY: Final = frozenset({ReasonCode.POLICY, ReasonCode.MASKING, ReasonCode.QUOTA})
"""The policy denies it, or wants it masked and it cannot be, or its share of this minute is used up."""
_NO_FAILURE: Final = frozenset({"answered", "under way"})


def privacy(connection: sqlite3.Connection, viewer: Viewer, span: Span, now_ms: int) -> Privacy:
    """Return the screen of a span that ends now."""
    width, count = SPANS[span]
    begin = now_ms - now_ms % width + width - width * count
    owner = (viewer.tenant, viewer.source)
    calls = connection.execute(_CALLS, (*owner, begin, now_ms)).fetchall()
    routes = sorted({(row["region"], row["provider"], row["host"] or "") for row in calls})
    egress = [
        _row(viewer.tenant, [row for row in calls if (row["region"], row["provider"], row["host"] or "") == route])
        for route in routes
    ]
    stayed = dict(connection.execute(_DENIED, (width, *owner, begin)).fetchall())
    pairs, left = connection.execute(_PAIRS, (width, *owner, begin)).fetchone()
    verified = noted(connection, AUDIT)
    return Privacy(
        span=span,
        begin_ms=begin,
        egress=tuple(sorted(egress, key=lambda row: -row.calls)),
        masked=_masked(calls),
        denied={code: count for code, count in stayed.items() if code in _BY_POLICY},
        unasked={code: count for code, count in stayed.items() if code not in _BY_POLICY},
        inside=(pairs or 0) - (left or 0),
        left=left or 0,
        verified=None if verified is None else AuditVerified(verified["at_ms"], verified["findings"]),
        command=VERIFY,
    )


def _row(tenant: str, calls: Sequence[sqlite3.Row]) -> EgressRow:
    failures: Counter[str] = Counter()
    for row in calls:
        if row["outcome"] not in _NO_FAILURE:
            failures[row["outcome"]] += row["calls"]
    return EgressRow(
        tenant=tenant,
        region=calls[0]["region"],
        provider=calls[0]["provider"],
        host=calls[0]["host"],
        calls=sum(row["calls"] for row in calls),
        bytes_out=sum(row["bytes_out"] for row in calls),
        input_tokens=sum(row["input_tokens"] for row in calls),
        output_tokens=sum(row["output_tokens"] for row in calls),
        cost_eur=sum(row["cost_eur"] for row in calls),
        masked=_masked(calls),
        failures=dict(failures.most_common()),
    )


def _masked(calls: Iterable[sqlite3.Row]) -> dict[str, int]:
    """Return the masked items by type: a row holds the JSON of the counts of each of so many calls."""
    total: Counter[str] = Counter()
    for row in calls:
        total.update({kind: row["calls"] * items for kind, items in json.loads(row["masked"]).items()})
    return dict(total.most_common())
