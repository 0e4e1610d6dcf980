"""Draw each dashboard as one picture, from the same queries, over a real run.

`python -m observability.dashboards.draw --prometheus http://127.0.0.1:9090 --output docs/images/dashboards`
"""

import argparse
import io
import math
import re
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator
from PIL import Image

from observability.dashboards.generate import DASHBOARDS
from observability.dashboards.panels import COLUMNS, DEFAULTS, Dashboard, Panel, Query, variables_of
from observability.dashboards.source import Series, Source, Window

COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7A5195", "#8C8C3A", "#5B5B5B")
"""Told apart by people who see few colours."""
LEVELS: Final = {"green": "#1a7f37", "orange": "#bc6c00", "red": "#c62828"}
TEXT: Final = "#222222"
MUTED: Final = "#666666"
EDGE: Final = "#d5d8dc"
MAX_SERIES: Final = 8
"""Lines and bars in a panel; the largest are drawn, the others counted."""

_INCH_WIDE: Final = 15.0
_INCH_A_STEP: Final = 0.29
"""The height of one step of Grafana's grid."""
_HEAD: Final = 0.85
_DPI: Final = 80
_TIME_STEPS: Final = (5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 43_200, 86_400, 604_800, 10**9)
"""Seconds between two marks of an axis."""
_NAME: Final = 34
_BAR_NAME: Final = 22
"""Letters of a name."""

Named = tuple[str, Series]


def formatted(value: float, unit: str, decimals: int | None = None) -> str:
    """Return a value as a person reads it, with its unit."""
    match unit:
        case "percentunit":
            return f"{100 * value:.{1 if decimals is None else decimals}f} %"
        case "currencyEUR":
            return f"€{value:,.2f}" if abs(value) >= 1 or not value else f"€{value:.3g}"
        case "s":
            return _seconds(value)
        case "bytes" | "Bps":
            return _scaled(value, 1000, ("B", "kB", "MB", "GB", "TB")) + ("/s" if unit == "Bps" else "")
        case "reqps":
            return f"{_short(value, decimals)}/s"
        case _:
            return _short(value, decimals)


def _short(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:,.{decimals}f}"
    return f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"


def _scaled(value: float, factor: int, units: tuple[str, ...]) -> str:
    for unit in units[:-1]:
        if abs(value) < factor:
            return f"{value:.3g} {unit}"
        value /= factor
    return f"{value:.3g} {units[-1]}"


def _seconds(value: float) -> str:
    if abs(value) >= 120:
        return f"{value / 60:.3g} min"
    return f"{value:.3g} s" if abs(value) >= 1 or not value else f"{1000 * value:.3g} ms"


def named(query: Query, series: Series) -> str:
    """Return the name of a series: the query's legend with the labels' values."""
    return " ".join(re.sub(r"\{\{(\w+)\}\}", lambda found: series.labels.get(found[1], ""), query.legend).split())


def picture(dashboard: Dashboard, source: Source, window: Window, values: Mapping[str, str] | None = None) -> bytes:
    """Return the PNG of a dashboard.

    Raises:
        QueryFailed: the server did not answer, or refused a query.
    """
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 8, "text.color": TEXT, "axes.edgecolor": EDGE}):
        figure = _figure(dashboard, source, window, values)
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png")
    small = io.BytesIO()
    # A palette of few colours is a third of the size and looks the same.
    Image.open(drawn).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


def _figure(dashboard: Dashboard, source: Source, window: Window, values: Mapping[str, str] | None) -> Figure:
    places = list(dashboard.places)
    steps = max(y + (part.height if isinstance(part, Panel) else 1) for part, _, y in places)
    tall = steps * _INCH_A_STEP + _HEAD
    figure = Figure((_INCH_WIDE, tall), dpi=_DPI, facecolor="white")

    def height(y: float) -> float:
        return 1 - (_HEAD + y * _INCH_A_STEP) / tall

    start, end = (datetime.fromtimestamp(each, UTC) for each in (window.start, window.end))
    chosen = "".join(f" · {name}: {value}" for name, value in (values or {}).items())
    when = f"{start:%Y-%m-%d %H:%M} to {end:%H:%M} UTC{chosen}"
    figure.text(0.012, 1 - 0.3 / tall, dashboard.title, fontsize=17, weight="bold", va="center")
    figure.text(0.012, 1 - 0.68 / tall, dashboard.description, fontsize=9, color=MUTED, va="center")
    figure.text(0.988, 1 - 0.3 / tall, when, fontsize=9, ha="right", va="center")
    for part, x, y in places:
        if isinstance(part, Panel):
            width, bottom = 0.98 / COLUMNS, height(y + part.height)
            box = figure.add_axes(
                (
                    0.01 + width * x + 0.002,
                    bottom + 0.05 / tall,
                    width * part.width - 0.004,
                    height(y) - bottom - 0.1 / tall,
                )
            )
            _draw(figure, box, part, source, window, values)
        else:
            figure.text(0.012, height(y + 0.55), part.title, fontsize=11, weight="bold", va="center")
    return figure


def _draw(
    figure: Figure, frame: Axes, panel: Panel, source: Source, window: Window, values: Mapping[str, str] | None
) -> None:
    """Draw a panel into its frame."""
    frame.set(xticks=[], yticks=[])
    place = frame.get_position()
    wide, tall = figure.get_size_inches()
    frame.annotate(panel.title, (0, 1), (6, -13), "axes fraction", "offset points", fontsize=9, weight="bold")
    found = [
        (named(query, series), series)
        for query in panel.queries
        for series in source.panel(panel, query, window, values)
    ]
    if not found:
        frame.text(0.5, 0.43, panel.without_data, ha="center", va="center", fontsize=13, color=MUTED, style="italic")
    elif panel.kind == "number":
        _number(frame, panel, found)
    elif panel.kind == "table":
        _table(frame, panel, found)
    else:
        shown = _largest(found)
        hidden = len(found) - len(shown) if panel.kind != "heatmap" else 0
        if hidden:
            note = f"and {hidden} smaller"
            frame.annotate(
                note, (1, 1), (-6, -12), "axes fraction", "offset points", ha="right", color=MUTED, fontsize=7
            )
        left = 1.35 if panel.kind == "ranking" else 0.62
        columns = max(2, panel.width // 6)
        over_time = panel.kind in {"lines", "stacked", "bars"}
        lines = -(-len(shown) // columns) if over_time and any(name for name, _ in shown) else 0
        below = 0.12 if panel.kind == "ranking" else 0.28 + 0.155 * lines
        inner = (
            place.x0 + left / wide,
            place.y0 + below / tall,
            place.width - (left + 0.2) / wide,
            place.height - (below + 0.36) / tall,
        )
        axes = figure.add_axes(inner)
        _chart(axes, panel, found if panel.kind == "heatmap" else shown, window)
        if lines:
            frame.legend(
                *axes.get_legend_handles_labels(),
                loc="lower left",
                ncols=columns,
                fontsize=7,
                frameon=False,
                handlelength=1.2,
                columnspacing=1.2,
                labelspacing=0.25,
            )


def _largest(found: list[Named]) -> list[Named]:
    """Return the series that matter most, in the order of their queries."""
    ranks = sorted(found, key=lambda each: max(value for _, value in each[1].points), reverse=True)[:MAX_SERIES]
    return [each for each in found if each in ranks]


def _number(frame: Axes, panel: Panel, found: list[Named]) -> None:
    value = found[0][1].points[-1][1]
    text = (panel.names or {}).get(value) or formatted(value, panel.unit, panel.digits)
    size = 23 if len(text) < 9 else 17
    frame.text(0.5, 0.43, text, ha="center", va="center", fontsize=size, weight="bold", color=_colour(panel, value))


def _colour(panel: Panel, value: float) -> str:
    reached = [colour for step, colour in panel.steps if value >= step]
    return LEVELS[reached[-1] if reached else panel.base] if panel.steps else TEXT


def _table(frame: Axes, panel: Panel, found: list[Named]) -> None:
    for line, (name, series) in enumerate(sorted(found, key=lambda each: each[0])):
        height = 0.8 - 0.085 * line
        frame.text(0.02, height, name, fontsize=7.5, va="center", family="DejaVu Sans Mono")
        value = formatted(series.points[-1][1], panel.unit, panel.digits)
        frame.text(0.98, height, value, fontsize=7.5, va="center", ha="right")


def _chart(axes: Axes, panel: Panel, found: list[Named], window: Window) -> None:
    axes.tick_params(length=0, labelsize=7, labelcolor=MUTED)
    axes.spines[["top", "right", "left"]].set_visible(False)
    if panel.kind == "ranking":
        _ranking(axes, panel, found)
        return
    if panel.kind == "heatmap":
        _heatmap(axes, found)
    else:
        _over_time(axes, panel, found)
        axes.grid(axis="y", color="#eceef0", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=panel.digits == 0))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: formatted(value, panel.unit, panel.digits)))
    axes.set_xlim(window.start, window.end)
    step = next(step for step in _TIME_STEPS if window.seconds / step <= 6)
    clock = "%H:%M" if step >= 60 else "%H:%M:%S"
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{datetime.fromtimestamp(at, UTC):{clock}}"))


def _over_time(axes: Axes, panel: Panel, found: list[Named]) -> None:
    times = sorted({at for _, series in found for at, _ in series.points})
    step = min((b - a for a, b in pairwise(times)), default=60.0)
    floor = [0.0] * len(times)
    for (name, series), colour in zip(found, COLOURS, strict=False):
        by_time = dict(series.points)
        label = name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"
        if panel.kind == "lines":
            axes.plot(times, [by_time.get(at, math.nan) for at in times], color=colour, linewidth=1.3, label=label)
            continue
        heights = [by_time.get(at, 0.0) for at in times]
        if panel.kind == "bars":
            axes.bar(times, heights, step * 0.8, floor, color=colour, label=label)
        else:
            top = [a + b for a, b in zip(floor, heights, strict=True)]
            axes.fill_between(times, floor, top, color=colour, alpha=0.75, linewidth=0, label=label)
        floor = [a + b for a, b in zip(floor, heights, strict=True)]
    values = [value for _, series in found for _, value in series.points]
    axes.set_ylim(min([*values, 0]), 1.1 * max([*values, *floor]) or 1)


def _ranking(axes: Axes, panel: Panel, found: list[Named]) -> None:
    bars = sorted(((series.points[-1][1], name) for name, series in found), reverse=True)
    names = [name if len(name) <= _BAR_NAME else f"{name[: _BAR_NAME - 1]}…" for _, name in bars]
    places = range(len(bars))
    axes.barh(places, [value for value, _ in bars], 0.62, color=COLOURS[0])
    axes.set_yticks(places, names, color=TEXT)
    axes.set_ylim(max(len(bars), 4) - 0.4, -0.6)
    most = max(value for value, _ in bars)
    axes.set_xlim(0, 1.28 * most if most > 0 else 1)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    for place, (value, _) in zip(places, bars, strict=True):
        text = formatted(value, panel.unit, panel.digits)
        axes.text(max(value, 0) + 0.02 * (most or 1), place, text, va="center", fontsize=7.5)


def _heatmap(axes: Axes, found: list[Named]) -> None:
    """Draw how many values fell between two boundaries, by time."""
    boundaries = sorted((series for _, series in found), key=lambda series: float(series.labels["le"]))
    times = sorted({at for series in boundaries for at, _ in series.points})
    counts = [[dict(series.points).get(at, 0.0) for at in times] for series in boundaries]
    between = [counts[0], *([max(b - a, 0.0) for a, b in zip(*two, strict=True)] for two in pairwise(counts))]
    filled = [index for index, row in enumerate(between) if any(row)] or [0]
    rows = between[filled[0] : filled[-1] + 1]
    axes.pcolormesh([*times, times[-1] + 60], range(len(rows) + 1), rows, cmap="Blues", vmin=0)
    labels = [f"≤ {float(boundaries[index].labels['le']):g}" for index in range(filled[0], filled[-1] + 1)]
    axes.set_yticks([index + 0.5 for index in range(len(rows))], labels)


def draw(
    url: str,
    output: Path,
    window: Window,
    values: Mapping[str, str] | None = None,
    dashboards: Iterable[Dashboard] = DASHBOARDS,
) -> list[Path]:
    """Write the pictures of dashboards, and return the files.

    Raises:
        QueryFailed: the server did not answer, or refused a query.
    """
    output.mkdir(parents=True, exist_ok=True)
    written = []
    with Source(url) as source:
        for dashboard in dashboards:
            path = output / f"{dashboard.uid}.png"
            used = {variable.name for variable in variables_of(dashboard)}
            chosen = {name: value for name, value in (values or {}).items() if name in used}
            path.write_bytes(picture(dashboard, source, window, chosen))
            written.append(path)
    return written


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()


def main() -> None:
    """Draw all dashboards, or those that were asked for."""
    by_uid = {dashboard.uid: dashboard for dashboard in DASHBOARDS}
    parser = argparse.ArgumentParser(description="Draw each dashboard as one picture.")
    parser.add_argument("--prometheus", required=True, metavar="URL", help="Prometheus or VictoriaMetrics")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="the folder of the pictures")
    parser.add_argument(
        "--from", dest="start", type=_moment, metavar="TIME", help="ISO 8601; an hour before --to if absent"
    )
    parser.add_argument("--to", dest="end", type=_moment, metavar="TIME", help="ISO 8601; now if absent")
    for name, default in DEFAULTS.items():
        parser.add_argument(f"--{name}", metavar="VALUE", help=f"instead of {default}")
    parser.add_argument("--dashboard", nargs="+", choices=by_uid, default=tuple(by_uid), help="instead of all of them")
    options = parser.parse_args()
    end = options.end or time.time()
    window = Window(options.start or end - 3600, end)
    values = {name: value for name in DEFAULTS if (value := getattr(options, name))}
    for path in draw(options.prometheus, options.output, window, values, map(by_uid.__getitem__, options.dashboard)):
        print(f"{path} {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
