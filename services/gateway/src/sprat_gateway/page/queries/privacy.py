"""Screen 7: what left the house, what was masked before, and what was not let out."""

from dataclasses import dataclass

from sprat_gateway.page.queries.overview import Span


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
    command: str


@dataclass(frozen=True, slots=True)
class Privacy:
    """The screen."""

    span: Span
    begin_ms: int
    egress: tuple[EgressRow, ...]
    masked: dict[str, int]
    """Type of personal data → items, in all calls."""
    denied: dict[str, int]
    """Code of the reason (policy, masking, budget, deadline, …) → pairs for which nothing left."""
    inside: int
    """Pairs of a text and a task that were answered without anything leaving."""
    left: int
    """Pairs for which something left."""
    verified: AuditVerified | None
    """None where no verification is known."""
    command: str
    """That verifies the audit."""
