"""How a text says that its wish is denied, where one wish may end and the next begin, and whether it says too little.

The rules are those of `wording.toml`, for English, German and French. All are applied to every text: the language of a
short text is often not known, and words of one language that deny rarely mean something in another.
"""

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, Final

RULES: Final = "wording.toml"
LONGEST: Final = 400
"""Code points. What a longer text denies is often another thing than its wish: no rule reads it."""
MOST_PARTS: Final = 4
"""A text with more of them is mostly a letter. With 3, a tenth fewer texts of BANKING77 are read in parts, and 2 points
more of those with two wishes are kept."""
LEAST_WORDS: Final = 3
"""Of a part: fewer are no wish."""
FEW_WORDS: Final = 2
"""A text of so many words, of which at most one names something, says too little; "need taxi" is a wish."""
NOTHING_WORDS: Final = 5
"""So does one of so many words that name nothing. "what do I have to do" is a wish: in longer ones the order counts."""

_NOTHING_LONGEST: Final = 60
"""Code points. Five words that name nothing are never so long."""
_WORD: Final = re.compile(r"\w+(?:['-]\w+)*")
_PARTS_OF_WORDS: Final = re.compile(r"\w+")


def forbids(text: str) -> bool:
    """Return whether a text says that something is not to be done: "do not …", "I don't want you to …"."""
    return _finds(text, _rules().orders)


def denies(text: str) -> bool:
    """Return whether a text is worded as one that denies a wish: it forbids, or "I don't want it"."""
    return _finds(text, _rules().orders, _rules().denied)


def _finds(text: str, *kinds: re.Pattern[str]) -> bool:
    """Return whether one of these kinds of rules finds something in a text."""
    if len(text) > LONGEST:
        return False
    rules, said = _rules(), plain(text)
    if not any(sign in said for sign in rules.signs_of_denied) or not any(kind.search(said) for kind in kinds):
        return False
    left = rules.not_denied.sub(" ", said)
    return any(kind.search(left) for kind in kinds)


def parts(text: str) -> tuple[str, ...]:
    """Return the parts of a text that may each be a wish, two to :data:`MOST_PARTS` of them; else none."""
    if len(text) > LONGEST:
        return ()
    cut = (part.strip(" ,;:.!?-–") for part in _rules().joined.split(plain(text, cased=True)))
    found = tuple(part for part in cut if words(part) >= LEAST_WORDS)
    return found if 2 <= len(found) <= MOST_PARTS else ()


def words(text: str) -> int:
    """Return how many words a text has."""
    return len(_WORD.findall(text))


def says_little(text: str) -> bool:
    """Return whether a text is one word, as "card" or "my card", or few that name nothing, as "why" and "please"."""
    if len(text) > _NOTHING_LONGEST or (count := words(text)) > NOTHING_WORDS:
        return False
    rules, said = _rules(), _PARTS_OF_WORDS.findall(plain(text))
    naming = sum(word not in rules.empty for word in said)
    return naming <= (1 if count <= FEW_WORDS and rules.wishing.isdisjoint(said) else 0)


def plain(text: str, *, cased: bool = False) -> str:
    """Return a text with plain apostrophes and single spaces, in small letters unless `cased`."""
    single = _SPACES.sub(" ", text.translate(_APOSTROPHES)).strip()
    return single if cased else single.lower()


_SPACES: Final = re.compile(r"[^\S\n]{2,}|[^\S\n ]")
_APOSTROPHES: Final = str.maketrans("’‘`´", "''''")


class _WordingRules:
    """The rules of all languages."""

    def __init__(self, said: dict[str, dict[str, Any]]) -> None:
        self.orders = _joined(said, "orders")
        self.denied = _joined(said, "denied")
        self.not_denied = re.compile("|".join(rule for rules in said["not_denied"].values() for rule in rules))
        self.signs_of_denied = tuple(sign for signs in said["signs_of_denied"].values() for sign in signs)
        between = "|".join(" ".join(said["several"].values()).split())
        self.joined = re.compile(rf"[;\n]|[.?!:)]+(?= )| (?:[/+&] |(?:{between})\b)", re.IGNORECASE)
        self.wishing = _words_of(said, "wishing")
        self.empty = _words_of(said, "too_little") | self.wishing


def _joined(said: dict[str, dict[str, Any]], kind: str) -> re.Pattern[str]:
    """Return the rules of a kind, for all languages, as one."""
    shared = [
        rule.replace("{start}", said["start"][language]).replace("{between}", said["between"].get(language, ""))
        for language, rules in said[kind].items()
        for rule in rules
    ]
    return re.compile("|".join(shared))


def _words_of(said: dict[str, dict[str, Any]], kind: str) -> frozenset[str]:
    """Return the words of a kind, of all languages."""
    return frozenset(word for listed in said[kind].values() for word in _PARTS_OF_WORDS.findall(listed))


@cache
def _rules() -> _WordingRules:
    """Read the rules once."""
    return _WordingRules(tomllib.loads(files("sprat_inference").joinpath(RULES).read_text(encoding="utf-8")))
