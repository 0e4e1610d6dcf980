"""The demo's summary for the user: in colour on a terminal, readable without colour in a log."""

from collections.abc import Mapping

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sprat_local.demo.figures import GoldAccuracy, TaskFigures
from sprat_local.demo.report import DemoReport
from sprat_local.installation.options import Simulation


class DemoSummary:
    """Prints a report, section by section."""

    def __init__(self, report: DemoReport, console: Console, simulation: Simulation) -> None:
        self._report = report
        self._console = console
        self._simulation = simulation

    def print(self) -> None:
        """Print all of it."""
        self._promise()
        self._routes()
        self._quality()
        self._latency()
        self._cost()
        self._egress()
        self._dead_letters()
        self._trace()
        self._verdict()

    def _promise(self) -> None:
        report = self._report
        self._heading("The promise: every accepted pair of a text and a task ends in one Result")
        self._line(f"{report.texts} texts and {report.broken} broken records make {report.pairs} accepted pairs:")
        self._line(
            f"{report.results} Results, {report.lost} lost, {report.duplicated_ids} duplicated; "
            f"{report.dead_letters} dead letters; lag {sum(report.lag.values())} in {len(report.lag)} groups"
        )
        self._line(f"first Result {report.cold_start_s:.1f} s after the start of the command")
        if report.phases:
            steps = ", ".join(f"{name} after {seconds:.1f} s" for name, seconds in report.phases.items())
            self._note(f"ready: {steps}")

    def _routes(self) -> None:
        self._heading("Routes and answers")
        table = _table("task", numbers=("pairs", "kept", "escalated", "answered", "degraded", "unanswered"))
        for task, each in self._report.tasks.items():
            counts = (each.pairs, each.kept, each.escalated, each.answered, each.degraded, each.unanswered)
            table.add_row(task, *map(str, counts))
        self._table(table)
        for task, each in self._report.tasks.items():
            self._note(f"{task}: {_reasons(each)}")

    def _quality(self) -> None:
        self._heading("Correct answers, compared with the gold answers of the samples")
        table = _table("task", numbers=("small model, kept", "small model, all", "frontier"))
        for task, each in self._report.tasks.items():
            mark = " (simulated)" if each.frontier_simulated else ""
            table.add_row(task, _share(each.small_kept), _share(each.small_all), _share(each.frontier) + mark)
        self._table(table)
        rate = self._simulation.wrong_rate
        wrong = f", except for a seeded {100 * rate:.0f} % of questions" if rate else ""
        self._note(f"The simulated frontier returns the same gold answers{wrong}.")

    def _latency(self) -> None:
        self._heading(f"Latency from text to Result, at {self._report.published_per_s:.0f} records per second")
        table = _table("", numbers=("Results", "p50", "p95"))
        for decision, latency in self._report.latency.items():
            table.add_row(decision, str(latency.count), _ms(latency.p50_ms), _ms(latency.p95_ms))
        self._table(table)

    def _cost(self) -> None:
        report, simulation = self._report, self._simulation
        self._heading("Cost")
        table = _table("", numbers=("EUR", ""))
        less = 1 - report.cost_eur / report.all_frontier_eur if report.all_frontier_eur else 0.0
        table.add_row("this run", f"{report.cost_eur:.4f}", f"{100 * less:.0f} % less")
        table.add_row("all by the frontier", f"{report.all_frontier_eur:.4f}", "")
        self._table(table)
        self._note(
            f"At {simulation.input_eur:g} EUR per million input tokens, {simulation.output_eur:g} for output. All by "
            "the frontier: each task's mean cost of a paid answer times all its pairs."
        )

    def _egress(self) -> None:
        left = self._report.leaving
        self._heading(f"What left the perimeter: {left.texts} texts, {left.texts_masked} of them with masked items")
        self._line(f"{left.items} items masked: {_counts(left.masked)}" if left.masked else "nothing was masked")

    def _dead_letters(self) -> None:
        self._heading(f"Dead letters: {self._report.dead_letters}")
        table = _table("reason", numbers=("records",))
        for code, count in self._report.dead_letters_by_code.items():
            table.add_row(code, str(count))
        self._table(table)

    def _trace(self) -> None:
        trace = self._report.trace
        if trace is None:
            return
        self._heading(f"One text hop by hop: {trace.text_id}, trace {trace.trace_id}")
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("after", justify="right", no_wrap=True)
        table.add_column("topic", no_wrap=True)
        table.add_column("at", no_wrap=True)
        table.add_column("content", overflow="fold")
        for hop in trace.hops:
            table.add_row(f"{hop.after_ms} ms", hop.topic, f"{hop.partition}:{hop.offset}", hop.says)
        self._table(table)

    def _verdict(self) -> None:
        self._console.print()
        if self._report.ok:
            self._console.print(Text("The promise was kept.", style="bold green"))
            return
        self._console.print(Text("The promise was broken:", style="bold red"))
        for problem in self._report.problems:
            self._line(problem)

    def _heading(self, line: str) -> None:
        self._console.print()
        self._console.print(Text(line, style="bold cyan"))

    def _line(self, line: str, style: str = "") -> None:
        self._console.print(Padding(Text(line, style=style), (0, 0, 0, 2), expand=False))

    def _note(self, line: str) -> None:
        self._line(line, style="dim")

    def _table(self, table: Table) -> None:
        self._console.print(Padding(table, (0, 0, 0, 2), expand=False))


def _table(first: str, *, numbers: tuple[str, ...]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column(first, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _share(accuracy: GoldAccuracy) -> str:
    return "–" if accuracy.share is None else f"{100 * accuracy.share:.1f} % of {accuracy.judged}"


def _reasons(figures: TaskFigures) -> str:
    groups = [
        f"{name} {_counts(counts)}"
        for name, counts in (
            ("kept:", figures.kept_because),
            ("escalated:", figures.escalated_because),
            ("declined by the frontier:", figures.declined),
        )
        if counts
    ]
    return " · ".join(groups)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f} ms"
