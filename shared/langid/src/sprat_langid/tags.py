"""Which language tags are known: those whose parts are in IANA's registry."""

import re
from typing import Final

from sprat_contracts.languages import primary_subtag

_TAG: Final = re.compile(
    r"(?P<language>[A-Za-z]{2,3})(-(?P<script>[A-Za-z]{4}))?(-(?P<region>[A-Za-z]{2}|[0-9]{3}))?(-[A-Za-z0-9-]*)?"
)


def registered(tag: str) -> str | None:
    """Return language, script and region of a tag; None where one of them is not in IANA's registry."""
    parts = _TAG.fullmatch(tag)
    if parts is None:
        return None
    from langcodes import Language  # noqa: PLC0415 - 50 ms and 5 MiB, and few services ever meet such a tag

    language, script, region = parts["language"].lower(), parts["script"], parts["region"]
    # Not by `Language.get`: it keeps every tag that it has ever read.
    bare = Language(language, script=script and script.title(), territory=region and region.upper())
    return bare.to_tag() if bare.is_valid() else None


def is_known_language(tag: str) -> bool:
    """Return whether the language of a tag is in IANA's registry, whatever its region: `en-UK` is English, too."""
    return registered(primary_subtag(tag)) is not None
