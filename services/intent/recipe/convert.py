"""The official float32 weights of all-MiniLM-L6-v2 to a CTranslate2 int8 encoder, without torch."""

from pathlib import Path

from safetensors.numpy import load_file

from sprat.models.bert import Shape, write_bert

SHAPE = Shape(layers=6, heads=12)


def convert(safetensors: Path, tokenizer: Path, folder: Path) -> None:
    """Write `model.bin`, `config.json`, `vocabulary.json` and `tokenizer.json` into `folder`, which must exist."""
    write_bert(load_file(safetensors), SHAPE, tokenizer, folder)
