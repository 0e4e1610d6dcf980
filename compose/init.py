"""The first process of a container: it runs a service, and leaves the service's groups for it once it was killed.

    python3 -I -S init.py -m sprat_router

Where memory runs out, the kernel kills the largest process, which is the service; this one imports nothing of Sprat and
has a few megabytes. It passes signals on, reaps what others leave behind, and ends with the code of the service, 128
and the signal's number where one killed it. A service that stops has left its groups itself. For one that did not,
another process leaves them (sprat.kafka.membership), or Kafka would keep its partitions until its session ends.
"""

import os
import signal
import sys
import time

MEMBERSHIP = "SPRAT_KAFKA__MEMBERSHIP_FILE"
LEAVE_S = 10.0
"""How long the end may be held up: the import of a Kafka client, and what `sprat.kafka.membership` takes at most."""

FAULTS = {signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP, signal.SIGABRT}
"""Of this process itself."""
ON_TERMINAL = os.isatty(0)
WAITED_FOR = signal.valid_signals() - FAULTS - {signal.SIGTTIN, signal.SIGTTOU}


def start(arguments: list[str]) -> int:
    """Start Python with these arguments, and none of this process's signals blocked or ignored; return its id.

    Its process group is its own: a Ctrl-C reaches this process alone, which passes it on once. It is not where stdin is
    a terminal, which stops whoever of another group reads from it.
    """
    argv = [sys.executable, *arguments]
    ignored = [signal.SIGPIPE, signal.SIGXFSZ]  # by Python
    group = os.getpgrp() if ON_TERMINAL else 0
    return os.posix_spawn(argv[0], argv, os.environ, setpgroup=group, setsigmask=[], setsigdef=ignored)


def wait(child: int, until: float | None = None) -> int:
    """Return the exit code of a child; pass signals on meanwhile, and kill it at a time of the monotonic clock."""
    while True:
        left_s = None if until is None else max(0.0, until - time.monotonic())
        received = signal.sigwaitinfo(WAITED_FOR) if left_s is None else signal.sigtimedwait(WAITED_FOR, left_s)
        if received is None:
            os.kill(child, signal.SIGKILL)
            until = None
        elif received.si_signo != signal.SIGCHLD:
            if not (ON_TERMINAL and received.si_code > 0):  # the kernel's: the terminal has sent it to the child, too
                os.kill(child, received.si_signo)  # it is not reaped yet, so that the id is its own
        elif (status := reap(child)) is not None:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def reap(child: int) -> int | None:
    """Reap all children that have ended; return the status of this one if it is among them."""
    found = None
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if not ended:
            return found
        if ended == child:
            found = status


def main() -> int:
    """Run the service that the arguments name, and return its exit code."""
    membership = os.environ.setdefault(MEMBERSHIP, "/tmp/sprat-membership.json")  # noqa: S108 -- the container's own
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # whoever started this may ignore it: then nobody is told of an end
    signal.pthread_sigmask(signal.SIG_BLOCK, WAITED_FOR)
    code = wait(start(sys.argv[1:]))
    if os.path.exists(membership):  # noqa: PTH110 -- pathlib is an import
        wait(start(["-m", "sprat.kafka.membership", membership]), time.monotonic() + LEAVE_S)
    return code


if __name__ == "__main__":
    sys.exit(main())
