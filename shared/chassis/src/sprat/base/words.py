"""Words of messages for people."""


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: `1 record`, `1,200 records`. The noun takes an `s`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


_JOINERS = "\u200c\u200d"
"""Format characters that belong to words and emoji."""


def printable(text: str, limit: int | None = None) -> str:
    """Return a text on one line without control characters: foreign text must not control the terminal.

    A text longer than `limit` characters ends with an ellipsis.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1].rstrip() + "…"
    return "".join(character if _harmless(character) else _replacement(character) for character in text)


def _harmless(character: str) -> bool:
    return character.isprintable() or character in _JOINERS


def _replacement(character: str) -> str:
    if character.isspace():
        return "⏎" if character in "\n\r\u2028\u2029" else " "
    return "\ufffd"
