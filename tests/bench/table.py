"""Figures as tables in Markdown: a column is a title and a template, a row what the template reads.

A template names figures as `str.format` does, `{scores[exact][value]:%}`. The format `%` is a share in per cent with
one decimal and without the sign, which the title of the column says. A name that begins with `?` may be missing; it is
then `–`, and so is `None`.
"""

from collections.abc import Iterable, Mapping, Sequence
from string import Formatter
from typing import Any, Final

from sprat_training.evaluation.metrics import wilson

Figures = Mapping[str, Any]

NOTHING: Final = "–"


class _Cells(Formatter):
    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        try:
            return super().get_field(field_name.removeprefix("?"), args, kwargs)
        except KeyError:
            if field_name.startswith("?"):
                return None, field_name
            raise

    def format_field(self, value: Any, format_spec: str) -> str:
        if value is None:
            return NOTHING
        return percent(value) if format_spec == "%" else str(super().format_field(value, format_spec))


_CELLS: Final = _Cells()


def table(columns: Mapping[str, str], rows: Iterable[Figures]) -> str:
    """Return one line for each row of figures; raise `KeyError` for a figure that a row lacks."""
    return lines(list(columns), ([_CELLS.vformat(each, (), row) for each in columns.values()] for row in rows))


def lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are written already."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def sentence(template: str, figures: Figures) -> str:
    """Return a template that is filled as the cells of a table are."""
    return _CELLS.vformat(template, (), figures)


def parts(*pieces: str) -> str:
    """Return the pieces with an empty line between two of them."""
    return "\n\n".join(piece for piece in pieces if piece)


def percent(share: float | None) -> str:
    """Return a share in per cent, with one decimal and without the sign."""
    return NOTHING if share is None else f"{100 * share:.1f}"


def with_interval(some: int, every: int) -> str:
    """Return a share in per cent with Wilson's 95 % interval in brackets."""
    share = wilson(some, every)
    return f"{percent(share.value)} ({percent(share.low)}–{percent(share.high)})"
