"""What came out of the demo: whether it kept the promise, the figures of each task, and one text hop by hop."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sprat.base.words import counted
from sprat_contracts import Entity, IntentOutput, NerOutput, Output, Result, TranslationOutput
from sprat_local.demo.records import Observations, ObservedResult, PublishedRecord, RecordPosition, TaskPair, trace_id
from sprat_local.demo.samples import BrokenSample, Sample
from sprat_local.installation.options import Simulation
from sprat_operations.record_summary import record_kinds
from sprat_operations.trace_records import in_time_order, read_step
from sprat_operations.traffic import percentile

NO_GOLD = object()
"""Marks a pair without a gold answer; None is a gold answer (outside every intent)."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the demo knows about its own run."""

    cold_start_s: float
    """From the start of the process to the first Result, including Kafka's start."""
    phases: Mapping[str, float]
    """Phase of the installation's start → seconds until its end."""
    published_per_s: float
    lag: Mapping[str, int]
    """Consumer group → lag at the end."""
    timed_out: bool
    """No new record arrived for too long."""


@dataclass(frozen=True, slots=True)
class GoldAccuracy:
    """How many of the answers that could be judged are correct."""

    right: int
    judged: int


@dataclass(frozen=True, slots=True)
class TaskFigures:
    """How the pairs of one task ended. Its fields are keys of the JSON report."""

    pairs: int
    kept: int
    escalated: int
    answered: int
    degraded: int
    unanswered: int
    small_kept: GoldAccuracy
    """The small model's answers that the router kept."""
    small_all: GoldAccuracy
    """All answers of the small model, including those that were escalated."""
    frontier: GoldAccuracy
    frontier_simulated: bool
    uncertain_names: int
    """Of the answers that were kept."""
    because: Mapping[str, Mapping[str, int]]
    """Decision → the router's reason → pairs; and `declined` → why the frontier did not answer → pairs."""
    cost_eur: float
    all_frontier_eur: float
    """The mean cost of a paid answer of this task times all its pairs; 0 if no answer was paid."""


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """From the append of the text to the append of the Result, by the broker's clock, in milliseconds."""

    count: int
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class EgressSummary:
    """What was sent to the frontier, and what of it was masked."""

    texts: int
    """Texts that left, each counted once, for however many tasks."""
    texts_masked: int
    """Those of them in which something was masked."""
    masked: Mapping[str, int]
    """Type → masked items in all that left, most frequent first; a text's count for each task of it that left."""


@dataclass(frozen=True, slots=True)
class TraceHop:
    """A record of the trace."""

    after_ms: int
    """After the append of the text, by the broker's clock."""
    topic: str
    partition: int
    offset: int
    says: str
    """A summary without the text."""


@dataclass(frozen=True, slots=True)
class TextTrace:
    """A text and all records that carry its trace id."""

    trace_id: str
    text_id: str
    hops: tuple[TraceHop, ...]


@dataclass(frozen=True, slots=True)
class DemoReport:
    """The report of a demo. Its fields are keys of the JSON report."""

    texts: int
    broken: int
    pairs: int
    results: int
    """Accepted pairs with a Result."""
    lost: int
    """Accepted pairs without a Result."""
    duplicated_ids: int
    """Result ids on more than one record. Delivery is at least once: this may happen, but not in an undisturbed run."""
    several_ids: int
    """Accepted pairs with more than one Result id: must not happen."""
    dead_letters: int
    dead_letters_by_code: Mapping[str, int]
    run: RunFacts
    tasks: Mapping[str, TaskFigures]
    latency: Mapping[str, LatencySummary]
    cost_eur: float
    all_frontier_eur: float
    leaving: EgressSummary
    trace: TextTrace | None
    problems: tuple[str, ...]
    """What breaks the promise, one line each."""

    @property
    def ok(self) -> bool:
        """Whether the promise was kept."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        figures = asdict(self)
        return {**figures.pop("run"), **figures, "ok": self.ok}


def expected_pairs(published: Iterable[PublishedRecord]) -> dict[TaskPair, Any]:
    """Return every pair that must get a Result, with its gold answer (`NO_GOLD` without one)."""
    pairs = {}
    for each in published:
        gold = each.record.sample.gold if isinstance(each.record.sample, Sample) else {}
        for task in each.record.sample.tasks:
            pairs[TaskPair(*each.identity, task)] = gold.get(task, NO_GOLD)
    return pairs


def expected_dead_letters(published: Iterable[PublishedRecord]) -> dict[RecordPosition, BrokenSample]:
    """Return the position of every record that must get a dead letter."""
    return {each.position: each.record.sample for each in published if isinstance(each.record.sample, BrokenSample)}


def arrived(published: Sequence[PublishedRecord], observations: Observations) -> tuple[int, int]:
    """Return how many of the expected Results and dead letters are there, and how many are expected."""
    pairs, letters = expected_pairs(published), expected_dead_letters(published)
    done = sum(bool(observations.results.get(pair)) for pair in pairs)
    return done + sum(bool(observations.dead_letters.get(each)) for each in letters), len(pairs) + len(letters)


def make_report(published: Sequence[PublishedRecord], observations: Observations, run: RunFacts) -> DemoReport:
    """Summarise a run; of several Results for a pair, the first counts for the figures of its task."""
    golds = expected_pairs(published)
    found = {pair: observations.results[pair] for pair in golds if observations.results.get(pair)}
    every = [result for results in found.values() for result in results]
    first = {pair: results[0].result for pair, results in found.items()}
    ids = Counter(result.result_id for result in every)
    letters = [letter for letters in observations.dead_letters.values() for letter in letters]
    asked = [task for task in observations.topics.tasks if any(pair.task == task for pair in golds)]
    tasks = {task: task_figures(task, golds, first, observations) for task in asked}
    return DemoReport(
        texts=sum(isinstance(each.record.sample, Sample) for each in published),
        broken=len(expected_dead_letters(published)),
        pairs=len(golds),
        results=len(found),
        lost=len(golds) - len(found),
        duplicated_ids=sum(count > 1 for count in ids.values()),
        several_ids=sum(len({each.result_id for each in results}) > 1 for results in found.values()),
        dead_letters=len(letters),
        dead_letters_by_code=dict(Counter(letter.reason.code for letter in letters).most_common()),
        run=run,
        tasks=tasks,
        latency={decision: _latency(every, decision) for decision in ("kept", "escalated")},
        cost_eur=sum(figures.cost_eur for figures in tasks.values()),
        all_frontier_eur=sum(figures.all_frontier_eur for figures in tasks.values()),
        leaving=summarise_egress(first.values()),
        trace=pick_trace(published, observations),
        problems=tuple(_problems(published, golds, observations, run)),
    )


def task_figures(
    task: str, golds: Mapping[TaskPair, Any], first: Mapping[TaskPair, Result], observations: Observations
) -> TaskFigures:
    """Summarise one task over the accepted pairs, by the first Result of each."""
    pairs = [pair for pair in golds if pair.task == task]
    results = {pair: first[pair] for pair in pairs if pair in first}
    small = {pair: observations.predictions[pair].output for pair in pairs if pair in observations.predictions}
    kept = {pair: result.output for pair, result in results.items() if result.route.decision == "kept"}
    frontier = {pair: result for pair, result in results.items() if result.source == "frontier"}
    ends = Counter(end for each in results.values() for end in (each.status, each.route.decision))
    because: dict[str, Counter[str]] = {}
    for result in results.values():
        decision = result.route.decision
        because.setdefault(decision, Counter())[result.route.reason] += 1
        if decision == "escalated" and result.declined is not None:
            code = (result.declined.causes or (result.declined,))[-1].code
            because.setdefault("declined", Counter())[code] += 1
    paid = [result.cost_eur for result in results.values() if result.cost_eur > 0]
    return TaskFigures(
        pairs=len(pairs),
        kept=ends["kept"],
        escalated=ends["escalated"],
        answered=ends["answered"],
        degraded=ends["degraded"],
        unanswered=ends["unanswered"],
        small_kept=_accuracy(golds, kept, by_small_model=True),
        small_all=_accuracy(golds, small, by_small_model=True),
        frontier=_accuracy(golds, {pair: result.output for pair, result in frontier.items()}, by_small_model=False),
        frontier_simulated=any(each.egress is not None and each.egress.simulated for each in frontier.values()),
        uncertain_names=sum(
            each.uncertain for output in kept.values() if isinstance(output, NerOutput) for each in output.entities
        ),
        because={name: dict(counts.most_common()) for name, counts in because.items()},
        cost_eur=sum(paid),
        all_frontier_eur=sum(paid) / len(paid) * len(pairs) if paid else 0.0,
    )


def is_correct(output: Output, gold: Any, *, by_small_model: bool) -> bool | None:
    """Compare an output with the gold answer of its task; None if the comparison says nothing.

    An intent is correct if the label is the same, names if all spans and labels are the same: of uncertain ones, it is
    enough that one overlaps each name that the others miss. A good translation can
    differ from the gold one: only the simulator's, which is the gold text or an altered one, can be judged this way.
    """
    match output:
        case IntentOutput():
            return bool(output.label == gold)
        case NerOutput():
            right = {(each["start"], each["end"], each["label"]) for each in gold}
            sure = {(each.start, each.end, each.label) for each in output.entities if not each.uncertain}
            unsure = [each for each in output.entities if each.uncertain]
            missed = (each for each in right - sure if not any(_overlap(each, other) for other in unsure))
            return sure <= right and not any(missed)
        case TranslationOutput():
            return None if by_small_model else output.text.split() == str(gold).split()
        case _:  # a text that a large model wrote
            return None


def _overlap(name: tuple[int, int, str], other: Entity) -> bool:
    return name[0] < other.end and other.start < name[1]


def summarise_egress(results: Iterable[Result]) -> EgressSummary:
    """Summarise what left the perimeter."""
    left = [
        ((result.text_source, result.text_id), result.egress.masked)
        for result in results
        if result.egress is not None and result.egress.left
    ]
    items: Counter[str] = Counter()
    for _, masked in left:
        items.update(masked)
    return EgressSummary(
        len({text for text, _ in left}), len({text for text, masked in left if masked}), dict(items.most_common())
    )


def pick_trace(published: Iterable[PublishedRecord], observations: Observations) -> TextTrace | None:
    """Choose a text that passed every service: an intent of low confidence that the frontier answered.

    Without one, choose the text with most hops; None without any accepted text.
    """
    accepted = [each for each in published if each.record.sample.tasks]
    escalated = [each for each in accepted if _frontier_answered(each, observations)]
    traces = (_trace(each, observations) for each in escalated or accepted)
    return max(traces, key=lambda trace: len(trace.hops), default=None)


def _frontier_answered(each: PublishedRecord, observations: Observations) -> bool:
    results = observations.results.get(TaskPair(*each.identity, "intent"), [])
    return each.record.sample.tasks == ("intent",) and any(
        one.result.source == "frontier" and one.result.route.reason == "low_confidence" for one in results
    )


def _trace(each: PublishedRecord, observations: Observations) -> TextTrace:
    trace, kinds = trace_id(each.record.headers), record_kinds(observations.topics)
    records = [record for record in observations.traces.get(trace, ()) if record.topic in kinds]
    steps = in_time_order(read_step(kinds[record.topic], record, kinds) for record in records)
    hops = (TraceHop(step.at_ms - each.timestamp_ms, *step.place, step.summary.sentence) for step in steps)
    return TextTrace(trace, each.identity[1], tuple(hops))


def _latency(results: Iterable[ObservedResult], decision: str) -> LatencySummary:
    values = [each.latency_ms for each in results if each.result.route.decision == decision]
    return LatencySummary(len(values), percentile(values, 0.5), percentile(values, 0.95))


def _accuracy(
    golds: Mapping[TaskPair, Any], outputs: Mapping[TaskPair, Output | None], *, by_small_model: bool
) -> GoldAccuracy:
    verdicts = [
        is_correct(output, golds[pair], by_small_model=by_small_model)
        for pair, output in outputs.items()
        if output is not None and golds[pair] is not NO_GOLD
    ]
    judged = [verdict for verdict in verdicts if verdict is not None]
    return GoldAccuracy(sum(judged), len(judged))


def _problems(
    published: Sequence[PublishedRecord], golds: Mapping[TaskPair, Any], observations: Observations, run: RunFacts
) -> Iterator[str]:
    """Describe what breaks the promise."""
    for pair in golds:
        ids = {result.result_id for result in observations.results.get(pair, [])}
        if len(ids) != 1:
            yield f"{pair.id}, {pair.task}: {len(ids) or 'no'} Result ids instead of one"
    for pair in observations.results.keys() - golds.keys():
        yield f"{pair.id}, {pair.task}: an unexpected Result"
    yield from _dead_letter_problems(expected_dead_letters(published), observations)
    for group, lag in run.lag.items():
        if lag:
            yield f"group {group} is {counted(lag, 'record')} behind"
    if observations.unreadable:
        yield f"{counted(observations.unreadable, 'record')} that cannot be decoded as what the topic contains"
    if run.timed_out:
        yield "timed out: no new records arrived"


def _dead_letter_problems(expected: Mapping[RecordPosition, BrokenSample], observations: Observations) -> Iterator[str]:
    for position, sample in expected.items():
        letters = observations.dead_letters.get(position, [])
        if len(letters) != 1:
            yield f"{sample.id}: {len(letters) or 'no'} dead letters instead of one"
            continue
        (letter,) = letters
        if letter.reason.code != sample.code:
            yield f"{sample.id}: dead letter {letter.reason.code} instead of {sample.code}"
        if not letter.contains(sample.value, sample.headers):
            yield f"{sample.id}: its dead letter does not contain the original unchanged"
    for position in observations.dead_letters.keys() - expected.keys():
        for letter in observations.dead_letters[position]:
            yield f"a dead letter for a valid record: {letter.reason.code} by {letter.reason.service} ({position})"


class DemoSummary:
    """Prints a report, section by section: in colour on a terminal, readable without colour in a log."""

    def __init__(self, report: DemoReport, console: Console, simulation: Simulation) -> None:
        self._report = report
        self._console = console
        self._simulation = simulation

    def print(self) -> None:
        """Print all of it."""
        report, left = self._report, self._report.leaving
        self._heading("The promise: every accepted pair of a text and a task ends in one Result")
        self._line(f"{report.texts} texts and {report.broken} broken records make {report.pairs} accepted pairs:")
        lag = f"lag {sum(report.run.lag.values())} in {len(report.run.lag)} groups"
        ends = f"{report.results} Results, {report.lost} lost, {report.duplicated_ids} duplicated"
        self._line(f"{ends}; {report.dead_letters} dead letters; {lag}")
        self._line(f"first Result {report.run.cold_start_s:.1f} s after the start of the command")
        self._tasks()
        self._heading(f"Latency from text to Result, at {report.run.published_per_s:.0f} records per second")
        latencies = [
            (name, str(each.count), _ms(each.p50_ms), _ms(each.p95_ms)) for name, each in report.latency.items()
        ]
        self._table(("", "Results", "p50", "p95"), latencies)
        self._cost()
        self._heading(f"What left the perimeter: {left.texts} texts, {left.texts_masked} of them with masked items")
        self._line(f"{sum(left.masked.values())} items masked: {_counts(left.masked) or 'none'}")
        self._heading(f"Dead letters: {report.dead_letters}")
        self._table(("reason", "records"), [(code, str(count)) for code, count in report.dead_letters_by_code.items()])
        if report.trace is not None:
            self._heading(f"One text hop by hop: {report.trace.text_id}, trace {report.trace.trace_id}")
            hops = report.trace.hops
            self._table(
                ("after", "topic", "at", "content"),
                [(f"{hop.after_ms} ms", hop.topic, f"{hop.partition}:{hop.offset}", hop.says) for hop in hops],
                right=False,
            )
        self._console.print()
        verdict = Text("The promise was kept.", style="bold green")
        self._console.print(verdict if report.ok else Text("The promise was broken:", style="bold red"))
        for problem in report.problems:
            self._line(problem)

    def _tasks(self) -> None:
        tasks = self._report.tasks.items()
        self._heading("Routes and answers")
        head = ("task", "pairs", "kept", "escalated", "answered", "degraded", "unanswered")
        self._table(head, [(task, *(str(getattr(each, name)) for name in head[1:])) for task, each in tasks])
        for task, each in tasks:
            self._line(f"{task}: " + " · ".join(f"{name}: {_counts(why)}" for name, why in each.because.items()), "dim")
        self._heading("Correct answers, compared with the gold answers of the samples")
        rows = [(task, _share(each.small_kept), _share(each.small_all), _share(each.frontier)) for task, each in tasks]
        self._table(("task", "small model, kept", "small model, all", "frontier (simulated)"), rows)
        for task, each in tasks:
            if each.uncertain_names:
                names = counted(each.uncertain_names, "name")
                self._line(f"{task}: {names} of the kept answers marked uncertain, so not judged.", "dim")
        rate = self._simulation.wrong_rate
        wrong = f", except for a seeded {100 * rate:.0f} % of questions" if rate else ""
        self._line(f"The simulated frontier returns the same gold answers{wrong}.", "dim")

    def _cost(self) -> None:
        report, simulation = self._report, self._simulation
        less = 1 - report.cost_eur / report.all_frontier_eur if report.all_frontier_eur else 0.0
        self._heading("Cost, EUR")
        all_eur = f"all by the frontier {report.all_frontier_eur:.4f}"
        self._line(f"this run {report.cost_eur:.4f}, {all_eur}: {100 * less:.0f} % less")
        self._line(
            f"At {simulation.input_eur:g} EUR per million input tokens, {simulation.output_eur:g} for output. All by "
            "the frontier: each task's mean cost of a paid answer times all its pairs.",
            "dim",
        )

    def _heading(self, line: str) -> None:
        self._console.print()
        self._console.print(Text(line, style="bold cyan"))

    def _line(self, line: str, style: str = "") -> None:
        self._console.print(Padding(Text(line, style=style), (0, 0, 0, 2), expand=False))

    def _table(self, head: Sequence[str], rows: Iterable[Sequence[str]], *, right: bool = True) -> None:
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
        for number, name in enumerate(head):
            table.add_column(name, justify="right" if right and number else "left", overflow="fold")
        for row in rows:
            table.add_row(*row)
        self._console.print(Padding(table, (0, 0, 0, 2), expand=False))


def _share(accuracy: GoldAccuracy) -> str:
    return f"{100 * accuracy.right / accuracy.judged:.1f} % of {accuracy.judged}" if accuracy.judged else "–"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f} ms"
