"""Whether a sentence and its translation both deny something: a lost "not" is the worst of mistakes.

Only all or nothing is seen: of two denials one may be lost. What is denied by the meaning of a word ("unable", "leer")
may stand for a "not" of the other side, and need not.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Denial:
    """How a language denies."""

    by_word: re.Pattern[str]
    by_meaning: re.Pattern[str]
    tags: re.Pattern[str]
    """Ends of a question that only ask to agree, as in "it is late, isn't it?"."""

    def is_sure(self, text: str) -> bool:
        return bool(self.by_word.search(self.tags.sub("?", text)))

    def is_possible(self, text: str) -> bool:
        return self.is_sure(text) or bool(self.by_meaning.search(text))


def _of(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_CONTRACTED = (
    r"(?:\w{2,9}n['’´`ʼ]t|(?:do|does|did|is|are|was|were|has|have|had|ca|wo|could|would|should|must|need|ai)nt)"
)

_ENGLISH = _Denial(
    by_word=_of(
        r"\b(?:no(?!\.?\s*\d)|nope|not|never|none|nobody|nothing|nowhere|neither|nor|cannot|without|hardly"
        rf"|{_CONTRACTED})\b"
    ),
    by_meaning=_of(
        r"\b(?:un(?!der|til|cle|ion|it|iv|iq|less)\w{3,}|in(?:valid|correct|complete|visible|active|edible)\w*|impossible"
        r"|dis(?:like|agree|appear|allow|approv|trust|believ)\w*|fail\w*|lack\w*|miss\w*|refus\w*|hat(?:e|es|ed|ing)"
        r"|forg[eo]t\w*|gone|avoid\w*|stop\w*|(?:r[au]n(?:ning)?|are|is|be|been|was|were|\w+['’](?:re|s)) out|barely"
        r"|scarcely|rarely|seldom|welcome|absent|empty|den(?:y|ies|ied)|forbid\w*|remember)\b"
    ),
    tags=_of(rf",\s*{_CONTRACTED} (?:I|you|he|she|it|we|they|there)\s*\?"),
)
_GERMAN = _Denial(
    by_word=_of(r"\b(?:nein|nee|ne|nö|nicht\w*|nie|niemals|niemand\w*|nirgend\w*|kein\w*|weder|ohne|kaum)\b"),
    by_meaning=_of(
        r"\b(?:un(?!d\b|s\b|ser|ter|gefähr|garn|ion|iv|ten\b|fall|fälle)\w{3,}|in(?:korrekt|aktiv)\w*|egal|erst|außer|selten|leer\w*"
        r"|miss\w{2,}|fehl(?!er)\w*|weiger\w*|verweiger\w*|verzicht\w*|verboten\w*|hass\w*|vermiss\w*|ausgegangen"
        r"|vergess\w*|vergiss|vergaß\w*|wohl oder übel|(?!kosten)\w{3,}los(?:e[mnrs]?)?|Rauchverbot)\b"
    ),
    tags=_of(r",\s*(?:nicht(?: wahr)?|oder(?: nicht)?)\s*\?"),
)


def differs(english: str, german: str) -> bool:
    """Does one side deny by a word of denial, and the other in no way?

    Where English denies a word that denies by its meaning ("not empty"), that word in German alone is a loss.
    """
    if _ENGLISH.is_sure(english):
        twice = _ENGLISH.by_meaning.search(english)
        return not (_GERMAN.is_sure(german) if twice else _GERMAN.is_possible(german))
    return _GERMAN.is_sure(german) and not _ENGLISH.is_possible(english)
