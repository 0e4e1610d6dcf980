"""The topics of the router."""

from sprat.channels import Channels
from sprat_contracts import (
    TASKS,
    FrontierAnswered,
    FrontierRequested,
    ModelAnnounced,
    Prediction,
    Result,
    TextSubmitted,
    Topics,
)


def channels(topics: Topics) -> Channels:
    """Return the topics that the router reads and writes, each with its message type."""
    return Channels(
        service="router",
        description="Judges texts, keeps or escalates predictions, concludes what the frontier said.",
        reads={
            topics.texts: TextSubmitted,
            **{topics.predictions(task): Prediction for task in TASKS},
            topics.frontier_answers: FrontierAnswered,
        },
        follows={topics.models: ModelAnnounced},
        writes={
            **{topics.results(task): Result for task in TASKS},
            topics.frontier_requests: FrontierRequested,
            topics.dead_letters: None,
        },
    )
