"""Whether a sentence and its translation both deny something: a lost "not" is the worst of mistakes."""

import re

_ENGLISH = re.compile(
    r"\b(?:no|nope|not|never|none|nobody|nothing|nowhere|neither|nor|cannot|without|hardly|\w+n['’]t)\b", re.IGNORECASE
)
_GERMAN = re.compile(r"\b(?:nein|nicht\w*|nie|niemals|niemand\w*|nirgend\w*|kein\w*|weder|ohne|kaum)\b", re.IGNORECASE)
_TAG = re.compile(r",\s*\w+n['’]t (?:I|you|he|she|it|we|they|there)\s*\?", re.IGNORECASE)
"""The end of "it is late, isn't it?" asks and denies nothing."""


def differs(english: str, german: str) -> bool:
    """Does one side deny where the other does not? "I don't care" and "Es ist mir egal" differ, too."""
    return bool(_ENGLISH.search(_TAG.sub("?", english))) != bool(_GERMAN.search(german))
