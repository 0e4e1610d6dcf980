"""Where else in a text the values stand that a finder found somewhere in it."""

import re
from collections.abc import Collection, Iterator
from dataclasses import replace

from sprat_privacy.boundaries import is_seam, widen
from sprat_privacy.detection import Detection
from sprat_privacy.entity_types import NUMBERS, SECRETS
from sprat_privacy.normalisation import Manner, manner, normal_form, normal_text

FINDER = "occurrence"

_BETWEEN_WORDS = re.compile(r"[\s\-./_·'’]+")


def occurrences(text: str, found: Collection[Detection]) -> list[Detection]:
    """Give every stretch between seams that equals a found one, widened to cuts; the found ones are among them.

    Every exact copy counts; of a find that ends inside a word, both what was found and the whole word are looked for.
    Numbers, e-mail addresses and names of several words are also found in other case and with other separators. A name
    of one word is found in capitals and with a capital too, not in small letters: who is called Will must not cost the
    text its verbs.
    """
    spans: dict[tuple[int, int, str], Detection] = {}
    values: dict[tuple[str, str], Detection] = {}
    for one in found:
        start, end = widen(text, one.start, one.end)
        spans.setdefault((start, end, one.type), replace(one, start=start, end=end))
        values.setdefault((text[start:end], one.type), one)
        values.setdefault((text[one.start : one.end], one.type), one)
    for (value, type), one in values.items():
        for form in {value} if type in SECRETS else {value, value.upper(), value[:1].upper() + value[1:]}:
            for start in standing(text, form):
                _note(spans, text, one, start, start + len(form))
    _note_equal(spans, text, values)
    return list(spans.values())


def standing(text: str, value: str) -> Iterator[int]:
    """Give where a value stands between seams, without overlaps of it with itself."""
    start = text.find(value)
    while start >= 0:
        whole = is_seam(text, start) and is_seam(text, start + len(value))
        if whole:
            yield start
        start = text.find(value, start + (len(value) if whole else 1))


def _note_equal(
    spans: dict[tuple[int, int, str], Detection], text: str, values: dict[tuple[str, str], Detection]
) -> None:
    """Note what equals a value without being a copy of it."""
    by_manner: dict[Manner, dict[tuple[str, str], Detection]] = {}
    for (value, type), one in values.items():
        how = manner(value, type)
        form = normal_form(value, how)
        if form and how != "exact" and (type in NUMBERS or how == "cased" or _several_words(value)):
            by_manner.setdefault(how, {})[form, type] = one
    for how, forms in by_manner.items():
        view = normal_text(text, how)
        for (form, _), one in forms.items():
            at = view.text.find(form)
            while at >= 0:
                start, end = view.original(at, at + len(form))
                whole = is_seam(text, start) and is_seam(text, end)
                if whole:
                    _note(spans, text, one, start, end)
                at = view.text.find(form, at + (len(form) if whole else 1))


def _several_words(value: str) -> bool:
    return sum(map(bool, _BETWEEN_WORDS.split(value))) > 1


def _note(spans: dict[tuple[int, int, str], Detection], text: str, like: Detection, start: int, end: int) -> None:
    start, end = widen(text, start, end)
    if (start, end, like.type) not in spans:
        spans[start, end, like.type] = replace(like, start=start, end=end, finder=FINDER)
