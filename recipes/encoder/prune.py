"""Choose the pieces to keep of 250,002: those that texts in eight languages are likely to use. Scores are unchanged."""

import gzip
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import wordfreq
from tokenizers import Tokenizer, pre_tokenizers

from recipes.encoder.pieces import SPECIALS
from recipes.encoder.weights import Floats

KEPT = 70_000
LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pl", "pt")
WORDS = 100_000
"""Most frequent words of each language."""
FORMS: tuple[tuple[Callable[[str], str], bool, float], ...] = (
    (str, True, 1.0),
    (str.capitalize, True, 1.0),
    (str, False, 0.1),
    (str.capitalize, False, 0.1),
    (str.upper, True, 0.03),
)
"""How a word is written, whether a space stands before it (else a bracket, a quotation mark, a hyphen), and how often.

The lists have small letters only, German nouns too. Without the forms that follow no space, a sentence in a hundred
more is cut in another way than by all pieces."""

SCRIPTS = ("LATIN", "GREEK", "CYRILLIC")
"""A single letter of another script stays only when the data hold it: all 10,000 of them would push out so many pieces
of the served languages that one sentence in ten is cut in another way."""

_BATCH = 2_000


def kept_pieces(full: Tokenizer, pieces: Sequence[str], scores: Floats, data: Path) -> list[int]:
    """Return the indices of the pieces to keep, ascending, the special ones first.

    In order of precedence: special, seen in the open data, single characters, expected frequency in the words of
    :data:`LANGUAGES`, unigram score.

    Raises:
        FileNotFoundError: when `data` lacks the open data.
    """
    chosen = dict.fromkeys(range(len(SPECIALS)))
    chosen.update(dict.fromkeys(sorted(_seen(full, data))))
    chosen.update(dict.fromkeys(place for place, piece in enumerate(pieces) if _is_character(piece)))
    if len(chosen) > KEPT:
        raise ValueError(f"{len(chosen)} pieces have to stay, more than {KEPT}")
    print(f"  {len(chosen)} pieces seen in the data, or single characters", flush=True)
    expected = _expected(full)
    chosen.update(dict.fromkeys(islice(_likeliest(expected, chosen), KEPT - len(chosen))))
    by_score = (int(place) for place in (-scores).argsort(kind="stable"))
    chosen.update(dict.fromkeys(islice((place for place in by_score if place not in chosen), KEPT - len(chosen))))
    return sorted(chosen)


def _is_character(piece: str) -> bool:
    """Return whether a character is kept even if the data lack it: a sign, a digit, or a letter of :data:`SCRIPTS`."""
    if len(piece) != 1:
        return False
    is_letter = unicodedata.category(piece)[0] in "LM"
    return not is_letter or unicodedata.name(piece, "").startswith(SCRIPTS)


def _likeliest(expected: Mapping[int, float], chosen: Iterable[int]) -> Iterator[int]:
    there = set(chosen)
    return (place for place, _ in sorted(expected.items(), key=lambda each: (-each[1], each[0])) if place not in there)


def _seen(full: Tokenizer, data: Path) -> set[int]:
    seen: set[int] = set()
    for batch in _batches(open_texts(data)):
        for encoding in full.encode_batch_fast(batch, add_special_tokens=False):
            seen.update(encoding.ids)
    return seen


def _expected(full: Tokenizer) -> dict[int, float]:
    """Return piece → expected count in a text of one word of each language, in each of :data:`FORMS`."""
    inside = Tokenizer.from_str(full.to_str())
    inside.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    expected: defaultdict[int, float] = defaultdict(float)
    for language in LANGUAGES:
        for batch in _batches(wordfreq.top_n_list(language, WORDS)):
            shares = [wordfreq.word_frequency(word, language) for word in batch]
            for written, spaced, weight in FORMS:
                tokenizer = full if spaced else inside
                cut = tokenizer.encode_batch_fast([written(word) for word in batch], add_special_tokens=False)
                for encoding, share in zip(cut, shares, strict=True):
                    for place in encoding.ids:
                        expected[place] += share * weight
    return expected


def open_texts(data: Path) -> Iterator[str]:
    """Yield the training texts of all three tasks, without those for evaluation.

    Raises:
        FileNotFoundError: when a file is not there.
    """
    for direction in ("en-de", "en-fr"):
        with gzip.open(data / "mt/open_train" / f"open_train.{direction}.tsv3.gz", "rt", encoding="utf-8") as file:
            for line in file:
                yield from line.rstrip("\n").split("\t")[:2]
    for name in ("clinc150/tsv/train.tsv", "banking77/train.tsv"):
        with (data / "intent" / name).open(encoding="utf-8") as file:
            yield from (line.split("\t")[0] for line in file)
    paths = sorted(path for path in (data / "ner").glob("*/*.bio.tsv.gz") if "test" not in path.name)
    if not paths:
        raise FileNotFoundError(data / "ner")
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            yield from sentences(file)


def sentences(lines: Iterable[str]) -> Iterator[str]:
    """Yield the sentences of a file with one `token<TAB>label` per line, and an empty line after each sentence."""
    tokens: list[str] = []
    for line in lines:
        if line.strip():
            tokens.append(line.split("\t")[0])
        elif tokens:
            yield " ".join(tokens)
            tokens = []
    if tokens:
        yield " ".join(tokens)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    waiting = iter(texts)
    while batch := list(islice(waiting, _BATCH)):
        yield batch
