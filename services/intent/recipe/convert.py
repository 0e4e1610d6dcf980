"""The encoder of `en-fast`: the official float32 weights of all-MiniLM-L6-v2 to CTranslate2 int8, without torch."""

from pathlib import Path

from safetensors.numpy import load_file

from services.intent.recipe.source import fetch
from sprat_inference.converters.bert import BertShape, write_bert
from sprat_inference.encoder import SentenceEncoder

SHAPE = BertShape(layers=6, heads=12)
MAX_TOKENS = 128


def own_encoder(cache: Path, folder: Path) -> tuple[SentenceEncoder, None]:
    """Write `model.bin`, `config.json`, `vocabulary.json` and `tokenizer.json` into `folder`, and load them."""
    files = fetch(cache)
    write_bert(load_file(files["model.safetensors"]), SHAPE, files["tokenizer.json"], folder)
    return SentenceEncoder.load(folder, max_tokens=MAX_TOKENS), None
