"""Measure what the detectors find of annotated personal data, compared with Presidio, and the cost of masking.

    python -m tests.bench.privacy_quality --data DIR [--presidio PYTHON] [--json FILE] [--save]

`PYTHON` is the interpreter of an environment with Presidio (see `presidio_runner.py`); without it Sprat is measured
alone. Texts: presidio-research, both files, odd template ids; the tagger's threshold was chosen on the even ones. Every
system reads the same texts, one at a time, on one thread, in alternating rounds; the median round counts. Times are CPU
times. Exits 1 if a target is missed and :data:`REASONS` has no reason.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recipes.privacy.sources import AnnotatedText
from sprat_policy import PatternRule, PrivacyPolicy, TermRule
from sprat_privacy import Detector, NameDetector, mask
from sprat_privacy.detectors.name_context import NameContext
from sprat_privacy.detectors.tagger import Tagger
from sprat_privacy.detectors.terms import Terms
from sprat_privacy.detectors.validators.suite import Validators
from tests.bench import privacy_tables as tables
from tests.bench.arguments import parser_of, write_json
from tests.bench.benchmarks_page import save
from tests.bench.privacy_scoring import CATEGORIES, Category, Span, outside, read, score

ROOT = Path(__file__).resolve().parents[2]
ARTEFACT = ROOT / "shared/privacy/src/sprat_privacy/artefacts/rampart"
RUNNER = Path(__file__).with_name("presidio_runner.py")

ROUNDS = 3
TIMES_AS_FAST = 3.0
"""Target: texts per CPU second of validators and tagger together, divided by Presidio's."""

REASONS: Mapping[str, str] = {
    "web address": "by design: public addresses stay; those that lead to a person are masked",
    "speed": "the tagger's encoder (6 layers, width 384) takes over four fifths of the time; Presidio's is smaller",
}
"""Target → why it is missed, if the reason is known and accepted."""

WORDS = {20: 200, 200: 60, 2_000: 40}
"""Words of a text → number of texts that are timed."""

POLICY = PrivacyPolicy(
    terms=(TermRule(type="PROJECT", words=tuple(f"Project Heron {number}" for number in range(100))),),
    patterns=(PatternRule(type="CUSTOMER", pattern="K-[0-9]{6}"),),
)
"""Terms and a pattern, so that masking is timed with all detectors."""


@dataclass(frozen=True, slots=True)
class DetectionRun:
    """What a system detected, and how fast."""

    found: Sequence[Sequence[Span]]
    per_cpu_second: float


def main(argv: Sequence[str] | None = None) -> int:
    """Run the measurement; return the exit code."""
    parser = parser_of(__doc__)
    parser.add_argument("--presidio", type=Path, help="the interpreter of an environment with Presidio")
    parser.add_argument("--artefact", type=Path, default=ARTEFACT)
    parser.add_argument("--save", action="store_true", help="save the figures and fill docs/benchmarks")
    options = parser.parse_args(argv)
    tagger = Tagger.load(options.artefact)
    figures = measure(read(options.data), tagger, options.presidio)
    figures["ms_per_text"] = cost(tagger, [row.text for row in read(options.data)])
    print(tables.privacy(figures))
    write_json(options.json, figures)
    if options.save:
        save("privacy", figures)
    unexplained = [aim["what"] for aim in figures["aims"] if not aim["met"] and not aim["reason"]]
    for what in unexplained:
        print(f"missed without a known reason: {what}")
    return 1 if unexplained else 0


def measure(rows: Sequence[AnnotatedText], tagger: Tagger, presidio: Path | None) -> dict[str, Any]:
    """Return every system's figures by category, and which targets are met."""
    outcomes, facts = run_all(rows, tagger, presidio)
    systems: dict[str, Any] = {}
    for name, outcome in outcomes.items():
        counts = score(rows, outcome.found, "presidio" if name == "presidio" else "sprat")
        systems[name] = {
            "kinds": {category: each.figures() for category, each in counts.items()},
            "masked_but_not_annotated": outside(rows, outcome.found),
            "texts_per_cpu_second": outcome.per_cpu_second,
        }
    figures = {"texts": len(rows), "tagger": tagger.card.version, "systems": systems, "presidio": facts}
    in_one = statistics.median(in_one_call(rows, tagger) for _ in range(ROUNDS))
    return figures | {"aims": aims(systems) if presidio else [], "in_one_call": in_one}


def run_all(
    rows: Sequence[AnnotatedText], tagger: Tagger, presidio: Path | None
) -> tuple[dict[str, DetectionRun], dict[str, Any]]:
    """Return each system's outcome, and Presidio's entities and versions."""
    names = NameDetector(tagger, tagger.card.languages)
    ours: dict[str, list[Detector]] = {
        "validators": [Validators()],
        "tagger": [names],
        "both": [Validators(), names, NameContext()],
    }
    rounds: dict[str, list[DetectionRun]] = {}
    facts: dict[str, Any] = {}
    for _ in range(ROUNDS):
        for name, detectors in ours.items():
            rounds.setdefault(name, []).append(run_sprat(rows, detectors))
        if presidio:
            outcome, facts = run_presidio(rows, presidio)
            rounds.setdefault("presidio", []).append(outcome)
    outcomes = {
        name: DetectionRun(some[0].found, statistics.median(each.per_cpu_second for each in some))
        for name, some in rounds.items()
    }
    return outcomes, facts


def run_sprat(rows: Sequence[AnnotatedText], detectors: Sequence[Detector]) -> DetectionRun:
    """Mask each text with these detectors alone."""
    start = time.process_time()
    results = [mask(row.text, "en", detectors, validators_alone=("en",)) for row in rows]
    spent = time.process_time() - start
    found = [[(span.start, span.end, span.type) for span in result.spans] for result in results]
    return DetectionRun(found, len(rows) / spent)


def run_presidio(rows: Sequence[AnnotatedText], python: Path) -> tuple[DetectionRun, dict[str, Any]]:
    """Return all that Presidio detects in each text, whatever the score, and its entities and versions."""
    lines_in = "".join(json.dumps({"text": row.text}) + "\n" for row in rows)
    # Presidio has an environment of its own: this one's path must not reach it.
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    out = subprocess.run([python, RUNNER], input=lines_in, env=own, check=True, stdout=subprocess.PIPE, text=True)
    *lines, last = map(json.loads, out.stdout.splitlines())
    found = [[(start, end, type) for start, end, type in line["spans"]] for line in lines]
    return DetectionRun(found, last["texts"] / last["cpu_s"]), {name: last[name] for name in ("entities", "versions")}


def aims(systems: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one entry for each annotated category that both claim to find, and one for the speed."""
    found = [_aim(category, systems) for category in CATEGORIES if category.sprat and category.presidio]
    ratio = systems["both"]["texts_per_cpu_second"] / systems["presidio"]["texts_per_cpu_second"]
    met = ratio >= TIMES_AS_FAST
    speed = {"what": "speed", "met": met, "ratio": ratio, "reason": None if met else REASONS.get("speed")}
    return [*(aim for aim in found if aim is not None), speed]


def _aim(category: Category, systems: Mapping[str, Any]) -> dict[str, Any] | None:
    ours, theirs = (systems[name]["kinds"][category.name]["recall"] for name in ("both", "presidio"))
    if ours is None or theirs is None:
        return None
    return {
        "what": category.name,
        "met": ours >= theirs,
        "reason": None if ours >= theirs else REASONS.get(category.name),
    }


def in_one_call(rows: Sequence[AnnotatedText], tagger: Tagger) -> float:
    """Return texts per CPU second of the tagger when it gets all texts in one call, with full batches."""
    start = time.process_time()
    tagger.find_many([row.text for row in rows])
    return len(rows) / (time.process_time() - start)


def cost(tagger: Tagger, texts: Sequence[str]) -> dict[int, tuple[float, float]]:
    """Return by words of a text the CPU milliseconds to mask it with all detectors, median and 95th percentile."""
    detectors: list[Detector] = [
        Validators(),
        Terms.of(POLICY),
        NameDetector(tagger, tagger.card.languages),
        NameContext(),
    ]
    stream = " ".join(texts).split()
    found: dict[int, tuple[float, float]] = {}
    for words, count in WORDS.items():
        spent: list[float] = []
        for place in range(count):
            first = place * words % (len(stream) - words)
            piece = " ".join(stream[first : first + words])
            start = time.process_time()
            mask(piece, "en", detectors)
            spent.append(1e3 * (time.process_time() - start))
        found[words] = (float(np.percentile(spent, 50)), float(np.percentile(spent, 95)))
    return found


if __name__ == "__main__":
    sys.exit(main())
