"""What is kept of what people write, and what masking does to texts by another author, before and after."""

from collections.abc import Callable, Mapping
from typing import Final

from tests.bench.table import NOTHING, Figures, lines, parts, with_interval

SIDES: Final = ("before", "after")
OUTSIDE: Final = "out of scope, "
CONTROLS: Final = ("with ", "own controls", "3 words")
"""Beginnings of the names of groups of whole wishes."""
MODELS: Final = {"banking77": "trained on BANKING77"}
MASKED: Final = {"number": "bare numbers", "quantity": "quantities", "brand": "brands", "word": "common words"}
STANDS: Final = {"bare": "alone in a sentence", "compound": "in a compound"}

Cell = Callable[[Figures], str]


def _of(counts: Figures | None, cell: Cell) -> str:
    return NOTHING if counts is None else cell(counts)


def _sides(figures: Figures, *path: str) -> list[Figures | None]:
    """Return the counts of one group before and after; None where it was not measured."""
    found: list[Figures | None] = []
    for side in SIDES:
        counts: Figures | None = figures.get(side)
        for step in path:
            counts = counts and counts.get(step)
        found.append(counts)
    return found


def _names(figures: Figures, *path: str) -> list[str]:
    """Return the names of what was measured and is not empty, in that order."""
    return list(
        {
            name: None
            for found in _sides(figures, *path)
            for name, value in (found or {}).items()
            if value.get("texts", 1)
        }
    )


def _row(head: list[str], sides: list[Figures | None], *cells: Cell) -> list[str]:
    texts = next(counts["texts"] for counts in sides if counts is not None)
    return [*head, f"{texts:,}", *(_of(counts, cell) for cell in cells for counts in sides)]


def _kept(counts: Figures) -> str:
    return with_interval(counts["kept"], counts["texts"])


def _own(counts: Figures) -> str:
    return with_interval(counts["own"], counts["texts"])


def _kept_inside(counts: Figures) -> str:
    return with_interval(counts["kept"] + counts["none"], counts["texts"])


def _wrong_of_kept(counts: Figures) -> str:
    kept = counts["kept"] + counts["none"]
    return with_interval(kept - counts["own"], kept) if kept else NOTHING


def written(figures: Figures) -> str:
    """Return what is kept of denied, double and unfinished wishes, and of whole ones that look like these."""
    rows = []
    for model in _names(figures, "models"):
        for group in _names(figures, "models", model, "groups"):
            sides = _sides(figures, "models", model, "groups", group)
            head = MODELS.get(model, f"`{model}`")
            if group.startswith("denied"):
                rows.append(_row([head, f"{group}: kept as the wish"], sides, _own))
            elif group.startswith(("several", "too little")):
                rows.append(_row([head, f"{group}: kept with a label"], sides, _kept))
            elif group.startswith(CONTROLS):
                rows.append(_row([head, f"whole wishes, {group}: kept"], sides, _kept_inside))
    return lines(["model", "texts", "n", *(f"{side}, % (95 % interval)" for side in SIDES)], rows)


def noisy(figures: Figures) -> str:
    """Return what is kept of the tests and their noisy copies, and how much of that is wrong."""
    inside, outside = [], []
    for model in _names(figures, "models"):
        head = MODELS.get(model, f"`{model}`")
        names = _names(figures, "models", model, "groups")
        for group in names[: next(i for i, name in enumerate(names) if name.startswith((OUTSIDE, *CONTROLS)))]:
            sides = _sides(figures, "models", model, "groups", group)
            inside.append(_row([head, group], sides, _kept_inside, _wrong_of_kept))
        for group in names:
            if group.startswith(OUTSIDE):
                sides = _sides(figures, "models", model, "groups", group)
                outside.append(_row([head, group.removeprefix(OUTSIDE)], sides, _kept))
    shares = [f"{what} {side}, % (95 % interval)" for what in ("kept", "wrong of kept") for side in SIDES]
    labels = [f"kept with a label {side}, % (95 % interval)" for side in SIDES]
    return parts(
        lines(["model", "tests, in scope", "n", *shares], inside),
        lines(["model", "test, out of scope", "n", *labels], outside),
    )


def masking(figures: Figures) -> str:
    """Return how many plain queries are touched, and how many surnames are found."""
    shares = [f"{side}, % (95 % interval)" for side in SIDES]
    plain = [
        _row(
            [_named(group, MASKED)], _sides(figures, "plain", group), lambda c: with_interval(c["touched"], c["texts"])
        )
        for group in _names(figures, "plain")
    ]
    surnames = [
        _row(
            [_named(group, STANDS)], _sides(figures, "surnames", group), lambda c: with_interval(c["found"], c["texts"])
        )
        for group in _names(figures, "surnames")
    ]
    return parts(
        lines(["plain queries in which something is masked", "n", *shares], plain),
        lines(["surnames masked completely", "n", *shares], surnames),
    )


def _named(group: str, names: Mapping[str, str]) -> str:
    head, *rest = group.split(", ")
    languages = {"en": "English", "de": "German", "fr": "French", "listed": "", "corpus": "last names of wikigold"}
    return ", ".join(filter(None, [names.get(head, head), *(languages[each] for each in rest)]))
