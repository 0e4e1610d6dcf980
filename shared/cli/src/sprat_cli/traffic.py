"""Traffic and pace of consumer groups, in words and as tables: for `sprat lag`, `sprat top` and `sprat up`."""

import math

from rich.console import RenderableType
from rich.table import Table

from sprat_operations.lag import Pace, keeps_up
from sprat_operations.traffic import TrafficFigures


def traffic_line(figures: TrafficFigures) -> str:
    """Return the figures in one line."""
    if not figures.reachable:
        return "Kafka does not answer"
    of_these = f"degraded {figures.degraded}, unanswered {figures.unanswered}"
    return (
        f"texts {figures.texts}  kept {figures.kept}  escalated {figures.escalated} (of these {of_these})  "
        f"lag {sum(figures.lag.values()) if figures.measured else '?'}  cost {figures.cost_eur:.4f} EUR"
        f"{_simulated(figures)}"
    )


def _simulated(figures: TrafficFigures) -> str:
    """Return which part of the cost nobody was paid, as a simulator received the texts."""
    if not figures.simulated_eur:
        return ""
    if math.isclose(figures.simulated_eur, figures.cost_eur):
        return " (simulated)"
    return f" ({figures.simulated_eur:.4f} of it simulated)"


def traffic_table(figures: TrafficFigures) -> RenderableType:
    """Return the figures as a table of one row."""
    table = borderless_table(gap=2)
    for name in ("texts", "texts/s", "results", "kept", "escalated", "degraded", "unanswered", "cost"):
        table.add_column(name, justify="right", header_style="dim", min_width=len(name), no_wrap=True)
    table.add_row(
        f"{figures.texts:,}",
        f"{figures.texts_per_s:,.0f}" if figures.measured else "-",
        f"{figures.results:,}",
        _share(figures.kept, figures.results),
        _share(figures.escalated, figures.results),
        f"{figures.degraded:,}",
        f"{figures.unanswered:,}",
        f"€{figures.cost_eur:.4f}{_simulated(figures)}",
    )
    return table


def borderless_table(gap: int = 3) -> Table:
    """Return an empty table without lines, with so many spaces between its columns."""
    return Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), collapse_padding=True)


def format_rate(per_s: float) -> str:
    """Return records a second, as `12/s` or `0.3/s`."""
    return f"{per_s:,.0f}/s" if per_s >= 10 or not per_s else f"{per_s:.1f}/s"


def format_drain_time(pace: Pace, members: int) -> str:
    """Return in how long the lag is 0 at this pace; empty where it is 0 already."""
    if not pace.lag:
        return ""
    seconds = pace.drained_in_s if members else None
    if seconds is None:
        return "steady" if keeps_up(pace, members) else "never"
    return _format_seconds(seconds)


def format_age(seconds: float | None) -> str:
    """Return how long ago something was; `?` where that is not known."""
    return "?" if seconds is None else _format_seconds(seconds)


def _format_seconds(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({100 * part / whole:.0f} %)" if whole else str(part)
