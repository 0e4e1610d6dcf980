"""Files of labelled texts, and the errors of those that cannot be read."""

from pathlib import Path

import pytest

from sprat.base.errors import UserError
from sprat_training.datasets.columns import ColumnNames
from sprat_training.datasets.reader import read_labelled


def write_file(folder: Path, name: str, content: bytes | str) -> Path:
    """Write a file."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def error_of(path: Path, columns: ColumnNames | None = None) -> str:
    """Return the error of reading a file, without its path."""
    with pytest.raises(UserError) as caught:
        read_labelled(path, columns or ColumnNames())
    return str(caught.value).removeprefix(f"{path}: ")
