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
    yield f"| drawn from | goal, % | oracle keeps, % | {' | '.join(METHODS.values())} |"
    yield f"| --- | --- | --- | {' | '.join('---' for _ in METHODS)} |"
    for name, one in figures.items():
        cells = " | ".join(_cell(one[method]) for method in METHODS)
        yield f"| {name} | {one['goal'] * 100:.0f} | {one['oracle_kept'] * 100:.1f} | {cells} |"
    certified, estimated = (
        " · ".join(_share(one[method][what]) for one in figures.values())
        for method, what in (("certified", "claimed"), ("estimated", "right"))
    )
    yield ""
    yield "In each cell: in how many of 100 drawings the claim is not so, and then how much of all texts is kept, %."
    yield ""
    yield f"- Row by row, something is certified in so many of 100 drawings: {certified}."
    yield f"- Row by row, so much of what `estimated` keeps is right on average, %: {estimated}."
    yield ""
    yield "![how often a claim is not so, and how much is kept](images/guarantee.png)"


def _cell(figures: Mapping[str, Any]) -> str:
    return f"{figures['violated'] * 100:.1f}; {figures['kept'] * 100:.1f}"


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.1f}"
