"""Language tags, BCP 47."""

from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import BeforeValidator, Field


def _with_hyphens(tag: object) -> object:
    """Return a tag with the hyphens of BCP 47: operating systems and Java write `en_US`."""
    return tag.replace("_", "-") if isinstance(tag, str) else tag


LanguageTag = Annotated[
    str, Field(pattern=r"^[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*$", max_length=35), BeforeValidator(_with_hyphens)
]


AUTO: Final = "auto"
"""As a text's language: whoever reads the text detects its language."""

DEFAULT_LANGUAGE: Final = AUTO
"""Of a text that names none, where the installation sets no other."""

FALLBACK_LANGUAGE: Final = "en"
"""Of a text whose language is to be detected, where none is sure enough."""

LANGUAGE_NAMES: Final = {
    "bg": "Bulgarian", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish",
    "et": "Estonian", "fi": "Finnish", "fr": "French", "hu": "Hungarian", "it": "Italian", "nl": "Dutch",
    "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sv": "Swedish", "tr": "Turkish",
}  # fmt: skip
"""Languages that are often named, in English; by their tag without region."""


def is_auto(tag: str) -> bool:
    """Return whether a text's language is to be detected."""
    return tag.lower() == AUTO


def primary_subtag(tag: str) -> str:
    """Return the language of a tag without script and region, in lower case: `en` of `en-GB` and of `en_GB`."""
    return tag.replace("_", "-").partition("-")[0].strip().lower()


def is_variety(tag: str, of: str) -> bool:
    """Return whether a text in `tag` is one in `of`: the language is the same, and `of` names nothing beyond `tag`.

    `de-AT` is `de`, not the other way; `pt-BR` is not `pt-PT`, and `zh-Hans` not `zh-Hant`.
    """
    own, asked = (each.lower().replace("_", "-").split("-") for each in (tag, of))
    return own[0] == asked[0] and set(asked[1:]) <= set(own[1:])


def is_served(tag: str, served: Iterable[str]) -> bool:
    """Return whether a tag, or its primary subtag, is among those served: `en` serves `en-GB`, not the other way."""
    wanted = {tag.lower(), primary_subtag(tag)}
    return any(each.lower() in wanted for each in served)
