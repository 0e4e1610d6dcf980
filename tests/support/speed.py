"""Time of one piece of work on a machine that may be slow or busy."""

from collections.abc import Callable
from time import thread_time

QUIET_REFERENCE_S = 0.008
"""CPU seconds of `_reference` on a quiet core."""


def _reference() -> float:
    began = thread_time()
    words: dict[str, int] = {}
    for number in range(40_000):
        words[str(number % 5000)] = number
    return thread_time() - began


def cpu_s(work: Callable[[], object]) -> float:
    """Return the CPU seconds of `work` in this thread, divided by how much slower than quiet this core is now.

    Other threads of the test's process do not count. A fixed piece of Python measures the core before and after.
    """
    before = _reference()
    began = thread_time()
    work()
    spent = thread_time() - began
    return spent / max(1.0, before / QUIET_REFERENCE_S, _reference() / QUIET_REFERENCE_S)
