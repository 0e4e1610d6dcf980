"""Who looks at a screen: whose texts are on it, and whether their content is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Viewer:
    """The tenant and source whose texts a key may see. Other texts do not exist for it."""

    tenant: str
    source: str
    texts: bool = False
    """Whether it may read what the texts say (role `read-texts`)."""


@dataclass(frozen=True, slots=True)
class HiddenText:
    """What everybody may know of a text whose content is hidden."""

    length: int
    """In Unicode code points."""
    language: str
    """BCP 47, as submitted or detected."""
    masked: dict[str, int]
    """Type of personal data → items that were masked before it left; empty where nothing left yet."""
