"""What telemetry costs: CPU of the intent service and the router per 1,000 texts, without it, with metrics and traces.

`python -m tests.bench.telemetry_cost --data FOLDER`. Every round starts three installations, one after the other, and
gives each the same backlog; the ratios count, for machines are noisy. Traces are complete: no span is sampled away.
They go to a process that accepts and discards them, as a collector would.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sprat_local.bench.options import bench_options
from sprat_local.bench.resources import meter_of
from sprat_local.bench.texts import BenchText
from sprat_local.installation.lifecycle import Installation
from tests.bench.stream_cost import TASK, clinc150_texts, measure_backlog
from tests.support.otlp_sink import otlp_sink

SERVICES = (TASK, "router")
OFF = {"OTEL_SDK_DISABLED": "true"}


def measure(texts: Sequence[str], rounds: int) -> dict[str, Any]:
    """Measure all three, round by round."""
    answered = [BenchText(text, "en", None) for text in texts]
    ratios: dict[str, list[float]] = {"metrics": [], "traces": []}
    seconds: dict[str, list[float]] = {"off": [], "metrics": [], "traces": []}
    with otlp_sink() as collector:
        variants: dict[str, Mapping[str, str]] = {
            "off": OFF,
            "metrics": {},
            "traces": {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/v1/traces"},
        }
        for number in range(rounds):
            names = [*variants]
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:  # none of them always runs on a cold machine
                seconds[name].append(_cpu_s_per_1000(answered, variants[name]))
            for name, each in ratios.items():
                each.append(seconds[name][-1] / seconds["off"][-1])
            spent = ", ".join(f"{name} {each[-1]:.3f} s" for name, each in seconds.items())
            print(f"round {number + 1}: {spent} per 1,000 texts", flush=True)
    return {
        "texts": len(texts),
        "rounds": rounds,
        "cpu_s_per_1000": {name: statistics.median(each) for name, each in seconds.items()},
        "ratio": {name: statistics.median(each) for name, each in ratios.items()},
        "ratios": ratios,
    }


def _cpu_s_per_1000(texts: Sequence[BenchText], variables: Mapping[str, str]) -> float:
    with tempfile.TemporaryDirectory() as folder, environment(variables):
        with Installation(bench_options(TASK, Path(folder))) as installation:
            backlog = asyncio.run(measure_backlog(installation, texts, meter_of(installation)))
        return sum(backlog.cpu_s_per_1000(name) for name in SERVICES)


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the services that start inside the `with`."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("SPRAT_DATA"), help="folder of evaluation data")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures there")
    given = parser.parse_args(arguments)
    if given.data is None:
        print("SPRAT_DATA names no folder of evaluation data", file=sys.stderr)
        return 2
    figures = measure(clinc150_texts(given.data), given.rounds)
    print(json.dumps(figures["ratio"]))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
