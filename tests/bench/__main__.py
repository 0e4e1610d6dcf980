"""All measurements of the README's table, one after the other: `make bench SPRAT_DATA=FOLDER`. About six minutes."""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench import installation, intent_quality, stream_cost


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("SPRAT_DATA"), help="folder of evaluation data")
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args()
    if arguments.data is None:
        print("SPRAT_DATA names no folder of evaluation data: make bench SPRAT_DATA=FOLDER", file=sys.stderr)
        return 2
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        print("— intent quality —", flush=True)
        quality = Path(folder) / "quality.json"
        code = intent_quality.main(["--data", str(arguments.data), "--json", str(quality)])
        figures["intent_quality"] = json.loads(quality.read_text())
        print("\n— cold start, memory, idle —", flush=True)
        figures["installation"] = installation.measure(3)
        print("\n— CPU of the service against the bare model —", flush=True)
        texts = stream_cost.clinc150_texts(arguments.data)
        figures["stream_cost"] = stream_cost.measure(texts, 5, Path(folder))
        print(f"median ratio {figures['stream_cost']['ratio']:.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))
    return code


if __name__ == "__main__":
    sys.exit(main())
