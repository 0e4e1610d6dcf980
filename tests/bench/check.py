"""Has a change cost speed? Ratios of one run against the committed ones: `make bench-check`.

    python -m tests.bench.check [--update]

Each figure is divided by one of a fixed workload that was measured beside it, so it holds on any machine, more or
less: `check_baseline.json` states the ratios and how much worse each may be. A ratio that is worse is measured once
more, with all others, and the better of both counts. Ends with 1 when one is still worse. Four minutes.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import ctranslate2
import numpy as np

from sprat_local.bench.measure import WARM_UP, Bench
from sprat_local.bench.open_loop import poisson_arrivals
from sprat_local.bench.options import bench_options
from sprat_local.bench.resources import ProcessMeter, meter_of
from sprat_local.bench.texts import BenchMessages, BenchText, load_texts
from sprat_local.installation.lifecycle import Installation
from sprat_privacy import Detector, NameDetector, mask
from sprat_privacy.detectors.name_context import NameContext
from sprat_privacy.detectors.tagger import Tagger
from sprat_privacy.detectors.validators.suite import Validators
from tests.bench.bare_model import BareModel
from tests.bench.floor import HOPS, BarePath
from tests.bench.peers.environments import ARTEFACT
from tests.bench.privacy_quality import ARTEFACT as TAGGER

BASELINE: Final = Path(__file__).with_name("check_baseline.json")
TASK: Final = "intent"
TEXTS: Final = 2000
"""In a backlog. Numbered, so that each is different."""
ROUNDS: Final = 3
HALF_LOAD_S: Final = 12.0
EQUAL_PER_S: Final = 60.0
"""Texts per second at which both ways are measured in turns …"""
EQUAL_S: Final = 6.0
"""… each for so many seconds a round."""
MASKED: Final = 400
BARE_TASKS: Final = {"intent": 2000, "ner": 800, "translation": 120}
"""Task → texts for its bare model."""

TITLES: Final = {
    "intent model": "CPU of the intent model ÷ a fixed encoder",
    "ner model": "CPU of the model of names ÷ a fixed encoder",
    "translation model": "CPU of the translation model ÷ a fixed encoder",
    "masking": "CPU of masking ÷ a fixed encoder",
    "service": "CPU of the intent service ÷ its bare model",
    "service's own work": "CPU of the intent service beyond its bare model ÷ fixed JSON",
    "router": "CPU of the router ÷ fixed JSON",
    "latency": "p50 at half load ÷ a fixed encoder",
    "service, few texts": "CPU of the intent service at 60 texts/s ÷ the bare path",
    "router, few texts": "CPU of the router at 60 texts/s ÷ the bare path",
    "latency beyond the floor": "p50 at 60 texts/s beyond the bare path's ÷ a fixed encoder",
}


@dataclass(frozen=True, slots=True)
class Allowed:
    """What is committed for one ratio."""

    value: float
    tolerance: float
    """Share by which it may be exceeded."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One ratio beside the committed one."""

    name: str
    measured: float
    committed: float
    tolerance: float

    @property
    def change(self) -> float:
        """Share by which the ratio differs from the committed one; positive is slower."""
        return self.measured / self.committed - 1

    @property
    def is_worse(self) -> bool:
        """Whether it exceeds what is allowed."""
        return self.change > self.tolerance

    @property
    def is_better(self) -> bool:
        """Whether it is so much faster that the committed ratio no longer protects it."""
        return self.change < -self.tolerance


def compare(measured: Mapping[str, float], baseline: Mapping[str, Allowed]) -> list[Verdict]:
    """Return a verdict on each ratio, in the order of the baseline.

    Raises:
        ValueError: one side has a ratio that the other lacks, or a ratio is no positive number.
    """
    if different := measured.keys() ^ baseline.keys():
        raise ValueError(f"measured or committed alone: {', '.join(sorted(different))}; run with --update")
    wrong = [name for name in measured if not (0 < measured[name] < float("inf") and baseline[name].value > 0)]
    if wrong:
        raise ValueError(f"not a positive number: {', '.join(wrong)}")
    return [Verdict(name, measured[name], allowed.value, allowed.tolerance) for name, allowed in baseline.items()]


def better_of(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    """Return the lower of two measurements of each ratio."""
    return {name: min(value, second[name]) for name, value in first.items()}


def table(verdicts: Sequence[Verdict]) -> str:
    """Return the verdicts in columns."""
    width = max(len(TITLES.get(each.name, each.name)) for each in verdicts)
    lines = [f"{'ratio':{width}}  measured  committed   change  allowed"]
    for each in verdicts:
        said = "WORSE" if each.is_worse else "better: --update" if each.is_better else "ok"
        lines.append(
            f"{TITLES.get(each.name, each.name):{width}}  {each.measured:8.3g}  {each.committed:9.3g}  "
            f"{each.change:+7.0%}  {each.tolerance:+7.0%}  {said}"
        )
    return "\n".join(lines)


def read_baseline(path: Path) -> dict[str, Allowed]:
    """Return the committed ratios."""
    return {name: Allowed(**each) for name, each in json.loads(path.read_text("utf-8")).items()}


def updated(baseline: Mapping[str, Allowed], measured: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return a baseline with the measured ratios; tolerances stay, a new ratio gets a quarter."""
    return {
        name: {"value": round(value, 4), "tolerance": baseline[name].tolerance if name in baseline else 0.25}
        for name, value in measured.items()
    }


def measure(folder: Path) -> dict[str, float]:
    """Return every ratio: the median of some rounds, each beside its fixed workload."""
    texts = numbered(TEXTS)
    encoder = fixed_encoder()
    models = {task: bare_model(task, count) for task, count in BARE_TASKS.items()}
    masking = masker()
    rounds: dict[str, list[float]] = {name: [] for name in TITLES}
    for _ in range(ROUNDS):
        for task in ("ner", "translation"):
            rounds[f"{task} model"].append(models[task]() / encoder())
        rounds["masking"].append(masking() / encoder())
    with Installation(bench_options(TASK, folder)) as installation:
        bare = BarePath(installation)
        asyncio.run(bare.create())
        with bare.hops() as hops:
            floor = bare, ProcessMeter(hops)
            asyncio.run(_through_the_stream(installation, floor, texts, models[TASK], encoder, rounds))
    return {name: statistics.median(values) for name, values in rounds.items()}


async def _through_the_stream(
    installation: Installation,
    floor: tuple[BarePath, ProcessMeter],
    texts: Sequence[BenchText],
    model: Callable[[], float],
    encoder: Callable[[], float],
    rounds: dict[str, list[float]],
) -> None:
    """Add the ratios of the intent model, the services, and their latency."""
    messages, meter = BenchMessages(texts, TASK, installation.models[TASK]), meter_of(installation)
    values = [each.value for each in messages.records(range(len(texts)))]
    bare, hops = floor
    saturation = []
    async with Bench(installation, TASK, messages) as bench:
        await bare.send(values[:WARM_UP], [0.0] * WARM_UP)
        for number in range(ROUNDS):
            backlog = await bench.measure_backlog(len(texts), meter)
            saturation.append(backlog.texts_per_s)
            model_s, json_s = await asyncio.to_thread(model), fixed_json()
            rounds["intent model"].append(model_s / encoder())
            service = backlog.cpu_s_per_1000(TASK)
            rounds["service"].append(service / model_s)
            rounds["service's own work"].append(max(service - model_s, 0.01) / json_s)
            rounds["router"].append(backlog.cpu_s_per_1000("router") / json_s)
            due = poisson_arrivals(EQUAL_PER_S, EQUAL_S, seed=number)
            before, least_ms = hops.cpu_s(), statistics.median(await bare.send(values[: len(due)], due))
            floor_s = used_since(before, hops.cpu_s(), *HOPS)
            before, load = meter.cpu_s(), await bench.send(due)
            rounds["service, few texts"].append(used_since(before, meter.cpu_s(), TASK) / floor_s)
            rounds["router, few texts"].append(used_since(before, meter.cpu_s(), "router") / floor_s)
            beyond_ms = 1000 * load.latency.p50 - least_ms
            rounds["latency beyond the floor"].append(max(beyond_ms, 0.1) / encoder())
        load = await bench.send(poisson_arrivals(statistics.median(saturation) / 2, HALF_LOAD_S))
    rounds["latency"].append(1000 * load.latency.p50 / encoder())


def used_since(before: Mapping[str, float], now: Mapping[str, float], *names: str) -> float:
    """Return the CPU seconds that these processes have used together."""
    return sum(now[name] - before[name] for name in names)


def bare_model(task: str, count: int) -> Callable[[], float]:
    """Return what measures CPU seconds of the bare model of a task for 1,000 of the demo's texts."""
    model = BareModel(task, load_texts(task) if task != TASK else numbered(count), {})
    return lambda: model.run(count=count).cpu_s_per_1000


def numbered(count: int) -> list[BenchText]:
    """Return so many different English texts of the demo."""
    texts = [text for text in load_texts(TASK) if text.language == "en"]
    return [BenchText(f"{texts[n % len(texts)].text} ({n + 1})", "en", None) for n in range(count)]


def fixed_encoder() -> Callable[[], float]:
    """Return what measures CPU seconds of CTranslate2 for 1,000 sequences of 12 fixed ids: its products alone."""
    model = ctranslate2.Encoder(str(ARTEFACT), device="cpu", inter_threads=1, intra_threads=1)
    ids = np.random.default_rng(0).integers(1000, 20_000, (1000, 12)).tolist()

    def cpu_s() -> float:
        began = time.process_time()
        for first in range(0, len(ids), 16):
            model.forward_batch(ids[first : first + 16])
        return time.process_time() - began

    cpu_s()
    return lambda: statistics.median(cpu_s() for _ in range(3))


def fixed_json() -> float:
    """Return the CPU seconds in which the standard library reads and writes 1,000 fixed records ten times."""
    record = {"text": "please move 100 euros to my savings", "tasks": {"intent": {}}, "scores": [0.1] * 8}
    lines = [json.dumps(record | {"id": number}) for number in range(1000)]

    def cpu_s() -> float:
        began = time.process_time()
        for _ in range(10):
            for line in lines:
                json.dumps(json.loads(line))
        return time.process_time() - began

    return statistics.median(cpu_s() for _ in range(3))


def masker() -> Callable[[], float]:
    """Return what measures CPU seconds of masking per 1,000 texts, each by itself, with all detectors."""
    tagger = Tagger.load(TAGGER)
    detectors: list[Detector] = [Validators(), NameDetector(tagger, tagger.card.languages), NameContext()]
    texts = [text.text for text in numbered(MASKED)]

    def cpu_s() -> float:
        began = time.process_time()
        for text in texts:
            mask(text, "en", detectors, validators_alone=("en",))
        return 1000 * (time.process_time() - began) / len(texts)

    cpu_s()
    return cpu_s


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and compare; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="commit to what is measured now")
    options = parser.parse_args(argv)
    began = time.monotonic()
    baseline = read_baseline(BASELINE) if BASELINE.is_file() else {}
    with tempfile.TemporaryDirectory() as name:
        measured = measure(Path(name))
        if options.update:
            BASELINE.write_text(json.dumps(updated(baseline, measured), indent=1) + "\n", "utf-8")
            print(f"written: {BASELINE.name}; {measured}")
            return 0
        verdicts = compare(measured, baseline)
        if any(each.is_worse for each in verdicts):
            print(f"{table(verdicts)}\n\nonce more, for a machine may be busy:", flush=True)
            verdicts = compare(better_of(measured, measure(Path(name))), baseline)
    print(table(verdicts))
    worse = [TITLES[each.name] for each in verdicts if each.is_worse]
    print(f"{time.monotonic() - began:.0f} s; " + (f"worse: {'; '.join(worse)}" if worse else "none is worse"))
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
