"""`sprat bench`: measure throughput, CPU, latency and memory on this machine."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from sprat.base.errors import UserError
from sprat_cli.options import Json, complete_task, kafka_settings, known_task
from sprat_cli.progress import ProgressBar
from sprat_cli.terminal import faint, paint, printable, remark, say, say_json, table
from sprat_contracts import TASKS
from sprat_local.bench import report
from sprat_local.bench.figures import BenchFigures
from sprat_local.bench.plan import DEFAULT_RATES, DEFAULT_SECONDS, QUICK_RATES, QUICK_SECONDS, BenchPlan, parse_rates
from sprat_local.bench.session import DEFAULT_PREFIX, BenchSession
from sprat_operations.chosen_policy import chosen_tasks
from sprat_operations.connection import explain_kafka_errors
from sprat_operations.installation import USUAL_KAFKA

EPILOG = """\b
Examples:
  sprat bench
  sprat bench --task translation --quick
  sprat bench --file my-texts.txt --language de --rates 5/s,50/s,200/s --seconds 20
  sprat bench --task desk --file my-texts.txt
  sprat bench --json | jq '.saturation.texts_per_s, .cpu_s_per_1000.ratio'

\b
It starts Kafka, Redis, the task's service and the router, and leaves nothing running. First the bare model answers
texts alone; then the service processes the same texts as a backlog: saturation, CPU, memory. Then texts arrive at one
rate after the other, by the clock, whether or not earlier ones are answered: a text's latency begins when it is due and
ends when its Result reaches a consumer. "Not sustained" means that the backlog grows at that rate. No cache answers:
each text belongs to another tenant. The frontier is not used. About 75 s; --quick: 25 s.

\b
With --bootstrap it creates topics with a new prefix there and deletes them at the end. SPRAT_KAFKA__SECURITY_PROTOCOL,
SASL_*, SSL_* and SPRAT_<TASK>__THREADS, … apply as for the services. Latencies are those of this machine's clients.

\b
Exit codes:
  0    measured, and every text ended
  1    a text did not end, or something died
  2    wrong usage, or it cannot start
  130  interrupted; nothing is written"""


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
    rates: Annotated[
        str | None,
        typer.Option(show_default=False, help=f"Per cent of saturation, or texts/s: 5/s,50/s. [{DEFAULT_RATES}]"),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=1, max=600, show_default=False, help=f"Duration of each rate. [default: {DEFAULT_SECONDS:g}]"),
    ] = None,
    texts: Annotated[
        int | None,
        typer.Option(
            min=64, max=1_000_000, show_default=False, help="In the backlog. [default: what fits into --seconds]"
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help=f"Less precise: {QUICK_SECONDS:g} s per rate, rates {QUICK_RATES}.")
    ] = False,
    output: Annotated[
        Path, typer.Option(metavar="DIR", file_okay=False, help="Folder for bench.json and bench.html.")
    ] = Path("sprat-bench"),
    as_json: Json = False,
    bootstrap: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", show_default=False, help="Use this Kafka instead of an embedded one."),
    ] = None,
    prefix: Annotated[
        str, typer.Option(metavar="NAME", help="Beginning of the new prefix of all topics.")
    ] = DEFAULT_PREFIX,
) -> None:
    """Measure throughput, CPU, latency by rate and memory on this machine."""
    files = chosen_tasks()
    file_of_task = None
    if task in files:
        file_of_task, own = files[task], files.artefact(task)
        if not file_of_task.has_small_model and model is None:
            raise UserError(f"--task {task}: the frontier alone answers it; there is no service to measure")
        file_of_task = file_of_task.model_copy(update={"artefact": None if own is None else own.absolute()})
    plan = BenchPlan(
        task=task,
        task_file=file_of_task,
        seconds=seconds or (QUICK_SECONDS if quick else DEFAULT_SECONDS),
        rates=parse_rates(rates or (QUICK_RATES if quick else DEFAULT_RATES)),
        texts=texts,
        file=file,
        language=language,
        target=target,
        artefact=model,
    )
    kafka = kafka_settings(bootstrap or USUAL_KAFKA, prefix)  # of an embedded one, only the prefix is checked
    _create(output)
    with ProgressBar() as bar, explain_kafka_errors(kafka):
        session = BenchSession(plan, bootstrap=bootstrap, prefix=prefix, print_line=remark, on_count=bar.show)
        figures = session.run()
    if figures is None:
        raise typer.Exit(130)
    _write(output, figures)
    if as_json:
        say_json(figures.as_json())
    else:
        _print(figures, output)
    raise typer.Exit(1 if figures.unended else 0)


def _create(output: Path) -> None:
    """Create the folder and check that it can be written, before the work."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{output} cannot be written: {error.strerror}; choose another folder for --output") from None
    if not os.access(output, os.W_OK):
        raise UserError(f"{output} cannot be written; choose another folder for --output")


def _write(output: Path, figures: BenchFigures) -> None:
    try:
        (output / "bench.json").write_text(json.dumps(figures.as_json(), indent=2) + "\n", "utf-8")
        (output / "bench.html").write_text(report.page(figures), "utf-8")
    except OSError as error:
        raise UserError(f"{output} cannot be written: {error.strerror}") from None


def _print(figures: BenchFigures, output: Path) -> None:
    for line in (*report.about(figures), "", *report.headlines(figures)):
        say(printable(line))
    say("")
    _print_table(report.HEAD, report.rate_rows(figures), [not rate.sustained for rate in figures.rates])
    say("")
    rows = report.process_rows(figures)
    _print_table(report.MEMORY_HEAD, rows, [False] * len(rows))
    say("")
    for line in report.caveats(figures):
        remark(line)
    say(f"{output / 'bench.html'}: the plot; {output / 'bench.json'}: the figures")


def _print_table(head: tuple[str, ...], rows: list[tuple[str, ...]], bad: list[bool]) -> None:
    first, *lines = table([head, *rows])
    say(faint(first))
    for line, is_bad in zip(lines, bad, strict=True):
        say(paint(line, "red") if is_bad else line)
