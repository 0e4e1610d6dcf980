"""Draw Sprat beside its peers: texts per CPU second and, measured on a quiet machine, latency at half of saturation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt

from tests.bench.speed_tables import is_quiet

INK: Final = "#222222"
FAINT: Final = "#d5d8dc"
SPRAT: Final = "#0072B2"
PEER: Final = "#8C8C8C"
SETS: Final = {"clinc150": ("CLINC150", 1.0), "banking77": ("BANKING77", 0.55)}
"""Data set → its name, and the opacity of its bars."""
_SERVICE: Final = "intent"


def draw(figures: Mapping[str, Any], path: Path) -> None:
    """Draw black on white, for light and dark pages."""
    mpl.use("Agg")  # no screen
    plt.rcParams.update({"font.size": 10, "axes.edgecolor": FAINT, "text.color": INK, "axes.labelcolor": INK})
    systems = list(figures["systems"].items())
    quiet = all(is_quiet(system[of]) for _, system in systems for of in SETS)
    figure, panels = plt.subplots(
        1, 1 + quiet, figsize=(12.5, 0.52 * len(systems) + 1.5), sharey=True, layout="constrained", squeeze=False
    )
    left, right = panels[0][0], panels[0][-1]
    for row, (name, system) in enumerate(systems):
        colour = SPRAT if name.startswith("sprat") else PEER
        for number, (of, (_, opacity)) in enumerate(SETS.items()):
            place = row + (number - 0.5) * 0.36
            speed = 1000 / system[of]["cpu_s_per_1000"][_SERVICE]
            left.barh(place, speed, height=0.34, color=colour, alpha=opacity)
            left.text(speed, place, f" {speed:,.0f}", va="center", fontsize=8.5)
            if not quiet:
                continue
            p50, p99 = (1000 * system[of]["half_load"][each] for each in ("p50", "p99"))
            right.plot([p50, p99], [place, place], color=colour, alpha=opacity, linewidth=3, solid_capstyle="butt")
            right.plot(p50, place, "o", color=colour, alpha=opacity, markersize=7)
            right.text(p99 * 1.08, place, f"{p50:,.0f}–{p99:,.0f}", va="center", fontsize=8.5)
    left.set_yticks(range(len(systems)), [system["title"].replace("`", "") for _, system in systems])
    left.invert_yaxis()
    left.set_xlabel("texts per CPU second\nof the process with the model")
    left.margins(x=0.12)
    if quiet:
        right.set_xlabel("ms at half of its own saturation:\ndot p50, end of the line p99")
        right.set_xscale("log")
        right.margins(x=0.15)
    figure.suptitle(f"upper bar {SETS['clinc150'][0]}, lower bar {SETS['banking77'][0]}", fontsize=10)
    for panel in panels[0]:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(colors=INK, length=3)
        panel.grid(axis="x", color=FAINT, linewidth=0.6)
        panel.set_axisbelow(True)
    figure.savefig(path, dpi=150, facecolor="white", metadata={"Software": None})
    plt.close(figure)
