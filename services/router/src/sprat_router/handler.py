"""The router: judges texts, keeps or escalates predictions, concludes what the frontier said.

It keeps no state but the table of models; every record holds what its next step needs.
"""

from sprat.delivery.outcomes import Answered, Ask, Emit, Outcome, Received
from sprat.errors import Fatal, Rejected
from sprat.model_table import ModelTable
from sprat.policy import Policy
from sprat_contracts import (
    TASKS,
    FrontierAnswered,
    FrontierRequested,
    Message,
    Prediction,
    Result,
    TextSubmitted,
    Topics,
)
from sprat_contracts.dead_letters import REPLAY_FOR
from sprat_router.decisions import NO_SERVICE, decide
from sprat_router.declaration import declare
from sprat_router.requests import QuestionHash, request, request_event
from sprat_router.results import concluded, kept, result_event, too_large
from sprat_router.texts import unknown_tasks, unserved

SERVICE = "router"
FRONTIER = "frontier"


class RouterHandler:
    """The router's decisions; the same record, policy and announcements give the same outcome."""

    def __init__(self, topics: Topics, policy: Policy, models: ModelTable, question_hash: QuestionHash) -> None:
        self._topics = topics
        self._policy = policy
        self._models = models
        self._question_hash = question_hash
        self._types = declare(topics).reads

    def message_type(self, topic: str) -> type[Message]:
        """Give the message that a topic of the router's declaration holds."""
        return self._types[topic]

    def receive(self, received: Received[Message]) -> Outcome:
        """Decide on a record; the router never asks a model."""
        if received.envelope.replay_for not in (None, SERVICE):
            return self._replayed_for_another(received)
        match received.message:
            case TextSubmitted() as text:
                return self._judge(text, received)
            case Prediction() as prediction:
                return _not_asked_for(prediction) or Outcome(events=(self._route(prediction),))
            case FrontierAnswered() as answer:
                refused = _not_asked_for(answer.request.prediction)
                return refused or Outcome(events=(result_event(concluded(answer), self._topics),))
            case other:
                raise Fatal(f"the router does not read {type(other).__name__}; its topics are miswired")

    def malformed(self, rejected: Rejected) -> Outcome:
        """Reject: of texts the router alone is the judge, and nobody else reads its other topics."""
        return Outcome(rejected=rejected)

    def answered(self, received: Received[Message], ask: Ask, answered: Answered) -> Outcome:
        """Never happens, for the router asks no model.

        Raises:
            Fatal: always.
        """
        raise Fatal("the router was given an answer to a question that it never asked")

    def failed(self, received: Received[Message], ask: Ask) -> Outcome:
        """Never happens, for the router asks no model.

        Raises:
            Fatal: always.
        """
        raise Fatal("the router was told of the failure of a model that it does not have")

    def oversized(self, received: Received[Message], emit: Emit) -> Outcome:
        """End the pair `unanswered`, with a dead letter beside it.

        Of a text it ends all pairs that no model serves: what made one request too large is the text or its key, and
        the others share them.
        """
        rejected = Rejected("too_large", f"what follows from it is too large for the topic {emit.topic}")
        events = self.receive(received).events if isinstance(received.message, TextSubmitted) else (emit,)
        results = [
            too_large(event.message) for event in events if isinstance(event.message, FrontierRequested | Result)
        ]
        return Outcome(tuple(result_event(result, self._topics) for result in results), rejected)

    def _replayed_for_another(self, received: Received[Message]) -> Outcome:
        """Leave a replay to the service that it is for; one for nobody would be skipped by all, and its pairs lost."""
        service, text = received.envelope.replay_for, received.message
        if not isinstance(text, TextSubmitted):
            return Outcome(skipped="replay") if service in (*TASKS, FRONTIER) else _for_nobody()
        if service not in text.tasks.known:
            return _for_nobody()
        # The model that failed on it may be retired since.
        events = tuple(
            self._escalate(prediction, (NO_SERVICE,), None)
            for prediction in unserved(text, received, self._models)
            if prediction.task == service
        )
        return Outcome(events, skipped=None if events else "replay")

    def _judge(self, text: TextSubmitted, received: Received[Message]) -> Outcome:
        events = tuple(
            self._escalate(prediction, (NO_SERVICE,), None) for prediction in unserved(text, received, self._models)
        )
        rejected = unknown_tasks(text)
        return Outcome(events, rejected, None if events or rejected else "served")

    def _route(self, prediction: Prediction) -> Emit:
        asked = prediction.submitted.tasks.known[prediction.task]
        decision = decide(prediction, self._policy.task(prediction.task, asked.model))
        if decision.kept:
            return result_event(kept(prediction, decision), self._topics)
        return self._escalate(prediction, decision.reasons, decision.threshold)

    def _escalate(self, prediction: Prediction, reasons: tuple[str, ...], threshold: float | None) -> Emit:
        asked = request(prediction, reasons, threshold, self._models)
        return request_event(asked, self._topics, self._question_hash)


def _not_asked_for(prediction: Prediction) -> Outcome | None:
    """Reject a prediction for a task that its text does not ask for: no Result is owed, and there may be no topic."""
    if prediction.task in prediction.submitted.tasks.known:
        return None
    return Outcome(rejected=Rejected("task_not_requested", "task: not one of the known tasks that the text asks for"))


def _for_nobody() -> Outcome:
    return Outcome(rejected=Rejected("unknown_service", f"header {REPLAY_FOR}: names no service that would handle it"))
