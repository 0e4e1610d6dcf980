"""Dead letters in words and as JSON; never their values."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sprat.cli.stream import trace_of
from sprat.cli.terminal import faint, printable, table
from sprat.operating.dead_letters import Letter
from sprat_contracts.ids import root_traceparent

_LONGEST_ID, _LONGEST_DETAIL = 40, 70


def lines(letters: Sequence[Letter]) -> list[str]:
    """Give a line for each, under a head."""
    cells: list[tuple[str, ...]] = [("LETTER", "WRITTEN", "SERVICE", "REASON", "REPLAYS", "TEXT ID", "DETAIL")]
    cells += [
        (
            letter.place,
            when(letter.written_at),
            printable(letter.reason.service, 20),
            printable(letter.reason.code, 30),
            str(letter.reason.replays),
            text_id(letter),
            printable(letter.reason.detail, _LONGEST_DETAIL),
        )
        for letter in letters
    ]
    head, *body = table(cells)
    return [faint(head), *body]


def as_json(letter: Letter) -> Mapping[str, Any]:
    """Give a letter for machines, as `sprat watch` does."""
    reason = letter.reason
    source, event_id = letter.identity or (None, None)
    return {
        "type": "dead_letter",
        "letter": letter.place,
        "code": reason.code,
        "detail": reason.detail,
        "service": reason.service,
        "version": reason.version,
        "origin": {"topic": reason.topic, "partition": reason.partition, "offset": reason.offset},
        "origin_at": reason.timestamp_ms,
        "replays": reason.replays,
        "text_id": event_id,
        "text_source": source,
        "trace_id": trace_id(letter),
        "written_at": letter.written_at,
        "partition": letter.partition,
        "offset": letter.offset,
    }


def trace_id(letter: Letter) -> str | None:
    """Give the trace of the original: the one that it came with, else the one that follows from its identity."""
    traceparent = next((value for name, value in letter.headers if name == "traceparent"), None)
    given = (traceparent or b"").decode("utf-8", "replace")
    if given.count("-") == 3:
        return trace_of(given)
    return None if letter.identity is None else trace_of(root_traceparent(*letter.identity))


def text_id(letter: Letter) -> str:
    """Give the id of the original for a person."""
    return "-" if letter.identity is None else printable(letter.identity[1], _LONGEST_ID)


def when(epoch_ms: int) -> str:
    """Give the local day and time."""
    return datetime.fromtimestamp(epoch_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
