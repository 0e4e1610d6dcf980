"""The open texts that the recipe and the benchmark read: with and without personal data, in three languages."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PII = "pii/presidio_research/synth_dataset_v2.jsonl.gz"
FLORES = "mt/flores200_devtest_eval/devtest.en-{}.tsv.gz"
CLINC150 = "intent/clinc150/tsv/test.tsv"


@dataclass(frozen=True, slots=True)
class Annotated:
    """A text whose personal data is known."""

    text: str
    spans: tuple[tuple[int, int, str], ...]
    """Start, end, type."""
    template: int


def annotated(data: Path) -> list[Annotated]:
    """All of presidio-research, in its order."""
    rows: list[dict[str, Any]] = [json.loads(line) for line in _lines(data / PII)]
    return [
        Annotated(
            row["text"], tuple((span["start"], span["end"], span["type"]) for span in row["spans"]), row["template_id"]
        )
        for row in rows
    ]


def agreement_texts(data: Path) -> dict[str, list[str]]:
    """500 texts by origin: half of them full of personal data."""
    german, french = _lines(data / FLORES.format("de")), _lines(data / FLORES.format("fr"))
    return {
        "presidio-research": [row.text for row in annotated(data)[::6]],
        "CLINC150 test": [line.split("\t")[0] for line in _lines(data / CLINC150)[::90]],
        "FLORES en": [line.split("\t")[0] for line in german[::15]][:67],
        "FLORES de": [line.split("\t")[1] for line in german[5::15]][:67],
        "FLORES fr": [line.split("\t")[1] for line in french[10::15]][:66],
    }


def centring_texts(data: Path) -> list[str]:
    """250 texts, none of which agreement is measured on."""
    return [row.text for row in annotated(data)[3::6]]


def _lines(path: Path) -> list[str]:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    return text.rstrip("\n").split("\n")
