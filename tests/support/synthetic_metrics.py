"""An hour of plausible values of every metric in the registry, as OpenMetrics, and a Prometheus that serves it.

No figure in it was measured: it is there so that every query of every panel can be run without an installation.
"""

import contextlib
import math
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import httpx

from sprat.telemetry import attributes as a
from sprat.telemetry import signals as s
from sprat.telemetry.instruments import Attribute, Counter, Gauge, Histogram, Metric, UpDownCounter
from sprat_local.processes.ports import free_port

STEP = 15
"""Seconds between two samples."""

SPECIALISTS = {"sprat-intent": "intent", "sprat-ner": "ner", "sprat-translation": "translation"}
SERVICES = (*SPECIALISTS, "sprat-router", "sprat-frontier", "sprat-guardian")

VALUES: dict[str, tuple[str, ...]] = {
    "task": ("intent", "ner", "translation"),
    "tenant": ("acme-bank", "borealis", "default"),
    "language": ("en", "de", "fr"),
    "model": ("default",),
    "model_version": ("3f2a9c1d77e0",),
    "thresholds_version": ("1f0c77d2a9be4410",),
    "system": ("kafka",),
    "group": ("sprat.router", "sprat.frontier", *(f"sprat.{task}.default" for task in SPECIALISTS.values())),
    "destination": ("sprat.texts.v1", "sprat.predictions.intent.v1", "sprat.frontier.requests.v1"),
    "tier": ("house", "mistral"),
    "provider": ("mistral",),
    "request_model": ("mistral-small", "mistral-large"),
    "region": ("eu",),
    "type": ("PERSON", "IBAN", "EMAIL", "PHONE"),
    "version": ("0.1.0",),
    "database_operation": ("MGET", "SET"),
    "gen_ai_operation": ("chat",),
    "operation": ("process", "send", "commit"),
    "operation_type": ("process",),
    "method": ("GET", "POST"),
    "route": ("/v1/texts", "/v1/texts/{uuid}"),
    "http_result": ("200", "202", "429"),
    "cell": ("all", "acme-bank/de"),
}
"""Values of attributes that have none declared, or of which a few are enough."""

COMBINATIONS: dict[Metric, dict[tuple[str, ...], float]] = {
    s.PAIRS: {(): 1.0},
    s.RESULTS: {
        ("kept", "confident", "answered"): 0.92,
        ("escalated", "low_confidence", "answered"): 0.05,
        ("escalated", "declined", "answered"): 0.02,
        ("escalated", "low_confidence", "degraded"): 0.008,
        ("escalated", "declined", "unanswered"): 0.002,
    },
    s.RESULT_SECONDS: {("kept",): 0.92, ("escalated",): 0.08},
    s.CONFIDENCE: {("default", "3f2a9c1d77e0", "kept"): 0.92, ("default", "3f2a9c1d77e0", "escalated"): 0.06},
    s.NOT_MEASURED: {("default",): 0.02},
    s.POLICY_GOAL: {("0.97", "estimated"): 1.0},
    s.PREDICTIONS: {
        ("en", "none", "lexical"): 0.45,
        ("en", "none", "encoder"): 0.25,
        ("de", "none", "encoder"): 0.24,
        ("fr", "language", "none"): 0.05,
        ("fr", "none", "encoder"): 0.01,
    },
    s.ESCALATIONS: {
        ("answered", "none"): 0.065,
        ("stored", "none"): 0.003,
        ("coalesced", "none"): 0.002,
        ("declined", "policy"): 0.006,
        ("declined", "masking"): 0.001,
    },
    s.TIER_CASES: {
        ("house", "kept"): 0.05,
        ("house", "unsure"): 0.02,
        ("mistral", "kept"): 0.018,
        ("mistral", "provider"): 0.002,
    },
    s.CLIENT_SECONDS: {
        ("kafka", "send", "send", ""): 1.0,
        ("kafka", "commit", "settle", ""): 0.2,
        ("kafka", "send", "send", "NotEnoughReplicasError"): 0.01,
    },
    s.PROCESS_SECONDS: {
        ("kafka", "process", "sprat.texts.v1", "", ""): 1.0,
        ("kafka", "process", "sprat.texts.v1", "", "model_error"): 0.001,
    },
    s.SKIPPED: {("not_asked",): 0.6, ("older",): 0.01},
    s.DEAD_LETTERS: {("invalid_json",): 1.0, ("model_error",): 1.0},
    s.RETRIES: {("publish",): 1.0, ("provider_call",): 1.0},
}
"""The values that occur together, after task and tenant, with their share."""
ERRORS = {"": 1.0, "TimeoutError": 0.02}
RARE = {s.DEAD_LETTERS, s.RETRIES, s.REBALANCES}
PER_SECOND = {
    s.COST_EUR: 0.00008,
    s.OUTSIDE: 0.2,
    s.EGRESS_BYTES: 900.0,
    s.MODEL_TOKENS: 2_500.0,
    s.CPU_SECONDS: 0.4,
    s.MASKED_ITEMS: 0.3,
    s.REVIEWS_DRAWN: 0.002,
    s.REVIEWS_CLOSED: 0.002,
    s.REVIEWS_IGNORED: 0.001,
    s.EGRESS_CALLS: 0.35,
}
MEDIANS = {
    s.RESULT_SECONDS: 0.12,
    s.STAGE_SECONDS: 0.04,
    s.CONFIDENCE: 0.9,
    s.BATCH_SIZE: 18.0,
    s.PROVIDER_SECONDS: 0.8,
    s.TIER_SECONDS: 0.9,
    s.PROVIDER_TOKENS: 300.0,
    s.CLIENT_SECONDS: 0.02,
    s.PROCESS_SECONDS: 0.06,
    s.MODEL_SECONDS: 0.05,
    s.CACHE_SECONDS: 0.004,
    s.MASKING_SECONDS: 0.03,
    s.LOOP_LAG: 0.003,
}
"""Of histograms; without an entry, it is the boundary in the middle."""
LEVELS = {
    s.GUARDIAN_ALARMS: 1,
    s.GUARDIAN_EVIDENCE: 0.4,
    **dict.fromkeys((s.READY, s.KAFKA_REACHABLE, s.BUILD, s.POLICY_GOAL, s.THRESHOLDS, s.GROUP_MEMBERS), 1),
    s.MEMORY_BYTES: 210e6,
    s.HELD_BACK: 0,
}


def openmetrics(end: float, seconds: int = 3600, seed: int = 1) -> Iterator[str]:
    """Yield the lines of every metric over the time before `end`."""
    chance = random.Random(seed)
    times = range(int(end) - seconds, int(end) + 1, STEP)
    for metric in s.METRICS:
        family = metric.prometheus.removesuffix("_total")
        yield f"# TYPE {family} {metric.kind if metric.kind != UpDownCounter.kind else Gauge.kind}"
        for labels, part in _labels(metric):
            yield from _samples(metric, labels, part, times, chance)
    yield "# TYPE up gauge"
    for service, at in product(SERVICES, times):
        yield _line("up", {"service_name": service}, 1.0, at)
    yield "# EOF"


def _labels(metric: Metric) -> Iterator[tuple[dict[str, str], float]]:
    """Yield the labels of each series, with its share of the metric."""
    for service in _services(metric):
        model = {"sprat_model_name": "default"} if service in SPECIALISTS else {}
        whose = [each for each in metric.attributes if each in (a.TASK, a.TENANT)]
        rest = [each for each in metric.attributes if each not in (a.TASK, a.TENANT)]
        combined = COMBINATIONS.get(metric) or {
            values: ERRORS.get(values[-1], 1.0) if values else 1.0
            for values in product(*(_values(metric, attribute, service) for attribute in rest))
        }
        for owner in product(*(_values(metric, attribute, service) for attribute in whose)):
            for values, part in combined.items():
                pairs = zip([*whose, *rest], [*owner, *values], strict=True)
                own = {each.name.replace(".", "_"): value for each, value in pairs}
                # A label without a value is a label that is not there.
                yield {key: value for key, value in ({"service_name": service} | own | model).items() if value}, part


def _services(metric: Metric) -> tuple[str, ...]:
    router = (s.PAIRS, s.RESULTS, s.RESULT_SECONDS, s.CONFIDENCE, s.OUTSIDE, s.GROUP_LAG, s.GROUP_AGE)
    judging = (s.NOT_MEASURED, s.POLICY_GOAL)
    if metric in (*router, *judging, s.REVIEWS_DRAWN, s.GROUP_MEMBERS, s.HELD_BACK, s.KAFKA_REACHABLE):
        return ("sprat-router",)
    frontier = (s.ESCALATIONS, s.COST_EUR, s.PROVIDER_SECONDS, s.PROVIDER_TOKENS, s.BREAKER, s.EGRESS_CALLS)
    if metric in (*frontier, s.TIER_CASES, s.TIER_SECONDS, s.EGRESS_BYTES, s.MASKED_ITEMS, s.MASKING_SECONDS):
        return ("sprat-frontier",)
    if metric in (s.PREDICTIONS, s.STAGE_SECONDS, s.MODEL_SECONDS, s.MODEL_TOKENS, s.MODEL_TEXTS, s.THRESHOLDS):
        return tuple(SPECIALISTS)
    reviews = (s.REVIEWS_CLOSED, s.REVIEWS_OPEN, s.REVIEWS_IGNORED)
    if metric in (*reviews, s.GUARDIAN_ALARMS, s.GUARDIAN_EVIDENCE):
        return ("sprat-guardian",)
    return SERVICES


def _values(metric: Metric, attribute: Attribute, service: str) -> tuple[str, ...]:
    if attribute is a.TASK and service in SPECIALISTS:
        return (SPECIALISTS[service],)
    if attribute is a.GROUP and metric in (s.CONSUMED, s.BATCH_SIZE):
        return (service.replace("-", ".") + (".default" if service in SPECIALISTS else ""),)
    if metric is s.BUILD and attribute in (a.MODEL, a.MODEL_VERSION) and service not in SPECIALISTS:
        return ("",)
    if attribute is a.ERROR:
        return tuple(ERRORS)
    return VALUES.get(attribute.key) or tuple(map(str, attribute.values))


def _samples(metric: Metric, labels: dict[str, str], part: float, times: range, chance: random.Random) -> Iterator[str]:
    # As many Results as pairs, in each step: the promise.
    steady = metric in (s.PAIRS, s.RESULTS)
    phase, size = (0.0, 1.0) if steady else (chance.uniform(0, math.tau), chance.uniform(0.6, 1.4))

    def wave(at: int) -> float:
        return size * (1 + 0.3 * math.sin(phase + at / 500) + (0 if steady else chance.uniform(-0.08, 0.08)))

    if isinstance(metric, Histogram):
        yield from _histogram(metric, labels, part, times, wave)
    elif isinstance(metric, Counter):
        grown = 0.0
        for at in times:
            if metric in RARE:
                grown += chance.random() < 0.01
            else:
                grown += STEP * wave(at) * PER_SECOND.get(metric, 2.0) * part
            yield _line(metric.prometheus, labels, grown, at)
    else:
        assert isinstance(metric, Gauge)
        for at in times:
            level = LEVELS.get(metric)
            if metric is s.BREAKER:
                level = labels["sprat_breaker_state"] == "closed"
            value = 5 * wave(at) if level is None else level * (wave(at) if metric is s.MEMORY_BYTES else 1)
            yield _line(metric.prometheus, labels, float(value), at)


def _histogram(
    metric: Histogram, labels: dict[str, str], part: float, times: range, wave: Callable[[int], float]
) -> Iterator[str]:
    boundaries = metric.boundaries
    counts, total, summed = [0.0] * len(boundaries), 0.0, 0.0
    usual = MEDIANS.get(metric, boundaries[len(boundaries) // 2])
    for at in times:
        new, median = STEP * 2 * part, usual * wave(at)
        if metric is s.CONFIDENCE:
            median = min(usual * (0.9 + 0.1 * wave(at)), 0.97) - (0.3 if "escalated" in labels.values() else 0)
        total, summed = total + new, summed + new * median
        counts = [
            count + new / (1 + (median / boundary) ** (14 if metric is s.CONFIDENCE else 4))
            for count, boundary in zip(counts, boundaries, strict=True)
        ]
        if metric is s.CONFIDENCE:
            counts[-1] = total
        for boundary, count in zip(boundaries, counts, strict=True):
            yield _line(metric.prometheus + "_bucket", labels | {"le": str(float(boundary))}, count, at)
        yield _line(metric.prometheus + "_bucket", labels | {"le": "+Inf"}, total, at)
        yield _line(metric.prometheus + "_sum", labels, summed, at)
        yield _line(metric.prometheus + "_count", labels, total, at)


def _line(name: str, labels: dict[str, str], value: float, at: int) -> str:
    scraped = {"job": "sprat", "instance": labels["service_name"].removeprefix("sprat-")} | labels
    return name + "{" + ",".join(f'{key}="{label}"' for key, label in scraped.items()) + f"}} {value} {at}"


@contextlib.contextmanager
def prometheus(folder: Path, end: float, seconds: int = 3600) -> Iterator[str]:
    """Return the address of a Prometheus that has the time before `end`; it ends with the block."""
    source = folder / "metrics.txt"
    with source.open("w") as file:
        file.writelines(f"{line}\n" for line in openmetrics(end, seconds))
    data = folder / "data"
    made = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(source), str(data)]
    subprocess.run(made, check=True, capture_output=True)
    (folder / "prometheus.yml").write_text("{}")
    port = free_port()
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={data}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--storage.tsdb.retention.time=30d",
            "--log.level=error",
        ]
    )
    try:
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 30
        while not _ready(url):
            assert process.poll() is None, "Prometheus did not start"
            assert time.monotonic() < until, "Prometheus did not answer within 30 s"
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready").is_success
    except httpx.HTTPError:
        return False
