"""Where one text's time goes, from the moment it is due to its Result at a consumer. `make bench-latency`.

    python -m tests.bench.latency --data DIR [--seconds 20] [--rates 10,50,80] [--json FILE]

One intent for each text of CLINC150's test set, at shares of the measured saturation, with an open load: texts arrive
by the clock. The saturation and the end-to-end time are measured without traces, as services usually run. The stages
are those of a second installation that exports every span: what the records carry (the broker's appends) and the spans
together cut the way of each text into stages without a gap. All clocks are this machine's; the broker counts whole
milliseconds, so half of one is added to its times.

Saves docs/figures/latency.json and draws docs/images/latency.png.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from sprat_local.bench.measure import Bench, EndReader
from sprat_local.bench.open_loop import LatencyQuantiles, poisson_arrivals, publish_on_time
from sprat_local.bench.plan import SEED, BenchPlan
from sprat_local.bench.resources import machine_facts
from sprat_local.bench.session import bench_options, meter_of
from sprat_local.bench.texts import BenchMessages, BenchRecord, BenchText
from sprat_local.installation import Installation
from tests.bench.benchmarks_page import ROOT, save
from tests.bench.latency_picture import draw
from tests.bench.speed_tables import STAGES
from tests.bench.stream_cost import TASK, clinc150_texts
from tests.bench.telemetry_cost import environment
from tests.support.otlp_sink import otlp_sink, values

WARM_UP: Final = 128
_SETTLE_S: Final = 1.0
_HALF_MS: Final = 500_000
"""Nanoseconds: half of what the broker's clock counts."""

Interval = tuple[int, int]
"""Begin and end, epoch nanoseconds."""


@dataclass(frozen=True, slots=True)
class Journey:
    """When one text passed the places that clients see, epoch nanoseconds."""

    trace_id: str
    due: int
    appended: int
    predicted: int
    answered: int
    received: int

    @property
    def total_ms(self) -> float:
        """From due to received."""
        return (self.received - self.due) / 1e6


class Busy:
    """When a service was busy: the union of intervals."""

    def __init__(self, intervals: Iterable[Interval]) -> None:
        self._begins: list[int] = []
        self._ends: list[int] = []
        for begin, end in sorted(intervals):
            if self._ends and begin <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._begins.append(begin)
                self._ends.append(end)

    def within(self, begin: int, end: int) -> int:
        """Return the nanoseconds of [begin, end] in which it was busy."""
        place = max(0, bisect_right(self._begins, begin) - 1)
        total = 0
        while place < len(self._begins) and self._begins[place] < end:
            total += max(0, min(end, self._ends[place]) - max(begin, self._begins[place]))
            place += 1
        return total


class Spans:
    """The spans of the measured installation, found by what they belong to."""

    def __init__(self, spans: Iterable[Any], texts: str, predictions: str, results: str) -> None:
        self._process: dict[tuple[str, str], Any] = {}
        self._send: dict[tuple[str, str], Any] = {}
        self._children: dict[bytes, list[Any]] = defaultdict(list)
        polls: dict[str, list[Interval]] = defaultdict(list)
        group_of: dict[bytes, str] = {}
        commits: list[Any] = []
        self._groups = {"service": "", "router": ""}
        for span in spans:
            about = values(span.attributes)
            group = str(about.get("messaging.consumer.group.name", ""))
            if span.name == "poll":
                polls[group].append(_interval(span))
                group_of[span.span_id] = group
            elif span.name == "commit":
                commits.append(span)
            elif span.name == f"process {predictions}":
                self._groups["router"] = group
                self._process[span.trace_id.hex(), predictions] = span
            elif span.name == f"process {texts}":
                self._process[span.trace_id.hex(), f"{texts} {group}"] = span
            elif span.name in {f"send {predictions}", f"send {results}"}:
                self._send[span.trace_id.hex(), span.name.partition(" ")[2]] = span
            else:
                self._children[span.parent_span_id].append(span)
        groups = {key[1].partition(" ")[2] for key in self._process if key[1].startswith(f"{texts} ")}
        self._groups["service"] = next(iter(groups - {self._groups["router"]}), "")
        by_group: dict[str, list[Interval]] = defaultdict(list)
        for span in commits:
            by_group[group_of.get(span.parent_span_id, "")].append(_interval(span))
        self.commits = {part: by_group[group] for part, group in self._groups.items()}
        self._committing = {part: Busy(each) for part, each in self.commits.items()}
        # A commit may go on while the next batch is handled, and after its own batch.
        self._busy = {part: Busy([*polls[group], *self.commits[part]]) for part, group in self._groups.items()}
        self._texts, self._predictions, self._results = texts, predictions, results

    def stages(self, journey: Journey) -> dict[str, float] | None:
        """Return stage → milliseconds; None where a span of the text is missing."""
        try:
            service = self._process[journey.trace_id, f"{self._texts} {self._groups['service']}"]
            router = self._process[journey.trace_id, self._predictions]
            sent, answered = (self._send[journey.trace_id, name] for name in (self._predictions, self._results))
            batch = self._children[service.links[0].span_id]
            before = [span for span in batch if span.end_time_unix_nano <= sent.start_time_unix_nano]
            infer = max((span for span in before if span.name.startswith("infer")), key=_begin)
            look_up = max((span for span in before if _is_redis(span) and _begin(span) < _begin(infer)), key=_begin)
        except (KeyError, ValueError, IndexError):
            return None
        written = [span for span in batch if _is_redis(span) and _begin(span) >= infer.end_time_unix_nano]
        write = Busy(map(_interval, written)).within(infer.end_time_unix_nano, _begin(sent))
        parts = {
            "producer": journey.appended - journey.due,
            **self._waits("service", journey.appended, _begin(service)),
            "service: decode": _begin(look_up) - _begin(service),
            "service: cache look-up": look_up.end_time_unix_nano - _begin(look_up),
            "service: model": infer.end_time_unix_nano - _begin(infer),
            "service: cache write": write,
            "service: encode": _begin(sent) - infer.end_time_unix_nano - write,
            "service: publish": journey.predicted - _begin(sent),
            **self._waits("router", journey.predicted, _begin(router)),
            "router: decide": _begin(answered) - _begin(router),
            "router: publish": journey.answered - _begin(answered),
            "consumer": journey.received - journey.answered,
        }
        return {name: parts[name] / 1e6 for name in STAGES}

    def _waits(self, part: str, appended: int, polled: int) -> dict[str, int]:
        """Divide the time from the append to the poll."""
        busy = self._busy[part].within(appended, polled)
        commit = self._committing[part].within(appended, polled)
        return {
            f"{part}: commit before": commit,
            f"{part}: batch before": busy - commit,
            f"{part}: fetch and poll": polled - appended - busy,
        }


def _interval(span: Any) -> Interval:
    return span.start_time_unix_nano, span.end_time_unix_nano


def _begin(span: Any) -> int:
    return int(span.start_time_unix_nano)


def _is_redis(span: Any) -> bool:
    return values(span.attributes).get("db.system.name") == "redis"


async def travel(
    installation: Installation, messages: BenchMessages, first: int, per_s: float, seconds: float
) -> list[Journey]:
    """Publish texts at a rate and return their journeys; every one must have ended."""
    partitions = {state.name: state.partitions or 0 for state in installation.topic_states}
    due = poisson_arrivals(per_s, seconds, SEED)
    numbers = range(first, first + len(due))
    records = messages.records(numbers)
    producer: Any = AIOKafkaProducer(**installation.kafka.client(), acks="all")
    await producer.start()
    sent: list[Any] = []

    async def publish(index: int) -> None:
        record = records[index]
        topic = installation.topics.texts
        sent.append(await producer.send(topic, record.value, record.key, headers=list(record.headers)))

    try:
        async with EndReader(installation.kafka, TASK, messages, partitions) as ends:
            await asyncio.sleep(_SETTLE_S)
            epoch = time.time_ns() - time.monotonic_ns()
            scheduled, _ = await publish_on_time(due, publish)
            appended = [(await each).timestamp for each in sent]
            if not await ends.wait(numbers, lambda: None):
                raise SystemExit("a text did not end")
            found = {number: ends.by_number[number] for number in numbers}
    finally:
        await producer.stop()
    predicted = await predictions(installation, messages)
    return [
        Journey(
            trace_id(record),
            epoch + int(at * 1e9),
            _from_ms(appended[place]),
            _from_ms(predicted[record.number]),
            _from_ms(found[record.number].appended_ms),
            epoch + int(found[record.number].at * 1e9),
        )
        for place, (record, at) in enumerate(zip(records, scheduled, strict=True))
    ]


async def predictions(installation: Installation, messages: BenchMessages) -> dict[int, int]:
    """Return when the broker appended each Prediction so far, epoch milliseconds."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=installation.bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    topic = installation.topics.predictions(TASK)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(installation.topics.partitions)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        found: dict[int, int] = {}
        while any([await consumer.position(each) < ends[each] for each in partitions]):
            for record in (record for part in (await consumer.getmany(timeout_ms=100)).values() for record in part):
                number = messages.number_of(json.loads(record.value)["text_id"])
                if number is not None:
                    found.setdefault(number, record.timestamp)
        return found
    finally:
        await consumer.stop()


def trace_id(record: BenchRecord) -> str:
    """Return the trace id of a text, hexadecimal."""
    return dict(record.headers)["traceparent"].decode().split("-")[1]


def _from_ms(milliseconds: int) -> int:
    return milliseconds * 1_000_000 + _HALF_MS


def measure(texts: Sequence[str], shares: Sequence[float], seconds: float) -> dict[str, Any]:
    """Measure the saturation and the end-to-end times without traces, then the stages with them."""
    asked = [BenchText(text, "en", None) for text in texts]
    machine = machine_facts(TASK, embedded=True)
    del machine["system"]  # the version of the kernel says nothing here
    plain: list[list[Journey]] = []
    traced: list[list[Journey]] = []
    with Installation(bench_options(BenchPlan(TASK), _folder())) as installation:
        messages = BenchMessages(asked, TASK, installation.models[TASK])
        saturation = asyncio.run(_saturation(installation, messages, len(texts)))
        print(f"saturation {saturation:.0f} texts/s", flush=True)
        rates = [share * saturation for share in shares]
        meter = meter_of(installation)
        began, others_s = time.monotonic(), meter.others_s()
        plain = _all(installation, messages, rates, seconds)
        others = max(0.0, (meter.others_s() - others_s) / (time.monotonic() - began))
    with otlp_sink() as sink:
        with ExitStack() as stack:
            stack.enter_context(environment({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{sink.url}/v1/traces"}))
            installation = stack.enter_context(Installation(bench_options(BenchPlan(TASK), _folder())))
            topics = installation.topics
            messages = BenchMessages(asked, TASK, installation.models[TASK])
            traced = _all(installation, messages, rates, seconds)
        # Stopped, so that the last spans are here.
        spans = Spans(sink.spans, topics.texts, topics.predictions(TASK), topics.results(TASK))
    loads = [_load(spans, *each) for each in zip(shares, rates, plain, traced, strict=True)]
    commits = {part: _quantiles([(end - begin) / 1e6 for begin, end in each]) for part, each in spans.commits.items()}
    about = {"machine": machine, "saturation_per_s": saturation, "others_cores": others}
    return {**about, "loads": loads, "commit_ms": commits}


def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="sprat-latency-"))


async def _saturation(installation: Installation, messages: BenchMessages, count: int) -> float:
    async with Bench(installation, TASK, messages, lambda *_: None) as bench:
        return (await bench.measure_backlog(count, meter_of(installation))).texts_per_s


def _all(
    installation: Installation, messages: BenchMessages, rates: Sequence[float], seconds: float
) -> list[list[Journey]]:
    first = 1_000_000  # beyond those of the backlog
    asyncio.run(travel(installation, messages, first, WARM_UP, 1.0))
    journeys = []
    for number, rate in enumerate(rates, start=1):
        journeys.append(asyncio.run(travel(installation, messages, first * (number + 1), rate, seconds)))
    return journeys


def _load(
    spans: Spans, share: float, rate: float, plain: Sequence[Journey], traced: Sequence[Journey]
) -> dict[str, Any]:
    """Return the figures of one load."""
    ways = [(journey.total_ms, stages) for journey in traced if (stages := spans.stages(journey)) is not None]
    ways.sort(key=lambda way: way[0])
    middle = ways[int(0.4 * len(ways)) : max(1, int(0.6 * len(ways)))]
    slowest = ways[int(0.98 * len(ways)) :]
    rest = [total - sum(stages.values()) for total, stages in ways]
    figures = {
        "share": share,
        "per_s": rate,
        "texts": len(traced),
        "texts_with_all_spans": len(ways),
        "end_to_end_ms": _quantiles([journey.total_ms for journey in plain]),
        "traced_end_to_end_ms": _quantiles([journey.total_ms for journey in traced]),
        "rest_ms": _quantiles(rest),
        "stages_ms": {
            name: _quantiles([stages[name] for _, stages in ways])
            | {
                "typical": statistics.fmean(stages[name] for _, stages in middle),
                "slowest": statistics.fmean(stages[name] for _, stages in slowest),
            }
            for name in STAGES
        },
        "typical_ms": statistics.fmean(total for total, _ in middle),
        "slowest_ms": statistics.fmean(total for total, _ in slowest),
    }
    _print(figures)
    return figures


def _quantiles(milliseconds: Sequence[float]) -> dict[str, float]:
    quantiles = LatencyQuantiles.of(milliseconds)
    return {"p50": quantiles.p50, "p99": quantiles.p99}


def _print(figures: Mapping[str, Any]) -> None:
    plain, traced = figures["end_to_end_ms"], figures["traced_end_to_end_ms"]
    print(
        f"\n{figures['share']:.0%} of saturation, {figures['per_s']:.0f} texts/s, {figures['texts']} texts: "
        f"p50 {plain['p50']:.1f} ms, p99 {plain['p99']:.1f} ms; with traces {traced['p50']:.1f} and "
        f"{traced['p99']:.1f} ms ({figures['texts_with_all_spans']} texts with all spans)"
    )
    print(f"{'stage':26}{'p50':>8}{'p99':>8}{'typical':>9}{'slowest':>9}")
    for name, each in figures["stages_ms"].items():
        print(f"{name:26}{each['p50']:8.2f}{each['p99']:8.2f}{each['typical']:9.2f}{each['slowest']:9.2f}")
    rest = figures["rest_ms"]
    print(f"{'unexplained rest':26}{rest['p50']:8.2f}{rest['p99']:8.2f}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("SPRAT_DATA"), help="folder of evaluation data")
    parser.add_argument("--rates", default="10,50,80", help="per cent of saturation")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each rate")
    parser.add_argument("--texts", type=int, help="of the backlog; the default is all of the test set")
    parser.add_argument("--json", type=Path, help="write the figures there, and leave the page as it is")
    options = parser.parse_args()
    if options.data is None:
        print("SPRAT_DATA names no folder of evaluation data: make bench-latency SPRAT_DATA=FOLDER", file=sys.stderr)
        return 2
    texts = clinc150_texts(options.data)[: options.texts]
    figures = measure(texts, [float(each) / 100 for each in options.rates.split(",")], options.seconds)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1), "utf-8")
    else:
        draw(figures, ROOT / "docs/images/latency.png")
        save("latency", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
