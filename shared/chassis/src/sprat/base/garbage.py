"""How often Python's garbage collector runs in a process that serves."""

import gc
from typing import Final

_COLLECT_AFTER: Final = 5_000, 20, 20
"""Thresholds of the garbage collector: new objects, collections of the first generation, and of the second."""


def collect_seldom() -> None:
    """Make the garbage collector run less often, and never on what is there now: what was imported.

    A batch makes thousands of objects that live until it is committed: with Python's thresholds, collections took an
    eighth of the router's CPU, most of it for objects that are still in use.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
