"""Measure all but the models, one after the other: `make bench SPRAT_DATA=FOLDER`. About nine minutes.

Saves the figures and fills docs/benchmarks; those of the privacy package only beside Presidio's.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.bench import (
    installation,
    intent_quality,
    masked_queries,
    privacy_quality,
    stream_cost,
    surname_quality,
    tagger_agreement,
)
from tests.bench.benchmarks_page import save

Main = Callable[[Sequence[str]], int]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("SPRAT_DATA"), help="folder of evaluation data")
    parser.add_argument("--presidio", help="the interpreter of an environment with Presidio, to measure beside it")
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args()
    if arguments.data is None:
        print("SPRAT_DATA names no folder of evaluation data: make bench SPRAT_DATA=FOLDER", file=sys.stderr)
        return 2
    presidio = ["--presidio", arguments.presidio, "--save"] if arguments.presidio else []
    by_themselves: dict[str, tuple[Main, list[str]]] = {
        "intent quality": (intent_quality.main, []),
        "the tagger against its original": (tagger_agreement.main, []),
        "what the perimeter finds": (privacy_quality.main, presidio),
    }
    figures: dict[str, Any] = {}
    codes: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        for title, (measure, more) in by_themselves.items():
            print(f"\n— {title} —", flush=True)
            file = Path(folder) / "figures.json"
            codes.append(measure(["--data", str(arguments.data), "--json", str(file), *more]))
            figures[measure.__module__.rpartition(".")[2]] = json.loads(file.read_text())
        print("\n— surnames —", flush=True)
        codes.append(surname_quality.main(["--save"]))
        print("\n— plain queries, compounds —", flush=True)
        codes.append(masked_queries.main(["--data", str(arguments.data), "--save"]))
        print("\n— cold start, memory, idle —", flush=True)
        figures["installation"] = installation.measure(3)
        print("\n— CPU of the service against the bare model —", flush=True)
        texts = stream_cost.clinc150_texts(arguments.data)
        figures["stream_cost"] = stream_cost.measure(texts, 5, Path(folder))
        print(f"median ratio {figures['stream_cost']['ratio']:.2f}")
    save("agreement", figures["tagger_agreement"])
    save("machine", figures["installation"] | {"stream_cost": figures["stream_cost"]})
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
