"""Where one text's time goes, from the moment it is due to its Result at a consumer. `make bench-latency`.

    python -m tests.bench.latency --data DIR [--seconds 20] [--rates 10,50,80] [--json FILE]

One intent for each text of CLINC150's test set, at shares of the measured saturation, with an open load: texts arrive
by the clock. The saturation and the end-to-end time are measured without traces, as services usually run. The stages
are those of a second installation that exports every span: what the records carry (the broker's appends, and the times
that the service notes in its Prediction) and the spans of each record together cut the way of each text into stages
without a gap. All clocks are this machine's; the broker counts whole milliseconds, so half of one is added to its
times.

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
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from sprat.processing.measure import SMALL_STAGES
from sprat_local.bench.measure import WARM_UP, Bench
from sprat_local.bench.open_loop import LatencyQuantiles, poisson_arrivals
from sprat_local.bench.options import bench_options
from sprat_local.bench.resources import ProcessMeter, meter_of
from sprat_local.bench.texts import BenchMessages, BenchRecord, BenchText
from sprat_local.installation.lifecycle import Installation
from tests.bench.arguments import write_json
from tests.bench.benchmarks_page import ROOT, save
from tests.bench.machine import machine_facts
from tests.bench.speed_tables import STAGES
from tests.bench.stream_cost import TASK, clinc150_texts, measure_backlog
from tests.bench.telemetry_cost import environment
from tests.support.otlp_sink import otlp_sink, values

_HALF_MS: Final = 500_000
"""Nanoseconds: half of what the broker's clock counts."""


@dataclass(frozen=True, slots=True)
class Journey:
    """When one text passed the places that clients see, epoch nanoseconds."""

    trace_id: str
    due: int
    appended: int
    predicted: int
    answered: int
    received: int
    timings_ms: Mapping[str, float]
    """What the service notes in the Prediction: wait (from the append until the text is asked), cache, model."""

    @property
    def total_ms(self) -> float:
        """From due to received."""
        return (self.received - self.due) / 1e6


class Spans:
    """The spans of the measured installation, found by what they belong to."""

    def __init__(self, spans: Iterable[Any], predictions: str, results: str) -> None:
        self._spans: dict[tuple[str, str], Any] = {}
        polls: dict[bytes, str] = {}
        commits: list[Any] = []
        for span in spans:
            if span.name == "poll":
                polls[span.span_id] = str(values(span.attributes).get("messaging.consumer.group.name", ""))
            elif span.name == "commit":
                commits.append(span)
            else:
                self._spans[span.trace_id.hex(), span.name] = span
        self.commits_ms: dict[str, list[float]] = defaultdict(list)
        """How long each commit took, of the service and of the router."""
        for span in commits:
            group = polls.get(span.parent_span_id, "").split(".")
            part = "router" if "router" in group else "service" if TASK in group else None
            if part is not None:
                self.commits_ms[part].append((span.end_time_unix_nano - span.start_time_unix_nano) / 1e6)
        self._predictions, self._results = predictions, results

    def stages(self, journey: Journey) -> dict[str, float] | None:
        """Return stage → milliseconds; None where a span of the text is missing."""
        try:
            sent, routed, answered = (
                _begin(self._spans[journey.trace_id, name])
                for name in (f"send {self._predictions}", f"process {self._predictions}", f"send {self._results}")
            )
        except KeyError:
            return None
        wait, cache, model = (int(1e6 * journey.timings_ms.get(stage, 0.0)) for stage in SMALL_STAGES)
        parts = {
            "producer": journey.appended - journey.due,
            "service: until it is asked": wait - _HALF_MS,
            "service: cache look-up": cache,
            "service: model": model,
            "service: until it is sent": sent - (journey.appended - _HALF_MS + wait + cache + model),
            "service: publish": journey.predicted - sent,
            "router: until it is polled": routed - journey.predicted,
            "router: decide": answered - routed,
            "router: publish": journey.answered - answered,
            "consumer": journey.received - journey.answered,
        }
        return {name: parts[name] / 1e6 for name in STAGES}


def _begin(span: Any) -> int:
    return int(span.start_time_unix_nano)


async def travel(
    installation: Installation, bench: Bench, messages: BenchMessages, per_s: float, seconds: float
) -> list[Journey]:
    """Publish texts at a rate and return their journeys; every one must have ended."""
    epoch = time.time_ns() - time.monotonic_ns()
    load = await bench.send(poisson_arrivals(per_s, seconds))
    predicted = await predictions(installation, messages)
    journeys = []
    for each in load.sent:
        if each.end is None:
            raise SystemExit("a text did not end")
        prediction = predicted[each.record.number]
        journeys.append(
            Journey(
                trace_id(each.record),
                epoch + int(each.due * 1e9),
                _from_ms(each.appended_ms),
                _from_ms(prediction.appended_ms),
                _from_ms(each.end.appended_ms),
                epoch + int(each.end.at * 1e9),
                prediction.timings_ms,
            )
        )
    return journeys


class Predicted(NamedTuple):
    """When the broker appended a Prediction, epoch milliseconds, and what it says of times."""

    appended_ms: int
    timings_ms: Mapping[str, float]


async def predictions(installation: Installation, messages: BenchMessages) -> dict[int, Predicted]:
    """Return the Predictions so far, by the numbers of their texts."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=installation.bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    topic = installation.topics.predictions(TASK)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(installation.topics.partitions)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        found: dict[int, Predicted] = {}
        while any([await consumer.position(each) < ends[each] for each in partitions]):
            for record in (record for part in (await consumer.getmany(timeout_ms=100)).values() for record in part):
                prediction = json.loads(record.value)
                number = messages.number_of(prediction["text_id"])
                if number is not None:
                    found.setdefault(number, Predicted(record.timestamp, prediction["timings_ms"]))
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
    machine = machine_facts(TASK)
    plain: list[list[Journey]] = []
    traced: list[list[Journey]] = []
    with Installation(bench_options(TASK, _folder())) as installation:
        model, meter = installation.models[TASK], meter_of(installation)
        backlog = asyncio.run(measure_backlog(installation, asked, meter))
        saturation = backlog.texts_per_s
        print(f"saturation {saturation:.0f} texts/s", flush=True)
        rates = [share * saturation for share in shares]
        began, others_s = time.monotonic(), meter.others_s()
        plain, costs = asyncio.run(_all(installation, BenchMessages(asked, TASK, model), rates, seconds, meter))
        others = max(0.0, (meter.others_s() - others_s) / (time.monotonic() - began))
    with otlp_sink() as sink:
        with ExitStack() as stack:
            stack.enter_context(environment({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{sink.url}/v1/traces"}))
            installation = stack.enter_context(Installation(bench_options(TASK, _folder())))
            topics = installation.topics
            messages = BenchMessages(asked, TASK, installation.models[TASK])
            traced, _ = asyncio.run(_all(installation, messages, rates, seconds, meter_of(installation)))
        # Stopped, so that the last spans are here.
        spans = Spans(sink.spans, topics.predictions(TASK), topics.results(TASK))
    loads = [
        _load(spans, share, rate, plain_way, traced_way) | {"cpu_ms_per_text": cost}
        for share, rate, plain_way, traced_way, cost in zip(shares, rates, plain, traced, costs, strict=True)
    ]
    commits = {part: _quantiles(took) for part, took in spans.commits_ms.items()}
    about = {"machine": machine, "saturation_per_s": saturation, "others_cores": others}
    in_backlog = {part: backlog.cpu_s_per_1000(part) for part in backlog.cpu_s}
    return {**about, "backlog_cpu_ms_per_text": in_backlog, "loads": loads, "commit_ms": commits}


def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="sprat-latency-"))


async def _all(
    installation: Installation, messages: BenchMessages, rates: Sequence[float], seconds: float, meter: ProcessMeter
) -> tuple[list[list[Journey]], list[dict[str, float]]]:
    """Return the journeys of each rate, and the CPU milliseconds per text of each process."""
    journeys, costs = [], []
    async with Bench(installation, TASK, messages) as bench:
        await bench.send([0.0] * WARM_UP)
        for rate in rates:
            before = meter.cpu_s()
            journeys.append(await travel(installation, bench, messages, rate, seconds))
            spent = meter.cpu_s()
            costs.append({part: 1000 * (spent[part] - before[part]) / len(journeys[-1]) for part in spent})
    return journeys, costs


def _load(
    spans: Spans, share: float, rate: float, plain: Sequence[Journey], traced: Sequence[Journey]
) -> dict[str, Any]:
    """Return the figures of one load."""
    ways = [(journey.total_ms, stages) for journey in traced if (stages := spans.stages(journey)) is not None]
    ways.sort(key=lambda way: way[0])
    middle = ways[int(0.4 * len(ways)) : max(1, int(0.6 * len(ways)))]
    slowest = ways[int(0.98 * len(ways)) :]
    figures = {
        "share": share,
        "per_s": rate,
        "texts": len(traced),
        "texts_with_all_spans": len(ways),
        "end_to_end_ms": _quantiles([journey.total_ms for journey in plain]),
        "traced_end_to_end_ms": _quantiles([journey.total_ms for journey in traced]),
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
        print(f"{name:26}{each['p50']:8.2f}{each['p99']:8.2f}{each['typical']:9.2f}{each['slowest']:9.2f}", flush=True)


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
        write_json(options.json, figures)
    else:
        from tests.bench.latency_picture import draw  # noqa: PLC0415 - a second, which every worker of pytest would take

        draw(figures, ROOT / "docs/images/latency.png")
        save("latency", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
