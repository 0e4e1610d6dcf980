"""`sprat review`: one drawn text at a time, one key a label; the model's answer is shown after the reviewer's."""

import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final

import typer

from sprat.base.errors import SpratError, UserError
from sprat.base.settings import KafkaSettings
from sprat.kafka.publisher import NotAcknowledged, Publisher
from sprat_cli.options import Bootstrap, Json, Prefix, complete_task, kafka_settings, known_task, option
from sprat_cli.progress import read_progress
from sprat_cli.render import said_by
from sprat_cli.terminal import faint, paint, printable, say, say_json
from sprat_contracts import FeedbackGiven, IntentOutput, LabelsOutput, Output
from sprat_contracts.predictions import ScoredLabel
from sprat_contracts.reviews import CANNOT_TELL, RIGHT, WRONG
from sprat_operations.connection import explain_kafka_errors
from sprat_operations.feedback import feedback_record
from sprat_operations.models import registered_models
from sprat_operations.reviews import JUDGED, OpenReview, answer, judgement, read_waiting

EPILOG = """\b
Examples:
  sprat review --by agent-17
  sprat review --by agent-17 --task intent
  sprat review --list

\b
Keys: 1 to 9 choose a label; where there are more, type the beginning of one first. 0: none of the labels. ?: cannot
tell. Backspace takes the last answer back: it is published when the next one is given, or at the end. Ctrl-D or Ctrl-C:
end. Of several labels, Enter ends the choice. Names and translations show the model's answer: 1 right, 2 wrong.

\b
Exit codes:
  0  all are answered, or you ended it
  1  Kafka did not acknowledge an answer
  2  wrong usage, or Kafka cannot be reached"""

_UNDO: Final = ("\x7f", "\x08")
_END: Final = ("\x03", "\x04", "")
_ENTER: Final = ("\r", "\n")
_KEYS: Final = "123456789"
_NONE: Final = "0"
_CANNOT_TELL: Final = "?"
_ACKNOWLEDGE_S: Final = 20.0
_TYPED: Final = deque[str]()
"""Keys that were read and not taken yet: a terminal hands on several at once."""


class _Undo(Exception):
    """The reviewer takes the last answer back."""


class _End(Exception):
    """The reviewer ends it."""


def review(
    *,
    by: Annotated[str | None, option("NAME", "Who reviews: a pseudonym.")] = None,
    task: Annotated[
        str | None, typer.Option(metavar="TASK", help="Of one task alone.", autocompletion=complete_task)
    ] = None,
    list_only: Annotated[bool, typer.Option("--list", help="Say how many wait, and show no text.")] = False,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Review kept answers that were drawn at random: people's answers are what the promise is checked with."""
    task = None if task is None else known_task(task)
    kafka = kafka_settings(bootstrap, prefix)
    if not list_only and by is None:
        raise UserError("--by NAME is needed: each answer says who gave it; a pseudonym is enough")
    if not list_only and not sys.stdin.isatty():
        raise UserError(
            "sprat review needs a terminal; --list says how many wait, and the page's 'To label' needs none"
        )
    with explain_kafka_errors(kafka):
        with read_progress("reviews") as progress:
            waiting = asyncio.run(read_waiting(kafka, task, progress=progress))
        if list_only or not waiting:
            _list(waiting, as_json=as_json)
            return
        labels = asyncio.run(_labels(kafka, waiting))
        asyncio.run(_Session(kafka, waiting, labels, by or "").run())


def _list(waiting: Sequence[OpenReview], *, as_json: bool) -> None:
    by_task = dict[str, int]()
    for each in waiting:
        by_task[each.draw[2]] = by_task.get(each.draw[2], 0) + 1
    if as_json:
        say_json({"type": "reviews", "waiting": len(waiting), "by_task": by_task})
    elif waiting:
        say(
            f"{len(waiting):,} wait to be reviewed: {', '.join(f'{name} {count:,}' for name, count in by_task.items())}"
        )
    else:
        say("nothing waits to be reviewed; drawn is what is kept, where the policy of a task has `review`")


async def _labels(kafka: KafkaSettings, waiting: Sequence[OpenReview]) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Return the labels of the announced models that are asked for, by task and model."""
    if not any(each.takes_labels(kafka.topics.tasks) for each in waiting):
        return {}
    announced = (await registered_models(kafka)).announced
    return {(each.task, each.model): tuple(sorted(each.labels)) for each in announced if each.labels}


@dataclass(slots=True)
class _Session:
    """One sitting: the answer before the last is published, so that the last can be taken back."""

    kafka: KafkaSettings
    waiting: Sequence[OpenReview]
    labels: Mapping[tuple[str, str], tuple[str, ...]]
    by: str
    held: FeedbackGiven | None = None
    published: int = 0
    place: int = 0
    _publisher: Publisher = field(init=False)

    async def run(self) -> None:
        """Ask until all are answered or the reviewer ends it, and publish what was answered.

        Raises:
            SpratError: Kafka does not acknowledge an answer.
        """
        self._publisher = Publisher(self.kafka, "sprat-review")
        await self._publisher.start()
        try:
            with _one_key_at_a_time():
                await self._ask_all()
            await self._publish()
        finally:
            await self._publisher.stop()
        left = len(self.waiting) - self.place
        say(f"{self.published:,} answers published" + (f"; {left:,} still wait" if left else "; nothing more waits"))

    async def _ask_all(self) -> None:
        while self.place < len(self.waiting):
            try:
                given = await asyncio.to_thread(self._ask, self.waiting[self.place])
            except _Undo:
                if self.held is None:
                    say(faint("nothing to take back: the answer before is published"))
                else:
                    self.held, self.place = None, self.place - 1
                continue
            except _End:
                return
            await self._publish()
            self.held = given
            self.place += 1

    async def _publish(self) -> None:
        if self.held is None:
            return
        record = feedback_record(self.held, self.kafka.topics.feedback)
        try:
            await self._publisher.publish([record], _ACKNOWLEDGE_S)
        except NotAcknowledged as error:
            raise SpratError(
                f"{error}; {self.published:,} answers are published, the last one may be missing"
            ) from None
        self.held = None
        self.published += 1

    def _ask(self, review: OpenReview) -> FeedbackGiven:
        """Show one text, and return the answer to it.

        Raises:
            _Undo: the last answer is taken back.
            _End: the reviewer ends it.
        """
        asked = review.asked
        prediction = asked.prediction
        say("")
        about = f"{self.place + 1} of {len(self.waiting)}  ·  {prediction.task}  ·  {prediction.text_language}"
        say(faint(printable(about)))
        say(printable(review.text))
        said = "nothing" if prediction.output is None else said_by(prediction.output, prediction.task)
        labels = self.labels.get((prediction.task, _model_of(review)))
        if not review.takes_labels(self.kafka.topics.tasks) or labels is None:
            say(f"the model says: {said}")
            if asked.judged in JUDGED:
                say(faint(JUDGED[asked.judged]))
            verdict = {"1": RIGHT, "2": WRONG, _CANNOT_TELL: CANNOT_TELL}[
                _key("1 right   2 wrong   ? cannot tell", "12?")
            ]
            return judgement(asked, verdict, self.by)
        several = self.kafka.topics.tasks[prediction.task] is LabelsOutput
        chosen = _chosen(KeyedChoice(labels, several=several))
        if chosen is None:
            say(f"cannot tell  ·  the model said {said}")
            return judgement(asked, CANNOT_TELL, self.by)
        given = _output(chosen, several=several)
        own = said_by(given, prediction.task)
        say(
            f"{own}  ·  "
            + (paint("as the model", "green") if own == said else paint(f"the model said {said}", "yellow"))
        )
        return answer(asked, given, self.by)


def _model_of(review: OpenReview) -> str:
    options = review.asked.prediction.submitted.tasks.options(review.asked.prediction.task)
    return "default" if options is None else options.model


def _output(chosen: Sequence[str], *, several: bool) -> Output:
    if several:
        return LabelsOutput(labels=tuple(ScoredLabel(label=each) for each in chosen))
    return IntentOutput(label=chosen[0] if chosen else None)


@dataclass(slots=True)
class KeyedChoice:
    """The choice among labels, key by key."""

    labels: Sequence[str]
    several: bool
    """Whether several may apply."""
    typed: str = ""
    chosen: list[str] = field(default_factory=list)

    @property
    def shown(self) -> list[str]:
        """The labels that have a key."""
        beginning = self.typed.casefold()
        return [each for each in self.labels if each.casefold().startswith(beginning)][: len(_KEYS)]

    @property
    def line(self) -> str:
        """What the reviewer sees of it."""
        parts = [f"[{printable(self.typed)}]"] if self.typed else []
        parts += [f"{key} {printable(each)}" for key, each in zip(_KEYS, self.shown, strict=False)]
        if len(self.labels) > len(_KEYS) and not self.typed:
            parts.append(f"… type the beginning of one of {len(self.labels)}")
        parts.append("0 none   ? cannot tell")
        if self.several:
            parts.append(f"chosen: {', '.join(map(printable, self.chosen)) or 'none yet'}   Enter: done")
        return "   ".join(parts)

    def press(self, key: str) -> list[str] | None:
        """Take a key; return the labels that are chosen, empty: none applies; None: the choice goes on.

        Raises:
            _Undo: there is nothing of this choice to take back.
        """
        if key in _UNDO:
            self._take_back()
        elif key == _NONE and not self.typed:
            return []
        elif key in _ENTER:
            return self._entered()
        elif key in _KEYS and _KEYS.index(key) < len(self.shown):
            return self._choose(self.shown[_KEYS.index(key)])
        elif key.isprintable():
            self.typed += key
        return None

    def _choose(self, label: str) -> list[str] | None:
        if not self.several:
            return [label]
        self.chosen += [] if label in self.chosen else [label]
        self.typed = ""
        return None

    def _entered(self) -> list[str] | None:
        if self.several:
            return self.chosen or None
        return self.shown if self.typed and len(self.shown) == 1 else None

    def _take_back(self) -> None:
        if self.typed:
            self.typed = self.typed[:-1]
        elif self.chosen:
            self.chosen.pop()
        else:
            raise _Undo


def _chosen(choice: KeyedChoice) -> list[str] | None:
    """Return the labels that the reviewer chooses; None: cannot tell."""
    while True:
        say(choice.line)
        key = _read_key()
        if key in _END:
            raise _End
        if key == _CANNOT_TELL:
            return None
        if (labels := choice.press(key)) is not None:
            return labels


def _key(choices: str, keys: str) -> str:
    """Return one of some keys."""
    say(choices)
    while (key := _read_key()) not in keys or not key:
        if key in _END:
            raise _End
        if key in _UNDO:
            raise _Undo
    return key


def _read_key() -> str:
    """Return one key; empty at the end of the input. Keys that send several bytes, such as arrows, are ignored."""
    while not _TYPED:
        read = os.read(sys.stdin.fileno(), 32)
        if not read:
            return ""
        if not read.startswith(b"\x1b"):
            _TYPED.extend(read.decode("utf-8", "ignore"))
    return _TYPED.popleft()


@contextlib.contextmanager
def _one_key_at_a_time() -> Iterator[None]:
    """Let the terminal hand on each key at once and show none; put it back as it was."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setraw(terminal, termios.TCSANOW)
    changed = termios.tcgetattr(terminal)
    changed[1] = before[1]  # lines end as before
    termios.tcsetattr(terminal, termios.TCSANOW, changed)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
