"""Running the model off the event loop; a batch that breaks it is bisected to the one text that does."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from sprat.models.question import Answer, Model, Question

log = logging.getLogger(__name__)


class Inference:
    """One worker thread for one model; the model spreads a batch over its own threads."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")

    async def answer(self, questions: Sequence[Question]) -> list[Answer | None]:
        """Answer all; None where the model broke on that one text."""
        if not questions:
            return []
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._bisect, list(questions))

    def close(self) -> None:
        """Let the thread end after the batch in hand."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _bisect(self, questions: list[Question]) -> list[Answer | None]:
        answers = self._answered(questions)
        if answers is not None:
            return [*answers]
        if len(questions) == 1:
            return [None]
        middle = len(questions) // 2
        return self._bisect(questions[:middle]) + self._bisect(questions[middle:])

    def _answered(self, questions: list[Question]) -> list[Answer] | None:
        """Give the answers; None where the model breaks, or where they are not answers: NaN is no confidence."""
        try:
            answers = list(self._model.answer(questions))
        except Exception as error:  # noqa: BLE001 - the boundary: whatever a model raises is the text's or the model's
            log.warning("the model broke on %d texts: %s", len(questions), type(error).__name__)
            return None
        sound = len(answers) == len(questions) and all(0.0 <= answer.confidence <= 1.0 for answer in answers)
        return answers if sound else None
