"""The model of a task without a stream around it, measured in a process of its own.

`python -m sprat_local.bench.bare_model --help`. It loads the artefact that the task's service would load, with as many
threads, and answers the texts that the service would not decline, in batches of the service's size. The figures go into
a file as JSON. `BareModel` starts that process and reads them.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

from sprat.base import plugins
from sprat.base.errors import SpratError, UserError
from sprat.base.model import Question
from sprat.base.settings import KafkaSettings, default_language, load_settings
from sprat_contracts import Topics
from sprat_inference.card import SpecialistModel
from sprat_inference.specialist import SpecialistHandler
from sprat_langid import resolved
from sprat_local.bench.texts import BenchText
from sprat_local.installation import environment
from sprat_local.processes import lifeline, logged_child
from sprat_local.processes.service_process import USER_ERROR
from sprat_operations.services import program_of

BATCH: Final = KafkaSettings().max_records
"""Texts per batch."""
_WARM_UP_BATCHES: Final = 4
_PILOT_S: Final = 0.5
"""CPU seconds, at least, of the pilot that estimates how many texts fit into the given seconds."""
_POLL_S: Final = 0.05
_GRACE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class BareRun:
    """The figures of one run of the bare model."""

    model: Mapping[str, str]
    """Its name and version."""
    served: tuple[int, ...]
    """Indexes of the texts that the service does not decline."""
    texts: int
    cpu_s: float

    @property
    def cpu_s_per_1000(self) -> float:
        """CPU seconds per 1,000 texts."""
        return 1000 * self.cpu_s / self.texts


class BareModel:
    """Runs the process, any number of times, one after the other."""

    def __init__(self, task: str, texts: Sequence[BenchText], folder: Path, variables: Mapping[str, str]) -> None:
        """Write the texts to a file.

        Args:
            task: whose service's model is measured.
            texts: what it answers.
            folder: for its files.
            variables: of the service, in addition to this process's own.
        """
        self._task = task
        self._texts = folder / "texts.json"
        self._texts.write_text(json.dumps([text.as_json() for text in texts]), "utf-8")
        self._output, self._log = folder / "bare.json", folder / "bare.log"
        # It hashes nothing, but it reads the settings of a service, which require a secret.
        self._environment = (
            environment.single_threaded() | {"SPRAT_SECRET": "not used by the bare model"} | dict(variables)
        )
        self._child: lifeline.Child | None = None

    def run(self, *, count: int | None = None, seconds: float = 1.0) -> BareRun:
        """Answer `count` texts, or as many as fit into `seconds` of CPU.

        Raises:
            UserError: the model cannot be used, or serves none of the texts.
            SpratError: the process failed.
        """
        amount = ["--seconds", str(seconds)] if count is None else ["--count", str(count)]
        files = [str(self._texts), str(self._output)]
        argv = [sys.executable, "-P", "-m", "sprat_local.bench.bare_model", self._task, *files, *amount]
        child = logged_child.start("the bare model", argv, self._log, env=self._environment)
        self._child = child.process
        try:
            while child.alive:
                time.sleep(_POLL_S)
        finally:
            self.kill()
        if child.process.returncode == USER_ERROR:
            raise UserError(child.last_lines())
        if child.process.returncode:
            raise SpratError(f"the bare model failed: {child.exit_reason}\n{child.last_lines()}")
        figures: dict[str, Any] = json.loads(self._output.read_text("utf-8"))
        return BareRun(figures["model"], tuple(figures["served"]), figures["texts"], figures["cpu_s"])

    def kill(self) -> None:
        """End the process at once if it runs."""
        child = self._child
        if child is not None and child.poll() is None:
            lifeline.stop(child, _GRACE_S)


def load(task: str) -> tuple[SpecialistModel, SpecialistHandler]:
    """Load the model that the service would load, and the handler that knows what the service declines.

    Raises:
        UserError: the model cannot be used.
    """
    service = plugins.load_specialist(program_of(task))
    settings = load_settings(service.settings)
    model: SpecialistModel = service.model_of(settings)
    name = service.section(settings).model
    handler: SpecialistHandler = service.handler_of(settings)(Topics(), model.card, name, 0)
    return model, handler


def served(handler: SpecialistHandler, task: str, texts: Sequence[BenchText]) -> list[int]:
    """Return the indexes of the texts whose language, target and length the service accepts."""
    asked = [(each, each.tasks.options(task)) for each in (text.submitted(task) for text in texts)]
    return [
        index
        for index, (each, options) in enumerate(asked)
        if options is not None and handler.declines(each, options) is None
    ]


def cpu_s(model: SpecialistModel, questions: Sequence[Question]) -> float:
    """Answer all questions; return the CPU seconds of all threads."""
    began = time.process_time()
    for start in range(0, len(questions), BATCH):
        model.answer(questions[start : start + BATCH])
    return time.process_time() - began


def estimate_count(model: SpecialistModel, questions: Sequence[Question], seconds: float) -> int:
    """Estimate how many texts the model answers in so many CPU seconds; a multiple of the batch size."""
    answered, used, source = 0, 0.0, cycle(questions)
    while used < _PILOT_S:
        used += cpu_s(model, list(islice(source, BATCH)))
        answered += BATCH
    return max(1, round(answered / used * seconds / BATCH)) * BATCH


def measure(task: str, texts: Sequence[BenchText], count: int | None, seconds: float) -> dict[str, Any]:
    """Measure the model; `count` is None to answer as many texts as fit into the seconds.

    Raises:
        UserError: the model cannot be used, or serves none of the texts.
    """
    model, handler = load(task)
    default = default_language()
    texts = [replace(each, language=resolved(each.language, each.text, default)) for each in texts]
    indexes = served(handler, task, texts)
    if not indexes:
        card = model.card
        targets = f" into {', '.join(card.targets)}" if card.targets else ""
        raise UserError(f"the model accepts none of the texts: it serves {', '.join(card.languages)}{targets}")
    questions = [Question(texts[index].text, texts[index].language, texts[index].target) for index in indexes]
    cpu_s(model, list(islice(cycle(questions), BATCH * _WARM_UP_BATCHES)))
    texts_count = estimate_count(model, questions, seconds) if count is None else count
    used = cpu_s(model, list(islice(cycle(questions), texts_count)))
    about = {"name": model.card.name, "version": model.card.version}
    return {"model": about, "served": indexes, "texts": texts_count, "cpu_s": used}


def main() -> int:
    """Run the measurement; return the exit code."""
    parser = argparse.ArgumentParser(description="Answer texts with the bare model and measure the CPU time.")
    parser.add_argument("task", help="of this version, or of a file of SPRAT_TASKS")
    parser.add_argument("texts", type=Path, help="a JSON list of objects with text, language and target")
    parser.add_argument("output", type=Path, help="file for the figures")
    parser.add_argument("--count", type=int, help="number of texts to answer; the given ones are repeated")
    parser.add_argument("--seconds", type=float, default=1.0, help="without --count: CPU seconds")
    arguments = parser.parse_args()
    texts = [BenchText(**each) for each in json.loads(arguments.texts.read_text("utf-8"))]
    try:
        figures = measure(arguments.task, texts, arguments.count, arguments.seconds)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return USER_ERROR
    arguments.output.write_text(json.dumps(figures), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
