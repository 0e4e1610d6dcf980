"""Texts as records. Each is another tenant's, so that no cache can answer: keys of caches hold the tenant."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from secrets import token_hex

from sprat.benching.texts import BenchText
from sprat_contracts import Envelope, TextSubmitted, encode
from sprat_contracts.ids import root_traceparent

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
        value, headers = encode(submitted, Envelope(name, SOURCE, root_traceparent(SOURCE, name)))
        return OutgoingText(number, name.encode(), value, tuple(headers))
