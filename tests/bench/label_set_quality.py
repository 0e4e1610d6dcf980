"""Measure `sprat train multi-label` on texts with zero to three labels, joined from queries of CLINC150.

    python -m tests.bench.label_set_quality --data DIR

3,000 rows to train on from the train part, 1,500 to test on from the test part: a fifth of them with no label, two
fifths with one, three tenths with two, a tenth with three of 20 intents, in any order; in three tenths, and in all
without a label, stands a query of 20 other intents.
"""

import csv
import json
import random
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sprat_training.datasets.config import TrainingConfig, no_progress
from sprat_training.train import train
from tests.bench.arguments import parser_of

KNOWN = OTHERS = 20
ROWS = {"train": 3_000, "test": 1_500}
GOAL = 0.95
_COUNTS = (0.2, 0.4, 0.3, 0.1)
"""Shares of rows with so many labels."""
_OTHER = 0.3
_BETWEEN = ("; ", " and ", ". ")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the measurement; return the exit code."""
    parser = parser_of(__doc__)
    print(json.dumps(measure(parser.parse_args(argv).data), indent=1))
    return 0


def measure(data: Path) -> dict[str, Any]:
    """Return the figures of the training, and of the test."""
    queries = {part: _queries(data / f"intent/clinc150/tsv/{part}.tsv") for part in ROWS}
    choice = random.Random(1)
    intents = sorted(queries["train"])
    choice.shuffle(intents)
    known, others = intents[:KNOWN], intents[KNOWN : KNOWN + OTHERS]
    with tempfile.TemporaryDirectory(prefix="sprat-bench-") as folder:
        files = {part: Path(folder) / f"{part}.csv" for part in ROWS}
        for part, count in ROWS.items():
            rows = [_row(choice, queries[part], known, others) for _ in range(count)]
            with files[part].open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([("text", "labels"), *rows])
        config = TrainingConfig(
            files=(files["train"],),
            output=Path(folder) / "model",
            name="label-sets",
            test_file=files["test"],
            goal=GOAL,
        )
        result = train(config, no_progress, several=True)
    at_goal = {"held_out": result.decision.new, "test": result.test_at_goal}
    figures = {"held_out": result.held_out, "test": result.test}
    return {
        name: {
            "texts": of.texts,
            "right": of.accuracy.value,
            "macro_f1": of.macro_f1,
            "kept_share": version.all.kept_share,
            "kept_right": version.all.right_of_kept,
        }
        for (name, of), version in zip(figures.items(), at_goal.values(), strict=True)
        if of is not None and version is not None
    }


def _queries(path: Path) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for line in path.read_text("utf-8").splitlines():
        text, intent = line.split("\t")
        found[intent].append(text)
    found.pop("oos", None)
    return found


def _row(
    choice: random.Random, queries: Mapping[str, list[str]], known: Sequence[str], others: Sequence[str]
) -> tuple[str, str]:
    labels = choice.sample(known, choice.choices(range(len(_COUNTS)), _COUNTS)[0])
    parts = [choice.choice(queries[label]) for label in labels]
    if not labels or choice.random() < _OTHER:
        parts.append(choice.choice(queries[choice.choice(others)]))
    choice.shuffle(parts)
    return choice.choice(_BETWEEN).join(parts), "|".join(labels)


if __name__ == "__main__":
    raise SystemExit(main())
