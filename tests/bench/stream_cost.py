"""What the stream costs: CPU of the intent service per 1,000 texts, against the bare model's on the same texts.

As `sprat bench` measures it, on many different texts and in several rounds of one run; the ratio counts, for machines
are noisy. Each text belongs to another tenant, so that the cache answers none; it is read and filled as always.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from sprat_local.bench.measure import Bench, Load
from sprat_local.bench.options import artefact_variable, bench_options
from sprat_local.bench.resources import ProcessMeter, meter_of
from sprat_local.bench.texts import BenchMessages, BenchText
from sprat_local.installation.lifecycle import Installation
from tests.bench.bare_model import BareModel

TASK = "intent"
IDLE_S = 10.0


def measure(texts: Sequence[str], rounds: int, folder: Path, artefact: Path | None = None) -> dict[str, Any]:
    """Measure both, round by round."""
    texts_to_answer = [BenchText(text, "en", None) for text in texts]
    bare = BareModel(TASK, texts_to_answer, artefact_variable(TASK, artefact))
    ratios, services, bares = [], [], []
    with Installation(bench_options(TASK, folder, artefact=artefact)) as installation:
        meter = meter_of(installation)
        for number in range(rounds):
            backlog = asyncio.run(measure_backlog(installation, texts_to_answer, meter))
            alone = bare.run(count=len(texts_to_answer))
            services.append(backlog.cpu_s_per_1000(TASK))
            bares.append(alone.cpu_s_per_1000)
            ratios.append(services[-1] / bares[-1])
            print(
                f"round {number + 1}: service {services[-1]:.3f} s, bare {bares[-1]:.3f} s per 1,000 texts, "
                f"ratio {ratios[-1]:.3f}; {backlog.texts_per_s:.0f} texts/s",
                flush=True,
            )
        before = meter.cpu_s()[TASK]
        time.sleep(IDLE_S)
        idle_share = (meter.cpu_s()[TASK] - before) / IDLE_S
        rss_mb = psutil.Process(installation.processes[TASK].pid).memory_info().rss / 1e6
    print(f"RSS {rss_mb:.0f} MB, idle {idle_share:.1%}", flush=True)
    return {
        "service_cpu_s_per_1000": statistics.median(services),
        "bare_cpu_s_per_1000": statistics.median(bares),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "rounds": rounds,
        "texts": len(texts),
        "rss_mb": rss_mb,
        "idle_share_of_a_core": idle_share,
    }


async def measure_backlog(
    installation: Installation, texts_to_answer: Sequence[BenchText], meter: ProcessMeter
) -> Load:
    """Measure the service on all texts; each round has new tenants."""
    messages = BenchMessages(texts_to_answer, TASK, installation.models[TASK])
    async with Bench(installation, TASK, messages) as bench:
        return await bench.measure_backlog(len(texts_to_answer), meter)


def clinc150_texts(data: Path) -> list[str]:
    """Return the texts of CLINC150's test set."""
    rows = (data / "intent/clinc150/tsv/test.tsv").read_text().splitlines()
    return [row.split("\t")[0] for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("SPRAT_DATA"), help="folder of evaluation data")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--artefact", type=Path, help="default: the shipped one")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    texts = clinc150_texts(arguments.data)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(texts, arguments.rounds, Path(folder), arguments.artefact)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
