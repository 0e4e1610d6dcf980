"""The figures in words and tables, for a terminal and for the page."""

from math import isfinite
from typing import Final

from sprat_local.bench.figures import BenchFigures, Rung

HEAD: Final = ("RATE", "TEXTS/S", "TEXTS", "P50", "P90", "P99", "MAX", "")
MEMORY_HEAD: Final = ("PROCESS", "CPU S / 1,000 TEXTS", "MEMORY", "AT ITS PEAK")

_BUSY: Final = 0.2
"""Cores that others may take before the figures say so."""
_LATE_S: Final = 0.02
"""Our own publishing may be late by so much before the figures say so."""


def about(figures: BenchFigures) -> list[str]:
    """Say what was measured, and on what."""
    machine, model = figures.machine, figures.bares[0].model
    task, load = figures.plan.task, machine["load_before"]
    source = figures.plan.file.name if figures.plan.file else "the demo's samples"
    return [
        f"{task} with {model['name']} {model['version']}, {len(figures.bares[0].served):,} different texts of {source}",
        f"{machine['cpu']}, cores to use: {machine['cores']}, {machine['memory_gb']:g} GB; {machine['system']}",
        f"Python {machine['python']}, sprat {machine['sprat']}, Kafka: {machine['kafka']}; load: {load:.2f}",
    ]


def headlines(figures: BenchFigures) -> list[str]:
    """Give throughput and CPU, a line each."""
    drained, task = figures.drained, figures.plan.task
    bare = ", ".join(f"{each.cpu_s_per_1000:.2f}" for each in figures.bares)
    saturation = f"saturation  {drained.texts_per_s:,.0f} texts/s: {drained.ended:,} texts in {drained.seconds:.1f} s, "
    saturation += f"{drained.cached or 'none'} answered by a cache"
    cpu = f"CPU         {drained.cpu_s_per_1000(task):.2f} s for 1,000 texts, the bare model {bare} s: "
    lines = [saturation, f"{cpu}{figures.ratio:.2f} times as much"]
    if drained.escalated:
        lines.append(f"declined    {drained.escalated:,} of them: they end on the way to a frontier, which is not run")
    return lines


def rungs(figures: BenchFigures) -> list[tuple[str, ...]]:
    """Give a row for each rate."""
    return [row(rung) for rung in figures.rungs]


def row(rung: Rung) -> tuple[str, ...]:
    """Give the cells of a rate, as in :data:`HEAD`."""
    latency = rung.latency
    return (
        "" if rung.share is None else f"{rung.share:.0%}",
        number(rung.offered_per_s),
        f"{rung.texts:,}",
        *(milliseconds(each) for each in (latency.p50, latency.p90, latency.p99, latency.max)),
        remark(rung),
    )


def remark(rung: Rung) -> str:
    """Say what is wrong at a rate; nothing where nothing is."""
    said = []
    if rung.ended < rung.texts:
        said.append(f"{rung.texts - rung.ended:,} did not end")
    if not rung.sustained:
        said.append(f"not sustained: {number(rung.answered_per_s)} texts/s ended, the backlog grows")
    if rung.late_s > _LATE_S:
        said.append(f"sent up to {milliseconds(rung.late_s)} late: this machine is too busy to send so fast")
    return "; ".join(said)


def processes(figures: BenchFigures) -> list[tuple[str, ...]]:
    """Give a row for each process, as in :data:`MEMORY_HEAD`."""
    return [
        (
            name,
            f"{figures.drained.cpu_s_per_1000(name):.2f}",
            *(
                (f"{figures.memory[name].rss_mb:,.0f} MB", f"{figures.memory[name].peak_mb:,.0f} MB")
                if name in figures.memory
                else ("", "")
            ),
        )
        for name in figures.drained.cpu_s
    ]


def caveats(figures: BenchFigures) -> list[str]:
    """Say what makes the figures doubtful; nothing where nothing does."""
    said = []
    if figures.drained.cached:
        said.append("a cache answered some of the texts: the figures are too good")
    if figures.unended:
        said.append(f"{figures.unended:,} texts did not end")
    if figures.others > _BUSY:
        said.append(
            f"other programs took {figures.others:.1f} of {figures.machine['cores']} cores meanwhile: without them the "
            "figures are better"
        )
    return said


def milliseconds(seconds: float) -> str:
    """Give a latency."""
    if not isfinite(seconds):
        return "never"
    return f"{seconds * 1000:,.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


def number(per_s: float) -> str:
    """Give a rate."""
    return f"{per_s:,.0f}" if per_s >= 10 or not per_s else f"{per_s:.1f}"
