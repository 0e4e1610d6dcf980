"""Measure the detector of languages: how often it is right, how sure, and what it costs.

    python -m tests.bench.language_quality --data FOLDER [--detectors PYTHON --fasttext lid.176.ftz] [--fit] [--save]

Texts: `tests/data/language_texts.tsv` and `encoder_texts.tsv`, lines with an odd number, and of the open data CLINC150
and Tatoeba. `--fit` fits the confidence to the lines with an even number and the first one to four words of each, and
prints it. `PYTHON` is the interpreter of an environment with other libraries; `language_runner.py` says how to make it.
"""

import argparse
import gzip
import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from sprat_langid import INTERCEPT, LANGUAGES, LEAST_CONFIDENCE, SLOPE, VERSION, classifier, detect
from tests.bench import language_runner
from tests.bench.benchmarks_page import ROOT, save

Row = tuple[str, str, str]
"""Data, language, text."""
OURS = "Sprat"
OWN = "written for Sprat"
WORDS = {"1–3 words": (1, 3), "4–8 words": (4, 8), "9 words and more": (9, 10**6)}
BINS = 15
_DRAWN = 2_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("SPRAT_DATA"), help="folder of evaluation data")
    parser.add_argument("--detectors", help="the interpreter of an environment with other libraries")
    parser.add_argument("--fasttext", help="the file lid.176.ftz")
    parser.add_argument("--fit", action="store_true", help="fit the confidence, and measure nothing")
    parser.add_argument("--save", action="store_true", help="save the figures, fill docs/benchmarks")
    options = parser.parse_args(argv)
    if options.fit:
        slope, intercept = fitted(beginnings(own(odd=False)))
        print(f"SLOPE {slope:.4f} (now {SLOPE}), INTERCEPT {intercept:.4f} (now {INTERCEPT})")
        return 0
    if options.data is None:
        print("SPRAT_DATA names no folder of evaluation data", file=sys.stderr)
        return 2
    rows = [*own(odd=True), *open_data(Path(options.data))]
    figures = measure(rows, options.detectors, options.fasttext)
    print(json.dumps(figures, ensure_ascii=False, indent=1))
    if options.save:
        save("languages", figures)
    return 0


def own(*, odd: bool) -> list[Row]:
    """Return one half of the texts that were written for Sprat; lines are counted from 1."""
    rows = []
    for name in ("language_texts", "encoder_texts"):
        lines = (ROOT / f"tests/data/{name}.tsv").read_text("utf-8").splitlines()
        rows += [(OWN, *line.split("\t")) for line in lines[0 if odd else 1 :: 2]]
    return [(data, language, text) for data, language, text in rows]


def open_data(folder: Path) -> list[Row]:
    """Return English, German and French texts of the open data, drawn with a fixed seed."""
    clinc = (folder / "intent/clinc150/tsv/test.tsv").read_text("utf-8").splitlines()
    rows = [("CLINC150", "en", line.split("\t")[0]) for line in clinc]
    for other in ("de", "fr"):
        with gzip.open(folder / f"mt/tatoeba/test_v2020-07-28.en-{other}.tsv.gz", "rt", encoding="utf-8") as file:
            pairs = [line.rstrip("\n").split("\t") for line in file]
        drawn = random.Random(7).sample(pairs, _DRAWN)
        rows += [("Tatoeba", other, pair[1]) for pair in drawn]
        rows += [("Tatoeba", "en", pair[0]) for pair in drawn] if other == "de" else []
    return rows


def beginnings(rows: Iterable[Row]) -> list[Row]:
    """Return the texts and the first one to four words of each, every text once."""
    found = {}
    for data, language, text in rows:
        words = text.split()
        for count in (1, 2, 3, 4, len(words)):
            found[language, " ".join(words[:count])] = (data, language, " ".join(words[:count]))
    return list(found.values())


def measure(rows: Sequence[Row], detectors: str | None, fasttext: str | None) -> dict[str, Any]:
    """Return the figures: right answers by data and length, confidence, cost."""
    texts = [text for *_, text in rows]
    guesses = [detect(text) for text in texts]
    mine = alone([sys.executable, "-m", "tests.bench.language_quality", "--cost"], texts)
    libraries = {OURS: mine | {"versions": {"detector": VERSION}}}
    if detectors:
        known = ",".join(LANGUAGES)
        runner = str(Path(language_runner.__file__))
        for name in language_runner.LIBRARIES:
            libraries[name] = alone([detectors, runner, name, known, *([fasttext] if fasttext else [])], texts)
    if mine["answers"] != [guess.language or "" for guess in guesses]:
        raise RuntimeError("two processes detect different languages")
    right = {
        name: [got == row[1] for got, row in zip(each["answers"], rows, strict=True)]
        for name, each in libraries.items()
    }
    short = beginnings(row for row in rows if row[0] == OWN)
    return {
        "detector": VERSION,
        "right": list(by_length(rows, right)),
        "confidence": {
            "texts written for Sprat": certainty(own(odd=True)),
            "their first one to four words, too": certainty(short),
            "CLINC150 and Tatoeba": certainty([row for row in rows if row[0] != OWN]),
        },
        "cost": {
            name: {key: each[key] for key in ("us", "load_s", "rss_mib", "versions")}
            for name, each in libraries.items()
        },
    }


def alone(command: Sequence[str], texts: Sequence[str]) -> dict[str, Any]:
    """Detect in a process of its own, with one thread."""
    single = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=True, env=single)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def by_length(rows: Sequence[Row], right: Mapping[str, Sequence[bool]]) -> Iterable[dict[str, Any]]:
    """Yield for each data and length how many texts there are, and how many each library has right."""
    for data, _ in groupby(sorted({row[0] for row in rows}, key=[row[0] for row in rows].index)):
        for words, (least, most) in WORDS.items():
            chosen = [n for n, row in enumerate(rows) if row[0] == data and least <= len(row[2].split()) <= most]
            if chosen:
                languages = sorted({rows[n][1] for n in chosen})
                counts = {name: sum(oks[n] for n in chosen) for name, oks in right.items()}
                yield {"data": data, "words": words, "languages": languages, "texts": len(chosen), "right": counts}


def certainty(rows: Sequence[Row]) -> dict[str, float]:
    """Return how well the confidence says how often the detected language is right."""
    guesses = [detect(text) for *_, text in rows]
    sure = np.array([guess.confidence for guess in guesses])
    ok = np.array([guess.language == row[1] for guess, row in zip(guesses, rows, strict=True)])
    taken = sure >= LEAST_CONFIDENCE
    places = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = [abs(ok[places == n].mean() - sure[places == n].mean()) * (places == n).mean() for n in set(places.tolist())]
    return {
        "texts": len(rows),
        "right": float(ok.mean()),
        "ece": float(sum(gaps)),
        "taken": float(taken.mean()),
        "taken_right": float(ok[taken].mean()),
    }


def fitted(rows: Sequence[Row]) -> tuple[float, float]:
    """Return slope and intercept of the log-odds, by logistic regression on what py3langid itself says."""
    best = [classifier().rank(text)[0] for *_, text in rows]
    shares = np.clip([share for _, share in best], 1e-6, 1 - 1e-6)
    raw = np.log(shares / (1 - shares))
    ok = np.array([got == row[1] for (got, _), row in zip(best, rows, strict=True)], float)
    parameters = np.array([1.0, 0.0])
    design = np.stack([raw, np.ones_like(raw)], axis=1)
    for _ in range(50):
        chance = 1 / (1 + np.exp(-design @ parameters))
        step = np.linalg.solve((design.T * (chance * (1 - chance))) @ design, design.T @ (ok - chance))
        parameters = parameters + step
        if math.isclose(float(abs(step).max()), 0, abs_tol=1e-9):
            break
    return float(parameters[0]), float(parameters[1])


if __name__ == "__main__":
    if sys.argv[1:] == ["--cost"]:
        json.dump(
            language_runner.measured(lambda: lambda text: detect(text).language or "", json.load(sys.stdin)), sys.stdout
        )
        sys.exit(0)
    sys.exit(main())
