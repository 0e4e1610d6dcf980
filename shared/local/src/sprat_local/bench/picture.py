"""The picture: latency against rate, on one page with the tables, which needs nothing else."""

from collections.abc import Callable, Sequence
from math import floor, isfinite, log10
from typing import Final

from sprat_local.bench import report
from sprat_local.bench.figures import BenchFigures, Rung
from sprat_training.html_report import HtmlPage, Plot, Scale

_LINES: Final[tuple[tuple[str, str, Callable[[Rung], float]], ...]] = (
    ("accent", "p99", lambda rung: rung.latency.p99),
    ("faint", "p90", lambda rung: rung.latency.p90),
    ("ink", "p50", lambda rung: rung.latency.p50),
)
_TICKS: Final = 5
"""Spaces between the marks that :class:`Plot` draws on an axis."""
_LEADS: Final = (1, 2, 3, 5)
"""With which digit an axis of latency may begin."""
_FACTORS: Final = (10**0.5, 4, 5, 10, 20, 50, 100)
"""By how much its marks may multiply: half a decade gives 1, 3.2, 10, 32, …"""


def page(figures: BenchFigures) -> str:
    """Give the HTML file."""
    made = HtmlPage(f"sprat bench: {figures.plan.task}")
    made.add_list(report.about(figures))
    made.add_list([*report.headlines(figures), *report.caveats(figures)])
    made.add_heading("Latency against rate")
    made.add_picture(
        plot(figures).svg(),
        "From the moment when a text was due to its Result in a consumer's hand. Texts come by the clock, irregularly, "
        "whether or not those before them are answered: waiting counts. Where a rate is not sustained, latency grows "
        f"as long as it lasts; here that was {figures.plan.seconds:g} s.",
    )
    made.add_table([head.lower() for head in report.HEAD], report.rungs(figures), numbers=range(7))
    made.add_heading("CPU and memory")
    made.add_table([head.lower() for head in report.MEMORY_HEAD], report.processes(figures), numbers=range(1, 4))
    made.add_paragraph(
        "CPU while the backlog was worked off. The bare model answered the same texts in the same batches and threads, "
        "in a process of its own, before and after."
    )
    return made.html()


def plot(figures: BenchFigures) -> Plot:
    """Draw the quantiles of latency against the rate."""
    saturation = figures.drained.texts_per_s
    most = max(saturation, *(rung.offered_per_s for rung in figures.rungs)) * 1.04
    across = Scale("texts a second", 0.0, _TICKS * _round_up(most / _TICKS), report.number)
    drawn = Plot(across, _upwards(figures.rungs), "Latency against the rate at which texts come")
    drawn.add_marker(saturation, f"saturation {report.number(saturation)}/s")
    climbing = sorted(figures.rungs, key=lambda rung: rung.offered_per_s)
    for kind, name, quantile in _LINES:
        seen = [(rung.offered_per_s, log10(quantile(rung))) for rung in climbing if _drawable(quantile(rung))]
        drawn.add_line(seen, kind, name)
    bad: str | None = "not sustained"
    for rung in climbing:
        if not _drawable(rung.latency.p99):
            continue
        at = (rung.offered_per_s, log10(rung.latency.p99))
        if rung.sustained:
            drawn.add_dot(at, "accent", radius=4)
        else:
            drawn.add_dot(at, "warm", bad, radius=4)
            bad = None  # once is enough for the legend
    return drawn


def _upwards(rungs: Sequence[Rung]) -> Scale:
    """Give an axis of latency whose every step multiplies, by as little as takes all lines in."""
    seen = [each for rung in rungs for _, _, of in _LINES if _drawable(each := of(rung))] or [0.01]
    power = 10.0 ** floor(log10(min(seen)))
    low = max(power * lead for lead in _LEADS if power * lead <= min(seen) or lead == 1)
    factor = next((each for each in _FACTORS if low * each**_TICKS >= max(seen)), _FACTORS[-1])
    return Scale("latency", log10(low), log10(low) + _TICKS * log10(factor), lambda decade: _written(10**decade))


def _round_up(step: float) -> float:
    """Give the next step that has few digits."""
    power = 10.0 ** floor(log10(step))
    return next(
        factor * power for factor in (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0) if factor * power >= step
    )


def _written(seconds: float) -> str:
    """Give a mark of the axis in two digits."""
    value, unit = (seconds, "s") if seconds >= 0.999 else (seconds * 1000, "ms")
    return f"{float(f'{value:.2g}'):,g} {unit}"


def _drawable(seconds: float) -> bool:
    return isfinite(seconds) and seconds > 0
