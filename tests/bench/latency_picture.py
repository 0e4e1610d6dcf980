"""Draw the way of one text through its stages as a waterfall, one panel for each load."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

INK: Final = "#222222"
FAINT: Final = "#d5d8dc"
COLOURS: Final = {"producer": "#8C8C3A", "service": "#0072B2", "router": "#E69F00", "consumer": "#8C8C3A"}
"""Of who works or is waited for; told apart by people who see few colours."""


def draw(figures: Mapping[str, Any], path: Path) -> None:
    """Draw the typical text: the mean of the middle fifth by end-to-end time. On white, for light and dark pages."""
    mpl.use("Agg")  # no screen
    plt.rcParams.update({"font.size": 10, "axes.edgecolor": FAINT, "text.color": INK, "axes.labelcolor": INK})
    loads = figures["loads"]
    figure, panels = plt.subplots(1, len(loads), figsize=(12.5, 4.9), sharey=True, layout="constrained", squeeze=False)
    for load, panel in zip(loads, panels[0], strict=True):
        draw_load(load, panel)
    panels[0][0].invert_yaxis()
    figure.savefig(path, dpi=150, facecolor="white", metadata={"Software": None})
    plt.close(figure)


def draw_load(load: Mapping[str, Any], panel: Axes) -> None:
    """Draw each stage as a bar that begins where the stage before ends."""
    stages = {name: each["typical"] for name, each in load["stages_ms"].items()}
    total = sum(stages.values())
    begin = 0.0
    for place, (name, took) in enumerate(stages.items()):
        panel.barh(place, took, left=begin, height=0.72, color=COLOURS[name.partition(":")[0]])
        begin += took
        if begin < 0.8 * total:
            panel.text(begin + 0.015 * total, place, f"{took:.1f}", va="center", fontsize=8.5)
        elif took > 0.2 * total:
            panel.text(begin - took / 2, place, f"{took:.1f}", va="center", ha="center", fontsize=8.5, color="white")
        else:
            panel.text(begin - took - 0.015 * total, place, f"{took:.1f}", va="center", ha="right", fontsize=8.5)
    panel.set_yticks(range(len(stages)), list(stages))
    panel.set_xlim(0, 1.02 * total)
    panel.set_xlabel("milliseconds since the text was due")
    panel.set_title(
        f"{load['share']:.0%} of saturation, {load['per_s']:.0f} texts/s: {total:.1f} ms".replace("%", " %"),
        fontsize=10,
    )
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(colors=INK, length=3)
    panel.grid(axis="x", color=FAINT, linewidth=0.6)
    panel.set_axisbelow(True)
