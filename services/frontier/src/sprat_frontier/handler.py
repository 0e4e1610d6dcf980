"""The frontier's decisions: from a request to an answer or the reason why there is none. No Kafka and no Redis here."""

import asyncio
from collections import Counter
from dataclasses import replace
from time import perf_counter
from typing import Any

from sprat.delivery.outcomes import Emit, Outcome, Received
from sprat.errors import Rejected, Retryable
from sprat.origin import record_key
from sprat.perimeter import NotRestorable, NotVerified
from sprat_contracts import Declined, Egress, FrontierAnswered, FrontierRequested, ModelRef, Topics, ids
from sprat_frontier.cases import Case, case_of
from sprat_frontier.clock import Clock
from sprat_frontier.flights import Flight, Flights
from sprat_frontier.gateway import Bought, DeadlinePassedError, Gateway
from sprat_frontier.ports import AnswerStore, Hash, Masks, Policies, ProviderError
from sprat_frontier.pricing import cost_eur
from sprat_frontier.stored import StoredAnswer, answer_key, read_stored

SERVICE = "frontier"
NOTHING_LEFT = Egress(left=False, masked={})
_TOO_LATE = Declined(code="deadline", detail="the answer did not come in time")


class FrontierHandler:
    """Answers or declines every request, in this order: a kept answer, deadline, policy, masking, labels, the call.

    Under `redact` the kept answer is one to the masked text, so the text is masked before the look-up: that is cheap,
    gives the same each time, and nothing leaves by it. What is asked, kept and shared holds placeholders alone; each
    case puts its own values back into its own answer, as the last step.

    A call goes on when the case's deadline has passed: its answer is kept for the next one who asks. A redelivered
    request finds the answer that was bought for it and tells cost and egress as the first time.
    """

    def __init__(
        self,
        *,
        topics: Topics,
        policies: Policies,
        perimeter: Masks,
        store: AnswerStore,
        gateway: Gateway,
        hash: Hash,
        clock: Clock,
        endpoint: str,
        max_wait_s: float = 120.0,
        counts: Counter[str] | None = None,
    ) -> None:
        self._topics = topics
        self._policies = policies
        self._perimeter = perimeter
        self._store = store
        self._gateway = gateway
        self._hash = hash
        self._clock = clock
        self._endpoint = endpoint
        self._max_wait_s = max_wait_s
        self._flights = Flights()
        self.counts: Counter[str] = Counter() if counts is None else counts
        """answered, stored, coalesced, and declined with its code: `declined.policy`."""

    def message_type(self, topic: str) -> type[FrontierRequested]:
        """Give what its one topic holds."""
        return FrontierRequested

    async def handle(self, received: Received[FrontierRequested]) -> Outcome:
        """Answer or decline one request; not before its deadline where there is a chance, and not long after it.

        Raises:
            Retryable: the service is stopping, or what a port raises: the audit's record could not be written.
        """
        if received.envelope.replay_for not in {None, SERVICE}:
            return Outcome(skipped="replay for another service")
        begun = perf_counter()
        case = await self._masked(case_of(received.message, self._policies, self._clock, self._max_wait_s))
        key = self._key(case)
        if case.unmaskable is None:
            stored = read_stored(await self._store.get(key), case.question)
            if stored is not None:
                return self._answered(case, stored, begun, "stored")
        declined = case.refusal(self._gateway.provider.region)
        if declined is not None:
            return self._declined(case, declined, begun, NOTHING_LEFT)
        return await self._ask(case, key, begun)

    def malformed(self, rejected: Rejected) -> Outcome:
        """Reject: nobody else reads the requests."""
        return Outcome(rejected=rejected)

    def failed(self, received: Received[FrontierRequested]) -> Outcome:
        """Decline where this code broke on the request: its pair ends all the same."""
        self.counts["declined.defect"] += 1
        prediction = received.message.prediction
        emit = Emit(
            topic=self._topics.frontier_answers,
            key=record_key(prediction.origin, prediction.text_id),
            id=str(ids.derive(ids.ANSWER, prediction.text_source, prediction.text_id, prediction.task)),
            message=FrontierAnswered(request=received.message, declined=Declined(code="defect", detail="see the logs")),
            extensions={"tenant": prediction.submitted.tenant},
        )
        return Outcome(events=(emit,))

    def oversized(self, received: Received[FrontierRequested], emit: Emit) -> Outcome:
        """Decline instead, with a dead letter beside it; what it cost is still told."""
        rejected = Rejected("too_large", f"the answer is too large for the topic {emit.topic}")
        declined = Declined(code=rejected.code, detail=rejected.detail)
        self.counts[f"declined.{declined.code}"] += 1
        message = emit.message.model_copy(update={"output": None, "declined": declined})
        return Outcome((replace(emit, message=message),), rejected)

    async def drain(self, timeout_s: float) -> None:
        """Wait for the calls under way, so that their answers are kept; cancel what takes longer."""
        await self._flights.drain(timeout_s)

    async def _masked(self, case: Case) -> Case:
        """Mask the text where the rule says so."""
        if case.rule != "redact":
            return case
        try:
            return case.redacted(await self._perimeter.mask(case.question.text, case.question.language))
        except NotVerified as error:
            return replace(case, unmaskable=error.reason)

    def _key(self, case: Case) -> str:
        perimeter = "" if case.masked is None else self._perimeter.version
        return answer_key(self._hash, case.question, case.rule, perimeter, self._gateway.provider, self._endpoint)

    async def _ask(self, case: Case, key: str, begun: float) -> Outcome:
        """Wait for the answer until the deadline. Who joined another's call and has more time than it, asks again."""
        while True:
            flight, task = self._flights.join(key, case.answer_id, lambda flight: self._buy(case, key, flight))
            await asyncio.wait({task}, timeout=case.deadline.remaining_s())
            if not task.done():
                return self._declined(case, _TOO_LATE, begun, self._egress(case, flight.progress.left))
            if task.cancelled():
                raise Retryable("the service stops; the call was given up")
            try:
                return self._answered(case, task.result(), begun, "coalesced")
            except DeadlinePassedError as late:
                if flight.asked_by == case.answer_id or case.deadline.passed:
                    declined = Declined(code="deadline", detail=str(late))
                    return self._declined(case, declined, begun, self._egress(case, flight.progress.left))
            except ProviderError as error:
                return self._failed(case, flight, error, begun)

    async def _buy(self, case: Case, key: str, flight: Flight) -> StoredAnswer:
        """Call the provider and keep the answer as soon as it is there, unless it is of no use."""

        async def keep(bought: Bought) -> None:
            try:
                case.restored(bought.answer.output)
            except NotRestorable:
                return
            await self._store.put(key, self._stored(case, bought).model_dump_json().encode())

        bought = await self._gateway.ask(case.question, case.told, case.deadline, flight.progress, keep)
        return self._stored(case, bought)

    def _stored(self, case: Case, bought: Bought) -> StoredAnswer:
        answer = bought.answer
        return StoredAnswer(
            asked_by=case.answer_id,
            output=answer.output,
            model=ModelRef(name=answer.model, version=answer.model),
            usage=answer.usage,
            cost_eur=bought.cost_eur,
            egress=self._egress(case, left=True),
            call_ms=bought.call_ms,
        )

    def _answered(self, case: Case, stored: StoredAnswer, begun: float, how: str) -> Outcome:
        """Tell an answer. Only the case that it was bought for pays; of the others' equal text the same has left."""
        own = stored.asked_by == case.answer_id
        egress = stored.egress.model_copy(update={"masked": dict(case.counts)})
        billed = {"usage": stored.usage if own else None, "cost_eur": stored.cost_eur if own else 0.0}
        call_ms = stored.call_ms if own else None
        try:
            output = case.restored(stored.output)
        except NotRestorable as error:
            declined = Declined(code=error.code, detail=error.reason)
            return self._declined(case, declined, begun, egress, call_ms=call_ms, **billed)
        self.counts["answered" if own else how] += 1
        told = {"output": output, "model": stored.model, "egress": egress, "cached": not own}
        return self._emit(case, begun, call_ms=call_ms, **told, **billed)

    def _failed(self, case: Case, flight: Flight, error: ProviderError, begun: float) -> Outcome:
        """Tell a failure; what it cost is told to the case that it was asked for."""
        code = error.code if error.code in {"invalid_answer", "refused"} else "provider"
        detail = error.detail if code == error.code else f"{error.code}: {error.detail}"
        usage = error.usage if flight.asked_by == case.answer_id else None
        declined = Declined(code=code, detail=detail)
        cost = cost_eur(self._gateway.price, usage)
        return self._declined(case, declined, begun, self._egress(case, left=True), usage=usage, cost_eur=cost)

    def _declined(self, case: Case, declined: Declined, begun: float, egress: Egress, **billed: Any) -> Outcome:
        self.counts[f"declined.{declined.code}"] += 1
        return self._emit(case, begun, declined=declined, egress=egress, **billed)

    def _emit(self, case: Case, begun: float, *, call_ms: float | None = None, **answer: Any) -> Outcome:
        timings = {"frontier": round((perf_counter() - begun) * 1000, 3)}
        if call_ms is not None:
            timings["frontier_call"] = round(call_ms, 3)
        emit = Emit(
            topic=self._topics.frontier_answers,
            key=record_key(case.request.prediction.origin, case.request.prediction.text_id),
            id=case.answer_id,
            message=FrontierAnswered(request=case.request, timings_ms=timings, **answer),
            extensions={"tenant": case.question.tenant},
        )
        return Outcome(events=(emit,))

    def _egress(self, case: Case, left: bool) -> Egress:  # noqa: FBT001 - the field it fills is one
        provider = self._gateway.provider
        if not left:
            return NOTHING_LEFT
        return Egress(left=True, masked=dict(case.counts), provider=provider.name, region=provider.region)
