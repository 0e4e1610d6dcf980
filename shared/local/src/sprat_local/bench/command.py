"""`sprat bench`: measure throughput, CPU, latency and memory on this machine."""

import asyncio
import tempfile
import time
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import typer

from sprat.base.errors import UserError
from sprat_cli.options import Json, complete_task, known_task
from sprat_cli.terminal import remark, say, say_json, table
from sprat_contracts import TASKS
from sprat_local.bench.measure import Bench, Load
from sprat_local.bench.open_loop import poisson_arrivals
from sprat_local.bench.options import bench_options
from sprat_local.bench.resources import meter_of
from sprat_local.bench.texts import BenchMessages, BenchText, load_texts
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options
from sprat_operations.chosen_policy import chosen_tasks
from sprat_operations.connection import explain_kafka_errors

EPILOG = """\b
Examples:
  sprat bench
  sprat bench --file my-texts.txt --language de --seconds 20
  sprat bench --task desk --file my-texts.txt
  sprat bench --json | jq '.texts_per_s, .cpu_s_per_1000'

\b
It starts Kafka, Redis, the task's service and the router, and leaves nothing running. First the service processes the
texts as a backlog: saturation, CPU, memory. Then texts arrive at one rate after the other, by the clock, whether or not
earlier ones are answered: a text's latency begins when it is due and ends when its Result reaches a consumer. "Not
sustained" means that the backlog grows at that rate. No cache answers: each text belongs to another tenant. Texts that
the service declines are left out. SPRAT_<TASK>__THREADS, … apply as for the services.

\b
Exit codes:
  0    measured, and every text ended
  1    a text did not end, or something died
  2    wrong usage, or it cannot start
  130  interrupted"""
MAX_TEXTS = 2_000
"""Different texts, at most."""
_BUSY_CORES = 0.2
"""Above so many cores used by other programs, the report says so."""


def bench(
    *,
    task: Annotated[
        str,
        typer.Option(
            parser=known_task,
            autocompletion=complete_task,
            metavar="TASK",
            help=f"Whose service is measured: {', '.join(TASKS)}, or a task of yours.",
        ),
    ] = "intent",
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="Texts: .txt, .jsonl, .csv. [default: the demo's]"),
    ] = None,
    language: Annotated[str, typer.Option(metavar="TAG", help="Language of the texts in --file, BCP 47.")] = "en",
    target: Annotated[str, typer.Option(metavar="TAG", help="Target language of translations.")] = "de",
    model: Annotated[
        Path | None,
        typer.Option(metavar="DIR", file_okay=False, show_default=False, help="Artefact. [default: the service's]"),
    ] = None,
    rates: Annotated[str, typer.Option(metavar="LIST", help="Per cent of saturation.")] = "10,50,90,110",
    seconds: Annotated[float, typer.Option(min=1, max=600, help="Of the backlog, and of each rate.")] = 6.0,
    as_json: Json = False,
) -> None:
    """Measure throughput, CPU, latency by rate and memory on this machine."""
    shares = parse_rates(rates)
    texts = load_texts(task, file, language=language, target=target)[:MAX_TEXTS]
    files = chosen_tasks()
    task_file, own = (files[task], files.artefact(task)) if task in files else (None, None)
    if task_file is not None and not task_file.has_small_model and model is None:
        raise UserError(f"--task {task}: the frontier alone answers it; there is no service to measure")
    with tempfile.TemporaryDirectory(prefix="sprat-bench-") as folder:
        options = bench_options(task, Path(folder), artefact=model or own, task_file=task_file)
        figures = measure(options, task, texts, shares, seconds)
    if as_json:
        say_json(figures)
    else:
        _print(figures)
    raise typer.Exit(1 if figures["unended"] else 0)


def parse_rates(option: str) -> list[float]:
    """Return the shares of saturation in the option --rates, in its order.

    Raises:
        UserError: it is not a list of per cents.
    """
    try:
        shares = [float(each) / 100 for each in option.split(",")]
    except ValueError:
        shares = []
    if not shares or not all(0 < share <= 10 for share in shares):
        raise UserError(f"--rates {option}: needs per cents of saturation, as --rates 10,50,90,110")
    return shares


def measure(options: Options, task: str, texts: list[BenchText], shares: list[float], seconds: float) -> dict[str, Any]:
    """Start the installation, measure it and stop it; return the figures as --json has them.

    Raises:
        UserError: it cannot start, or the service declines all texts.
        SpratError: a process died during the measurement.
    """
    installation = Installation(options, on_notice=lambda notice: remark(f"{notice.service}: {notice.text}"))
    remark(f"Starting Kafka, Redis, {task} and the router …")
    with installation, explain_kafka_errors(installation.kafka):
        return asyncio.run(_measure(installation, task, texts, shares, seconds))


async def _measure(
    installation: Installation, task: str, texts: list[BenchText], shares: list[float], seconds: float
) -> dict[str, Any]:
    meter, model = meter_of(installation), installation.models[task]
    async with Bench(installation, task, BenchMessages(texts, task, model)) as bench:
        first = await bench.measure_backlog(len(texts), meter)
    declined = {place for place, each in enumerate(first.sent) if each.end is not None and each.end.declined}
    served = [text for place, text in enumerate(texts) if place not in declined]
    if not served:
        raise UserError("the service declines all of the texts: is --language or --target one that its model serves?")
    began, others_s = time.monotonic(), meter.others_s()
    async with Bench(installation, task, BenchMessages(served, task, model)) as bench:
        remark("A backlog, as fast as possible …")
        backlog = await bench.measure_backlog(max(len(served), round(first.texts_per_s * seconds)), meter)
        loads = {}
        for share in shares:
            per_s = share * backlog.texts_per_s
            remark(f"{share:.0%} of saturation, {per_s:,.0f} texts/s …")
            loads[share, per_s] = await bench.send(poisson_arrivals(per_s, seconds))
    others = (meter.others_s() - others_s) / (time.monotonic() - began)
    return {
        "type": "benchmark",
        "task": task,
        "different_texts": len(served),
        "declined": len(declined),
        "texts": len(backlog.sent),
        "texts_per_s": round(backlog.texts_per_s, 1),
        "cpu_s_per_1000": {name: round(backlog.cpu_s_per_1000(name), 4) for name in backlog.cpu_s},
        "peak_memory_mb": {name: round(peak) for name, peak in meter.peak_mb().items()},
        "loads": [_load_json(*asked, load) for asked, load in loads.items()],
        "others_cores": round(max(0.0, others), 2),
        "unended": sum(each.end is None for load in (backlog, *loads.values()) for each in load.sent),
    }


def _load_json(share: float, per_s: float, load: Load) -> dict[str, Any]:
    """Return the figures of a rate; null stands for the latency of a text that did not end."""
    times = {f"{name}_ms": 1000 * value for name, value in asdict(load.latency).items()}
    return {
        "share": share,
        "offered_per_s": round(per_s, 2),
        "texts": len(load.sent),
        **{name: round(value, 1) if isfinite(value) else None for name, value in times.items()},
        "sustained": load.sustained,
    }


def _print(figures: dict[str, Any]) -> None:
    say(f"saturation  {figures['texts_per_s']:,.0f} texts/s, of {figures['different_texts']:,} different texts\n")
    memory = {name: f"{peak:,} MB" for name, peak in figures["peak_memory_mb"].items()}
    processes = [(name, f"{cpu:.2f}", memory.get(name, "")) for name, cpu in figures["cpu_s_per_1000"].items()]
    say("\n".join(table([("PROCESS", "CPU S / 1,000 TEXTS", "PEAK MEMORY"), *processes])) + "\n")
    loads: list[tuple[str, ...]] = [("RATE", "TEXTS/S", "P50", "P90", "P99", "MAX", "")]
    for load in figures["loads"]:
        latencies = (load[f"{name}_ms"] for name in ("p50", "p90", "p99", "max"))
        times = ("never" if each is None else f"{each:,.0f} ms" for each in latencies)
        remarks = "" if load["sustained"] else "not sustained"
        loads.append((f"{load['share']:.0%}", f"{load['offered_per_s']:,.0f}", *times, remarks))
    say("\n".join(table(loads)))
    if figures["declined"]:
        remark(f"left out: {figures['declined']:,} texts that the service declines")
    if figures["unended"]:
        remark(f"{figures['unended']:,} texts did not end")
    if figures["others_cores"] > _BUSY_CORES:
        remark(f"other programs used {figures['others_cores']:.1f} cores: without them the figures would be better")
