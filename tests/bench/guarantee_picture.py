"""Draw how often what is claimed is not so, and how much is kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt

INK: Final = "#222222"
FAINT: Final = "#d5d8dc"
DRAWN: Final = {
    "certified": ("certified", "#0072B2", "o"),
    "estimated": ("estimated", "#56B4E9", "s"),
    "wilson_scan": ("scan over all thresholds", "#D55E00", "v"),
    "split_conformal": ("split conformal", "#8C8C3A", "D"),
}
"""Told apart by people who see few colours."""


def draw(figures: Mapping[str, Any], path: Path) -> None:
    """Draw a line for each row of the table. On white, for light and dark pages."""
    mpl.use("Agg")  # no screen
    plt.rcParams.update({"font.size": 10, "axes.edgecolor": FAINT, "text.color": INK, "axes.labelcolor": INK})
    figure, (violations, kept) = plt.subplots(1, 2, figsize=(12, 5.2), sharey=True, layout="constrained")
    lines = range(len(figures))
    for offset, (method, (label, colour, marker)) in zip((-0.24, -0.08, 0.08, 0.24), DRAWN.items(), strict=True):
        each = [one[method] for one in figures.values()]
        heights = [line + offset for line in lines]
        middle = [100 * one["violated"] for one in each]
        spans = [
            [max(at - 100 * one["violated_low"], 0) for at, one in zip(middle, each, strict=True)],
            [max(100 * one["violated_high"] - at, 0) for at, one in zip(middle, each, strict=True)],
        ]
        violations.errorbar(middle, heights, xerr=spans, fmt=marker, color=colour, markersize=5, label=label)
        kept.plot([100 * one["kept"] for one in each], heights, marker, color=colour, markersize=5)
    oracle = [100 * one["oracle_kept"] for one in figures.values()]
    kept.plot(oracle, [*lines], "|", color=INK, markersize=17, markeredgewidth=1.5, label="possible to keep")
    violations.axvline(5, color=INK, linewidth=1, linestyle="--")
    violations.set_yticks([*lines], [f"{name}: {one['goal'] * 100:.0f} %" for name, one in figures.items()])
    violations.invert_yaxis()
    violations.set(xlabel="% of the drawings in which what is claimed is not so (dashed: 5)", xlim=(-2, 102))
    kept.set(xlabel="% of all texts that are kept, mean of the drawings", xlim=(-2, 102))
    for panel in (violations, kept):
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(colors=INK, length=3)
        panel.grid(axis="x", color=FAINT, linewidth=0.6)
        panel.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=5, fontsize=9, frameon=False)
    figure.savefig(path, dpi=150, facecolor="white", metadata={"Software": None})
    plt.close(figure)
