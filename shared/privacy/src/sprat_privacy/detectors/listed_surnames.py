"""Surnames that stand alone, and those before a thing of theirs: *Has Okafor paid?*, *die Müller-Akte*.

The tagger misses many of them, since nothing around them tells of a person. A list decides here, of frequent surnames
of many countries (`recipes/privacy/surnames.py`). Those that are words, too, count only where a capital shows a name:
inside a sentence, after no article, and not in German, whose nouns have capitals. Outside German, a word with a
capitalised neighbour does not stand alone; it is left to the tagger.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

LIST: Final = Path(__file__).resolve().parent.parent / "lists" / "surnames.txt"

_THINGS: Final = (
    "akte", "akten", "angelegenheit", "anfrage", "antrag", "auftrag", "bestellung", "buchung", "fall", "konto",
    "kündigung", "lieferung", "mandat", "paket", "rechnung", "sache", "sendung", "termin", "ticket", "unterlagen",
    "vertrag", "vorgang",
)  # fmt: skip
"""What belongs to a person, after a name with a hyphen or without one."""
_PEOPLE: Final = ("brüder", "erben", "familie", "kinder", "schwestern")
"""After a hyphen these show a name, even one that is a word."""

_ENGLISH_THINGS: Final = frozenset(
    "account appeal application appointment booking brothers case claim contract deal estate family file house "  # noqa: SIM905 - a list of many literals is harder to read
    "invoice lawsuit loan matter order parcel payment policy project proposal refund report sisters ticket twins "
    "version will".split()
)
"""*The Young file*: after these and an article, a surname that is a word is meant as a name."""
_DETERMINERS: Final = {
    language: frozenset(words.split())
    for language, words in {
        "en": "the a an this that these those my your our his her its every each no",
        "fr": "le la l les un une des du au aux ce cette",
        "es": "el la los las un una unos unas del al este esta",
        "it": "il lo la gli i le un una uno dello della dei nel nella",
        "pt": "o a os as um uma do da dos das no na",
        "nl": "de het een dit dat deze die",
    }.items()
}
"""Before a word that is meant as one."""
_OPENING: Final = frozenset(
    "has have had is was were did does do will would can could should may if when where why how that and but or for "  # noqa: SIM905 - as above
    "with from to by about after before as since because tell ask asked call give according est-ce si quand pour avec "
    "de par selon que où dites ha è e se quando per con da secondo di che chiedi es está y si cuando para por según "
    "pregunte tem foi é se com segundo heeft is was en als voor met van volgens vraag".split()
)
"""With a capital at the start of a sentence, before a name."""
_OF: Final = frozenset("of de del della di du des da do van".split())  # noqa: SIM905 - as above
"""*The Battle of Hastings*: a word, no name."""

_LETTERS: Final = r"[^\W\d_]"
_WORD: Final = re.compile(rf"(?<![\w.@/#'’-]){_LETTERS}+(?:['’-]{_LETTERS}+)*(?![\w@/]|\.\w)")
_POSSESSIVE: Final = re.compile(r"['’]s\Z")
_JOINED: Final = re.compile(rf"(?:{'|'.join(_THINGS)}|sche[mnrs]?)\Z")
_SHORTEST_JOINED: Final = 5
_BEFORE: Final = re.compile(rf"(?<![\w'’-])({_LETTERS}[\w'’-]*)[ ]\Z")
_AFTER: Final = re.compile(rf"[ ](?:&[ ])?({_LETTERS}+)")
_BEGINS: Final = re.compile(r"(?:\A|[.!?:;…\n\r\"“”„«»()*•–—|>-])[\s\"'“”„«»‘’(*•¿¡>-]*\Z")
"""What stands before the first word of a sentence, a line, an item or a quotation."""
_LOOKED_BACK: Final = 40
"""Characters: a word or a gap that is longer is none of a sentence, and a search from the start would be quadratic."""


@cache
def listed() -> Mapping[str, frozenset[str]]:
    """Return the surnames, as :func:`key` writes them, with the languages in which each is a word, too."""
    rows = (line.partition(" ") for line in LIST.read_text("utf-8").splitlines())
    return {name: frozenset(languages.split(",")) if languages else frozenset() for name, _, languages in rows}


def key(name: str) -> str:
    """Return a name in small letters without accents, as the list has it."""
    if name.isascii():
        return name.lower()
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if unicodedata.category(letter) != "Mn").replace("’", "'")


def find_listed(text: str, language: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of listed surnames in a folded text; `language` is a primary tag."""
    names = listed()
    for found in _WORD.finditer(text):
        word = found.group()
        if not word[0].isupper() or word.isupper():
            continue
        if language == "de" and (length := _before_a_thing(word, names)):
            yield found.start(), found.start() + length
        name = _POSSESSIVE.sub("", word)
        words_in = names.get(key(name))
        if words_in is not None and _shows_a_name(text, *found.span(), language, words_in):
            yield found.start(), found.start() + len(name)


def _before_a_thing(word: str, names: Mapping[str, frozenset[str]]) -> int:
    """Return the length of the surname in `Müller-Akte`, `Müllerakte` or `Müllersche`; 0 if there is none."""
    first, _, thing = word.rpartition("-")
    if first:
        words_in = names.get(key(first))
        allowed = () if words_in is None else _PEOPLE if "de" in words_in else (*_PEOPLE, *_THINGS)
        return len(first) if thing.lower() in allowed else 0
    joined = _JOINED.search(word.lower())
    if joined is None or joined.start() < _SHORTEST_JOINED:
        return 0
    words_in = names.get(key(word[: joined.start()]))
    return 0 if words_in is None or "de" in words_in else joined.start()


def _shows_a_name(text: str, start: int, end: int, language: str, words_in: frozenset[str]) -> bool:
    """Return whether a capitalised word that is a listed surname stands for a person here."""
    if language == "de":
        return "de" not in words_in
    found = _AFTER.match(text, end)
    after = "" if found is None else found[1]
    if after[:1].isupper():
        return False
    before = max(start - _LOOKED_BACK, 0)
    if _BEGINS.search(text, before, start) is not None:
        return not words_in
    previous = _BEFORE.search(text, before, start)
    word = "" if previous is None else previous[1]
    if words_in and word.lower() in _DETERMINERS.get(language, ()):
        return after in _ENGLISH_THINGS
    if words_in and after in _OF:
        return False
    is_opening = previous is None or _BEGINS.search(text, before, previous.start()) is not None
    return word[:1].islower() or (is_opening and (not words_in or word.lower() in {"", *_OPENING}))
