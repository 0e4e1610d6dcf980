"""Signals and standard streams of the process: clean exits at Ctrl-C and when the reader of a pipe leaves.

Importing the command line takes longer than the user needs to press Ctrl-C. So `__main__` imports this module
alone, and nothing heavy with it, before it handles the signal. Only while a command runs does Ctrl-C raise a
`KeyboardInterrupt`.
"""

import atexit
import io
import os
import signal
import sys
from typing import Any, Final

INTERRUPTED: Final = 130


class ReaderLeft(Exception):
    """The reader of standard output has closed the pipe, as in `| head`: there is nothing left to do.

    Not a `BrokenPipeError`: click and rich would turn that into exit code 1, and Kafka's sockets raise it as well.
    """


def exit_on_interrupt() -> None:
    """End the process at once on Ctrl-C. If it is ignored, as in background jobs of a shell, keep it so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _exit)


def exits_on_interrupt() -> bool:
    """Return whether Ctrl-C would end the process at once."""
    return signal.getsignal(signal.SIGINT) is _exit


def raise_on_interrupt() -> None:
    """Raise `KeyboardInterrupt` on Ctrl-C again, where :func:`exit_on_interrupt` changed that."""
    if exits_on_interrupt():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def ignore_interrupt_at_exit() -> None:
    """Ignore Ctrl-C once the command is done and the interpreter shuts down.

    Call it before anything else registers with `atexit`: the first function to be registered is the last to be called.
    """
    atexit.register(_ignore)


def _exit(*_: object) -> None:
    os._exit(INTERRUPTED)


def _ignore() -> None:
    if exits_on_interrupt():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def handle_closed_pipes() -> None:
    """Raise `ReaderLeft` if standard output has no reader any more; discard standard error if it has none.

    Only standard output ends a command: an error must keep its exit code even if its message has no reader. In both
    streams a character that the encoding lacks is replaced.
    """
    sys.stdout = _with_closed_pipe_handling(sys.stdout, raises=True)
    sys.stderr = _with_closed_pipe_handling(sys.stderr, raises=False)


def _with_closed_pipe_handling(stream: Any, *, raises: bool) -> Any:
    if not isinstance(stream, io.TextIOWrapper):  # closed by the parent process, or replaced
        return stream
    stream.reconfigure(errors="replace")
    if stream.isatty():  # a terminal does not leave, and `input` edits lines only on the original stream
        return stream
    buffer = io.BufferedWriter(_Pipe(stream.fileno(), raises=raises))
    return io.TextIOWrapper(buffer, stream.encoding, "replace", line_buffering=stream.line_buffering)


class _Pipe(io.FileIO):
    """The writing end of a pipe. Once its reader has gone it writes to /dev/null, so that clean-up code can print."""

    def __init__(self, descriptor: int, *, raises: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._raises = raises

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            if self._raises:
                raise ReaderLeft from None
            return len(data)
