"""Files with labels, made for a test, and what is said of those that cannot be read."""

from pathlib import Path

import pytest

from sprat.errors import UserError
from sprat_training.datasets.columns import Wanted
from sprat_training.datasets.reading import read_labelled


def made(folder: Path, name: str, content: bytes | str) -> Path:
    """Write a file."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(path: Path, wanted: Wanted | None = None) -> str:
    """Give what is said of a file, without its path."""
    with pytest.raises(UserError) as caught:
        read_labelled(path, wanted or Wanted())
    return str(caught.value).removeprefix(f"{path}: ")
