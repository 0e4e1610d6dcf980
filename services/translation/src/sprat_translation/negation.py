"""Compare the negation of an English sentence with that of its German translation: a lost "not" is the worst error.

The comparison is all or nothing: of two negations, one may be lost unnoticed. A word that negates by its meaning
("unable", "leer") may translate a "not" of the other side, but does not have to.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Negation:
    """The negation patterns of one language."""

    by_word: re.Pattern[str]
    by_meaning: re.Pattern[str]
    tags: re.Pattern[str]
    """Question tags, as in "it is late, isn't it?"; they negate nothing."""

    def is_certain(self, text: str) -> bool:
        """Return whether a word of negation occurs."""
        return bool(self.by_word.search(self.tags.sub("?", text)))

    def is_possible(self, text: str) -> bool:
        """Return whether a word of negation, or one that negates by its meaning, occurs."""
        return self.is_certain(text) or bool(self.by_meaning.search(text))


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_CONTRACTED = (
    r"(?:\w{2,9}n['’´`ʼ]t|(?:do|does|did|is|are|was|were|has|have|had|ca|wo|could|would|should|must|need|ai)nt)"
)

_ENGLISH = _Negation(
    by_word=_compile(
        r"\b(?:no(?!\.?\s*\d)|nope|not|never|none|nobody|nothing|nowhere|neither|nor|cannot|without|hardly"
        rf"|{_CONTRACTED})\b"
    ),
    by_meaning=_compile(
        r"\b(?:un(?!der|til|cle|ion|it|iv|iq|less)\w{3,}|in(?:valid|correct|complete|visible|active|edible)\w*|impossible"
        r"|dis(?:like|agree|appear|allow|approv|trust|believ)\w*|fail\w*|lack\w*|miss\w*|refus\w*|hat(?:e|es|ed|ing)"
        r"|forg[eo]t\w*|gone|avoid\w*|stop\w*|(?:r[au]n(?:ning)?|are|is|be|been|was|were|\w+['’](?:re|s)) out|barely"
        r"|scarcely|rarely|seldom|welcome|absent|empty|den(?:y|ies|ied)|forbid\w*|remember)\b"
    ),
    tags=_compile(rf",\s*{_CONTRACTED} (?:I|you|he|she|it|we|they|there)\s*\?"),
)
_GERMAN = _Negation(
    by_word=_compile(r"\b(?:nein|nee|ne|nö|nicht\w*|nie|niemals|niemand\w*|nirgend\w*|kein\w*|weder|ohne|kaum)\b"),
    by_meaning=_compile(
        r"\b(?:un(?!d\b|s\b|ser|ter|gefähr|garn|ion|iv|ten\b|fall|fälle)\w{3,}|in(?:korrekt|aktiv)\w*|egal|erst|außer|selten|leer\w*"
        r"|miss\w{2,}|fehl(?!er)\w*|weiger\w*|verweiger\w*|verzicht\w*|verboten\w*|hass\w*|vermiss\w*|ausgegangen"
        r"|vergess\w*|vergiss|vergaß\w*|wohl oder übel|(?!kosten)\w{3,}los(?:e[mnrs]?)?|Rauchverbot)\b"
    ),
    tags=_compile(r",\s*(?:nicht(?: wahr)?|oder(?: nicht)?)\s*\?"),
)


def negation_differs(english: str, german: str) -> bool:
    """Return whether one side has a word of negation and the other has no negation at all.

    Where English negates a word that negates by its meaning ("not empty"), German needs a word of negation, too.
    """
    if _ENGLISH.is_certain(english):
        double = _ENGLISH.by_meaning.search(english)
        return not (_GERMAN.is_certain(german) if double else _GERMAN.is_possible(german))
    return _GERMAN.is_certain(german) and not _ENGLISH.is_possible(english)
