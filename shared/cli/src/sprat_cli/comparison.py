"""Two versions of a model on the same texts, for a terminal and as JSON."""

from typing import Any

from sprat_cli.terminal import counted, faint, paint, printable, table
from sprat_training.evaluation.comparison import Comparison, Measured


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
        higher = ", which a higher keep_at for it may mend" if fewer == "fewer" else ""
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


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Return the fields of a comparison: what it shows, and each share of both versions with its interval."""
    shares = {
        each.name.lower().replace(" ", "_").replace("-", "_"): {
            "served": [round(share, 4) for share in (each.served.value, each.served.low, each.served.high)],
            "new": [round(share, 4) for share in (each.new.value, each.new.low, each.new.high)],
            "difference": [
                round(share, 4) for share in (each.difference.value, each.difference.low, each.difference.high)
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
    """Return the difference of a share between two versions, in points, with its interval."""
    value = measured.difference
    return f"{100 * value.value:+.1f} points ({100 * value.low:+.1f} to {100 * value.high:+.1f})"
