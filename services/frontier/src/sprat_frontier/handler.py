"""The frontier's decisions: each request ends in an answer, or in the reason for none. No Kafka and no Redis here.

A draw that a tier reviews ends in the tier's answer, or in none: then the guardian closes it as unanswered.
"""

from dataclasses import replace
from typing import Any, cast

from sprat.base.errors import Rejected
from sprat.processing.handler import Emit, Outcome, Received, record_key
from sprat_contracts import (
    Declined,
    FeedbackGiven,
    FrontierAnswered,
    FrontierRequested,
    Message,
    ReasonCode,
    ReviewAsked,
    Topics,
    ids,
)
from sprat_contracts.results import OF_REVIEW
from sprat_contracts.reviews import BY_TIER, PEOPLE
from sprat_frontier.climb import Climb, count
from sprat_policy import TenantGuard

SERVICE = "frontier"
_HEADERS_BYTES = 16 * 1024
"""More than the headers of an answer take."""


class FrontierHandler:
    """Answers or declines every request, and reviews the draws that name a tier."""

    def __init__(self, topics: Topics, guard: TenantGuard, climb: Climb) -> None:
        self._topics = topics
        self._guard = guard
        self._climb = climb
        self._limit = next(each.max_record_bytes for each in topics.table() if each.name == topics.frontier_answers)

    def message_type(self, topic: str) -> type[Message]:
        """Return the message type of a topic: draws, else requests."""
        return ReviewAsked if topic == self._topics.reviews else FrontierRequested

    def skip_reason(self, received: Received[Any]) -> str | None:
        """Return `replay` for a record that is replayed for another service, or why the text is not its tenant's.

        A draw that people review is `not_asked` of any tier.

        A request for such a text ends here, without an answer: the router has refused the text, and a Result of it
        could take the place of that of the tenant's own text with the same source and id.
        """
        if received.envelope.replay_for not in {None, SERVICE}:
            return "replay"
        if isinstance(received.message, ReviewAsked) and received.message.by == PEOPLE:
            return "not_asked"
        return self._guard.skip_reason(received.message.prediction)

    async def handle(self, received: Received[Any]) -> Outcome:
        """Answer or decline one request, or review one draw.

        Raises:
            Retryable: the service is stopping; a redelivery tries again.
        """
        if isinstance(received.message, ReviewAsked):
            return await self._review(received.message)
        return self._outcome(await self._climb.answer(received.message))

    def malformed(self, rejected: Rejected, topic: str) -> Outcome:
        """Reject a request: no other service reads them. Draws are the guardian's to reject."""
        return Outcome(skipped="malformed") if topic == self._topics.reviews else Outcome(rejected=rejected)

    def failed(self, received: Received[Any]) -> Outcome:
        """Decline after a defect in this code: the text and its task still end in a Result. A draw is unanswered."""
        if isinstance(received.message, ReviewAsked):
            return Outcome()
        declined = Declined(code=ReasonCode.DEFECT, detail="see the logs")
        count(received.message, "declined", declined.code)
        return self._outcome(FrontierAnswered(request=received.message, declined=declined))

    def oversized(self, received: Received[Any], emit: Emit) -> Outcome:
        """Leave out what was sent, if that is enough; else decline, with a dead letter, and still report the cost.

        The escalation is counted already. A review that is too large is none.
        """
        if isinstance(emit.message, FeedbackGiven):
            return Outcome(rejected=Rejected(ReasonCode.TOO_LARGE, f"the review is too large for {emit.topic}"))
        smaller = cast("FrontierAnswered", emit.message).without_sent()
        if len(smaller.model_dump_json().encode()) + len(emit.key or b"") + _HEADERS_BYTES <= self._limit:
            return Outcome((replace(emit, message=smaller),))
        rejected = Rejected(ReasonCode.TOO_LARGE, f"the answer is too large for the topic {emit.topic}")
        declined = Declined(code=rejected.code, detail=rejected.detail)
        message = smaller.model_copy(update={"output": None, "declined": declined})
        return Outcome((replace(emit, message=message),), rejected)

    async def _review(self, asked: ReviewAsked) -> Outcome:
        """Return a tier's answer to a draw; nothing where it gives none."""
        output = await self._climb.review(asked)
        if output is None:
            return Outcome()
        prediction = asked.prediction
        text = (prediction.text_source, prediction.text_id)
        given = FeedbackGiven(
            text_id=prediction.text_id,
            text_source=prediction.text_source,
            task=prediction.task,
            output=output,
            by=f"{BY_TIER}{asked.by}",
            of=OF_REVIEW,
            token=asked.token,
        )
        id = str(ids.derive(ids.REVIEW_ANSWER, *text, prediction.task))
        return Outcome(events=(Emit(self._topics.feedback, prediction.text_id.encode(), id, given),))

    def _outcome(self, answered: FrontierAnswered) -> Outcome:
        prediction = answered.request.prediction
        emit = Emit(
            topic=self._topics.frontier_answers,
            key=record_key(prediction.origin, prediction.text_id),
            id=str(ids.derive(ids.ANSWER, prediction.text_source, prediction.text_id, prediction.task)),
            message=answered,
            extensions={"tenant": prediction.submitted.tenant},
        )
        return Outcome(events=(emit,))
