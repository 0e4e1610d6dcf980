"""How often Python's garbage collector runs in a process that serves."""

import gc
from typing import Final

_COLLECT_AFTER: Final = 50_000, 4, 10
"""Thresholds of the garbage collector: new objects, collections of the first generation, and of the second."""


def collect_seldom() -> None:
    """Make the garbage collector run less often, and never on what is there now: what was imported.

    A batch makes tens of thousands of objects that live until it is committed: with Python's thresholds, collections
    took an eighth of the router's CPU, and after each 5,000 objects still a sixteenth, for objects that are in use.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
