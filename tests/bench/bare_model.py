"""The model of a task without a stream around it, measured in a process of its own.

`python -m tests.bench.bare_model TASK` reads the texts from standard input, loads the artefact that the task's
service would load, with as many threads, and answers the texts that the service would not decline, in batches of the
service's size. It writes its figures to standard output. `BareModel` runs that process.
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
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
from sprat_local.processes.service_process import USER_ERROR
from sprat_operations.services import program_of

_ROOT: Final = Path(__file__).parents[2]

BATCH: Final = KafkaSettings().max_records
"""Texts per batch."""
_WARM_UP_BATCHES: Final = 4
_PILOT_S: Final = 0.5
"""CPU seconds, at least, of the pilot that estimates how many texts fit into the given seconds."""


@dataclass(frozen=True, slots=True)
class BareRun:
    """The figures of one run of the bare model."""

    model: str
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

    def __init__(self, task: str, texts: Sequence[BenchText], variables: Mapping[str, str]) -> None:
        """Take the texts, and the variables of the task's service in addition to this process's own."""
        # Without -P and from the checkout: `tests` is installed nowhere.
        self._command = [sys.executable, "-m", "tests.bench.bare_model", task]
        self._texts = [asdict(text) for text in texts]
        # It hashes nothing, but it reads the settings of a service, which require a secret.
        secret = {"SPRAT_SECRET": "not used by the bare model"}
        self._environment = environment.single_threaded() | secret | dict(variables)

    def run(self, *, count: int | None = None, seconds: float = 1.0) -> BareRun:
        """Answer `count` texts, or as many as fit into `seconds` of CPU.

        Raises:
            UserError: the model cannot be used, or serves none of the texts.
            SpratError: the process failed.
        """
        asked = json.dumps({"texts": self._texts, "count": count, "seconds": seconds})
        done = subprocess.run(
            self._command, input=asked, env=self._environment, cwd=_ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            error = UserError if done.returncode == USER_ERROR else SpratError
            raise error(done.stderr.strip() or f"the bare model failed: exit code {done.returncode}")
        return BareRun(**json.loads(done.stdout))


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
    card, default = model.card, default_language()
    texts = [replace(each, language=resolved(each.language, each.text, default)) for each in texts]
    indexes = served(handler, task, texts)
    if not indexes:
        targets = f" into {', '.join(card.targets)}" if card.targets else ""
        raise UserError(f"the model accepts none of the texts: it serves {', '.join(card.languages)}{targets}")
    questions = [Question(texts[index].text, texts[index].language, texts[index].target) for index in indexes]
    cpu_s(model, list(islice(cycle(questions), BATCH * _WARM_UP_BATCHES)))
    texts_count = estimate_count(model, questions, seconds) if count is None else count
    used = cpu_s(model, list(islice(cycle(questions), texts_count)))
    return {"model": f"{card.name} {card.version}", "served": indexes, "texts": texts_count, "cpu_s": used}


def main() -> int:
    """Run the measurement; return the exit code."""
    asked = json.load(sys.stdin)
    texts = [BenchText(**each) for each in asked["texts"]]
    try:
        figures = measure(sys.argv[1], texts, asked["count"], asked["seconds"])
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return USER_ERROR
    sys.stdout.write(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
