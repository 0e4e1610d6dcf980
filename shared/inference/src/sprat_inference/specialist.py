"""The decisions that all services with a small model share: which texts to answer, to skip and to decline."""

from sprat.base.errors import Rejected
from sprat.base.labels import refuse_asked
from sprat.base.model import Answer, Question
from sprat.processing.handler import Answered, Ask, Emit, Outcome, Received, origin_of, record_key
from sprat.registry.model_table import asking_pattern
from sprat.registry.retirement import Ends
from sprat_contracts import (
    Declined,
    IntentOutput,
    KafkaRecord,
    LabelsOutput,
    LanguageDetected,
    Message,
    ModelRef,
    Output,
    Prediction,
    ReasonCode,
    TaskOptions,
    TextSubmitted,
    Topics,
    TranslationOptions,
)
from sprat_contracts.ids import PREDICTION, derive
from sprat_contracts.languages import DEFAULT_LANGUAGE, is_served
from sprat_contracts.predictions import UNCHANGED, Accuracy
from sprat_contracts.thresholds import Thresholds, says
from sprat_inference.card import Card
from sprat_inference.doubts import DOUBTS_READER
from sprat_langid import language_detected
from sprat_langid.tags import is_known_language


class SpecialistHandler:
    """A `ModelHandler` of the texts for one task and one model of it, without I/O.

    It skips texts that are invalid (the router handles them), do not ask for its task and model, are older than the
    model's ownership, or are replayed for another service. It reads a text whose language is `auto` in the language
    that is detected, answers what follows from it alone, and declines languages and targets that the model does not
    serve.
    """

    def __init__(
        self,
        topics: Topics,
        card: Card,
        model: str,
        owns_from: int,
        left: Ends | None = None,
        default_language: str = DEFAULT_LANGUAGE,
    ) -> None:
        self.topics = topics
        self.card = card
        self.model = model
        self.owns_from = owns_from
        self.left: Ends = left or {}
        """Partition → offset. The model owns all texts before it, whatever their age: it was retired with that lag."""
        self.default_language = default_language
        """In which texts are read of which none is detected."""
        self.thresholds: Thresholds | None = None
        """By which an answer gets its levels, a cached one too. Immutable; another object may take its place."""
        self._refs: dict[str | None, ModelRef] = {}
        """By the stage that answered."""
        self._asking = asking_pattern(card.task)

    def may_ask(self, record: KafkaRecord) -> bool:
        """Return whether a record may hold a text for this task; most are for others, as every service reads all."""
        return not isinstance(record.value, bytes) or self._asking.search(record.value) is not None

    def message_type(self, topic: str) -> type[Message]:
        """Return the type of the records of `topic`: specialists read texts only."""
        return TextSubmitted

    def malformed(self, rejected: Rejected, topic: str) -> Outcome:
        """Skip the record: the router writes the dead letter."""
        return Outcome(skipped="invalid")

    def receive(self, received: Received[TextSubmitted]) -> Outcome | Ask:
        """Decide whether to ask the model, to decline or to skip."""
        text = received.message
        options = text.tasks.options(self.card.task)
        if options is None:
            return Outcome(skipped="not_asked")
        if (skipped := self._skipped(received, options)) is not None:
            return Outcome(skipped=skipped)
        detected = self._detected(text)
        if detected is not None:
            text = text.model_copy(update={"language": detected.language})
        if (refused := self._refuse_labels(options)) is not None:
            return self._predict(received, declined=refused)
        output = self.known(text, options)
        if output is not None:
            sure = 1.0 if detected is None else detected.confidence
            answer = Answer(output, sure, UNCHANGED)
            return self._predict(received, Answered(answer, cached=False, timings_ms={}))
        declined = self.declines(text, options)
        if declined is not None:
            return self._predict(received, declined=_because_of(detected, declined))
        # The rules of doubts are of the program: a card of before is read by them, and a cached answer says its doubt.
        rules = () if self.card.doubts is None else (DOUBTS_READER,)
        return Ask(
            self.question(text, options),
            self.card.task,
            text.tenant,
            ("answer", self.card.task, options.model_dump_json(), text.language, self.card.version, *rules),
        )

    def _refuse_labels(self, options: TaskOptions) -> Declined | None:
        """Return why the model cannot choose from the labels that a text asks for; None where it can, or all are."""
        if options.labels is None:
            return None
        is_of_labels = self.topics.tasks.get(self.card.task) in {IntentOutput, LabelsOutput}
        return refuse_asked(self.card.task, options.labels, self.card.labels or () if is_of_labels else None)

    def _skipped(self, received: Received[TextSubmitted], options: TaskOptions) -> str | None:
        """Return why a text that asks for the task is another service's; None where it is this one's."""
        if options.model != self.model:
            return "other_model"
        if received.envelope.replay_for not in {None, self.card.task}:
            return "replay"
        if received.appended_at < self.owns_from and received.offset >= self.left.get(received.partition, 0):
            return "older"
        return None

    def known(self, text: TextSubmitted, options: TaskOptions) -> Output | None:
        """Return the answer to a text that follows from its language alone, for any model; None: there is none."""
        return None

    def declines(self, text: TextSubmitted, options: TaskOptions) -> Declined | None:
        """Return why the model cannot serve this language or target, or None; a model for `en` also serves `en-GB`."""
        if self.card.languages and not is_served(text.language, self.card.languages):
            served = ", ".join(self.card.languages)
            serving = f"{self.card.task}/{self.model} serves {served}"
            detail = (
                f"{serving}; send one of these, or name a model that serves the text's language"
                if is_known_language(text.language)
                else f"{text.language} is no known language; send a tag such as de"
            )
            assumed = "" if text.names_language else f"the text names no language, and {text.language} is the default; "
            return Declined(code=ReasonCode.LANGUAGE, detail=f"{assumed}{detail}")
        target = _target(options)
        if target is not None and not is_served(target, self.card.targets):
            served = ", ".join(self.card.targets) or "nothing"
            detail = (
                f"translates into {served}; ask for one of these, or name a model that translates into the target"
                if is_known_language(target)
                else f"{target} is no known language; send a tag such as de or pt-BR"
            )
            return Declined(code=ReasonCode.TARGET, detail=detail)
        return None

    def question(self, text: TextSubmitted, options: TaskOptions) -> Question:
        """Return the question for the model."""
        return Question(text.text, text.language, _target(options), options.labels)

    def answered(self, received: Received[TextSubmitted], ask: Ask, answered: Answered) -> Outcome:
        """Return the prediction with the model's answer."""
        return self._predict(received, answered=answered)

    def failed(self, received: Received[TextSubmitted], ask: Ask) -> Outcome:
        """Decline, and keep the text as a dead letter, so that an operator can see what broke the model."""
        declined = Declined(code=ReasonCode.MODEL_ERROR, detail="the model broke on this text")
        rejected = Rejected(
            ReasonCode.MODEL_ERROR, f"tasks.{self.card.task}: the model broke on this text", own_fault=True
        )
        return Outcome(self._predict(received, declined=declined).events, rejected)

    def oversized(self, received: Received[TextSubmitted], emit: Emit) -> Outcome:
        """Decline in place of an answer that is too large for its topic, and keep the text as a dead letter."""
        detail = f"tasks.{self.card.task}: the answer is larger than {emit.topic} takes"
        declined = Declined(code=ReasonCode.TOO_LARGE, detail=detail)
        return Outcome(self._predict(received, declined=declined).events, Rejected(ReasonCode.TOO_LARGE, detail))

    def _detected(self, text: TextSubmitted) -> LanguageDetected | None:
        return language_detected(text, self.default_language, self.card.languages)

    def _predict(
        self, received: Received[TextSubmitted], answered: Answered | None = None, declined: Declined | None = None
    ) -> Outcome:
        task, envelope = self.card.task, received.envelope
        stage = answered.answer.stage if answered else None
        detected = self._detected(received.message)
        language = received.message.language if detected is None else detected.language
        prediction = Prediction(
            text_id=envelope.id,
            text_source=envelope.source,
            task=task,
            origin=origin_of(received),
            submitted=received.message,
            output=None if answered is None else self._with_levels(answered.answer, language),
            confidence=answered.answer.confidence if answered else None,
            model=self._ref(stage),
            accuracy=None if answered is None else self._accuracy(answered.answer, language),
            nothing_missed=None if answered is None else self._nothing_missed(answered.answer, language),
            doubt=answered.answer.doubt if answered else None,
            renormalised=answered.answer.renormalised if answered else False,
            cached=answered.cached if answered else False,
            timings_ms=dict(answered.timings_ms) if answered else {},
            declined=declined,
            text_signature=envelope.signature,
            warnings=received.warnings,
            language_detected=detected,
        )
        id = str(derive(PREDICTION, envelope.source, envelope.id, task))
        key = record_key(prediction.origin, envelope.id)
        emit = Emit(self.topics.predictions(task), key, id, prediction, {"tenant": received.message.tenant})
        return Outcome((emit,))

    def _ref(self, stage: str | None) -> ModelRef:
        """Return the model, and which stage of it answered."""
        if (ref := self._refs.get(stage)) is None:
            ref = self._refs[stage] = ModelRef(name=self.card.name, version=self.card.version, stage=stage)
        return ref

    def _accuracy(self, answer: Answer, language: str) -> Accuracy | None:
        """Return what an answer is worth; None where no model gave it, or the model was not measured for it."""
        if (thresholds := self._thresholds_of(answer)) is None:
            return None
        return thresholds.accuracy(answer.confidence, language, says(answer.output))

    def _nothing_missed(self, answer: Answer, language: str) -> Accuracy | None:
        """Return what it is worth that no name, or no further one, is missed; None where that is not known."""
        if answer.nothing_missed is None or (thresholds := self._thresholds_of(answer)) is None:
            return None
        return thresholds.completeness(answer.nothing_missed, language, says(answer.output))

    def _with_levels(self, answer: Answer, language: str) -> Output:
        """Return the output, its names with their levels: of the thresholds as they are now, from the cache, too."""
        thresholds = self._thresholds_of(answer)
        return answer.output if thresholds is None else thresholds.with_levels(answer.output, language)

    def _thresholds_of(self, answer: Answer) -> Thresholds | None:
        return None if answer.stage == UNCHANGED or answer.renormalised else self.thresholds


def _because_of(detected: LanguageDetected | None, declined: Declined) -> Declined:
    """Return the reason, with the detected language where that is what the model does not serve."""
    if detected is None or declined.code != ReasonCode.LANGUAGE:
        return declined
    detail = f"detected {detected.language} ({detected.confidence:.2f}); {declined.detail}"
    return declined.model_copy(update={"detail": detail})


def _target(options: TaskOptions) -> str | None:
    """Return the target language of a translation. In the options of another task, `target` is an unknown field."""
    return options.target if isinstance(options, TranslationOptions) else None
