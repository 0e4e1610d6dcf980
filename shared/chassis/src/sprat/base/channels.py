"""The topics of every service, declared once.

Running services subscribe to them, the AsyncAPI document shows them, `sprat lag` measures their groups, and
`sprat acls` grants the rights that they need.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any, Final

from sprat_contracts import (
    AlarmRaised,
    EgressRecord,
    FeedbackGiven,
    FrontierAnswered,
    FrontierRequested,
    Message,
    ModelAnnounced,
    Prediction,
    Result,
    ReviewAsked,
    ReviewClosed,
    TextSubmitted,
    Topics,
)

ROUTER: Final = "router"
FRONTIER: Final = "frontier"
GATEWAY: Final = "gateway"
GUARDIAN: Final = "guardian"
STRICT_TEXTS: Final = ".strict"
"""Ends the client id of a router that is strict with texts."""


@dataclass(frozen=True, slots=True)
class Channels:
    """The topics that one service reads and writes, each with its message. Made without a connection."""

    service: str
    description: str
    reads: Mapping[str, type[Message]]
    """Topics of the service's consumer group."""
    writes: Mapping[str, type[Message] | None]
    """None: dead letters, which hold records of any kind."""
    follows: Mapping[str, type[Message]] = field(default_factory=dict)
    """Topics that every instance reads from the beginning, outside the group."""
    watches: Mapping[str, type[Message] | None] = field(default_factory=dict)
    """Topics that every instance reads without a group, from where it has read them. None: dead letters."""

    @property
    def payload(self) -> Any:
        """The message, or the union of the messages, that the group reads: a type, for FastStream."""
        return reduce(or_, dict.fromkeys(self.reads.values()))


def router_channels(topics: Topics) -> Channels:
    """Return the topics that the router reads and writes."""
    return Channels(
        service=ROUTER,
        description="Judges texts, keeps or escalates predictions, concludes what the frontier said.",
        reads={
            topics.texts: TextSubmitted,
            **{topics.predictions(task): Prediction for task in topics.tasks},
            topics.frontier_answers: FrontierAnswered,
        },
        follows={topics.models: ModelAnnounced, topics.alarms: AlarmRaised},
        writes={
            **{topics.results(task): Result for task in topics.tasks},
            topics.frontier_requests: FrontierRequested,
            topics.reviews: ReviewAsked,
            topics.dead_letters: None,
        },
    )


def specialist_channels(task: str, topics: Topics) -> Channels:
    """Return the topics that the service for `task` reads and writes; the service is named after the task."""
    return Channels(
        service=task,
        description=f"Answers {task} with a small model.",
        reads={topics.texts: TextSubmitted},
        follows={topics.models: ModelAnnounced},
        writes={topics.predictions(task): Prediction, topics.models: ModelAnnounced, topics.dead_letters: None},
    )


def frontier_channels(topics: Topics) -> Channels:
    """Return the topics that the frontier service reads and writes."""
    return Channels(
        service=FRONTIER,
        description="Asks a frontier model about hard cases, and reviews kept answers, within policy and budget.",
        reads={topics.frontier_requests: FrontierRequested, topics.reviews: ReviewAsked},
        writes={
            topics.frontier_answers: FrontierAnswered,
            topics.feedback: FeedbackGiven,
            topics.egress: EgressRecord,
            topics.dead_letters: None,
        },
    )


def guardian_channels(topics: Topics) -> Channels:
    """Return the topics that the guardian reads and writes."""
    return Channels(
        service=GUARDIAN,
        description="Closes reviews of kept answers, and raises an alarm where more are wrong than the goal allows.",
        reads={topics.reviews: ReviewAsked},
        follows={
            topics.models: ModelAnnounced,
            topics.reviews_closed: ReviewClosed,
            topics.alarms: AlarmRaised,
            topics.feedback: FeedbackGiven,
        },
        watches={topics.results(task): Result for task in topics.tasks},
        writes={topics.reviews_closed: ReviewClosed, topics.alarms: AlarmRaised, topics.dead_letters: None},
    )


def gateway_channels(topics: Topics, *, page: bool = True) -> Channels:
    """Return the topics that the HTTP front door reads and writes; without its page, it reads fewer."""
    answers: dict[str, type[Message] | None] = {topics.results(task): Result for task in topics.tasks}
    steps: dict[str, type[Message] | None] = {
        topics.texts: TextSubmitted,
        **{topics.predictions(task): Prediction for task in topics.tasks},
        topics.frontier_requests: FrontierRequested,
        topics.frontier_answers: FrontierAnswered,
        topics.egress: EgressRecord,
        topics.reviews: ReviewAsked,
        topics.reviews_closed: ReviewClosed,
        topics.alarms: AlarmRaised,
        topics.feedback: FeedbackGiven,
    }
    answered: dict[str, type[Message] | None] = {topics.feedback: FeedbackGiven} if page else {}
    return Channels(
        service=GATEWAY,
        description="Publishes the texts of HTTP requests, returns their Results, and shows the stream on a page, on "
        "which people answer reviews.",
        reads={},
        follows={topics.models: ModelAnnounced},
        watches={**answers, topics.dead_letters: None, **(steps if page else {})},
        writes={topics.texts: TextSubmitted, **answered},
    )


def service_channels(topics: Topics) -> tuple[Channels, ...]:
    """Return the channels of every service with a consumer group."""
    specialists = (specialist_channels(task, topics) for task in topics.tasks)
    return (*specialists, router_channels(topics), frontier_channels(topics), guardian_channels(topics))
