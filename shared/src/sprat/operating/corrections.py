"""The corrections of one task, the last one for each text, and the texts that they are about."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sprat.delivery import tolerant_records
from sprat.operating.dead_letters import Identity
from sprat.operating.reading import Progress, read_since, silent
from sprat.operating.texts import Wanted, look_for
from sprat_contracts import OUTPUTS, FeedbackGiven, KafkaRecord, Output, TextSubmitted, WireError, decode

SUPERSEDED: Final = "superseded"
UNREADABLE: Final = "unreadable"
WRONG_OUTPUT: Final = "wrong_output"
EXPIRED: Final = "expired"
NOT_FOUND: Final = "not_found"
INVALID_TEXT: Final = "invalid_text"

WHY: Final[Mapping[str, str]] = {
    SUPERSEDED: "corrected again later",
    UNREADABLE: "records that are no correction",
    WRONG_OUTPUT: "the output is not one of the task",
    EXPIRED: "given before the oldest text that is still there",
    NOT_FOUND: "no text that is still there has this id and source",
    INVALID_TEXT: "the text was not valid",
}
"""What the reasons say, in the order in which they are told."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person says is right."""

    output: Output
    by: str
    given_at: int
    """By the broker's clock: epoch milliseconds."""


@dataclass(slots=True)
class Corrections:
    """The last correction of each text; of the others it is counted why they are none."""

    task: str
    latest: dict[Identity, Correction] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, record: KafkaRecord) -> None:
        """Take a record of the feedback topic; those of other tasks are nobody's business here."""
        try:
            message = decode(record, FeedbackGiven).message
        except WireError:
            self.left_out[UNREADABLE] += 1
            return
        if message.task != self.task:
            return
        if not isinstance(message.output, OUTPUTS[self.task]):
            self.left_out[WRONG_OUTPUT] += 1
            return
        text = (message.text_source, message.text_id)
        before = self.latest.get(text)
        if before is not None:
            self.left_out[SUPERSEDED] += 1
        if before is None or before.given_at <= record.timestamp:
            self.latest[text] = Correction(message.output, message.by, record.timestamp)


@dataclass(frozen=True, slots=True)
class Example:
    """A text and what is right for it."""

    text: TextSubmitted = field(repr=False)
    output: Output


async def read_corrections(
    client: Mapping[str, Any], topic: str, task: str, since_ms: int | None, *, progress: Progress = silent
) -> Corrections:
    """Read the corrections of a task given at `since_ms` (epoch) or later, None: all.

    Raises:
        UserError: there is no such topic.
        TimeoutError: the broker gives nothing more.
    """
    tolerant_records.install()
    corrections = Corrections(task)
    async for record in read_since(client, [topic], since_ms, progress=progress):
        corrections.add(record)
    return corrections


async def join(
    client: Mapping[str, Any], texts: str, corrections: Corrections, *, progress: Progress = silent
) -> list[Example]:
    """Find the texts, in the order in which they were given; count in `left_out` those that are not there, and why.

    Raises:
        UserError: there is no such topic.
        TimeoutError: the broker gives nothing more.
    """
    wanted = Wanted(set(corrections.latest))
    await look_for(client, texts, wanted, progress=progress)
    for identity in wanted.missing:
        expired = wanted.oldest is None or corrections.latest[identity].given_at < wanted.oldest
        corrections.left_out[INVALID_TEXT if identity in wanted.invalid else EXPIRED if expired else NOT_FOUND] += 1
    found = sorted(wanted.found.items(), key=lambda each: each[1].appended_at)
    return [Example(text.text, corrections.latest[identity].output) for identity, text in found]
