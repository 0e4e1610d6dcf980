"""`sprat demo guard`: a certified model serves, its traffic shifts, reviews raise an alarm, and it falls back."""

import asyncio
import logging
import os
import random
import shlex
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaProducer, TopicPartition

from sprat.base.errors import UserError
from sprat.kafka.publisher import Publisher
from sprat_contracts import (
    AlarmRaised,
    Envelope,
    IntentOutput,
    KafkaRecord,
    Result,
    TaskOptions,
    Tasks,
    TextSubmitted,
    Traceparent,
    decode,
    encode,
)
from sprat_contracts.languages import FALLBACK_LANGUAGE
from sprat_contracts.reviews import ERRORS, RAISED
from sprat_local.demo.desks import DeskText, desk_texts, write_rows
from sprat_local.installation.environment import load_or_create_secret
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options
from sprat_local.processes.notices import Notice
from sprat_operations.alarms import name_of
from sprat_operations.feedback import feedback_record
from sprat_operations.named_models import named_model
from sprat_operations.reviews import answer, read_waiting
from sprat_operations.services import FRONTIER, GUARDIAN, SIMULATOR, ServedModel
from sprat_operations.topic_reader import TopicReader
from sprat_policy import TaskFiles

GOAL: Final = 0.9
MODEL: Final = "desk"
TASK: Final = "intent"
SOURCE: Final = "/sprat/demo/guard"
TEXTS_PER_S: Final = 12
REVIEWER: Final = "demo-reviewer"
"""It plays the people: it knows the right desk of each text."""
_POLICY: Final = f"""\
tasks:
  intent:
    models:
      {MODEL}:
        goal: {GOAL}
        evidence: certified
        review: {{share: 0.5, by: people, per_day: 1000000}}
        on_alarm: escalate
regions:
  local: [127.0.0.1, localhost, "::1"]
tenants:
  default: {{frontier: redact, regions: [local]}}
"""
_QUIET_S: Final = 20.0
"""How long the traffic is as it was."""
_ALARM_S: Final = 90.0
_FALL_BACK_S: Final = 30.0
_WINDOW: Final = 60
"""Of so many of the last Results the share kept is shown."""
_LOOK_EVERY_S: Final = 0.5
_REVIEW_EVERY_S: Final = 1.0
_LINE_EVERY_S: Final = 4.0

Say = Callable[[str], None]


@dataclass(slots=True)
class TrafficSeen:
    """What came of the traffic so far."""

    kept: deque[bool] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    """Of the last Results, whether the small model's answer was kept."""
    versions: Counter[str] = field(default_factory=Counter)
    """Kept answers by the version of the model."""
    results: int = 0
    reviewed: int = 0
    wrong: int = 0
    alarms: dict[bytes, AlarmRaised] = field(default_factory=dict)
    """The last record by key."""

    @property
    def share_kept(self) -> float:
        """Of the last Results."""
        return sum(self.kept) / len(self.kept) if self.kept else 0.0

    @property
    def is_full(self) -> bool:
        """Whether so many Results have come that the share says something."""
        return len(self.kept) == _WINDOW

    @property
    def standing(self) -> list[AlarmRaised]:
        """Alarms of errors that are not cleared."""
        return [each for each in self.alarms.values() if each.kind == ERRORS and each.state == RAISED]

    @property
    def line(self) -> str:
        """What of it is shown while it runs."""
        alarm = f"  ·  {len(self.standing)} alarm" + "s" * (len(self.standing) > 1) if self.standing else ""
        return (
            f"  {self.results:5,} Results  ·  {self.share_kept:4.0%} of the last {len(self.kept)} kept  ·  "
            f"{self.reviewed:3,} reviewed, {self.wrong:2,} of them wrong{alarm}"
        )


@dataclass(frozen=True, slots=True)
class GuardReport:
    """What a run has shown; each time in seconds."""

    shifted_after_s: float
    alarm_after_s: float
    """After the shift."""
    reviews_after_shift: int
    """Until the alarm."""
    kept_before: float
    kept_in_alarm: float
    kept_after: float


def run_guard_demo(say: Say) -> GuardReport:
    """Run it on an installation of its own, which is stopped afterwards.

    Raises:
        UserError: it cannot start, or a step does not happen in time.
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # real failures arrive as exceptions
    with tempfile.TemporaryDirectory(prefix="sprat-guard-") as folder:
        return _GuardRun(Path(folder), say).run()


class _GuardRun:
    """One run in a folder of its own."""

    def __init__(self, folder: Path, say: Say) -> None:
        self._folder = folder
        self._say = say
        self._seen = TrafficSeen()
        self._train, self._traffic = desk_texts()
        self._desk_of: dict[str, str] = {}
        """The right desk by the id of a text."""
        self._shifted = False
        self._work: list[asyncio.Task[None]] = []
        """What publishes, follows and reviews."""

    def run(self) -> GuardReport:
        """Make the model, then let it serve."""
        self._say("1  A model for two desks, trained and certified on texts of the demo (a helpdesk of a bank)")
        write_rows(self._folder / "rows.csv", self._train)
        write_rows(self._folder / "drawn.csv", self._traffic)
        (self._folder / "policy.yaml").write_text(_POLICY, "utf-8")
        asyncio.run(self._measured("rows.csv", "drawn.csv", MODEL))
        model = named_model(str(self._folder / MODEL), TaskFiles()).model
        served = ServedModel(TASK, MODEL, self._folder / MODEL, model.card.version)
        options = Options(
            policy=self._folder / "policy.yaml",
            models=(served,),
            services=(SIMULATOR, "router", FRONTIER, GUARDIAN),
        )
        self._say("\n2  It serves: half of what is kept is drawn to be reviewed; the demo plays the reviewer")
        with Installation(options, on_notice=self._notice) as running:
            return asyncio.run(self._serve(running))

    def _notice(self, notice: Notice) -> None:
        """Show that a process has died; warnings of services stand in their logs."""
        if notice.level != "warning":
            self._say(f"   {notice.service}: {notice.text}")

    async def _serve(self, running: Installation) -> GuardReport:
        work = (self._publish(running), self._follow(running), self._review(running))
        self._work = [asyncio.create_task(each) for each in work]
        try:
            return await self._story(running)
        finally:
            for task in self._work:
                task.cancel()
            await asyncio.gather(*self._work, return_exceptions=True)

    async def _story(self, running: Installation) -> GuardReport:
        seen, began = self._seen, time.monotonic()
        await self._wait(
            lambda: time.monotonic() - began > _QUIET_S and seen.is_full, _QUIET_S + _ALARM_S, "Results come"
        )
        before, reviewed = seen.share_kept, seen.reviewed
        self._shifted, shifted = True, time.monotonic()
        self._say(
            "\n3  The upstream system shifts: texts for `travel` now belong to `trips`, which the model does not know"
        )
        await self._wait(lambda: bool(seen.standing), _ALARM_S, "an alarm is raised")
        alarm_after, needed = time.monotonic() - shifted, seen.reviewed - reviewed
        alarm = seen.standing[0]
        found = f"{alarm.errors} of {alarm.reviews} wrong, where the goal allows {1 - GOAL:.0%}"
        self._say(f"\n4  Alarm, {alarm_after:.0f} s and {needed} reviews after the shift: {found}")
        self._say("   The policy says `on_alarm: escalate`: nothing of it is kept, all of it goes to the large model")
        await self._wait(lambda: seen.share_kept == 0, _FALL_BACK_S, "nothing is kept")
        in_alarm = seen.share_kept
        self._say("\n5  New rows with the new name: a new version is trained, certified and promoted")
        write_rows(self._folder / "rows-2.csv", [each.renamed for each in self._train])
        write_rows(self._folder / "drawn-2.csv", [each.renamed for each in self._traffic])
        await self._measured("rows-2.csv", "drawn-2.csv", f"{MODEL}-2")
        await self._sprat(f"promote {MODEL}-2 --as {MODEL} --served {MODEL}")
        await asyncio.to_thread(running.rolling_restart, f"{TASK}.{MODEL}")
        secret = load_or_create_secret(running.folder)
        for each in seen.standing:
            clear = f"alarms clear {name_of(each)} --certificate {MODEL} --by demo"
            await self._sprat(clear, running, {"SPRAT_SECRET": secret})
        is_back = lambda: not seen.standing and seen.share_kept > before / 2  # noqa: E731 - a condition with a name
        await self._wait(is_back, _FALL_BACK_S * 2, "answers are kept again")
        self._say("\n6  Certified again, and kept again; its reviews start a new test")
        return GuardReport(shifted - began, alarm_after, needed, before, in_alarm, seen.share_kept)

    async def _measured(self, rows: str, drawn: str, folder: str) -> None:
        await self._sprat(f"train {TASK} {rows} --name {MODEL} --output {folder}")
        evaluate = f"evaluate {drawn} --model {folder} --drawn traffic --no-outside-texts --goal {GOAL} --write"
        for line in await self._sprat(evaluate):
            if line.startswith("certificate for"):
                self._say(f"     {line}")

    async def _sprat(
        self, command: str, running: Installation | None = None, more: Mapping[str, str] | None = None
    ) -> list[str]:
        """Run a command as a person would, show it, and return the lines that it prints.

        Raises:
            UserError: it fails; with its last lines.
        """
        self._say(f"   $ sprat {command}")
        variables = dict(os.environ) | {"SPRAT_POLICY": str(self._folder / "policy.yaml")} | dict(more or {})
        if running is not None:
            variables |= {"SPRAT_KAFKA__BOOTSTRAP": running.bootstrap, "SPRAT_KAFKA__PREFIX": running.topics.prefix}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "sprat_cli",
            *shlex.split(command),
            cwd=self._folder,
            env=variables,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        lines = said.decode("utf-8", "replace").strip().splitlines()
        if process.returncode:
            raise UserError(f"sprat {command} ended with {process.returncode}: {' '.join(lines[-2:])}")
        return lines

    async def _wait(self, condition: Callable[[], bool], within_s: float, what: str) -> None:
        """Wait until something is so, and show meanwhile what comes.

        Raises:
            UserError: it is not so in time.
        """
        began = shown = time.monotonic()
        while not condition():
            await asyncio.sleep(_LOOK_EVERY_S / 5)
            for task in self._work:
                if task.done():
                    task.result()  # what failed it
            now = time.monotonic()
            if now - began > within_s:
                raise UserError(f"the demo waited {within_s:.0f} s in vain until {what}; is this machine busy?")
            if now - shown > _LINE_EVERY_S:
                self._say(self._seen.line)
                shown = now
        self._say(self._seen.line)

    async def _publish(self, running: Installation) -> None:
        """Publish the texts at a steady rate, over and over, each time with other ids."""
        order = random.Random(1)  # noqa: S311 - a demonstration that is the same each time
        producer = AIOKafkaProducer(**running.kafka.client(), acks="all")
        await producer.start()
        began = time.monotonic()
        try:
            for number in count():
                await asyncio.sleep(began + number / TEXTS_PER_S - time.monotonic())
                given = order.choice(self._traffic)
                given = given.renamed if self._shifted else given
                id = f"g-{number}"
                self._desk_of[id] = given.desk
                value, headers = _record(id, given)
                await producer.send(running.topics.texts, value, id.encode(), headers=headers)
        finally:
            await producer.stop()

    async def _follow(self, running: Installation) -> None:
        """Read Results and alarms as they come."""
        results, alarms = running.topics.results(TASK), running.topics.alarms
        async with TopicReader(running.kafka.client()) as reader:
            read: dict[TopicPartition, int] = {}
            while True:
                ends = await reader.ends([results, alarms])
                new = {each: (read.get(each, 0), end) for each, end in ends.items() if read.get(each, 0) < end}
                async for records in reader.read_between(new):
                    for record in records:
                        self._take(record, results)
                read = dict(ends)
                await asyncio.sleep(_LOOK_EVERY_S)

    def _take(self, record: KafkaRecord, results: str) -> None:
        if record.topic != results:
            self._seen.alarms[record.key or b""] = decode(record, AlarmRaised).message
            return
        result = decode(record, Result).message
        kept = result.route.decision == "kept"
        self._seen.results += 1
        self._seen.kept.append(kept)
        if kept and result.model is not None:
            self._seen.versions[result.model.version] += 1

    async def _review(self, running: Installation) -> None:
        """Answer each draw with the right desk, as a person with the page or `sprat review` would."""
        publisher = Publisher(running.kafka, "sprat-demo-reviewer")
        await publisher.start()
        answered: set[str] = set()
        try:
            while True:
                for each in await read_waiting(running.kafka, TASK):
                    if each.asked.token in answered:
                        continue
                    answered.add(each.asked.token)
                    right = IntentOutput(label=self._desk_of[each.draw[1]])
                    self._seen.reviewed += 1
                    said = each.asked.prediction.output
                    self._seen.wrong += not isinstance(said, IntentOutput) or said.label != right.label
                    given = answer(each.asked, right, REVIEWER)
                    await publisher.publish([feedback_record(given, running.topics.feedback)])
                await asyncio.sleep(_REVIEW_EVERY_S)
        finally:
            await publisher.stop()


def _record(id: str, given: DeskText) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return value and headers of a text that asks for the desk."""
    asked = Tasks.model_validate({TASK: TaskOptions(model=MODEL).model_dump()})
    submitted = TextSubmitted(text=given.text, tasks=asked, language=FALLBACK_LANGUAGE)
    return encode(submitted, Envelope(id=id, source=SOURCE, traceparent=Traceparent.root(SOURCE, id)))
