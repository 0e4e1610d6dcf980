"""Two encoders side by side: what counts as empty and as cut off, and what the card of the two says."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sprat_encoder import pair
from sprat_encoder.pair import PAIR, EncoderPair, describe
from sprat_inference.artefact import BrokenArtefact, write_part
from sprat_inference.card import PartRef
from sprat_inference.encoder import SentenceVectors

CARD = {"reader": "sprat-encoder-mean/1", "made_of": (), "scores": (), "licence": "MIT", "files": {}}


def encoder(value: float, *, truncated: Sequence[bool], empty: Sequence[bool]) -> Any:
    vectors = np.full((len(empty), 3), value, np.float32)
    found = SentenceVectors(vectors, np.array(truncated), np.array(empty))
    return SimpleNamespace(tokenizer=None, encode=lambda _texts: found)


def test_a_text_is_empty_where_neither_reads_it_and_truncated_where_one_does_not_read_its_end() -> None:
    first = encoder(1, truncated=[False, True, False], empty=[True, True, False])
    second = encoder(2, truncated=[False, False, True], empty=[True, False, False])
    read = EncoderPair(first, second).encode(["", "b", "c"])
    assert read.vectors[:, 0].max() == 1
    assert read.vectors[:, 1].min() == 2
    assert read.empty.tolist() == [True, False, False]
    assert read.truncated.tolist() == [False, True, True]


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for place, name, languages, tokens in (("ARTEFACT", "one", ["en", "de"], 512), ("MINILM", "two", ["en"], 256)):
        (tmp_path / name).mkdir()
        write_part(tmp_path / name, {**CARD, "name": name, "languages": languages, "max_tokens": tokens})
        monkeypatch.setattr(pair, place, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("name", ["one", "two"])
def test_the_version_of_the_pair_follows_that_of_each(parts: Path, name: str) -> None:
    before = describe(PAIR)
    assert (before.languages, before.max_tokens, before.licence) == (("en",), 256, "MIT")
    write_part(parts / name, {**CARD, "name": name, "languages": ["en"], "max_tokens": 300})
    assert describe(PAIR).version != before.version


def test_a_model_made_on_other_versions_is_refused_with_those_that_are_there(parts: Path) -> None:
    there = f"holds one {describe('one').version} and two [0-9a-f]{{16}}, together {describe(PAIR).version}, the model"
    with pytest.raises(BrokenArtefact, match=there):
        EncoderPair.load(PartRef(name=PAIR, version="0" * 16), max_tokens=8)
