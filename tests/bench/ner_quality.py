"""Measure the committed NER model and spaCy's small English model on open test sets: quality and cost.

    python tests/bench/ner_quality.py --data DIR [--spacy PYTHON] [--json FILE]      (or SPRAT_DATA=DIR)

`PYTHON` is the interpreter of an environment with spaCy (`spacy_ner_runner.py` says how to make it); without it Sprat
is measured alone. Figures are entity micro-F1 by seqeval over PER, ORG and LOC, exact spans. Times are CPU time of one
thread on the UNER-EWT test texts in batches of 256, the best of rounds that take turns; they compare on one machine
alone. Exits 1 when an aim is missed, or when the card states anything else than what is measured.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqeval.metrics import f1_score

from recipes.ner.gold import Sentence
from recipes.ner.quality import ReadSentence, canonical
from recipes.ner.scores import GERMAN, NAMES, measure, read_tests
from sprat_inference.card import Score
from sprat_inference.processor import PINS
from sprat_ner.model import NerModel
from tests.bench.arguments import parser_of

ROOT = Path(__file__).resolve().parents[2]
ARTEFACT = ROOT / "services/ner/src/sprat_ner/artefacts/default"
GERMAN_SENTENCES = ROOT / "tests/data/ner_de.jsonl"
HERE = Path(__file__).parent

TIMED = "uner_ewt"
ROUNDS = 3
AHEAD = 0.03
"""Target: F1 above spaCy's by this much on every English set …"""
CPU = 1.0
"""… at no more than its CPU time."""
CARD_TOLERANCE = 0.005
"""int8 products are rounded differently on other processors: a few names may differ."""

Labels = list[list[str]]


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of processing the timed texts once."""

    texts_per_s: float
    rss_mib: float


@dataclass(slots=True)
class Rival:
    """The results of spaCy."""

    labels: dict[str, Labels] = field(default_factory=dict)
    cost: Cost | None = None
    versions: dict[str, str] = field(default_factory=dict)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, and return the exit code."""
    parser = parser_of(__doc__)
    parser.add_argument("--spacy", type=Path, help="the interpreter of an environment with spaCy")
    parser.add_argument("--artefact", type=Path, default=ARTEFACT)
    options = parser.parse_args(argv)
    tests = read_tests(options.data, GERMAN_SENTENCES)
    model = NerModel.load(options.artefact)
    scores, seen = measure(model, tests)
    own, rival = costs(options, tests)
    figures = compared(tests, seen, own, rival)
    complaints = [*missed(figures), *strayed(scores, model.card.scores)]
    print(f"ner/{model.card.name}, version {model.card.version}, keep_at {model.card.keep_at}")
    print(table(figures))
    print("\n".join(f"{score.name:24}{score.value:8.4f}" for score in scores if not score.name.startswith("f1_")))
    print("\n".join(complaints) or "All aims are met, and the card says the same.")
    if options.json:
        figures |= {
            "model": model.card.name,
            "version": model.card.version,
            "keep_at": model.card.keep_at,
            "keep_at_by_language": model.card.keep_at_by_language,
            "scores": {score.name: {"value": score.value, "protocol": score.protocol} for score in scores},
            "missed": complaints,
        }
        options.json.write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return 1 if complaints else 0


def costs(options: argparse.Namespace, tests: Mapping[str, list[Sentence]]) -> tuple[Cost, Rival | None]:
    """Time both alternately, each in its own processes; spaCy's labels are those of its first run."""
    timed = tests[TIMED]
    lines = "".join(json.dumps({"text": sentence.text}) + "\n" for sentence in timed)
    own, other = [], []
    rival = run_spacy(options.spacy, tests) if options.spacy else None
    for _ in range(ROUNDS):
        own.append(run([sys.executable, str(HERE / "ner_speed_runner.py"), str(options.artefact), "1"], lines)[-1])
        if options.spacy:
            other.append(run(spacy_command(options.spacy, 1), spacy_lines(timed))[-1])
    if rival is not None:
        rival.cost = cost(other, len(timed))
    return cost(own, len(timed)), rival


def cost(rounds: Sequence[Mapping[str, Any]], texts: int) -> Cost:
    """Return the best speed and the largest memory of all rounds."""
    return Cost(texts / min(min(each["cpu_s"]) for each in rounds), max(each["rss_mib"] for each in rounds))


def run_spacy(python: Path, tests: Mapping[str, list[Sentence]]) -> Rival:
    """Run spaCy on every set."""
    sentences = [sentence for each in tests.values() for sentence in each]
    *rows, last = run(spacy_command(python, 0), spacy_lines(sentences))
    rival = Rival(versions=last["versions"])
    given = iter(rows)
    for name, each in tests.items():
        rival.labels[name] = [labelled(len(sentence.labels), next(given)["names"]) for sentence in each]
    return rival


def spacy_command(python: Path, rounds: int) -> list[str]:
    """Return the command that runs spaCy."""
    return [str(python), str(HERE / "spacy_ner_runner.py"), str(rounds)]


def spacy_lines(sentences: Sequence[Sentence]) -> str:
    """Return the input of spaCy."""
    lines = []
    for sentence in sentences:
        spaces = [sentence.text[end : end + 1].isspace() for _, end in sentence.bounds]
        lines.append(json.dumps({"words": sentence.words, "spaces": spaces}) + "\n")
    return "".join(lines)


def labelled(words: int, names: Sequence[tuple[int, int, str]]) -> list[str]:
    """Return the IOB2 labels of names, which are given by their first and last word."""
    labels = ["O"] * words
    for first, last, type in names:
        labels[first : last + 1] = [f"B-{type}", *[f"I-{type}"] * (last - first)]
    return labels


def run(command: Sequence[str], lines: str) -> list[Any]:
    """Run a program on one thread, and return the JSON lines that it writes."""
    environment = {**os.environ, **PINS}
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True, env=environment)
    return [json.loads(line) for line in done.stdout.splitlines()]


def compared(
    tests: Mapping[str, list[Sentence]], seen: Mapping[str, ReadSentence], own: Cost, rival: Rival | None
) -> dict[str, Any]:
    """Return all scores by set, and the costs."""
    sets = {}
    for name, each in seen.items():
        gold = [list(canonical(sentence.labels)) for sentence in tests[name]]
        sets[name] = {"what": NAMES[name], "texts": len(gold), "sprat": f1(gold, [list(row) for row in each.given])}
        if rival is not None and name != GERMAN:
            sets[name]["spacy"] = f1(gold, rival.labels[name])
    figures: dict[str, Any] = {"sets": sets, "sprat": {"texts_per_s": own.texts_per_s, "rss_mib": own.rss_mib}}
    if rival is not None and rival.cost is not None:
        figures["spacy"] = {
            "texts_per_s": rival.cost.texts_per_s,
            "rss_mib": rival.cost.rss_mib,
            "versions": rival.versions,
        }
    return figures


def f1(gold: Labels, given: Labels) -> float:
    """Return the entity micro-F1."""
    return float(f1_score(gold, given))


def table(figures: Mapping[str, Any]) -> str:
    """Return one line per set, and one for speed and memory."""
    lines = [f"{'F1, exact spans':50}{'Sprat':>8}{'spaCy sm':>10}"]
    for each in figures["sets"].values():
        other = f"{100 * each['spacy']:10.1f}" if "spacy" in each else ""
        lines += [f"{each['what']:50}{100 * each['sprat']:8.1f}{other}"]
    for what, key in (("texts per CPU second (UNER-EWT)", "texts_per_s"), ("memory of the process, MiB", "rss_mib")):
        other = f"{figures['spacy'][key]:10.0f}" if "spacy" in figures else ""
        lines.append(f"{what:50}{figures['sprat'][key]:8.0f}{other}")
    return "\n".join(lines)


def missed(figures: Mapping[str, Any]) -> list[str]:
    """Return one line per missed target."""
    if "spacy" not in figures:
        return []
    low = [
        f"{name}: {each['sprat']:.3f}, spaCy {each['spacy']:.3f}: less than {AHEAD} ahead"
        for name, each in figures["sets"].items()
        if "spacy" in each and each["sprat"] < each["spacy"] + AHEAD
    ]
    ratio = figures["spacy"]["texts_per_s"] / figures["sprat"]["texts_per_s"]
    return low + ([f"takes {ratio:.2f} times spaCy's CPU time"] if ratio > CPU else [])


def strayed(measured: Sequence[Score], stated: Sequence[Score]) -> list[str]:
    """Return one line per score that differs from the card."""
    card = {score.name: score.value for score in stated}
    return [
        f"{score.name}: the card says {card.get(score.name)}, measured {score.value}"
        for score in measured
        if abs(card.get(score.name, float("inf")) - score.value) > CARD_TOLERANCE
    ]


if __name__ == "__main__":
    sys.exit(main())
