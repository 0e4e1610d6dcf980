"""Whether the texts are in the languages that the model is trained for."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from sprat_contracts.languages import LANGUAGE_NAMES, is_served
from sprat_langid import LEAST_CONFIDENCE, detect

READ_TEXTS: Final = 300
"""Texts whose language is detected: evenly spread over the file."""
LEAST_SHARE: Final = 1 / 3
"""Share of these from which a language counts: single short texts are often taken for another language."""
_LEAST_TEXTS: Final = 5


def language_note(texts: Sequence[str], languages: Sequence[str]) -> str | None:
    """Return what to say where many texts look like another language than `languages`, BCP 47; else None."""
    others, kept = languages_seen(texts, languages)
    if not others:
        return None
    options = " ".join(f"--language {tag}" for tag in (*others, *kept))
    return f"the texts look {named(others)}, and the model is trained for {', '.join(languages)}: {options}"


def languages_seen(texts: Sequence[str], languages: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the languages that many texts look like: those that are not among `languages`, BCP 47, and those that are.

    The first ones come in the order of their texts, the others in that of `languages`.
    """
    chosen = texts[:: max(1, len(texts) // READ_TEXTS)]
    guesses = [guess for guess in map(detect, chosen) if guess.confidence >= LEAST_CONFIDENCE]
    found = Counter(guess.language for guess in guesses if guess.language is not None)
    stated = {tag.split("-")[0].lower() for tag in languages}
    least = max(_LEAST_TEXTS, LEAST_SHARE * len(chosen))
    others = [tag for tag, count in found.most_common() if count >= least and tag not in stated]
    return others, [tag for tag in languages if found[tag.split("-")[0].lower()] >= least]


def languages_read(texts: Sequence[str], languages: Sequence[str]) -> tuple[str, ...]:
    """Return the language that each text is read in by a model of some languages, BCP 47; empty where it is not known.

    A model of one language reads all texts in it. Of several, the text's own is detected, where that is sure enough.
    """
    if len(languages) == 1:
        return (languages[0],) * len(texts)
    guesses = map(detect, texts)
    found = (each.language if each.confidence >= LEAST_CONFIDENCE else None for each in guesses)
    return tuple(tag if tag and (not languages or is_served(tag, languages)) else "" for tag in found)


def named(tags: Sequence[str]) -> str:
    """Return languages by their names: "German (de) and Dutch (nl)"."""
    return " and ".join(f"{LANGUAGE_NAMES[tag]} ({tag})" if tag in LANGUAGE_NAMES else tag for tag in tags)
