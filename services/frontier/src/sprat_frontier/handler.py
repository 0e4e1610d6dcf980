"""The frontier's decisions: each request ends in an answer, or in the reason for none. No Kafka and no Redis here."""

from dataclasses import replace
from typing import cast

from sprat.base.errors import Rejected
from sprat.processing.handler import Emit, Outcome, Received, record_key
from sprat_contracts import Declined, FrontierAnswered, FrontierRequested, ReasonCode, Topics, ids
from sprat_frontier.climb import Climb, count
from sprat_policy import TenantGuard

SERVICE = "frontier"
_HEADERS_BYTES = 16 * 1024
"""More than the headers of an answer take."""


class FrontierHandler:
    """Answers or declines every request."""

    def __init__(self, topics: Topics, guard: TenantGuard, climb: Climb) -> None:
        self._topics = topics
        self._guard = guard
        self._climb = climb
        self._limit = next(each.max_record_bytes for each in topics.table() if each.name == topics.frontier_answers)

    def message_type(self, topic: str) -> type[FrontierRequested]:
        """Return the message type of its one topic."""
        return FrontierRequested

    def skip_reason(self, received: Received[FrontierRequested]) -> str | None:
        """Return `replay` for a record that is replayed for another service, or why the text is not its tenant's.

        A request for such a text ends here, without an answer: the router has refused the text, and a Result of it
        could take the place of that of the tenant's own text with the same source and id.
        """
        if received.envelope.replay_for not in {None, SERVICE}:
            return "replay"
        return self._guard.skip_reason(received.message.prediction)

    async def handle(self, received: Received[FrontierRequested]) -> Outcome:
        """Answer or decline one request.

        Raises:
            Retryable: the service is stopping; a redelivery tries again.
        """
        return self._outcome(await self._climb.answer(received.message))

    def malformed(self, rejected: Rejected) -> Outcome:
        """Reject the record: no other service reads the requests."""
        return Outcome(rejected=rejected)

    def failed(self, received: Received[FrontierRequested]) -> Outcome:
        """Decline after a defect in this code: the text and its task still end in a Result."""
        declined = Declined(code=ReasonCode.DEFECT, detail="see the logs")
        count(received.message, "declined", declined.code)
        return self._outcome(FrontierAnswered(request=received.message, declined=declined))

    def oversized(self, received: Received[FrontierRequested], emit: Emit) -> Outcome:
        """Leave out what was sent, if that is enough; else decline, with a dead letter, and still report the cost.

        The escalation is counted already.
        """
        smaller = cast("FrontierAnswered", emit.message).without_sent()
        if len(smaller.model_dump_json().encode()) + len(emit.key or b"") + _HEADERS_BYTES <= self._limit:
            return Outcome((replace(emit, message=smaller),))
        rejected = Rejected(ReasonCode.TOO_LARGE, f"the answer is too large for the topic {emit.topic}")
        declined = Declined(code=rejected.code, detail=rejected.detail)
        message = smaller.model_copy(update={"output": None, "declined": declined})
        return Outcome((replace(emit, message=message),), rejected)

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
