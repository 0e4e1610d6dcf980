"""Dead letters in words; never their values."""

from collections.abc import Sequence
from datetime import datetime

from sprat.cli.terminal import faint, printable, table
from sprat.operating.dead_letters import Letter

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


def text_id(letter: Letter) -> str:
    """Give the id of the original for a person."""
    return "-" if letter.identity is None else printable(letter.identity[1], _LONGEST_ID)


def when(epoch_ms: int) -> str:
    """Give the local day and time."""
    return datetime.fromtimestamp(epoch_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
