"""Measure the shipped models and their lexical stages as committed: `make bench-models SPRAT_DATA=FOLDER`.

    python -m tests.bench.models --data DIR [--spacy PYTHON] [--task TASK]

Saves the figures, fills docs/benchmarks and draws the pictures; with --task those of one task alone. `PYTHON` is
the interpreter of an environment with spaCy (`spacy_ner_runner.py` says how to make it); without it the columns of
spaCy and the costs of both stay as they were measured last.
Exits 1 when a card states anything else than what is measured.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.bench import intent_quality, lexical_quality, ner_quality, translation_quality
from tests.bench.arguments import parser_of
from tests.bench.benchmarks_page import FIGURES, ROOT, read, save

Main = Callable[[Sequence[str]], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run, and return the exit code."""
    parser = parser_of(__doc__)
    parser.add_argument("--spacy", help="the interpreter of an environment with spaCy")
    parser.add_argument("--task", choices=("intent", "lexical", "ner", "translation"), help="measure this task alone")
    options = parser.parse_args(argv)
    spacy = ["--spacy", options.spacy] if options.spacy else []
    tasks: dict[str, tuple[Main, list[str]]] = {
        "intent": (intent_quality.main, []),
        "lexical": (lexical_quality.main, []),
        "ner": (ner_quality.main, spacy),
        "translation": (translation_quality.main, []),
    }
    before = read("models")
    figures: dict[str, Any] = dict(before) if options.task else {}
    codes: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        for task, (measure, more) in tasks.items():
            if options.task not in {None, task}:
                continue
            print(f"\n— {task} —", flush=True)
            file = Path(folder) / "figures.json"
            codes.append(measure(["--data", str(options.data), "--json", str(file), *more]))
            figures[task] = json.loads(file.read_text("utf-8"))
    if not options.spacy and options.task in {None, "ner"}:
        keep_rival(figures["ner"], before.get("ner", {}))
    save("models", figures)
    print(f"\nwritten: docs/benchmarks, {FIGURES.relative_to(ROOT)}/models.json")
    return max(codes)


def keep_rival(now: dict[str, Any], before: dict[str, Any]) -> None:
    """Copy spaCy's results of the last measurement, and the costs of both, which compare on one machine alone."""
    if "spacy" in before:
        now |= {"spacy": before["spacy"], "sprat": before["sprat"]}
    for name, each in before.get("sets", {}).items():
        if "spacy" in each and name in now["sets"]:
            now["sets"][name]["spacy"] = each["spacy"]


if __name__ == "__main__":
    sys.exit(main())
