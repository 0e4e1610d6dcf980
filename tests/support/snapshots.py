"""What is printed for people, compared with a file of `tests/data/snapshots`: each sentence stands there once."""

import os
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[1] / "data" / "snapshots"
WRITE: Final = "SPRAT_TEST_WRITE_SNAPSHOTS"
"""Variable with which a test run writes the files; look then at what `git diff` shows."""


def matches_snapshot(name: str, said: str) -> bool:
    """Return whether a text is that of the file with this name."""
    path = FOLDER / f"{name}.txt"
    if os.environ.get(WRITE):
        path.write_text(said, encoding="utf-8")
    assert said == path.read_text("utf-8")
    return True
