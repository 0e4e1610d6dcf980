"""The texts of `tests/data/shapes`, with the slots of their templates filled. `dev` and `test` share no template.

`dev` is for looking at and for choosing; `test` is measured with what was chosen.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from tests.bench.surname_quality import Carried, Plain

SHAPES: Final = Path(__file__).resolve().parents[1] / "data/shapes"
PARTS: Final = ("dev", "test")
_FRENCH_VOWEL: Final = re.compile(r"[aeiouyhéèêàâîôœ]", re.IGNORECASE)
NOT_WISHES: Final = frozenset({"yes", "no", "maybe", "thank_you", "greeting", "goodbye", "repeat", "oos"})
"""Labels of CLINC150 that beside a wish are no second wish."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A text, and the label that it has, or would have without its denial; None: it has none."""

    language: str
    text: str
    label: str | None = None
    kind: str = ""


def rows(file: str) -> list[list[str]]:
    """Return the fields of each line, `\\n` in them as a line break."""
    lines = (SHAPES / f"{file}.tsv").read_text("utf-8").splitlines()
    return [line.replace("\\n", "\n").split("\t") for line in lines]


def denied(data_set: str, part: str) -> Iterator[Asked]:
    """Yield each wish of a set in each shape of its language that denies it."""
    shapes = [(language, shape) for language, of, shape in rows("denied") if of == part]
    for of_set, language, of, label, phrase in rows("wishes"):
        if (of_set, of) == (data_set, part):
            slots = forms(language, phrase)
            yield from (Asked(language, shape.format(**slots), label) for of, shape in shapes if of == language)


def forms(language: str, phrase: str) -> dict[str, str]:
    """Return the infinitive as it stands alone, and with `zu` (German) or `de` (French).

    In a German phrase `~` stands where `zu` has its place: *~buchen* is *zu buchen*, *ein~tragen* is *einzutragen*.
    """
    slots = {"wish": phrase.replace("~", "")}
    if language == "de":
        slots["zu"] = re.sub(r"(?<=\w)~", "zu", phrase).replace("~", "zu ")
    if language == "fr":
        slots["de"] = ("d'" if _FRENCH_VOWEL.match(phrase) else "de ") + phrase
    return slots


def joined(texts: Sequence[str], labels: Sequence[str], language: str, part: str, seed: int = 0) -> Iterator[Asked]:
    """Yield pairs of texts with different labels, each text at most once, in the shapes that join two."""
    draw = random.Random(f"{language} {part} {seed}")
    shapes = [shape for of_language, of, shape in rows("joined") if (of_language, of) == (language, part)]
    order = [place for place, label in enumerate(labels) if label not in NOT_WISHES]
    draw.shuffle(order)
    pairs = [pair for pair in list(pairwise(order))[::2] if labels[pair[0]] != labels[pair[1]]]
    for number, (first, second) in enumerate(pairs):
        yield Asked(language, _with_two(shapes[number % len(shapes)], texts[first], texts[second]), labels[first])


def _with_two(shape: str, first: str, second: str) -> str:
    """Return both texts in the shape; a closing mark gives way to the one of the shape."""
    pieces = re.split(r"\{first\}|\{second\}", shape)
    filled = pieces[0]
    for text, after in zip((first, second), pieces[1:], strict=True):
        filled += (text.rstrip(".?! ") if after[:1] in {*".,;?", "\n"} and after else text) + after
    return filled


def too_little(part: str) -> list[Asked]:
    """Return words and fragments from which no wish can be told."""
    return [Asked(language, text) for language, of, text in rows("too_little") if of == part]


def own_wishes(data_set: str, part: str) -> list[Asked]:
    """Return whole wishes that look denied, double or too short: with a negation, with *and*, of few words."""
    return [
        Asked(language, text, label, kind)
        for of_set, language, of, kind, label, text in rows("own_wishes")
        if (of_set, of) == (data_set, part)
    ]


def plain(part: str) -> Iterator[Plain]:
    """Yield queries without any personal data: with numbers, quantities, brands, common words."""
    fillers = {
        (language, kind): listed.split("|") for language, of, kind, listed in rows("plain_fillers") if of == part
    }
    for language, of, kind, shape in rows("plain"):
        if of == part:
            yield from (Plain(language, kind, shape.format(x=filler)) for filler in fillers[language, kind])


def with_surnames(part: str, more: Sequence[str] = ()) -> Iterator[Carried]:
    """Yield each shape with each listed surname of its language (kind `listed`), English ones with `more`, too."""
    listed = {language: names.split(" ") for language, of, names in rows("surname_lists") if of == part}
    for language, of, stands, shape in rows("surname_shapes"):
        if of != part:
            continue
        before, after = shape.split("{name}")
        known = [("listed", name) for name in listed[language]]
        for kind, name in known + [("corpus", name) for name in more if language == "en"]:
            span = (len(before), len(before) + len(name))
            yield Carried(language, stands, kind, before + name + after, (span,))


def corpus_surnames(lines: Sequence[str], part: str, count: int) -> list[str]:
    """Draw last names of a corpus: the last token of each person of two tokens or more; the parts share no name.

    Args:
        lines: token, tab, BIO2 label; an empty line between sentences.
        part: `dev` or `test`.
        count: how many.
    """
    persons: list[list[str]] = []
    for line in lines:
        token, _, label = line.partition("\t")
        if label == "B-PER":
            persons.append([token])
        elif label == "I-PER" and persons:
            persons[-1].append(token)
    last = sorted({person[-1] for person in persons if len(person) > 1 and re.fullmatch(r"[A-Z][a-z]{3,}", person[-1])})
    random.Random(0).shuffle(last)
    return last[PARTS.index(part) :: 2][:count]
