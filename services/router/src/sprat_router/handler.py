"""The router: validates texts, keeps or escalates predictions, turns the frontier's answers into Results.

Its only state is the table of models; every record holds what its next step needs.
"""

from functools import lru_cache

from sprat.base.channels import router_channels
from sprat.base.errors import Fatal, Rejected
from sprat.processing.batch_steps import Need
from sprat.processing.handler import Emit, Outcome, Received
from sprat.registry.model_table import ModelTable
from sprat_contracts import (
    FrontierAnswered,
    FrontierRequested,
    Message,
    Prediction,
    ReasonCode,
    Result,
    ReviewAsked,
    TextSubmitted,
    TextWarning,
    Topics,
)
from sprat_contracts.dead_letters import REPLAY_FOR
from sprat_contracts.ids import plain_text_identity
from sprat_contracts.reviews import PEOPLE, promises
from sprat_contracts.text_warnings import warnings_of
from sprat_policy import KeepRule, Policy, ReviewPolicy, TaskFile, TenantGuard, effective_rule
from sprat_router.alarms import StandingAlarms
from sprat_router.decisions import NO_SERVICE, RouteDecision, decide, is_of, marked, unknown_tasks, unserved
from sprat_router.draws import Draws
from sprat_router.events import (
    QuestionHash,
    concluded,
    frontier_request,
    kept,
    offered_labels,
    request_event,
    requested_options,
    result_event,
    review_event,
    too_large,
)

SERVICE = "router"
FRONTIER = "frontier"
_RULES = 1024
"""Rules by task, model and language that are kept: working one out takes longer than to decide."""


class RouterHandler:
    """Handles the router's records; the same record, policy and announcements give the same Results.

    Which of the kept answers are drawn for review depends on what was kept before. With `strict_texts`, a text of which
    something is not understood is rejected; else its Results say so.
    """

    def __init__(
        self,
        topics: Topics,
        policy: Policy,
        guard: TenantGuard,
        models: ModelTable,
        question_hash: QuestionHash,
        draws: Draws,
        alarms: StandingAlarms,
        *,
        strict_texts: bool = False,
    ) -> None:
        self._topics = topics
        self._policy = policy
        self._guard = guard
        self._models = models
        self._question_hash = question_hash
        self._draws = draws
        self._alarms = alarms
        self._strict_texts = strict_texts
        self._types = router_channels(topics).reads
        self._rule = lru_cache(_RULES)(lambda task, model, language: policy.task(task).rule(model, language))

    def message_type(self, topic: str) -> type[Message]:
        """Return the message type of one of the router's topics."""
        return self._types[topic]

    def receive(self, received: Received[Message]) -> Outcome:
        """Decide on a record."""
        if isinstance(received.message, TextSubmitted):
            refused = self._foreign(received.message, received) or self._unclear(received.warnings)
            if refused is not None:
                return Outcome(rejected=refused)
        if received.envelope.replay_for not in (None, SERVICE):
            return self._replayed_for_another(received)
        match received.message:
            case TextSubmitted() as text:
                return self._validate(text, received)
            case Prediction() as prediction:
                return self._dropped(prediction) or self._not_requested(prediction) or self._route(prediction)
            case FrontierAnswered() as answer:
                rejected = self._not_requested(answer.request.prediction)
                return rejected or Outcome(events=(result_event(concluded(answer, self._topics.tasks), self._topics),))
            case other:
                raise Fatal(f"the router does not read {type(other).__name__}; check its topics")

    def needs_refresh(self, received: Received[Message]) -> Need:
        """Return whether what was announced since the models were read may change the decision on a record.

        A model may have been withdrawn, so that a text is nobody's; else nothing follows from the text.
        What a prediction needs was announced before it was made: it is known where the very version is that answered.
        """
        match received.message:
            case TextSubmitted() as text:
                asked = text.tasks.known_to(self._topics.tasks)
                is_served = all(self._models.labels(task, options.model) for task, options in asked.items())
                return "soon" if is_served else "now"
            case Prediction() as prediction:
                options = prediction.submitted.tasks.options(prediction.task)
                announced = None if options is None else self._models.labels(prediction.task, options.model)
                return "none" if announced is not None and is_of(prediction, announced) else "now"
            case _:
                return "none"

    def malformed(self, rejected: Rejected, topic: str) -> Outcome:
        """Reject the record: only the router rejects texts, and no other service reads its other topics."""
        return Outcome(rejected=rejected)

    def oversized(self, received: Received[Message], emit: Emit) -> Outcome:
        """Return an `unanswered` Result and a dead letter; without its draw, what is kept is as large as it was.

        For a text, every task that no model serves ends so: the text or its key made one request too large, and the
        other requests share them.
        """
        if isinstance(emit.message, ReviewAsked):  # its Result stands
            return self._route(emit.message.prediction, may_draw=False)
        rejected = Rejected(ReasonCode.TOO_LARGE, f"the resulting event is too large for the topic {emit.topic}")
        events = self.receive(received).events if isinstance(received.message, TextSubmitted) else (emit,)
        results = [
            too_large(event.message, self._topics.tasks)
            for event in events
            if isinstance(event.message, FrontierRequested | Result)
        ]
        return Outcome(tuple(result_event(result, self._topics) for result in results), rejected)

    def _foreign(self, text: TextSubmitted, received: Received[Message]) -> Rejected | None:
        """Return why a text is not its tenant's."""
        envelope = received.envelope
        place = plain_text_identity(received.topic, received.partition, received.offset, received.appended_at)
        return self._guard.refusal(
            text.tenant,
            envelope.source,
            envelope.id,
            envelope.signature,
            plain=(envelope.source, envelope.id) == place,
        )

    def _unclear(self, warnings: tuple[TextWarning, ...]) -> Rejected | None:
        """Return why a text of which something is not understood is rejected; None where it is answered."""
        if not (self._strict_texts and warnings):
            return None
        return Rejected(warnings[0].code, "; ".join(each.detail for each in warnings))

    def _replayed_for_another(self, received: Received[Message]) -> Outcome:
        """Skip a replay for another service; reject one for no service: all would skip it, and its Results be lost."""
        service, text = received.envelope.replay_for, received.message
        if not isinstance(text, TextSubmitted):
            return Outcome(skipped="replay") if service in (*self._topics.tasks, FRONTIER) else _unknown_service()
        if service not in text.tasks.known_to(self._topics.tasks):
            return _unknown_service()
        # The model that failed on it may have been retired since.
        events = tuple(
            self._escalate(prediction, RouteDecision((NO_SERVICE,)))
            for prediction in unserved(text, received, self._models, self._topics.tasks, self._policy)
            if prediction.task == service
        )
        return Outcome(events, skipped=None if events else "replay")

    def _validate(self, text: TextSubmitted, received: Received[Message]) -> Outcome:
        events = tuple(
            self._escalate(prediction, RouteDecision((NO_SERVICE,)))
            for prediction in unserved(text, received, self._models, self._topics.tasks, self._policy)
        )
        rejected = unknown_tasks(text, self._topics.tasks)
        return Outcome(events, rejected, None if events or rejected else "served", judged=True)

    def _dropped(self, prediction: Prediction) -> Outcome | None:
        """Drop a prediction whose text was rejected: the text has its dead letter, and gets no Result."""
        reason = self._guard.skip_reason(prediction)
        if reason is None and self._strict_texts:
            # A specialist of an earlier version names no warnings; the text that it hands on has its unknown fields.
            unclear = self._unclear(prediction.warnings or warnings_of(prediction.submitted))
            reason = unclear.code if unclear else None
        return None if reason is None else Outcome(skipped=reason)

    def _route(self, prediction: Prediction, *, may_draw: bool = True) -> Outcome:
        options = requested_options(prediction)
        rule = self._rule(prediction.task, options.model, prediction.text_language)
        form = self._topics.tasks[prediction.task]
        announced = self._models.labels(prediction.task, options.model)
        decision = decide(prediction, form, rule, announced, self._steps(prediction, rule))
        if not decision.kept:
            return Outcome(events=(self._escalate(prediction, decision),))
        prediction = marked(prediction, decision)
        result = result_event(kept(prediction, decision, self._topics.tasks), self._topics)
        may_draw = may_draw and rule.review is not None and promises(prediction.output, decision.judged) > 0
        drawn = self._draws.take(prediction, rule) if may_draw else None
        if drawn is None:
            return Outcome(events=(result,))
        asked = self._draws.asked(drawn, prediction, decision, self._reviewer(prediction, rule.review))
        if asked.by != PEOPLE:
            labels, label_set = offered_labels(prediction, self._models, self._labels_of_file(prediction.task))
            asked = asked.model_copy(update={"labels": labels, "label_set": label_set})
        return Outcome(events=(result, review_event(asked, self._topics)))

    def _reviewer(self, prediction: Prediction, review: ReviewPolicy | None) -> str:
        """Return who reviews an answer: of a text that may not leave, people alone."""
        submitted = prediction.submitted
        denied = effective_rule(submitted.frontier, self._policy.tenant(submitted.tenant)) == "deny"
        return PEOPLE if review is None or denied else review.by

    def _steps(self, prediction: Prediction, rule: KeepRule) -> int:
        """Return the steps of the alarms that change what becomes of a prediction."""
        if rule.on_alarm == "tell" or not self._alarms:
            return 0
        return self._alarms.steps(prediction.task, self._draws.cell(prediction))

    def _escalate(self, prediction: Prediction, decision: RouteDecision) -> Emit:
        labels = self._labels_of_file(prediction.task)
        request = frontier_request(prediction, decision, self._models, labels)
        return request_event(request, self._topics, self._question_hash)

    def _labels_of_file(self, task: str) -> tuple[str, ...] | None:
        """Return the labels of a task's file; None where it has none."""
        rules = self._policy.task(task)
        return tuple(rules.labels) if isinstance(rules, TaskFile) and rules.has_labels else None

    def _not_requested(self, prediction: Prediction) -> Outcome | None:
        """Reject a prediction for a task that its text does not request: it gets no Result, and may have no topic."""
        tasks, task = prediction.submitted.tasks, prediction.task
        if task in self._topics.tasks and tasks.options(task) is not None:
            return None
        return Outcome(
            rejected=Rejected(ReasonCode.TASK_NOT_REQUESTED, "task: not one of the known tasks that the text asks for")
        )


def _unknown_service() -> Outcome:
    return Outcome(
        rejected=Rejected(ReasonCode.UNKNOWN_SERVICE, f"header {REPLAY_FOR}: names no service that would handle it")
    )
