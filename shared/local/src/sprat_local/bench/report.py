"""The figures in words and tables, for the terminal and for an HTML page with a plot of latency against rate."""

from collections.abc import Callable, Sequence
from math import floor, isfinite, log10
from typing import Final

from sprat_local.bench.figures import BenchFigures, RateResult
from sprat_local.bench.html_report import HtmlPage, Plot, Scale

HEAD: Final = ("RATE", "TEXTS/S", "TEXTS", "P50", "P90", "P99", "MAX", "")
MEMORY_HEAD: Final = ("PROCESS", "CPU S / 1,000 TEXTS", "MEMORY", "AT ITS PEAK")

_BUSY_CORES: Final = 0.2
"""Above so many cores used by other programs, the report says so."""
_ABOVE_SATURATION: Final = 1.25
"""If more than so many times the saturation ended at a rate, the report says so: both vary by some per cent."""
_LATE_S: Final = 0.02
"""If this process published later than this, the report says so."""
_LINES: Final[tuple[tuple[str, str, Callable[[RateResult], float]], ...]] = (
    ("accent", "p99", lambda rate: rate.latency.p99),
    ("faint", "p90", lambda rate: rate.latency.p90),
    ("ink", "p50", lambda rate: rate.latency.p50),
)
_TICKS: Final = 5
"""Intervals between the marks that :class:`Plot` draws on an axis."""
_FIRST_DIGITS: Final = (1, 2, 3, 5)
"""First digits at which an axis of latency may begin."""
_FACTORS: Final = (10**0.5, 4, 5, 10, 20, 50, 100)
"""Factors between its marks: half a decade gives 1, 3.2, 10, 32, …"""


def about(figures: BenchFigures) -> list[str]:
    """Describe what was measured, and on which machine."""
    machine, model = figures.machine, figures.bare_runs[0].model
    task, load = figures.plan.task, machine["load_before"]
    source = figures.plan.file.name if figures.plan.file else "the demo's samples"
    texts = len(figures.bare_runs[0].served)
    return [
        f"{task} with {model['name']} {model['version']}, {texts:,} different texts of {source}",
        f"{machine['cpu']}, cores to use: {machine['cores']}, {machine['memory_gb']:g} GB; {machine['system']}",
        f"Python {machine['python']}, sprat {machine['sprat']}, Kafka: {machine['kafka']}; load: {load:.2f}",
    ]


def headlines(figures: BenchFigures) -> list[str]:
    """Return throughput and CPU, one line each."""
    backlog, task = figures.backlog, figures.plan.task
    bare = ", ".join(f"{each.cpu_s_per_1000:.2f}" for each in figures.bare_runs)
    saturation = f"saturation  {backlog.texts_per_s:,.0f} texts/s: {backlog.ended:,} texts in {backlog.seconds:.1f} s, "
    saturation += f"{backlog.cached or 'none'} answered by a cache"
    cpu = f"CPU         {backlog.cpu_s_per_1000(task):.2f} s for 1,000 texts, the bare model {bare} s: "
    lines = [saturation, f"{cpu}{figures.ratio:.2f} times as much"]
    if backlog.escalated:
        lines.append(
            f"declined    {backlog.escalated:,} of them: escalated to a frontier, which a benchmark does not run"
        )
    return lines


def rate_rows(figures: BenchFigures) -> list[tuple[str, ...]]:
    """Return a row for each rate."""
    return [rate_row(rate) for rate in figures.rates]


def rate_row(rate: RateResult) -> tuple[str, ...]:
    """Return the cells of a rate, as in :data:`HEAD`."""
    latency = rate.latency
    return (
        "" if rate.share is None else f"{rate.share:.0%}",
        number(rate.offered_per_s),
        f"{rate.texts:,}",
        *(milliseconds(each) for each in (latency.p50, latency.p90, latency.p99, latency.max)),
        remark(rate),
    )


def remark(rate: RateResult) -> str:
    """Describe what is wrong at a rate; empty if nothing is."""
    remarks = []
    if rate.ended < rate.texts:
        remarks.append(f"{rate.texts - rate.ended:,} did not end")
    if not rate.sustained:
        remarks.append(f"not sustained: {number(rate.answered_per_s)} texts/s ended, the backlog grows")
    if rate.late_s > _LATE_S:
        remarks.append(f"sent up to {milliseconds(rate.late_s)} late: this machine is too busy to send so fast")
    return "; ".join(remarks)


def process_rows(figures: BenchFigures) -> list[tuple[str, ...]]:
    """Return a row for each process, as in :data:`MEMORY_HEAD`."""
    return [
        (
            name,
            f"{figures.backlog.cpu_s_per_1000(name):.2f}",
            *(
                (f"{figures.memory[name].rss_mb:,.0f} MB", f"{figures.memory[name].peak_mb:,.0f} MB")
                if name in figures.memory
                else ("", "")
            ),
        )
        for name in figures.backlog.cpu_s
    ]


def caveats(figures: BenchFigures) -> list[str]:
    """Describe what makes the figures doubtful; empty if nothing does."""
    remarks = []
    if figures.backlog.cached:
        remarks.append("a cache answered some of the texts: the figures are too good")
    if figures.unended:
        remarks.append(f"{figures.unended:,} texts did not end")
    saturation = figures.backlog.texts_per_s
    most = max(rate.answered_per_s for rate in figures.rates)
    if most > _ABOVE_SATURATION * saturation:
        remarks.append(
            f"the saturation was measured too low, {number(saturation)} texts/s: at one rate {number(most)} texts/s "
            "ended; perhaps the machine stalled meanwhile: measure again, with more --texts"
        )
    if figures.others > _BUSY_CORES:
        remarks.append(
            f"other programs used {figures.others:.1f} of {figures.machine['cores']} cores during the measurement: "
            "without them the figures would be better"
        )
    return remarks


def page(figures: BenchFigures) -> str:
    """Return the HTML page, a single file without external resources."""
    document = HtmlPage(f"sprat bench: {figures.plan.task}")
    document.add_list(about(figures))
    document.add_list([*headlines(figures), *caveats(figures)])
    document.add_heading("Latency against rate")
    document.add_picture(
        latency_plot(figures).svg(),
        "From the moment when a text was due to the arrival of its Result at a consumer. Texts arrive by the clock, at "
        "irregular intervals, whether or not earlier ones are answered: waiting counts. At a rate that is not "
        f"sustained, latency grows as long as it lasts; here that was {figures.plan.seconds:g} s.",
    )
    document.add_table([head.lower() for head in HEAD], rate_rows(figures), numbers=range(7))
    document.add_heading("CPU and memory")
    document.add_table([head.lower() for head in MEMORY_HEAD], process_rows(figures), numbers=range(1, 4))
    document.add_paragraph(
        "CPU while the backlog was processed. The bare model answered the same texts in batches of the same size with "
        "as many threads, in a process of its own, before and after."
    )
    return document.html()


def latency_plot(figures: BenchFigures) -> Plot:
    """Draw the quantiles of latency against the rate."""
    saturation = figures.backlog.texts_per_s
    highest = max(saturation, *(rate.offered_per_s for rate in figures.rates)) * 1.04
    x_axis = Scale("texts per second", 0.0, _TICKS * _round_up(highest / _TICKS), number)
    plot = Plot(x_axis, _latency_axis(figures.rates), "Latency against the rate at which texts arrive")
    plot.add_marker(saturation, f"saturation {number(saturation)}/s")
    rates = sorted(figures.rates, key=lambda rate: rate.offered_per_s)
    for kind, name, quantile in _LINES:
        points = [(rate.offered_per_s, log10(quantile(rate))) for rate in rates if _drawable(quantile(rate))]
        plot.add_line(points, kind, name)
    legend: str | None = "not sustained"
    for rate in rates:
        if not _drawable(rate.latency.p99):
            continue
        point = (rate.offered_per_s, log10(rate.latency.p99))
        if rate.sustained:
            plot.add_dot(point, "accent", radius=4)
        else:
            plot.add_dot(point, "warm", legend, radius=4)
            legend = None  # one entry is enough
    return plot


def _latency_axis(rates: Sequence[RateResult]) -> Scale:
    """Return a logarithmic axis with the smallest factor that fits all lines."""
    values = [value for rate in rates for _, _, quantile in _LINES if _drawable(value := quantile(rate))] or [0.01]
    power = 10.0 ** floor(log10(min(values)))
    low = max(power * digit for digit in _FIRST_DIGITS if power * digit <= min(values) or digit == 1)
    factor = next((each for each in _FACTORS if low * each**_TICKS >= max(values)), _FACTORS[-1])
    return Scale("latency", log10(low), log10(low) + _TICKS * log10(factor), lambda decade: _axis_mark(10**decade))


def _round_up(step: float) -> float:
    """Return the next larger step with few digits."""
    power = 10.0 ** floor(log10(step))
    return next(
        factor * power for factor in (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0) if factor * power >= step
    )


def _axis_mark(seconds: float) -> str:
    """Format a mark of the axis with two digits."""
    value, unit = (seconds, "s") if seconds >= 0.999 else (seconds * 1000, "ms")
    return f"{float(f'{value:.2g}'):,g} {unit}"


def _drawable(seconds: float) -> bool:
    return isfinite(seconds) and seconds > 0


def milliseconds(seconds: float) -> str:
    """Format a latency."""
    if not isfinite(seconds):
        return "never"
    return f"{seconds * 1000:,.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


def number(per_s: float) -> str:
    """Format a rate."""
    return f"{per_s:,.0f}" if per_s >= 10 or not per_s else f"{per_s:.1f}"
