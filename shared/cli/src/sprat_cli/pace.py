"""How fast a group reads, in words."""

from sprat_operations.lag import Pace


def keeps_up(pace: Pace, members: int) -> bool:
    """Tell whether nothing is left, or less with every second, or only what has just come."""
    return not pace.lag or (members > 0 and (pace.steady or pace.drained_in_s is not None))


def rate(a_second: float) -> str:
    """Give records a second."""
    return f"{a_second:,.0f}/s" if a_second >= 10 or not a_second else f"{a_second:.1f}/s"


def drained(pace: Pace, members: int) -> str:
    """Say in how long nothing is left, if it goes on like this; nothing where nothing is left."""
    if not pace.lag:
        return ""
    seconds = pace.drained_in_s if members else None
    if seconds is None:
        return "steady" if keeps_up(pace, members) else "never"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
