"""Screen 7: what left the house, what was masked before, and what was not let out."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

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
    """Code of the reason (policy, masking, budget, deadline, …) → escalated pairs for which nothing left."""
    inside: int
    """Pairs of a text and a task that were answered without anything leaving."""
    left: int
    """Pairs for which something left."""
    verified: AuditVerified | None
    """None where no verification is known."""
    command: str
    """That verifies the audit."""


VERIFY: Final = "sprat audit verify"
_CALLS: Final = """SELECT region, provider, host, count(*) AS calls, sum(bytes_out) AS bytes_out,
sum(coalesce(input_tokens, 0)) AS input_tokens, sum(coalesce(output_tokens, 0)) AS output_tokens,
sum(cost_eur) AS cost_eur FROM calls
WHERE tenant = ? AND source = ? AND at >= ? AND expires > ? GROUP BY region, provider, host ORDER BY calls DESC"""
_MASKED: Final = """SELECT region, provider, host, masked, count(*) FROM calls
WHERE tenant = ? AND source = ? AND at >= ? AND expires > ? AND masked <> '{}'
GROUP BY region, provider, host, masked"""
_FAILED: Final = """SELECT region, provider, host, outcome, count(*) FROM calls
WHERE tenant = ? AND source = ? AND at >= ? AND expires > ? AND outcome <> 'answered'
GROUP BY region, provider, host, outcome"""
_PAIRS: Final = """SELECT sum(kept + escalated), sum(has_left) FROM sums
WHERE width = ? AND tenant = ? AND source = ? AND at >= ?"""
_DENIED: Final = """SELECT code, sum(pairs) AS pairs FROM denials
WHERE width = ? AND tenant = ? AND source = ? AND at >= ? GROUP BY code ORDER BY pairs DESC"""

_Route = tuple[str, str, str | None]


def privacy(connection: sqlite3.Connection, viewer: Viewer, span: Span, now_ms: int) -> Privacy:
    """Return the screen of a span that ends now."""
    width, count = SPANS[span]
    begin = now_ms - now_ms % width + width - width * count
    owner = (viewer.tenant, viewer.source)
    given = (*owner, begin, now_ms)
    masked = _by_route(connection.execute(_MASKED, given))
    failed = _by_route(connection.execute(_FAILED, given))
    pairs, left = connection.execute(_PAIRS, (width, *owner, begin)).fetchone()
    verified = noted(connection, AUDIT)
    return Privacy(
        span=span,
        begin_ms=begin,
        egress=tuple(
            EgressRow(
                tenant=viewer.tenant,
                region=row["region"],
                provider=row["provider"],
                host=row["host"],
                calls=row["calls"],
                bytes_out=row["bytes_out"],
                input_tokens=row["input_tokens"],
                output_tokens=row["output_tokens"],
                cost_eur=row["cost_eur"],
                masked=_added(masked[row["region"], row["provider"], row["host"]]),
                failures=failed[row["region"], row["provider"], row["host"]],
            )
            for row in connection.execute(_CALLS, given)
        ),
        masked=_added(*masked.values()),
        denied=dict(connection.execute(_DENIED, (width, *owner, begin)).fetchall()),
        inside=(pairs or 0) - (left or 0),
        left=left or 0,
        verified=None if verified is None else AuditVerified(verified["at_ms"], verified["findings"]),
        command=VERIFY,
    )


def _by_route(rows: Iterable[sqlite3.Row]) -> defaultdict[_Route, dict[str, int]]:
    found: defaultdict[_Route, dict[str, int]] = defaultdict(dict)
    for region, provider, host, what, count in rows:
        found[region, provider, host][what] = count
    return found


def _added(*masked: dict[str, int]) -> dict[str, int]:
    """Return the masked items by type; each key is the JSON of the counts of that many calls."""
    total: Counter[str] = Counter()
    for counts in masked:
        for given, calls in counts.items():
            total.update({kind: calls * items for kind, items in json.loads(given).items()})
    return dict(total.most_common())
