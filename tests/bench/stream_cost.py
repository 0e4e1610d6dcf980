"""What the stream costs: CPU of the intent service for 1,000 texts, against the bare model's on the same texts.

As `sprat bench` measures it, on many different texts and in several rounds of one run; the ratio counts, for machines
are noisy. Each text is another tenant's, so that the cache answers none; it is asked and filled as always.
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

from sprat_local.bench.bare_process import BareModel
from sprat_local.bench.figures import Drained
from sprat_local.bench.installation import bench_options, meter_of, service_variables
from sprat_local.bench.measure import Bench
from sprat_local.bench.plan import Plan
from sprat_local.bench.resources import Meter
from sprat_local.bench.texts import BenchText, Messages
from sprat_local.installation import Installation

TASK = "intent"
IDLE_S = 10.0


def measure(texts: Sequence[str], rounds: int, folder: Path, artefact: Path | None = None) -> dict[str, Any]:
    """Measure both, round by round."""
    plan = Plan(TASK, artefact=artefact)
    asked = [BenchText(text, "en", None) for text in texts]
    bare = BareModel(TASK, asked, folder, service_variables(plan))
    ratios, services, bares = [], [], []
    with Installation(bench_options(plan, folder)) as installation:
        meter = meter_of(installation)
        for number in range(rounds):
            drained = asyncio.run(drain(installation, asked, meter))
            alone = bare.run(count=len(asked))
            services.append(drained.cpu_s_per_1000(TASK))
            bares.append(alone.cpu_s_per_1000)
            ratios.append(services[-1] / bares[-1])
            print(
                f"round {number + 1}: service {services[-1]:.3f} s, bare {bares[-1]:.3f} s per 1,000 texts, "
                f"ratio {ratios[-1]:.3f}; {drained.texts_per_s:.0f} texts/s",
                flush=True,
            )
        before = meter.cpu_s()[TASK]
        time.sleep(IDLE_S)
        idle_share, rss_mb = (meter.cpu_s()[TASK] - before) / IDLE_S, meter.memory()[TASK].rss_mb
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


async def drain(installation: Installation, asked: Sequence[BenchText], meter: Meter) -> Drained:
    """Let the service work all texts off; they are new ones in each round."""
    messages = Messages(asked, TASK, installation.models[TASK])
    async with Bench(installation, TASK, messages, lambda *_: None) as bench:
        return await bench.drain(len(asked), meter)


def clinc150_texts(data: Path) -> list[str]:
    """Give the texts of CLINC150's test set."""
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
