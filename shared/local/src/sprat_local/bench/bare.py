"""The model of a task without a stream around it, as a process of its own: `python -m sprat_local.bench.bare --help`.

It loads the artefact that the task's service would load, with as many threads, and answers the texts that the service
would not decline, in batches as large as the service's. What it did goes into a file as JSON.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

from sprat import plugins
from sprat.errors import UserError
from sprat.model import Question
from sprat.settings import KafkaSettings, load_settings
from sprat_contracts import TASKS, Topics
from sprat_inference.serving import SpecialistModel, load_model
from sprat_inference.specialist import SpecialistHandler
from sprat_local.bench.texts import BenchText

BATCH: Final = KafkaSettings().max_records
"""Texts that are answered at once."""
_WARM_UP_BATCHES: Final = 4
_PILOT_S: Final = 0.5
"""CPU seconds, at least, by which it is judged how many texts fit into the seconds given."""


def load(task: str) -> tuple[SpecialistModel, SpecialistHandler]:
    """Load the model that the service would load, and what the service would decline.

    Raises:
        UserError: it cannot be used.
    """
    section = getattr(load_settings(plugins.load(plugins.SETTINGS, task)), task)
    model: SpecialistModel = load_model(plugins.load(plugins.MODELS, task).load, section, task)
    handler: SpecialistHandler = plugins.load(plugins.HANDLERS, task)(Topics(), model.card, section.model, 0)
    return model, handler


def served(handler: SpecialistHandler, task: str, texts: Sequence[BenchText]) -> list[int]:
    """Give the places of the texts whose language, target and length the service takes."""
    submitted = [text.submitted(task) for text in texts]
    return [place for place, each in enumerate(submitted) if handler.declines(each, each.tasks.known[task]) is None]


def cpu_s(model: SpecialistModel, questions: Sequence[Question]) -> float:
    """Answer all and give the CPU seconds, of all threads."""
    began = time.process_time()
    for start in range(0, len(questions), BATCH):
        model.answer(questions[start : start + BATCH])
    return time.process_time() - began


def fitting(model: SpecialistModel, questions: Sequence[Question], seconds: float) -> int:
    """Give how many texts the model answers in so many CPU seconds: whole batches."""
    answered, used, source = 0, 0.0, cycle(questions)
    while used < _PILOT_S:
        used += cpu_s(model, list(islice(source, BATCH)))
        answered += BATCH
    return max(1, round(answered / used * seconds / BATCH)) * BATCH


def measure(task: str, texts: Sequence[BenchText], count: int | None, seconds: float) -> dict[str, Any]:
    """Measure; `count` is None where as many texts as fit into the seconds are to be answered.

    Raises:
        UserError: the model cannot be used, or serves none of the texts.
    """
    model, handler = load(task)
    places = served(handler, task, texts)
    if not places:
        card = model.card
        more = f" into {', '.join(card.targets)}" if card.targets else ""
        raise UserError(f"the model takes none of the texts: it serves {', '.join(card.languages)}{more}")
    questions = [Question(texts[place].text, texts[place].language, texts[place].target) for place in places]
    cpu_s(model, list(islice(cycle(questions), BATCH * _WARM_UP_BATCHES)))
    wanted = fitting(model, questions, seconds) if count is None else count
    used = cpu_s(model, list(islice(cycle(questions), wanted)))
    about = {"name": model.card.name, "version": model.card.version}
    return {"model": about, "served": places, "texts": wanted, "cpu_s": used}


def main() -> int:
    """Run; gives the exit code."""
    parser = argparse.ArgumentParser(description="Answer texts with the bare model and say how much CPU that took.")
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("texts", type=Path, help="a JSON list of objects with text, language and target")
    parser.add_argument("output", type=Path, help="where the figures go")
    parser.add_argument("--count", type=int, help="of the texts to be answered; they are taken over and over")
    parser.add_argument("--seconds", type=float, default=1.0, help="without --count: of CPU")
    given = parser.parse_args()
    texts = [BenchText(**each) for each in json.loads(given.texts.read_text("utf-8"))]
    try:
        figures = measure(given.task, texts, given.count, given.seconds)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    given.output.write_text(json.dumps(figures), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
