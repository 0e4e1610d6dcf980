"""Training texts: sentences as people write them, in variants, and as token ids with labels."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from tokenizers import Tokenizer

from recipes.ner.gold import Sentence, Span, named
from sprat_inference.words import find_units
from sprat_ner.decoding import HEAD_LABELS

LONGEST = 160
"""Most tokens of a training text; the rest is cut off."""

IGNORED = -100
"""Label of tokens that represent no word; the loss ignores them."""

_TIGHT_BEFORE = re.compile(r"^(?:[.,;:!?%)\]}»”…]+|n't|'(?:s|S|m|d|re|ve|ll)|’s)$")
_TIGHT_AFTER = frozenset("([{«“$£€#")


@dataclass(frozen=True, slots=True)
class Text:
    """A text with its names."""

    text: str
    spans: tuple[Span, ...]
    with_misc: bool
    """Whether MISC is annotated, so that a word outside the spans is not MISC."""


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """The input of the network: ids with special tokens, and one label per token."""

    ids: np.ndarray
    labels: np.ndarray
    with_misc: bool


def written(sentence: Sentence, *, natural: bool, with_misc: bool) -> Text:
    """Return a sentence as text; `natural` omits the spaces that people do not write."""
    if not natural:
        return Text(sentence.text, tuple(sentence.spans()), with_misc)
    bounds: list[tuple[int, int]] = []
    text = ""
    quoted = False
    words = sentence.words
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        closing = word == '"' and quoted
        tight = not text or _TIGHT_BEFORE.match(word) or before in _TIGHT_AFTER or closing or (before == '"' and quoted)
        if word == "-" or before == "-":  # as the set cuts it: both ways are written
            tight = place % 2 == 0
        text += ("" if tight else " ") + word
        if word == '"':
            quoted = not quoted
        bounds.append((len(text) - len(word), len(text)))
    spans = (Span(bounds[first][0], bounds[last][1], label) for first, last, label in named(sentence.labels))
    return Text(text, tuple(spans), with_misc)


def varied(text: Text, chance: random.Random) -> Text:
    """Return the text, sometimes in lower case, in capitals, or without its final full stop."""
    dice = chance.random()
    if dice < 0.06 and len(text.text.lower()) == len(text.text):
        return replace(text, text=text.text.lower())
    if dice < 0.08 and len(text.text.upper()) == len(text.text):
        return replace(text, text=text.text.upper())
    if dice < 0.18 and text.text[-1:] == "." and all(span.end < len(text.text) for span in text.spans):
        return replace(text, text=text.text[:-1].rstrip())
    return text


def encode(texts: Sequence[Text], tokenizer: Tokenizer) -> list[TrainingExample]:
    """Tokenise texts as in serving: the label of a word is at the token that represents it."""
    opening, closing = tokenizer.encode("").ids
    examples = []
    encodings = tokenizer.encode_batch([text.text for text in texts], add_special_tokens=False)
    for text, encoding in zip(texts, encodings, strict=True):
        ids = encoding.ids[: LONGEST - 2]
        offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)[: LONGEST - 2]
        found = find_units(text.text, offsets[:, 0], offsets[:, 1])
        labels = np.full(len(ids) + 2, IGNORED, dtype=np.int64)
        labels[found.tokens + 1] = 0
        for span in text.spans:
            inside = np.flatnonzero((found.starts < span.end) & (found.ends > span.start))
            if len(inside):
                labels[found.tokens[inside] + 1] = HEAD_LABELS.index(f"I-{span.label}")
                labels[found.tokens[inside[0]] + 1] = HEAD_LABELS.index(f"B-{span.label}")
        examples.append(TrainingExample(np.array([opening, *ids, closing]), labels, text.with_misc))
    return examples
