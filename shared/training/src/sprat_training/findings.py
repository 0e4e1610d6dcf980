"""Rows and texts for lists that people read; a text of somebody's stands in them only where it was asked for."""

import shlex
from collections.abc import Iterator, Sequence
from typing import Final

from sprat_training.config import Trained
from sprat_training.datasets.rows import group_of
from sprat_training.preparation import Look, Repeat

_ROWS: Final = 6
_TORN: Final = 3
_GROUPS: Final = 5
_CHARACTERS: Final = 80


def rows_of(rows: Sequence[int]) -> str:
    """Give the numbers of some rows, the first of them if there are many."""
    shown = ", ".join(str(row) for row in rows[:_ROWS])
    return f"{shown} and {len(rows) - _ROWS} more" if len(rows) > _ROWS else shown


def torn_of(repeat: Repeat) -> str:
    """Say which rows contradict each other, and how."""
    return f"rows {rows_of(repeat.rows)}: {', '.join(repeat.labels)}"


def excerpt(trained: Trained, place: int) -> str:
    """Give the beginning of a text on one line."""
    text = " ".join(trained.training.texts[place].split())
    return text if len(text) <= _CHARACTERS else text[: _CHARACTERS - 1] + "…"


def found(trained: Trained) -> list[str]:
    """Say what the first look at the data found, a line each; nothing where all is well."""
    return [*_same(trained.look), *_alike(trained.look), *_small(trained.look), *_unread(trained), *_doubted(trained)]


def _same(look: Look) -> Iterator[str]:
    if look.repeats:
        rows = sum(len(repeat.rows) - 1 for repeat in look.repeats)
        yield f"{_so_many(rows, 'row repeats', 'rows repeat')} a text with the same label; each text counts once"
    if look.torn:
        shown = "; ".join(torn_of(repeat) for repeat in look.torn[:_TORN])
        yield (
            f"{_so_many(len(look.torn), 'text has', 'texts have')} several labels; the label of most rows is taken, "
            f"none where there is no such label: {shown}{' …' if len(look.torn) > _TORN else ''}"
        )


def _alike(look: Look) -> Iterator[str]:
    if look.alike:
        shown = ", ".join(group_of(group) for group in look.alike[:_GROUPS])
        more = f" and {len(look.alike) - _GROUPS} more" if len(look.alike) > _GROUPS else ""
        said = _so_many(len(look.alike), "group of labels differs", "groups of labels differ")
        yield (
            f"{said} by case or white space alone, and each is learnt as a label of its own: {shown}{more}; "
            "write each one way and train again"
        )


def _small(look: Look) -> Iterator[str]:
    if look.dropped:
        said = _so_many(len(look.dropped), "label is", "labels are")
        yield f"{said} left out for having too few texts: {', '.join(look.dropped)}"
    if look.few:
        shown = ", ".join(f"{label} {count}" for label, count in list(look.few.items())[:_ROWS])
        more = f" and {len(look.few) - _ROWS} more" if len(look.few) > _ROWS else ""
        said = _so_many(len(look.few), "label has", "labels have")
        yield f"{said} few texts, so little is known of them: {shown}{more}"


def _unread(trained: Trained) -> Iterator[str]:
    look = trained.look
    if look.sampled_from:
        yield f"{len(trained.training.texts):,} of {look.sampled_from:,} texts are fitted, drawn over the labels"
    if trained.leaks is not None and trained.leaks.rows:
        said = _so_many(len(trained.leaks.rows), "row of the test is", "rows of the test are")
        yield f"{said} trained on, too, and left out of its figures: {rows_of(trained.leaks.rows)}"
    if trained.truncated:
        said = _so_many(trained.truncated, "text is", "texts are")
        yield f"{said} longer than the {trained.card.max_tokens} tokens that are read"


def _doubted(trained: Trained) -> Iterator[str]:
    if trained.suspects:
        yield f"{_so_many(len(trained.suspects), 'label is', 'labels are')} likely wrong; correct and train again"


def _so_many(count: int, one: str, more: str) -> str:
    return f"1 {one}" if count == 1 else f"{count:,} {more}"


def serving(trained: Trained) -> str:
    """Give the command that serves the model beside the shipped one, from where the training was started."""
    return shlex.join(["sprat", "up", "--model", f"intent/{trained.card.name}={trained.wish.output}"])
