"""What the frontier service reads and writes."""

from sprat.declaration import Declaration
from sprat_contracts import EgressRecord, FrontierAnswered, FrontierRequested, Topics


def declare(topics: Topics) -> Declaration:
    """Say which topics the frontier service reads and writes, each with its message."""
    return Declaration(
        service="frontier",
        description="Asks a frontier model about hard cases, within policy, budget and deadline.",
        reads={topics.frontier_requests: FrontierRequested},
        writes={
            topics.frontier_answers: FrontierAnswered,
            topics.egress: EgressRecord,
            topics.dead_letters: None,
        },
    )
