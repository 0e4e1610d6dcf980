"""What masking needs of a finder."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from sprat.perimeter.found import Found


class Finder(Protocol):
    """Finds personal data or secrets in a text. It may raise whatever it likes: then the text does not leave."""

    @property
    def name(self) -> str:
        """Give what messages and records call it."""
        ...

    @property
    def languages(self) -> Collection[str] | None:
        """Give the languages (BCP 47 primary tags) in which it finds names and what else has no form to check.

        None: it looks for forms and listed words alone, whatever the language; that vouches for no text.
        """
        ...

    def find(self, text: str, language: str) -> list[Found]:
        """Give what it finds, in any order; spans may overlap."""
        ...


class FindsInText(Protocol):
    """What the tagger offers."""

    def find(self, text: str) -> list[Found]:
        """Give what it finds."""
        ...


@dataclass(frozen=True, slots=True)
class NameFinder:
    """The tagger as a finder, for the languages that its card lists."""

    tagger: FindsInText
    languages: Collection[str]
    name: str = "tagger"

    def find(self, text: str, language: str) -> list[Found]:
        """Give what the tagger finds; whether it may be asked in this language is masking's question."""
        return self.tagger.find(text)


def primary(language: str) -> str:
    """Give the primary tag of a BCP 47 tag: `en` of `en-GB`."""
    return language.replace("_", "-").split("-", 1)[0].strip().lower()
