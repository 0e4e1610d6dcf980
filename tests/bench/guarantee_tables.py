"""The table of the guarantee: what each way of choosing a threshold claims, and whether it is so."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

METHODS: Final = {
    "certified": "`certified`",
    "estimated": "`estimated`",
    "rule_of_0_1": "rule of 0.1.0",
    "wilson_scan": "Wilson scan",
    "split_conformal": "split conformal",
    "mapie": "mapie",
}


def markdown(figures: Mapping[str, Any]) -> str:
    """Return the table and the picture."""
    return "\n".join(_lines(figures))


def _lines(figures: Mapping[str, Any]) -> Iterator[str]:
    heads = ["drawn from", "goal", "who knows the truth keeps", "certified at all in", *METHODS.values()]
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---' for _ in heads)} |"
    for name, one in figures.items():
        about = [name, f"{one['goal'] * 100:.0f}", _percent(one["oracle_kept"]), _percent(one["certified"]["claimed"])]
        cells = [_cell(method, one[method]) for method in METHODS]
        yield f"| {' | '.join([*about, *cells])} |"
    yield ""
    yield (
        "All in per cent. Each method: the drawings in which what it claims is not so (of `certified` with the 95 % "
        "interval); kept of all texts, mean of the drawings; and of `estimated` the share right of these, too."
    )
    yield ""
    yield "![how often a claim is not so, and how much is kept](images/guarantee.png)"


def _cell(method: str, figures: Mapping[str, Any]) -> str:
    violated, low, high = (_percent(figures[f"violated{end}"]) for end in ("", "_low", "_high"))
    parts = [f"{violated} ({low}–{high})" if method == "certified" else violated, _percent(figures["kept"])]
    if method == "estimated":
        parts.append(_percent(figures["right"]))
    return "; ".join(parts)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.1f}"
