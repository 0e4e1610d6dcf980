"""The mode without models, as one process: the real router, fixed small models, and the real frontier service.

`python -m sprat_testing.fixed`. Only what computes an answer is replaced, by the answers of a file: contracts, policy,
declines, masking, budgets and audit are those of Sprat. The frontier service loads when the others are ready: its hard
cases wait in Kafka so long.
"""

import asyncio
import importlib
import logging
import os
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import cache
from importlib.metadata import version
from pathlib import Path

from sprat.base.channels import Channels
from sprat.base.errors import Rejected
from sprat.base.exit_code import describe
from sprat.base.labels import refuse_asked
from sprat.base.model import DEFAULT_MODEL, Answer
from sprat.base.settings import load_settings
from sprat.context import ServiceContext, Subscription
from sprat.processing.batch_steps import Refresh
from sprat.processing.handler import Answered, Ask, Emit, Outcome, Received
from sprat.registry.announcements import announcement_record
from sprat.telemetry.health import HealthServer, LoopProgress
from sprat.telemetry.logs import configure_logs
from sprat_contracts import (
    TASKS,
    Declined,
    MaskedOutput,
    Message,
    ModelAnnounced,
    Prediction,
    TaskOptions,
    TextSubmitted,
    Topics,
)
from sprat_contracts.thresholds import (
    LEAST_THRESHOLD,
    LEVELS,
    NONE,
    SOME,
    Cell,
    Step,
    Thresholds,
    content_version,
    recommended_goal,
)
from sprat_inference.card import Calibration, Card, label_set_hash
from sprat_inference.serving import announcement
from sprat_inference.specialist import SpecialistHandler
from sprat_langid import classifier
from sprat_policy import TaskFile
from sprat_router.__main__ import RouterSettings
from sprat_router.__main__ import build as build_router
from sprat_router.decisions import labels_of
from sprat_testing.answers import NO_ANSWER, NO_ANSWER_DETAIL, NOT_ASKED_DETAIL, VARIABLE, AnswersFile
from sprat_testing.service import running

log = logging.getLogger(__name__)

NAME = "fixed"
_VERSION = "f1ced00000000000"


def card(task: str, labels: tuple[str, ...], file: TaskFile | None = None) -> Card:
    """Return the card of a fixed model: an intent has these labels, a task from a file those of the file.

    Other labels are another version: the router need not read again what it knows of one.
    """
    named = labels if task == "intent" else None
    if file is not None and file.has_labels:
        named = tuple(file.labels)
    label_set = None if named is None else label_set_hash(named)
    return Card(
        name=f"fixed-{task}",
        version=label_set or _VERSION,
        task=task,
        reader="fixed/1",
        labels=named,
        label_set=label_set,
        languages=(),
        max_tokens=8192,
        licence="Apache-2.0",
        made_of=(),
        scores=(),
        calibration=Calibration(
            method="none",
            fitted_on="the answers are a test's own",
            outside_share=0,
            longest_code_points=20_000,
            parameters={},
        ),
        keep_at=0.5,
        keep_at_rule="none: the answers are a test's own",
        files={},
    )


@cache
def thresholds(task: str, version: str, label_set: str | None, level: float | None) -> Thresholds:
    """Return thresholds by which every answer that is not more likely wrong than right reaches a level; None: none."""
    steps = () if level is None else (Step(accuracy=level, threshold=LEAST_THRESHOLD, kept=1, right=1),)
    draft = Thresholds(
        thresholds_version=_VERSION,
        task=task,
        model=f"fixed-{task}",
        model_version=version,
        label_set=label_set,
        right="what a test says",
        recommended_goal=recommended_goal(task),
        cells=tuple(Cell(says=each, rows=1, estimated=steps, certified=steps) for each in (SOME, NONE)),
    )
    return draft.model_copy(update={"thresholds_version": content_version(draft.model_dump(mode="json"))})


def thresholds_of(card: Card, topics: Topics, level: float | None = LEVELS[-1]) -> Thresholds | None:
    """Return the thresholds of a fixed model; None where that of its task is not measured: personal data."""
    is_measured = topics.tasks.get(card.task) is not MaskedOutput
    return thresholds(card.task, card.version, card.label_set, level) if is_measured else None


class FixedSpecialist(SpecialistHandler):
    """Answers one task from the file; it serves every language and target."""

    def __init__(self, topics: Topics, card: Card, answers: AnswersFile, default_language: str) -> None:
        super().__init__(topics, card, DEFAULT_MODEL, owns_from=0, default_language=default_language)
        self._answers = answers

    def replace_card(self, card: Card) -> None:
        """Answer by a card with other labels from now on."""
        self.card = card
        self._refs.clear()

    def declines(self, text: TextSubmitted, options: object) -> None:
        """Decline nothing by itself: a fixed answer may."""

    def _refuse_labels(self, options: TaskOptions) -> Declined | None:
        """Refuse what is no label of an intent by the answers of now; the labels of other tasks are the card's."""
        known = self._answers.current().all_labels() if self.card.task == "intent" else self.card.labels
        if options.labels is None or known is None:
            return None
        return refuse_asked(self.card.task, options.labels, known)

    def receive(self, received: Received[TextSubmitted]) -> Outcome:
        """Decide on a record, with the fixed answer where a model would be asked."""
        step = super().receive(received)
        return self._answer(received, step) if isinstance(step, Ask) else step

    def _answer(self, received: Received[TextSubmitted], ask: Ask) -> Outcome:
        text = ask.question.text
        fixed = self._answers.current().find(text, self.card.task, "small")
        if fixed is None:
            return self._predict(received, declined=Declined(code=NO_ANSWER, detail=NO_ANSWER_DETAIL))
        if fixed.declined is not None:
            return self._predict(received, declined=Declined(code=fixed.declined, detail="the test declines"))
        self.thresholds = thresholds_of(self.card, self.topics, fixed.level)
        output, asked = fixed.output(text, ask.question.target), ask.question.labels
        if asked is not None and not labels_of(output) <= frozenset(asked):
            return self._predict(received, declined=Declined(code=NO_ANSWER, detail=NOT_ASKED_DETAIL))
        answer = Answer(output, fixed.confidence)
        return self.answered(received, ask, Answered(answer, cached=False, timings_ms={}))


class FixedHandler:
    """Answers all tasks of a text at once: a `Handler`."""

    def __init__(self, specialists: tuple[FixedSpecialist, ...]) -> None:
        self._specialists = specialists

    def message_type(self, topic: str) -> type[Message]:
        """Return the type of the records of `topic`: it reads texts only."""
        return TextSubmitted

    def malformed(self, rejected: Rejected, topic: str) -> Outcome:
        """Skip the record: the router writes the dead letter."""
        return Outcome(skipped="invalid")

    def receive(self, received: Received[TextSubmitted]) -> Outcome:
        """Answer every task that the text asks for."""
        events = tuple(event for each in self._specialists for event in each.receive(received).events)
        return Outcome(events, skipped=None if events else "not_asked")

    def oversized(self, received: Received[TextSubmitted], emit: Emit) -> Outcome:
        """Decline in place of an answer that is too large for its topic."""
        task = emit.message.task if isinstance(emit.message, Prediction) else ""
        return next(each.oversized(received, emit) for each in self._specialists if each.card.task == task)


class FixedModels:
    """Announces the fixed models and answers for them."""

    def __init__(self, answers: AnswersFile) -> None:
        self._answers = answers
        self._labels: tuple[str, ...] = ()

    async def build(self, context: ServiceContext, settings: RouterSettings) -> Subscription:
        """Announce a model of each task, and return the subscription that answers."""
        topics = context.topics
        await context.wait_for_topics(topics.models, topics.texts)
        classifier()  # the detector of languages: loaded now, not at the first text
        self._labels = self._answers.current().all_labels()
        own = {name: file for name, file in settings.task_files.items() if file.kind != "text"}
        cards = [*(card(task, self._labels) for task in TASKS), *(card(task, (), file) for task, file in own.items())]
        await self._announce(context, cards)
        language = settings.default_language
        specialists = {each.task: FixedSpecialist(topics, each, self._answers, language) for each in cards}
        handler = FixedHandler(tuple(specialists.values()))

        async def announce_new_labels() -> None:
            """Announce labels that were given since: a frontier model may answer with announced labels only."""
            labels = self._answers.current().all_labels()
            if labels != self._labels:
                new = card("intent", labels)
                await self._announce(context, [new])
                specialists["intent"].replace_card(new)
                self._labels = labels

        loop = context.batch_loop(handler, refresh=Refresh(announce_new_labels))
        return Subscription(_channels(topics), context.group, loop.handle, loop.release, _VERSION)

    @staticmethod
    async def _announce(context: ServiceContext, cards: Sequence[Card]) -> None:
        """Announce models that own every text: nobody else has answered on this Kafka."""
        announced = [announcement(each, DEFAULT_MODEL, thresholds_of(each, context.topics)) for each in cards]
        models = [each.model_copy(update={"owns_from": 0}) for each in announced]
        await context.publisher.publish(
            [announcement_record(context.topics, model, NAME, None, context.signatures) for model in models]
        )


def _channels(topics: Topics) -> Channels:
    return Channels(
        service=NAME,
        description="Answers every task with fixed answers.",
        reads={topics.texts: TextSubmitted},
        follows={topics.models: ModelAnnounced},
        writes={**{topics.predictions(task): Prediction for task in topics.tasks}, topics.models: ModelAnnounced},
    )


async def serve(settings: RouterSettings, answers: AnswersFile) -> int:
    """Run all until a signal or a failure; return the exit code."""
    own = settings.model_copy(update={"health_port": 0, "lag_every_s": 0.0})
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    contexts: list[ServiceContext] = []
    progress = LoopProgress(started=True, assigned=lambda: bool(contexts) and all(c.progress.ready for c in contexts))
    health = HealthServer(settings.health_host, settings.health_port, progress, lambda: {"service": NAME})
    async with AsyncExitStack() as stack:
        serving = asyncio.create_task(health.serve_bound())
        stack.callback(serving.cancel)
        contexts += await asyncio.gather(
            stack.enter_async_context(running("router", own, build_router, version=version("sprat-router"))),
            stack.enter_async_context(running(NAME, own, FixedModels(answers).build, version=version("sprat-testing"))),
        )
        waiting = [
            asyncio.create_task(end.wait()),
            asyncio.create_task(serve_frontier(own, answers)),
            *(asyncio.create_task(context.failure.wait()) for context in contexts),
        ]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        for outcome in await asyncio.gather(*waiting, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("stopping: %s", describe(outcome))
    return 0 if end.is_set() else 1


async def serve_frontier(settings: RouterSettings, answers: AnswersFile) -> None:
    """Run the frontier service until it fails; its modules are imported on a thread, beside the event loop."""
    module = await asyncio.to_thread(importlib.import_module, "sprat_testing.fixed_frontier")
    build = module.FixedFrontier(answers).build
    async with running("frontier", settings, build, version=version("sprat-frontier"), timeout_s=120) as context:
        await context.failure.wait()


def main() -> int:
    """Run until a signal; return the exit code."""
    settings = load_settings(RouterSettings)
    configure_logs(NAME, settings.log_level, settings.log_format)
    return asyncio.run(serve(settings, AnswersFile(Path(os.environ[VARIABLE]))))


if __name__ == "__main__":
    raise SystemExit(main())
