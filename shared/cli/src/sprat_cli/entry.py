"""Where `sprat` begins and ends: Ctrl-C is clean from the first moment to the last.

Importing the command line takes longer than a person needs to press Ctrl-C, so this module imports nothing of it until
somebody minds the signal. Only while a command is at work is a `KeyboardInterrupt` raised, as it expects.
"""

import atexit
import os
import signal
from typing import Final

INTERRUPTED: Final = 130


def main() -> None:
    """Run the command line and exit."""
    guard()
    # The first to be registered is the last to be called: what is left then is the interpreter's own end, which would
    # take the handler away, and the command is done.
    atexit.register(_no_more)
    from sprat_cli.main import main as run  # noqa: PLC0415 - heavy, see above

    try:
        run()
    except KeyboardInterrupt:  # between a command's end and the next line
        os._exit(INTERRUPTED)
    finally:
        guard()


def guard() -> None:
    """Let Ctrl-C end the process at once. Where it is ignored, as for a shell's background jobs, it stays so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def guarded() -> bool:
    """Tell whether Ctrl-C would end the process at once."""
    return signal.getsignal(signal.SIGINT) is _leave


def unguard() -> None:
    """Let Ctrl-C raise `KeyboardInterrupt` again, where :func:`guard` changed that."""
    if guarded():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(*_: object) -> None:
    os._exit(INTERRUPTED)


def _no_more() -> None:
    if guarded():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
