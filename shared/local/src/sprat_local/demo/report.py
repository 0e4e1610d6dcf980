"""What came out of the demo, whether it kept the promise, and one text hop by hop. Pure."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sprat.base.words import counted
from sprat_contracts import KafkaRecord
from sprat_local.demo.figures import (
    NO_GOLD,
    EgressSummary,
    LatencySummary,
    TaskFigures,
    summarise_egress,
    summarise_latency,
    task_figures,
)
from sprat_local.demo.records import Observations, PublishedRecord, RecordPosition, TaskPair, trace_id
from sprat_local.demo.samples import BrokenSample, Sample
from sprat_operations.record_summary import CAUSAL_ORDER, RecordKind, record_kinds, summarise


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
    unexpected_results: int
    dead_letters: int
    dead_letters_by_code: Mapping[str, int]
    cold_start_s: float
    phases: Mapping[str, float]
    published_per_s: float
    tasks: Mapping[str, TaskFigures]
    latency: Mapping[str, LatencySummary]
    cost_eur: float
    all_frontier_eur: float
    leaving: EgressSummary
    lag: Mapping[str, int]
    trace: TextTrace | None
    problems: tuple[str, ...]
    """What breaks the promise, one line each."""

    @property
    def ok(self) -> bool:
        """Whether the promise was kept."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return asdict(self) | {"ok": self.ok}


def expected_pairs(published: Iterable[PublishedRecord]) -> dict[TaskPair, Any]:
    """Return every pair that must get a Result, with its gold answer (`NO_GOLD` without one)."""
    pairs = {}
    for each in published:
        gold = each.record.sample.gold if isinstance(each.record.sample, Sample) else {}
        for task in each.accepted_tasks:
            pairs[TaskPair(*each.identity, task)] = gold.get(task, NO_GOLD)
    return pairs


def expected_dead_letters(published: Iterable[PublishedRecord]) -> dict[RecordPosition, PublishedRecord]:
    """Return every record that must get a dead letter."""
    return {each.position: each for each in published if isinstance(each.record.sample, BrokenSample)}


def is_complete(published: Sequence[PublishedRecord], observations: Observations) -> bool:
    """Return whether every pair has a Result and every broken record a dead letter."""
    return all(observations.results.get(pair) for pair in expected_pairs(published)) and all(
        observations.dead_letters.get(position) for position in expected_dead_letters(published)
    )


def make_report(published: Sequence[PublishedRecord], observations: Observations, run: RunFacts) -> DemoReport:
    """Summarise a run."""
    golds = expected_pairs(published)
    results = [result for pair in golds for result in observations.results.get(pair, [])]
    ids = Counter(result.result_id for result in results)
    tasks = {task: task_figures(task, golds, observations) for task in observations.topics.tasks}
    letters = [letter for letters in observations.dead_letters.values() for letter in letters]
    return DemoReport(
        texts=sum(isinstance(each.record.sample, Sample) for each in published),
        broken=len(expected_dead_letters(published)),
        pairs=len(golds),
        results=sum(bool(observations.results.get(pair)) for pair in golds),
        lost=sum(not observations.results.get(pair) for pair in golds),
        duplicated_ids=sum(count > 1 for count in ids.values()),
        several_ids=sum(len({each.result_id for each in observations.results.get(pair, [])}) > 1 for pair in golds),
        unexpected_results=sum(len(results) for pair, results in observations.results.items() if pair not in golds),
        dead_letters=len(letters),
        dead_letters_by_code=dict(Counter(letter.reason.code for letter in letters).most_common()),
        cold_start_s=run.cold_start_s,
        phases=run.phases,
        published_per_s=run.published_per_s,
        tasks={task: figures for task, figures in tasks.items() if figures.pairs},
        latency={
            decision: summarise_latency(each for each in results if each.result.route.decision == decision)
            for decision in ("kept", "escalated")
        },
        cost_eur=sum(figures.cost_eur for figures in tasks.values()),
        all_frontier_eur=sum(figures.all_frontier_eur or 0.0 for figures in tasks.values()),
        leaving=summarise_egress(
            observations.results[pair][0].result for pair in golds if observations.results.get(pair)
        ),
        lag=run.lag,
        trace=pick_trace(published, observations),
        problems=tuple(_problems(published, golds, observations, run)),
    )


def pick_trace(published: Iterable[PublishedRecord], observations: Observations) -> TextTrace | None:
    """Choose a text that passed every service: an intent of low confidence that the frontier answered.

    Without one, choose the text with most hops; None without any accepted text.
    """
    accepted = [each for each in published if each.accepted_tasks]
    escalated = [each for each in accepted if _frontier_answered(each, observations)]
    traces = (_trace(each, observations) for each in escalated or accepted)
    return max(traces, key=lambda trace: len(trace.hops), default=None)


def _frontier_answered(each: PublishedRecord, observations: Observations) -> bool:
    if each.accepted_tasks != ("intent",):
        return False
    results = observations.results.get(TaskPair(*each.identity, "intent"), [])
    return any(r.result.source == "frontier" and r.result.route.reason == "low_confidence" for r in results)


def _trace(each: PublishedRecord, observations: Observations) -> TextTrace:
    trace = trace_id(each.record.headers)
    by_topic = record_kinds(observations.topics)
    records = sorted(
        observations.traces.get(trace, []), key=lambda record: (record.timestamp, _depth(record, by_topic))
    )
    hops = tuple(
        TraceHop(
            record.timestamp - each.timestamp_ms,
            record.topic,
            record.partition,
            record.offset,
            _summary(record, by_topic),
        )
        for record in records
    )
    return TextTrace(trace, each.identity[1], hops)


def _depth(record: KafkaRecord, by_topic: Mapping[str, RecordKind]) -> int:
    """Order records of the same millisecond by cause and effect."""
    kind = by_topic.get(record.topic)
    return len(CAUSAL_ORDER) if kind is None else CAUSAL_ORDER[kind]


def _summary(record: KafkaRecord, by_topic: Mapping[str, RecordKind]) -> str:
    """Summarise a record in a few words, without the text."""
    kind = by_topic.get(record.topic)
    try:
        value = json.loads(record.value or b"")
    except ValueError:
        return ""
    return summarise(kind, value).sentence if kind is not None else ""


def _problems(
    published: Sequence[PublishedRecord], golds: Mapping[TaskPair, Any], observations: Observations, run: RunFacts
) -> Iterable[str]:
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
        count = observations.unreadable
        yield f"{counted(count, 'record')} that cannot be decoded as what the topic contains"
    if run.timed_out:
        yield "timed out: no new records arrived"


def _dead_letter_problems(
    expected: Mapping[RecordPosition, PublishedRecord], observations: Observations
) -> Iterable[str]:
    for position, each in expected.items():
        letters, sample = observations.dead_letters.get(position, []), each.record.sample
        if len(letters) != 1:
            yield f"{sample.id}: {len(letters) or 'no'} dead letters instead of one"
            continue
        (letter,) = letters
        code = sample.expect.partition(":")[0] if isinstance(sample, BrokenSample) else ""
        if letter.reason.code != code:
            yield f"{sample.id}: dead letter {letter.reason.code} instead of {code}"
        if not letter.contains(each.record.value, each.record.headers):
            yield f"{sample.id}: its dead letter does not contain the original unchanged"
    for position in observations.dead_letters.keys() - expected.keys():
        for letter in observations.dead_letters[position]:
            yield f"a dead letter for a valid record: {letter.reason.code} by {letter.reason.service} ({position})"
