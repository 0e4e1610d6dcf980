"""Silver data: German and French training texts, translations of sentences that the network labels with certainty.

The English side of an open translation pair is marked by the network itself. Where it is sure that there is no name,
there is none in the translation: so it learns that German nouns are no names although they have capitals. Where it is
sure of a name and the name stands in the translation, letter by letter or as an exonym of `foreign.json`, it is one
there, too. All other pairs are left out. Most names of the sentences are then exchanged, because half of them are Tom.
"""

import argparse
import gzip
import json
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from tokenizers import Tokenizer

from recipes.ner.examples import Text, TrainingExample, encode, varied
from recipes.ner.gold import Span
from sprat_inference.words import find_units
from sprat_ner.decoding import SERVED_LABELS, TYPES, merge_misc

FOREIGN: Final[dict[str, Any]] = json.loads(Path(__file__).with_name("foreign.json").read_text("utf-8"))
PAIRS: Final = {"de": "mt/open_train/open_train.en-de.tsv3.gz", "fr": "mt/open_train/open_train.en-fr.tsv3.gz"}
SOURCES: Final = frozenset({"tatoeba", "bcontrast"})
READ: Final = {"de": 16_000, "fr": 6_000}
"""Pairs labelled by the network."""
PLAIN: Final = {"de": 3_500, "fr": 1_200}
NAMED: Final = {"de": 3_500, "fr": 1_200}
PATTERNED: Final = {"de": 900, "fr": 400}
"""Most texts of each kind in an epoch."""
SURE: Final = 0.97
"""Least chance of the least certain word of the English side."""
TOO_COMMON: Final = re.compile(r"\b(?:Tom|Mary|Boston)\b")
KEEP_COMMON: Final = 0.4
EXCHANGED: Final = 0.75


class Marks(Protocol):
    """The part of a training run that silver data need."""

    tokenizer: Tokenizer
    options: argparse.Namespace

    def labelled(self, examples: Sequence[TrainingExample]) -> list[np.ndarray]:
        """Return the probability of each label for each token of each example."""


def silver(run: Marks, chance: random.Random) -> list[Text]:
    """Return the texts of one epoch; each epoch has others."""
    texts = []
    for language in PAIRS:
        pairs = list(_pairs(run.options.data, language, chance))
        plain, with_names = [], []
        for target, names in _sure(run, pairs):
            spans = _carried(target, names, language)
            if spans is None:
                continue
            (with_names if spans else plain).append(Text(target, tuple(spans), with_misc=False))
        some = [exchanged(text, language, chance) for text in with_names[: NAMED[language]]]
        some += plain[: PLAIN[language]] + [patterned(language, chance) for _ in range(PATTERNED[language])]
        print(f"silver {language}: {len(plain)} plain, {len(with_names)} with names, {len(some)} taken", flush=True)
        texts += [varied(text, chance) for text in some]
    return texts


def _pairs(data: Path, language: str, chance: random.Random) -> Iterator[tuple[str, str]]:
    with gzip.open(data / PAIRS[language], "rt", encoding="utf-8") as lines:
        rows = [line.rstrip("\n").split("\t") for line in lines]
    chance.shuffle(rows)
    count = 0
    for row in rows:
        if len(row) != 3 or row[2] not in SOURCES:
            continue
        if TOO_COMMON.search(row[0]) and chance.random() > KEEP_COMMON:
            continue
        count += 1
        if count > READ[language]:
            return
        yield row[0], row[1]


def _sure(run: Marks, pairs: list[tuple[str, str]]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the translations of the sentences that the network is sure of, with the names of the English side."""
    examples = encode([Text(source, (), with_misc=False) for source, _ in pairs], run.tokenizer)
    encodings = run.tokenizer.encode_batch([source for source, _ in pairs], add_special_tokens=False)
    chances = run.labelled(examples)
    for (source, target), encoding, rows in zip(pairs, encodings, chances, strict=True):
        offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        found = find_units(source, offsets[:, 0], offsets[:, 1])
        at = found.tokens + 1
        if not len(at) or at[-1] >= len(rows):
            continue
        words = merge_misc(rows[at])
        if words.max(axis=-1).min() < SURE:
            continue
        yield target, _names(source, found.starts, found.ends, words.argmax(axis=-1))


def _names(source: str, starts: np.ndarray, ends: np.ndarray, labels: np.ndarray) -> list[tuple[str, str]]:
    names: list[tuple[int, int, str]] = []
    for start, end, label in zip(starts, ends, labels, strict=True):
        prefix, _, type = SERVED_LABELS[label].partition("-")
        if prefix == "B" or (prefix == "I" and not names):
            names.append((int(start), int(end), type))
        elif prefix == "I":
            names[-1] = (names[-1][0], int(end), names[-1][2])
    return [(source[start:end], type) for start, end, type in names]


def _carried(target: str, names: list[tuple[str, str]], language: str) -> list[Span] | None:
    """Return the spans of the names in the translation; None if one is missing or more frequent than in the source."""
    spans: list[Span] = []
    for name, type in names:
        forms = sorted({name, FOREIGN["exonyms"][language].get(name, name)})
        pattern = rf"(?<!\w)(?:{'|'.join(map(re.escape, forms))})s?(?!\w)"
        places = [match.span() for match in re.finditer(pattern, target)]
        free = [span for span in places if all(span[0] >= other.end or span[1] <= other.start for other in spans)]
        alike = sum(1 for other, _ in names if other == name)
        if len(free) not in {1, alike}:
            return None
        spans.append(Span(*free[0], type))
    return sorted(spans)


def exchanged(text: Text, language: str, chance: random.Random) -> Text:
    """Replace names in a text by others of the same type."""
    if chance.random() > EXCHANGED:
        return text
    pieces, spans, at = [], [], 0
    for span in text.spans:
        pieces.append(text.text[at : span.start])
        name = text.text[span.start : span.end]
        type = span.label
        if type == "PER":
            type = "ORG" if chance.random() < 0.08 else "PER"
            name = _any(type, language, chance)
        start = sum(map(len, pieces))
        pieces.append(name)
        spans.append(Span(start, start + len(name), type))
        at = span.end
    return Text("".join([*pieces, text.text[at:]]), tuple(spans), with_misc=False)


def patterned(language: str, chance: random.Random) -> Text:
    """Fill one of the sentence templates."""
    pieces, spans = [], []
    for piece in re.split(r"(\{[A-Z]+\})", chance.choice(FOREIGN["patterns"][language])):
        if piece.startswith("{"):
            kind = piece[1:-1]
            name = _any(kind, language, chance)
            start = sum(map(len, pieces))
            spans.append(Span(start, start + len(name), kind if kind in TYPES else "PER"))
            pieces.append(name)
        else:
            pieces.append(piece)
    return Text("".join(pieces), tuple(spans), with_misc=False)


def _any(kind: str, language: str, chance: random.Random) -> str:
    given = chance.choice(FOREIGN["given"][language])
    family = chance.choice(FOREIGN["family"][language])
    if kind == "PER":
        return chance.choices([f"{given} {family}", given, family], [5, 4, 1])[0]
    if kind == "LOC":
        return chance.choice(FOREIGN["places"][language]).removeprefix("der ").removeprefix("die ")
    if kind == "ORG":
        return chance.choice(FOREIGN["organisations"][language])
    return given if kind == "GIVEN" else family
