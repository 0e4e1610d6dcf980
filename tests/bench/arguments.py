"""What every measurement is asked on its command line: the folder of open data, and a file for the figures."""

import argparse
import json
import os
from pathlib import Path
from typing import Any


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with `--data` (or `SPRAT_DATA`) and `--json`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("SPRAT_DATA")
    parser.add_argument("--data", type=Path, default=data, required=data is None, help="the folder of open data")
    parser.add_argument("--json", type=Path, help="write the figures here, for machines")
    return parser


def write_json(file: Path | None, figures: Any) -> None:
    """Write the figures to the file, where `--json` names one."""
    if file:
        file.write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
