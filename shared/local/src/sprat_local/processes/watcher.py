"""Run as a script beside the parent: kills the parent's children when the parent has died, however it died.

It reads process ids, one per line, from a pipe whose other end the parent holds. The end of the pipe means that the
parent is dead. It imports nothing of Sprat. It serves systems without Linux's parent-death signal.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress


def _start_time(pid: int) -> str:
    """Return when a process started, empty if it is gone; it distinguishes a later process with the same id."""
    command = ["/bin/ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def main() -> None:
    """Wait for the parent's death, then kill the process group of every child that is still alive."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    children: dict[int, str] = {}
    for line in sys.stdin:
        children[int(line)] = _start_time(int(line))
    for pid, started in children.items():
        if started and _start_time(pid) == started:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
