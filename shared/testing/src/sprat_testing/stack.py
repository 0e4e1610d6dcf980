"""`Sprat`: an installation for tests, with what a test does to it and asks of it."""

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from aiokafka import AIOKafkaProducer

from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import close_in_time
from sprat.kafka.lag import LagMeter
from sprat_contracts import (
    TASKS,
    IntentOutput,
    LabelsOutput,
    MaskedOutput,
    Output,
    Result,
    ReviewAsked,
    TextOutput,
    Topics,
)
from sprat_contracts.thresholds import LEVELS, nearest_levels, thousandths
from sprat_local.processes.notices import OnProgress, discard_progress
from sprat_operations.dead_letters import DeadLetter
from sprat_testing.answers import FixedAnswer, FixedAnswers
from sprat_testing.background_loop import BackgroundLoop
from sprat_testing.draws import wait_for_draw
from sprat_testing.http_door import HttpDoor, open_http_door
from sprat_testing.outcomes import Of, Outcomes, RecordPlace
from sprat_testing.texts import Text

Models = Literal["fixed", "shipped"]
Backend = Literal["embedded", "containers"]

_CONNECT_S = 30.0
_PAUSE_S = 0.2
_MAX_REQUEST = 4 * 1024 * 1024
_UNSET: Any = object()
_ARGUMENTS: Mapping[type[Output], str] = {
    IntentOutput: "label",
    LabelsOutput: "labels",
    TextOutput: "content",
    MaskedOutput: "masked",
}
"""Form of the output of a task from a file → the argument that gives it."""


class Running(Protocol):
    """An installation that a backend starts and stops."""

    @property
    def kafka(self) -> KafkaSettings:
        """How to reach its Kafka."""
        ...

    def start(self) -> None:
        """Start it and wait until texts are answered."""
        ...

    def stop(self) -> None:
        """Stop it and remove its data."""
        ...

    def kill(self, service: str) -> None:
        """Kill a service; it is started again."""
        ...

    def report(self) -> str:
        """Return what happened that was not as it should be; empty if nothing did."""
        ...


class Sprat:
    """Sprat for tests, from `start` to `stop`. Also a context manager.

    All methods block, and may be called from any thread: in an asynchronous test, through `asyncio.to_thread`.
    """

    def __init__(
        self,
        *,
        models: Models | None = None,
        backend: Backend = "embedded",
        policy: Path | str | None = None,
        tasks: Path | str | None = None,
        labels: Sequence[str] = (),
        services: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        on_progress: OnProgress = discard_progress,
    ) -> None:
        """Plan an installation.

        Args:
            models: `fixed` answers what the test says, without any model; `shipped` runs the models that Sprat ships.
                None: `fixed`, or `shipped` in containers.
            backend: `embedded` runs processes on this machine; `containers` needs Docker and Sprat's images.
            policy: the policy file; None: the one of Sprat's demo.
            tasks: the folder of task files; None: the folder `tasks` beside the policy file, if that is named.
            labels: with fixed answers, labels of the intent model beside those of its answers.
            services: of the shipped ones, those to run; None: all.
            environment: variables for all services; with containers, those of the Compose file.
            timeout: how long `result` and `dead_letter` wait where they are not told otherwise, in seconds.
            on_progress: receives lines such as "fetching Apache Kafka", which takes a while, once.

        Raises:
            UserError: the backend is not possible with these models, or not installed.
        """
        chosen = models or ("fixed" if backend == "embedded" else "shipped")
        if (chosen, backend) == ("fixed", "containers"):
            raise UserError("fixed answers are embedded: containers run the models of their images, models='shipped'")
        self._fixed = chosen == "fixed"
        self._timeout = timeout
        self._labels = tuple(labels)
        self._given: tuple[FixedAnswer, ...] = ()
        folder = Path(tempfile.gettempdir()) / f"sprat-testing-{secrets.token_hex(8)}"
        self._answers_file = folder / "answers.json" if self._fixed else None
        file, more = None if policy is None else Path(policy), environment or {}
        own = None if tasks is None else Path(tasks)
        self._running = _backend(backend, self._answers_file, file, own, services, more, on_progress)
        self._outcomes = Outcomes()
        self._loop = BackgroundLoop()
        self._producer: AIOKafkaProducer | None = None
        self._doors: AsyncExitStack | None = None

    def start(self) -> None:
        """Start it and return when texts are answered.

        Raises:
            UserError: it cannot start; the message says why. Nothing is left running.
        """
        if self._answers_file is not None:
            self._answers_file.parent.mkdir(mode=0o700)
            self._write_answers()
        try:
            self._running.start()
        except BaseException:  # Ctrl-C, too: nothing may be left
            self._remove_answers()
            raise
        try:
            self._loop.start()
            self._loop.run(self._connect(), _CONNECT_S)
        except BaseException:  # Ctrl-C, too: no process may be left running
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it, and remove all that it has written."""
        if self._doors is not None:
            self._loop.run(self._doors.aclose(), _CONNECT_S)
            self._doors = None
        if self._producer is not None:
            self._loop.run(close_in_time(self._producer.stop), _CONNECT_S)
            self._producer = None
        self._loop.stop()
        self._running.stop()
        self._remove_answers()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def kafka(self) -> KafkaSettings:
        """How to reach its Kafka."""
        return self._running.kafka

    @property
    def bootstrap(self) -> str:
        """The address of its Kafka, for the program under test: `127.0.0.1:31234`."""
        return self.kafka.bootstrap

    @property
    def topics(self) -> Topics:
        """The names of its topics."""
        return self.kafka.topics

    @property
    def answers(self) -> tuple[FixedAnswer, ...]:
        """The answers that hold now. Set them back to an earlier value, or to `()`, to forget others."""
        return self._given

    @answers.setter
    def answers(self, given: tuple[FixedAnswer, ...]) -> None:
        self._given = given
        self._write_answers()

    def answer(
        self,
        contains: str = "",
        *,
        equals: str | None = None,
        intent: str | None = _UNSET,
        ner: Sequence[tuple[str, str]] = _UNSET,
        translation: str = _UNSET,
        language_id: str | None = _UNSET,
        task: str | None = None,
        label: str | None = _UNSET,
        labels: Sequence[str] = _UNSET,
        content: str = _UNSET,
        masked: str = _UNSET,
        declines: str | None = None,
        confidence: float = 0.99,
        level: float | None = LEVELS[-1],
        frontier: bool = False,
    ) -> None:
        """Answer every text that is published from now on and contains, or equals, this text.

        Of several answers that fit, the last one counts. A text that none fits is declined with the code `no_answer`.

        Args:
            contains: what the text contains; empty: any text.
            equals: the whole text, in place of `contains`.
            intent: the label; None: outside every intent.
            ner: text and label of each named entity, in the order of the text.
            translation: the translation.
            language_id: the tag of the language; None: undetermined. It is what the task `language-id` answers, not the
                language in which the other tasks read the text.
            task: a task of yours, from a file; its answer is one of the following four.
            label: the label of a task of kind `classification`; None: none of them.
            labels: all labels of one of kind `multi_label`.
            content: what a large model writes for one of kind `text`; needs `frontier=True`.
            masked: the text without its personal data, of one of kind `pii`.
            declines: the code with which all tasks are declined, such as `language`.
            confidence: of the small model, 0 to 1. Below 0.5, or the policy's `keep_at`, the text is a hard case.
            level: the accuracy that the answer reaches, 0.80 to 0.995 in steps of 0.005; None: none. Below the policy's
                `goal` the text is a hard case. The answer to a task of kind `pii` has none.
            frontier: whether this is the frontier model's answer to a hard case. It sees the text as it leaves Sprat:
                masked where the policy or the text says so.

        Raises:
            UserError: no answer is given, one that does not fit the task, or no such level; the frontier is to tell
                what it is never asked; or Sprat runs with the shipped models.
        """
        if not self._fixed:
            raise UserError('the shipped models answer for themselves: Sprat(models="fixed") takes answers')
        _check_level(level)
        fields: dict[str, dict[str, Any]] = {}
        if declines is not None:
            fields = {each: {"declined": declines} for each in self.topics.tasks}
        if intent is not _UNSET:
            fields["intent"] = {"label": intent}
        if ner is not _UNSET:
            fields["ner"] = {"entities": tuple(ner)}
        if translation is not _UNSET:
            fields["translation"] = {"translation": translation}
        if language_id is not _UNSET:
            if frontier:
                raise UserError("no frontier model is asked for the language: language_id= is the small model's answer")
            fields["language-id"] = {"label": language_id}
        if task is not None:
            given = {"label": label, "labels": labels, "content": content, "masked": masked}
            fields[task] = self._of_file(task, {name: value for name, value in given.items() if value is not _UNSET})
        if not fields:
            raise UserError("an answer is missing: intent=, ner=, translation=, language_id=, task= or declines=")
        by: Literal["small", "frontier"] = "frontier" if frontier else "small"
        common = {"contains": contains, "equals": equals, "confidence": confidence, "level": level, "by": by}
        self.answers += tuple(FixedAnswer(task=name, **common, **each) for name, each in fields.items())

    def _of_file(self, task: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a task from a file, if it is one of the form that the task's kind has."""
        form = None if task in TASKS else self.topics.tasks.get(task)
        if form is None:
            raise UserError(f"task={task!r}: there is no such task file; name its folder with Sprat(tasks=…)")
        wanted = _ARGUMENTS[form]
        if list(given) != [wanted]:
            raise UserError(f"task={task!r}: needs {wanted}= and nothing else")
        value = given[wanted]
        return {wanted: tuple(value) if wanted == "labels" else value}

    def publish(self, text: Text) -> str:
        """Publish a text, wait until Kafka has it, and return its id.

        Raises:
            ValidationError: it is not a valid text.
        """
        value, headers = text.record()
        self.publish_record(value, headers=headers, key=text.key)
        return text.id

    def publish_record(
        self, value: bytes | None, *, headers: Sequence[tuple[str, bytes]] = (), key: bytes | None = None
    ) -> RecordPlace:
        """Publish any bytes on the topic of texts, wait until Kafka has them, and return where they are.

        Raises:
            KafkaError: Kafka does not take them.
        """
        if self._producer is None:
            raise UserError("Sprat is not running: use it as a context manager, or call start()")
        sending = self._producer.send_and_wait(self.topics.texts, value, key, headers=list(headers))
        sent = self._loop.run(sending, _CONNECT_S)
        return RecordPlace(sent.topic, sent.partition, sent.offset)

    def result(self, of: Text | Of, task: str | None = None, *, timeout: float | None = None) -> Result:
        """Wait for the Result of a text and a task, and return it.

        Args:
            of: the text, its id, its reference or a part of it, or the place of its record.
            task: the task, where the text asks for several.
            timeout: seconds; None: that of this installation.

        Raises:
            AssertionError: there is none in time; the message says what there is instead.
            UserError: the text asks for several tasks, and `task` is None.
        """
        key, timeout = of.id if isinstance(of, Text) else of, self._timeout if timeout is None else timeout
        found = self._outcomes.wait(lambda: self._outcomes.results(key, task), timeout)
        if not found:
            raise AssertionError(self._no_result(key, task, timeout))
        requested = found[0].message.requested
        if task is None and len(requested) > 1:
            raise UserError(f"this text asks for {', '.join(requested)}: say which with task=")
        return found[0].message

    def expect_kept(
        self, of: Text | Of, task: str | None = None, *, level: float | None = None, timeout: float | None = None
    ) -> Result:
        """Wait for a Result as `result` does, check that the small model's answer was kept, and return it.

        Args:
            of: as in `result`.
            task: as in `result`.
            level: what the answer must reach at least; None: any answer that is kept will do.
            timeout: as in `result`.

        Raises:
            AssertionError: there is none in time, the answer was escalated, or reaches less.
        """
        result = self.result(of, task, timeout=timeout)
        route = result.route
        if route.decision != "kept":
            wanted = "" if route.goal is None else f"; the goal is {route.goal:g}, the level {_shown(route.level)}"
            raise AssertionError(f"{result.task}: not kept, {route.reason}{wanted}")
        if level is not None and (route.level is None or thousandths(route.level) < thousandths(level)):
            raise AssertionError(f"{result.task}: kept at the level {_shown(route.level)}, not {level:g}")
        return result

    def results(self, of: Text | Of | None = None, task: str | None = None) -> list[Result]:
        """Return the Results that are there now: all, or those of a text. A redelivered one is there twice."""
        key = of.id if isinstance(of, Text) else of
        return [event.message for event in self._outcomes.results(key, task)]

    def dead_letter(self, of: Text | str | RecordPlace, *, timeout: float | None = None) -> DeadLetter:
        """Wait for the dead letter of a record: the original bytes, and the reason.

        Raises:
            AssertionError: there is none in time; the message says what there is instead.
        """
        key, timeout = of.id if isinstance(of, Text) else of, self._timeout if timeout is None else timeout
        found = self._outcomes.wait(lambda: self._outcomes.letters(key), timeout)
        if not found:
            there = ", ".join(f"{event.message.task}: {event.message.status}" for event in self._outcomes.results(key))
            raise AssertionError(f"no dead letter of {key} after {timeout:g} s; its Results: {there or 'none'}")
        return found[0]

    def dead_letters(self) -> list[DeadLetter]:
        """Return the dead letters that are there now."""
        return self._outcomes.letters()

    def settle(self, *, timeout: float = 60.0) -> None:
        """Wait until everything published so far has ended, and `results` and `dead_letters` have all of it.

        Raises:
            AssertionError: a group still has lag after `timeout` seconds.
        """
        self._loop.run(self._settle(timeout), timeout + _CONNECT_S)

    def door(self, *, tenant: str = "default", source: str = "/tests") -> HttpDoor:
        """Start the HTTP front door, and return where it serves and a key for it. It runs until this Sprat stops.

        Args:
            tenant: of the texts that are sent with the key.
            source: of these texts.

        Raises:
            UserError: the front door is not installed.
        """
        self._doors = self._doors or AsyncExitStack()
        return self._loop.run(open_http_door(self._doors, self.kafka, tenant, source), _CONNECT_S)

    def draw(self, of: Text | str, task: str | None = None, *, timeout: float | None = None) -> ReviewAsked:
        """Wait until a kept answer is drawn to be reviewed, and return the draw, as your own tool for reviews reads it.

        The policy has `review: {share: 1, per_day: 1000000}`, so that every kept answer is drawn.

        Args:
            of: the text, or its id.
            task: the task, where the text asks for several.
            timeout: seconds; None: that of this installation.

        Raises:
            AssertionError: it is not drawn in time.
        """
        id, timeout = of.id if isinstance(of, Text) else of, self._timeout if timeout is None else timeout
        found = self._loop.run(wait_for_draw(self.kafka, id, task, timeout), timeout + _CONNECT_S)
        if found is None:
            there = [f"{each.message.task}: {each.message.route.decision}" for each in self._outcomes.results(id)]
            raise AssertionError(f"{id} was not drawn after {timeout:g} s; its Results: {', '.join(there) or 'none'}")
        return found

    def kill(self, service: str) -> None:
        """Kill a service as a power cut would; it is started again. With fixed answers, all of them are `router`."""
        self._running.kill(service)

    async def _connect(self) -> None:
        following = asyncio.Event()
        follower = asyncio.create_task(self._outcomes.follow(self.kafka, following.set))
        self._loop.keep(follower)
        producer = AIOKafkaProducer(**self.kafka.client(), acks="all", max_request_size=_MAX_REQUEST)
        await producer.start()
        self._producer = producer
        waiting = asyncio.create_task(following.wait())
        await asyncio.wait({waiting, follower}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if follower.done():
            follower.result()

    async def _settle(self, timeout_s: float) -> None:
        lag: Mapping[str, int] = {}
        try:
            async with asyncio.timeout(timeout_s), LagMeter(self.kafka.client(), self.topics) as meter:
                quiet = 0
                while quiet < 2:  # a record may go from one group to another between two looks
                    measured = await meter.measure()
                    lag = {name: group.lag for name, group in measured.groups.items() if group.lag}
                    quiet = quiet + 1 if not lag and await self._outcomes.is_complete() else 0
                    await asyncio.sleep(_PAUSE_S)
        except TimeoutError:
            raise AssertionError(f"not settled after {timeout_s:g} s; records that wait, by group: {lag}") from None

    def _no_result(self, of: Of, task: str | None, timeout: float) -> str:
        lines = [f"no Result of {of}{f' for {task}' if task else ''} after {timeout:g} s"]
        letters = [] if isinstance(of, Mapping) else self._outcomes.letters(of)
        lines += [f"dead letter: {letter.reason.code}: {letter.reason.detail}" for letter in letters]
        lines += [f"there is one for {event.message.task}" for event in self._outcomes.results(of)]
        report = self._running.report()
        return "\n".join(lines + ([report] if report else []))

    def _remove_answers(self) -> None:
        if self._answers_file is not None:
            shutil.rmtree(self._answers_file.parent)

    def _write_answers(self) -> None:
        if self._answers_file is not None and self._answers_file.parent.exists():
            FixedAnswers(answers=self._given, labels=self._labels).write(self._answers_file)


def _check_level(level: float | None) -> None:
    if level is not None and (nearest := nearest_levels(level)) != (level,):
        raise UserError(f"level={level:g}: no such level; the nearest: {' and '.join(f'{each:g}' for each in nearest)}")


def _shown(level: float | None) -> str:
    return "none" if level is None else f"{level:g}"


def _backend(
    backend: Backend,
    answers: Path | None,
    policy: Path | None,
    tasks: Path | None,
    services: Sequence[str] | None,
    environment: Mapping[str, str],
    on_progress: OnProgress,
) -> Running:
    """Return the planned installation; only what it needs is imported."""
    if backend == "containers":
        if tasks is not None:
            raise UserError("tasks= is embedded: containers read the folder of SPRAT_TASKS_FOLDER")
        from sprat_testing.containers import SpratStack  # noqa: PLC0415 - as the docstring says

        return SpratStack(policy=policy, services=services, variables=environment)
    from sprat_testing.embedded import Embedded  # noqa: PLC0415 - as above

    return Embedded(
        answers=answers,
        policy=policy,
        tasks=tasks,
        services=services,
        environment=environment,
        on_progress=on_progress,
    )
