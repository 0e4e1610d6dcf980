"""Two versions of a model on the same texts, for a terminal and as JSON."""

import math
from typing import Any, Final

from sprat_cli.compared_at import ComparedAt
from sprat_cli.terminal import counted, faint, paint, printable, table
from sprat_inference.card import Card
from sprat_training.evaluation.comparison import Comparison, Measured
from sprat_training.evaluation.metrics import Interval

_MOST_DIGITS: Final = 3
"""Of points, where fewer would show an end as 0 that is not."""


def comparison_table(comparison: Comparison, served: str, new: str) -> list[str]:
    """Return a table of the shares of both versions; `served` and `new` head their columns."""
    head, *rest = table(
        [
            ("", printable(served), printable(new), "DIFFERENCE (95 %)", "TEXTS THAT DIFFER"),
            *(
                (each.name, str(each.served), str(each.new), difference(each), f"{each.differing:,}")
                for each in comparison.all
            ),
        ]
    )
    return [faint(head), *rest]


def comparison_sentence(new: str, comparison: Comparison, at: str) -> str:
    """Return whether the new version is better, in what is right and in what is kept, in a colour.

    Args:
        new: what the new version is called, at the start of a sentence.
        comparison: of both versions.
        at: the keep_at of the comparison, as "keep_at 0.89".
    """
    kept, escalated = difference(comparison.kept_right), difference(comparison.escalated)
    keeps = {
        "alike": f"kept and right at {at}: no difference shown ({kept})",
        "more": f"clearly more is kept at {at}: {kept} kept and right, {escalated} escalated",
        "less": f"clearly less is kept at {at}: {kept} kept and right, {escalated} escalated",
    }[comparison.keeps]
    if comparison.right_of_kept is not None and comparison.kept_are_right != "alike":
        fewer = "fewer" if comparison.kept_are_right == "less" else "more"
        higher = ", which a higher keep_at for it may mend" if fewer == "fewer" and comparison.keeps != "less" else ""
        keeps += f"; of those kept, clearly {fewer} are right: {difference(comparison.right_of_kept)}{higher}"
    if comparison.neither_keeps:
        keeps = f"none is kept at {at}"
    right, texts = difference(comparison.right), counted(comparison.texts, "text")
    shown = f"right: {f'no difference shown ({right})' if comparison.better == 'neither' else right}; {keeps}."
    if comparison.is_worse:
        return paint(printable(f"{new} is worse on {texts}: {shown}"), "red")
    if comparison.better == "new":
        colour = "yellow" if comparison.kept_are_right == "less" else "green"
        return paint(printable(f"{new} is better on {texts}: {shown}"), colour)
    return paint(f"On {texts}, {shown}", "yellow")


def judged(
    comparison: Comparison, once_served: Comparison | None, at: ComparedAt, new: Card, with_them: str
) -> tuple[bool, str]:
    """Return whether the new version is shown to be the better one to serve, and why.

    Args:
        comparison: of both versions at one keep_at.
        once_served: with the new one at its own keep_at, where that is higher and so would be written; else None.
        at: the keep_at of the comparison.
        new: the card of the new version.
        with_them: what the new version is, as "with the corrections".
    """
    yes, because = _judged(comparison, at, with_them)
    if not yes or comparison.better == "new" or once_served is None or once_served.keeps == "more":
        return yes, because
    own = f"its own keep_at, {new.keep_at:.2f}, is higher and would be written"
    return False, f"{own}: {change_once_served(once_served, at, new)}; though {because}"


def change_once_served(once_served: Comparison, at: ComparedAt, new: Card) -> str:
    """Return what replacing the served version changes in what is kept and right, each at the keep_at it has then."""
    change = difference(once_served.kept_right)
    return f"kept and right at {new.keep_at:.2f}, against {at.keep_at:.2f} now: {change}"


def _judged(comparison: Comparison, at: ComparedAt, with_them: str) -> tuple[bool, str]:
    right, kept = difference(comparison.right), difference(comparison.kept_right)
    less = f"clearly less that is right is kept at {at}: {kept}"
    of_kept = comparison.right_of_kept
    is_wrong = of_kept is not None and comparison.kept_are_right == "less"
    wrong = "" if of_kept is None else f"of those kept at {at}, clearly fewer are right: {difference(of_kept)}"
    match comparison.better, comparison.keeps:
        case "served", _:
            found = False, f"{with_them} clearly fewer texts are right: {right}"
        case "new", "less" if is_wrong:
            found = False, f"{with_them} {less}, and {wrong}; though clearly more texts are right: {right}"
        case "new", keeps:
            but = [*([less] if keeps == "less" else []), *([wrong] if is_wrong else [])]
            more = f"{with_them} clearly more texts are right: {right}"
            found = True, "; but ".join([more, *([", and ".join(but)] if but else [])])
        case _, "more" if is_wrong:
            more = f"though clearly more that is right is kept: {kept}"
            found = False, f"{with_them}, {wrong}; more right: not shown ({right}); {more}"
        case _, "more" if at.of_version is not None:
            of_other = f"that number was found for version {at.of_version}, not for the served one"
            more = f"clearly more that is right is kept at {at}: {kept}"
            found = False, f"{with_them} more right: not shown ({right}); {more}, but {of_other}"
        case _, "more":
            not_fewer = f"fewer right: not shown ({right})"
            found = True, f"{with_them} clearly more that is right is kept at {at}: {kept}; {not_fewer}"
        case _, "less":
            found = False, f"{with_them} {less}; more right: not shown ({right})"
        case _ if is_wrong:
            found = False, f"{with_them}, {wrong}; more right: not shown ({right})"
        case _:
            found = False, f"no difference is shown on {counted(comparison.texts, 'text')} at {at}"
    return found


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Return the fields of a comparison: what it shows, and each share of both versions with its interval."""
    shares = {
        each.name.lower().replace(" ", "_").replace("-", "_"): {
            "served": [round(share, 4) for share in (each.served.value, each.served.low, each.served.high)],
            "new": [round(share, 4) for share in (each.new.value, each.new.low, each.new.high)],
            "difference": [
                round(each.difference.value, 4),
                _json_end(each.difference.low),
                _json_end(each.difference.high),
            ],
            "differing": each.differing,
        }
        for each in comparison.all
    }
    return {
        "better": comparison.better,
        "keeps": comparison.keeps,
        "kept_are_right": comparison.kept_are_right,
        "worse": comparison.is_worse,
        **shares,
    }


def difference(measured: Measured) -> str:
    """Return the difference of a share between two versions, in points, with its interval.

    Ends are rounded outwards, but one that leaves out 0 is never shown as 0: the figures then have more digits, up to
    three, and an end that three do not show is given as 0.001 points.
    """
    change = measured.difference
    digits = next((each for each in (1, 2) if _keeps_sides(change, change.ends_to(each + 2))), _MOST_DIGITS)
    sides = zip(change.ends_to(digits + 2), (change.low, change.high), strict=True)
    low, high = (100 * rounded if rounded or not end else math.copysign(10**-digits, end) for rounded, end in sides)
    return f"{100 * change.value:+.{digits}f} points ({low:+.{digits}f} to {high:+.{digits}f})"


def _keeps_sides(change: Interval, rounded: tuple[float, float]) -> bool:
    """Return whether no end is rounded to 0 that is not 0."""
    return all(bool(shown) == bool(end) for shown, end in zip(rounded, (change.low, change.high), strict=True))


def _json_end(end: float) -> float:
    """Return an end of a difference with four decimals, or up to six where it would be 0 with fewer and is not."""
    least = math.copysign(1e-6, end) if end else 0.0
    return next((found for decimals in (4, 5, 6) if (found := round(end, decimals))), least)
