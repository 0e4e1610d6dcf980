"""The topics of the frontier service."""

from sprat.channels import Channels
from sprat_contracts import EgressRecord, FrontierAnswered, FrontierRequested, Topics


def channels(topics: Topics) -> Channels:
    """Return the topics that the frontier service reads and writes, each with its message type."""
    return Channels(
        service="frontier",
        description="Asks a frontier model about hard cases, within policy, budget and deadline.",
        reads={topics.frontier_requests: FrontierRequested},
        writes={
            topics.frontier_answers: FrontierAnswered,
            topics.egress: EgressRecord,
            topics.dead_letters: None,
        },
    )
