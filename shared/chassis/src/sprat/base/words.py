"""Words of messages for people."""


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: `1 record`, `1,200 records`. The noun takes an `s`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"
