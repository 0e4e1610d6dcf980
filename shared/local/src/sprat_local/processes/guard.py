"""Run as a script in a new child: asks Linux to kill it when its parent dies, then executes the given program.

Usage: guard.py PARENT_PID PROGRAM [ARGUMENT ...]. It imports nothing of Sprat, so that it costs a few milliseconds.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>; survives execve(2) of an ordinary program, see prctl(2)


def main() -> None:
    """Execute the program; exit with 1 if the parent has died already, with 127 if the program cannot be run."""
    parent, argv = int(sys.argv[1]), sys.argv[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:  # it died before the request took effect
        sys.exit(1)
    try:
        os.execvp(argv[0], argv)  # noqa: S606  no shell is wanted
    except OSError as error:
        sys.stderr.write(f"{argv[0]}: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    main()
