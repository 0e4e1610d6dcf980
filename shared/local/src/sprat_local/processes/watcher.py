"""Run as a script beside the parent: kills the parent's children when the parent is gone, however it died.

It reads process ids, one a line, from a pipe whose other end the parent holds. The pipe's end means that the parent
is gone. It imports nothing of Sprat. It is the way for systems without Linux's parent-death signal.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress


def _started(pid: int) -> str:
    """Give the time at which a process started, empty if it is gone: tells it from a later one with the same id."""
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def main() -> None:
    """Watch until the parent is gone, then kill the process group of every child that still lives."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    children: dict[int, str] = {}
    for line in sys.stdin:
        children[int(line)] = _started(int(line))
    for pid, started in children.items():
        if started and _started(pid) == started:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
