"""The texts that are published: the demo's samples of a task, or a person's own."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

from pydantic import ValidationError

from sprat.errors import UserError
from sprat_contracts import Envelope, TextSubmitted, Traceparent, encode
from sprat_local.bench.plan import Plan
from sprat_local.demo.samples import load_samples
from sprat_local.options import SHIPPED
from sprat_training.datasets.reader import read_texts


@dataclass(frozen=True, slots=True)
class BenchText:
    """A text, and what is to be done with it."""

    text: str
    language: str
    target: str | None
    """Of a translation."""

    def submitted(self, task: str, model: str = "default") -> TextSubmitted:
        """Give the event. Nothing of a benchmark may leave the house.

        Raises:
            ValidationError: it is none that services accept.
        """
        options = {"model": model} | ({} if self.target is None else {"target": self.target})
        return TextSubmitted.model_validate(
            {"text": self.text, "language": self.language, "tasks": {task: options}, "frontier": "deny"}
        )

    def as_json(self) -> dict[str, Any]:
        """Give its fields."""
        return asdict(self)


def load_texts(plan: Plan) -> tuple[BenchText, ...]:
    """Give the texts of a plan, at least one.

    Raises:
        UserError: a file cannot be read, or holds what no service accepts.
    """
    target = plan.target if plan.task == "translation" else None
    texts = _own(plan.file, plan.language, target) if plan.file is not None else _samples(plan.task, target)
    _check(plan, texts)
    return texts


def _samples(task: str, target: str | None) -> tuple[BenchText, ...]:
    asked = [sample.submitted for sample in load_samples(SHIPPED).texts if task in sample.submitted["tasks"]]
    return tuple(BenchText(each["text"], each.get("language", "en"), target) for each in asked)


def _own(file: Path, language: str, target: str | None) -> tuple[BenchText, ...]:
    return tuple(BenchText(text, language, target) for text in read_texts(file).texts)


def _check(plan: Plan, texts: Sequence[BenchText]) -> None:
    for number, each in enumerate(texts, start=1):
        try:
            each.submitted(plan.task)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_context=False, include_url=False)[0]
            field = ".".join(str(step) for step in problem["loc"])
            option = {"language": "--language: ", f"tasks.{plan.task}.target": "--target: "}.get(field)
            raise UserError(f"{option or f'{plan.file}: text {number}: {field}: '}{problem['msg']}") from None


# Texts as records. Each is another tenant's, so that no cache can answer: keys of caches hold the tenant.

SOURCE = "/sprat/bench"


@dataclass(frozen=True, slots=True)
class OutgoingText:
    """A record to publish."""

    number: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class Messages:
    """The texts over and over, numbered through. The bare model answers the same ones in the same order."""

    def __init__(self, texts: Sequence[BenchText], task: str, model: str) -> None:
        self._submitted: list[TextSubmitted] = [text.submitted(task, model) for text in texts]
        self._run = token_hex(4)

    def of(self, numbers: Iterable[int]) -> list[OutgoingText]:
        """Make the records of these numbers, before the clock runs."""
        return [self._record(number) for number in numbers]

    def number_of(self, text_id: str) -> int | None:
        """Give the number of a text of this run; None for another's."""
        run, _, number = text_id.partition("-")
        return int(number) if run == self._run and number.isdecimal() else None

    def _record(self, number: int) -> OutgoingText:
        name = f"{self._run}-{number}"
        submitted = self._submitted[number % len(self._submitted)].model_copy(update={"tenant": f"bench-{name}"})
        value, headers = encode(submitted, Envelope(name, SOURCE, Traceparent.root(SOURCE, name)))
        return OutgoingText(number, name.encode(), value, tuple(headers))
