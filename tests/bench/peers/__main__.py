"""Measure Sprat beside what a team would use instead: same machine, same run, same texts. `make bench-peers`.

    python -m tests.bench.peers --data DIR [--texts 500] [--seconds 5] [--only NAME …] [--json FILE]

All label models have the same encoder (all-MiniLM-L6-v2, the one of Sprat's `en-fast`) and the same head, on one
thread, and read the test texts of CLINC150 and of BANKING77 from the same embedded Kafka, one system after the other.
Saves docs/figures/peers.json, fills docs/benchmarks and draws docs/images/peers.png. The first run makes the
environments of the peers in the user's cache: about eight gigabytes, most of it torch.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

from sprat_local.bench.resources import ProcessMeter
from sprat_local.kafka.broker import EmbeddedKafka
from tests.bench.arguments import parser_of, write_json
from tests.bench.benchmarks_page import ROOT, save
from tests.bench.machine import machine_facts
from tests.bench.peers import masking
from tests.bench.peers.environments import (
    ARTEFACTS,
    encoder,
    has_lexical_stage,
    versions,
    without_lexical_stage,
)
from tests.bench.peers.picture import draw
from tests.bench.peers.stream import Load, Stream
from tests.bench.peers.systems import TASK, MlServer, PlainLoop, Sprat

SHARE: Final = 0.5
"""Of its own saturation: the rate at which the latency of a system is measured."""
CRASH_PER_S: Final = 150.0
"""Texts per second while a system is killed: what all of them sustain."""
FEWER: Final = 500
"""Texts of each data set for masking, which is measured without Kafka."""
_PATIENCE_S: Final = 60.0
"""After a SIGKILL: a group waits for the session of the dead member to end."""


@dataclass(frozen=True)
class Variant:
    """A system to measure."""

    title: str
    make: Callable[["Run", Sequence[str]], Any]


@dataclass(frozen=True)
class Run:
    """What all systems share."""

    bootstrap: str
    broker: int
    folder: Path
    log: Any


def plain(runtime: str, batch: int, commit: str = "auto") -> Callable[[Run, Sequence[str]], Any]:
    """Return how a plain loop is made."""
    name = f"{runtime}-{batch}-{commit}"
    return lambda run, texts: PlainLoop(
        f"{name}-{time.time_ns()}", run.bootstrap, texts, run.log, runtime=runtime, batch=batch, commit=commit
    )


def mlserver(run: Run, texts: Sequence[str]) -> Any:
    """Return MLServer."""
    return MlServer(f"mlserver-{time.time_ns()}", run.bootstrap, texts, run.log, folder=_folder(run, "mlserver"))


def sprat(name: str, victim: str = TASK, *, lexical: bool = True) -> Callable[[Run, Sequence[str]], Any]:
    """Return how Sprat is made with one of its models, as it is shipped or with its encoder alone."""

    def make(run: Run, texts: Sequence[str]) -> Sprat:
        folder = _folder(run, "sprat")
        artefact = ARTEFACTS / name if lexical else without_lexical_stage(ARTEFACTS / name, folder / "artefact")
        return Sprat(run.bootstrap, texts, folder, artefact, victim)

    return make


def _folder(run: Run, name: str) -> Path:
    folder = run.folder / f"{name}-{time.time_ns()}"
    folder.mkdir()
    return folder


VARIANTS: Final = {
    "sprat-en-fast": Variant("Sprat, `en-fast`", sprat("en-fast")),
    "sprat-default": Variant("Sprat, `default` (another encoder, twice as many layers)", sprat("default")),
    **{
        f"sprat-{name}-encoder": Variant(f"Sprat, `{name}`, its encoder alone", sprat(name, lexical=False))
        for name in ("en-fast", "default")
        if has_lexical_stage(ARTEFACTS / name)
    },
    "ctranslate2-32": Variant("CTranslate2 int8, plain loop, batches of 32", plain("ctranslate2", 32)),
    "onnx-int8-1": Variant("ONNX Runtime int8, plain loop, one by one", plain("onnx-int8", 1)),
    "onnx-int8-32": Variant("ONNX Runtime int8, plain loop, batches of 32", plain("onnx-int8", 32)),
    "torch-1": Variant("transformers + torch float32, plain loop, one by one", plain("torch", 1)),
    "torch-32": Variant("transformers + torch float32, plain loop, batches of 32", plain("torch", 32)),
    "torch-int8-1": Variant("transformers + torch dynamic int8, plain loop, one by one", plain("torch-int8", 1)),
    "torch-int8-32": Variant("transformers + torch dynamic int8, plain loop, batches of 32", plain("torch-int8", 32)),
    "mlserver": Variant("MLServer with its Kafka endpoint, ONNX Runtime int8, adaptive batches of 32", mlserver),
}

CRASHES: Final = {
    "sprat-intent": Variant("Sprat, the intent service killed", sprat("en-fast")),
    "sprat-router": Variant("Sprat, the router killed", sprat("en-fast", "router")),
    "one-auto": Variant("plain loop, one by one, auto-commit (the default)", plain("onnx-int8", 1)),
    "batch-auto": Variant("plain loop, batches of 32, auto-commit (the default)", plain("onnx-int8", 32)),
    "one-manual": Variant("plain loop, one by one, commit after each", plain("onnx-int8", 1, "manual")),
    "batch-manual": Variant("plain loop, batches of 32, commit after each", plain("onnx-int8", 32, "manual")),
    "mlserver": Variant("MLServer with its Kafka endpoint", mlserver),
}


def read_texts(data: Path, count: int) -> dict[str, list[str]]:
    """Return so many test texts of each data set, drawn at random, the same in each run; all if there are fewer."""
    sets = {}
    for name, file in (("clinc150", "clinc150/tsv/test.tsv"), ("banking77", "banking77/test.tsv")):
        rows = (data / "intent" / file).read_text("utf-8").splitlines()
        texts = [row.split("\t")[0] for row in rows]
        sets[name] = Random(0).sample(texts, min(count, len(texts)))
    return sets


async def measure(variant: Variant, run: Run, sets: Mapping[str, Sequence[str]], seconds: float) -> dict[str, Any]:
    """Measure one system: cold start, then of each data set a backlog and the latency at half of that rate, memory."""
    texts = [text for each in sets.values() for text in each]
    system = variant.make(run, texts)
    figures: dict[str, Any] = {}
    await system.create_topics()
    try:
        async with Stream(run.bootstrap, system) as stream:
            figures["first_answer_s"] = await stream.first_answer_s()
            for name, each in sets.items():
                system.given = each
                figures[name] = await _on_texts(stream, system, each, seconds, run.broker)
                print(f"  {name}: {_line(figures[name])}", flush=True)
            figures["memory_mb"] = stream.memory_mb()
    finally:
        system.stop()
    return figures


async def _on_texts(stream: Stream, system: Any, texts: Sequence[str], seconds: float, broker: int) -> dict[str, Any]:
    pids = {name: processes[0].pid for name, processes in system.processes().items()}
    meter = ProcessMeter({**pids, "kafka": broker})
    began, others_s, before = time.monotonic(), meter.others_s(), meter.cpu_s()["kafka"]
    backlog = await stream.backlog(len(texts))
    spent = meter.cpu_s()["kafka"] - before
    saturation = len(texts) / backlog.seconds
    load: Load = await stream.load(SHARE * saturation, seconds)
    others = (meter.others_s() - others_s) / (time.monotonic() - began)
    cpu = {name: 1000 * spent / len(texts) for name, spent in backlog.cpu_s.items()}
    return {
        "texts": len(texts),
        "texts_per_s": saturation,
        "cpu_s_per_1000": cpu,
        "broker_cpu_s_per_1000": 1000 * spent / len(texts),
        "others_cores": max(0.0, others),
        "half_load": {"texts": load.texts, "per_s": load.per_s, **asdict(load.latency), "growth": load.growth},
    }


def _line(figures: Mapping[str, Any]) -> str:
    cpu = ", ".join(f"{name} {each:.2f}" for name, each in figures["cpu_s_per_1000"].items())
    half = figures["half_load"]
    return (
        f"{figures['texts_per_s']:.0f} texts/s, CPU s per 1,000: {cpu}; at {half['per_s']:.0f}/s "
        f"p50 {1000 * half['p50']:.1f} ms, p99 {1000 * half['p99']:.1f} ms; others {figures['others_cores']:.1f} cores"
    )


async def crash(variant: Variant, run: Run, texts: Sequence[str], rounds: int) -> list[dict[str, Any]]:
    """Kill a system once in each round, in the middle of the texts."""
    system = variant.make(run, texts)
    found = []
    await system.create_topics()
    try:
        async with Stream(run.bootstrap, system) as stream:
            await stream.first_answer_s()
            for _ in range(rounds):
                found.append(asdict(await stream.crash(CRASH_PER_S, len(texts), _PATIENCE_S)))
                print(f"  {found[-1]}", flush=True)
    finally:
        system.stop()
    return found


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--texts", type=int, default=2000, help="of each data set, at most")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the load at half saturation")
    parser.add_argument("--rounds", type=int, default=3, help="of masking")
    parser.add_argument("--kills", type=int, default=3, help="of each system")
    parser.add_argument("--crash-texts", type=int, default=1000)
    parser.add_argument("--only", nargs="*", help="names of systems; nothing is saved")
    parser.add_argument("--log", type=Path, default=Path("/dev/null"), help="of the peers' processes")
    options = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    encoder()
    sets = read_texts(options.data, options.texts)
    chosen = options.only or [*VARIANTS, *CRASHES, "masking"]
    figures = _about(sets)
    with tempfile.TemporaryDirectory() as name, EmbeddedKafka() as kafka:
        folder = Path(name)
        with options.log.open("w") as log:
            run = Run(kafka.bootstrap, kafka.nodes[0].pid or 0, folder, log)
            figures["systems"] = {}
            for key in (key for key in VARIANTS if key in chosen):
                print(f"— {key} —", flush=True)
                figures["systems"][key] = asyncio.run(measure(VARIANTS[key], run, sets, options.seconds))
                figures["systems"][key]["title"] = VARIANTS[key].title
            figures["crashes"] = {}
            crash_texts = sets["clinc150"] * (1 + options.crash_texts // len(sets["clinc150"]))
            for key in (key for key in CRASHES if key in chosen):
                print(f"— killed: {key} —", flush=True)
                texts = crash_texts[: options.crash_texts]
                rounds = asyncio.run(crash(CRASHES[key], run, texts, options.kills))
                figures["crashes"][key] = {"title": CRASHES[key].title, "per_s": CRASH_PER_S, "rounds": rounds}
    if "masking" in chosen:
        print("— masking and names —", flush=True)
        figures["masking"] = masking.measure(
            options.data, {of: texts[:FEWER] for of, texts in sets.items()}, options.rounds
        )
    write_json(options.json, figures)
    if not options.only:
        draw(figures, ROOT / "docs/images/peers.png")
        save("peers", figures)
    return 0


def _about(sets: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    machine = machine_facts(TASK)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    lengths = {name: statistics.fmean(len(text.split()) for text in texts) for name, texts in sets.items()}
    names = ("torch", "onnx", "mlserver", "presidio", "ctranslate2")
    wanted = ("torch", "transformers", "onnxruntime", "mlserver", "presidio-analyzer", "spacy", "ctranslate2")
    pinned = {name: version for each in names for name, version in versions(each).items() if name in wanted}
    return {
        "machine": machine,
        "commit": commit,
        "date": datetime.now(UTC).date().isoformat(),
        "words": lengths,
        "texts": {name: len(texts) for name, texts in sets.items()},
        "versions": pinned,
    }


if __name__ == "__main__":
    sys.exit(main())
