"""The public types hold for who uses them with mypy: `tests/typing` is read, not run."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_public_types_are_what_the_sample_says(tmp_path: Path) -> None:
    arguments = ["--cache-dir", str(tmp_path), "--warn-unused-ignores", "tests/typing"]
    command = [sys.executable, "-m", "mypy", *arguments]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
