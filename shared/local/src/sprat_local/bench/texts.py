"""The texts of a benchmark, the demo's samples of a task or the user's own, and their records.

Each record belongs to another tenant, so that no cache can answer it: keys of caches contain the tenant.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from pydantic import ValidationError

from sprat.base.errors import UserError
from sprat_contracts import Envelope, TextSubmitted, Traceparent, encode
from sprat_local.demo.samples import load_samples
from sprat_local.installation.options import DEMO_FOLDER
from sprat_training.datasets.reader import read_texts

SOURCE = "/sprat/bench"


@dataclass(frozen=True, slots=True)
class BenchText:
    """A text and its language, and the target of a translation."""

    text: str
    language: str
    target: str | None

    def submitted(self, task: str, model: str = "default") -> TextSubmitted:
        """Return the event. No text of a benchmark may leave the perimeter.

        Raises:
            ValidationError: services do not accept it.
        """
        options = {"model": model} | ({} if self.target is None else {"target": self.target})
        return TextSubmitted.model_validate(
            {"text": self.text, "language": self.language, "tasks": {task: options}, "frontier": "deny"}
        )


def load_texts(task: str, file: Path | None = None, *, language: str = "en", target: str = "de") -> list[BenchText]:
    """Return the demo's texts of a task, or those of a file, which are in one language.

    Raises:
        UserError: the file cannot be read, or contains a text that services do not accept.
    """
    to = target if task == "translation" else None
    if file is None:
        samples = [sample.submitted for sample in load_samples(DEMO_FOLDER).texts]
        submitted = [each for each in samples if task in each["tasks"]] or samples
        return [BenchText(each["text"], each.get("language", "en"), to) for each in submitted]
    texts = [BenchText(text, language, to) for text in read_texts(file).texts]
    for number, each in enumerate(texts, start=1):
        try:
            each.submitted(task)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_context=False, include_url=False)[0]
            field = ".".join(str(step) for step in problem["loc"])
            raise UserError(f"{file}: text {number}: {field}: {problem['msg']}") from None
    return texts


@dataclass(frozen=True, slots=True)
class BenchRecord:
    """A record to publish."""

    number: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class BenchMessages:
    """The texts, repeated and numbered. The bare model answers the same ones in the same order."""

    def __init__(self, texts: Sequence[BenchText], task: str, model: str) -> None:
        self._submitted = [text.submitted(task, model) for text in texts]
        self._run = token_hex(4)

    def records(self, numbers: Iterable[int]) -> list[BenchRecord]:
        """Return the records of these numbers."""
        return [self._record(number) for number in numbers]

    def number_of(self, text_id: str) -> int | None:
        """Return the number of a text of this run; None for a text of another run."""
        run, _, number = text_id.partition("-")
        return int(number) if run == self._run and number.isdecimal() else None

    def _record(self, number: int) -> BenchRecord:
        name = f"{self._run}-{number}"
        submitted = self._submitted[number % len(self._submitted)].model_copy(update={"tenant": f"bench-{name}"})
        value, headers = encode(submitted, Envelope(name, SOURCE, Traceparent.root(SOURCE, name)))
        return BenchRecord(number, name.encode(), value, tuple(headers))
