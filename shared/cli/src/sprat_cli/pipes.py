"""Output through a pipe whose reader leaves before the end, as `head` does: the command ends, which is no error."""

import io
import os
import sys
from typing import Any


class ReaderLeft(Exception):
    """Nobody reads standard output any more: there is nothing left to do.

    No `BrokenPipeError`: click and rich would make exit code 1 of it, and Kafka's sockets raise that one, too.
    """


def watch_readers() -> None:
    """Let standard output raise `ReaderLeft`; what is said on standard error goes nowhere once its reader has left.

    Only the former ends a command: a mistake is one also where nobody reads which. What a terminal cannot show, in
    either, is another character instead of a stack trace.
    """
    sys.stdout, sys.stderr = _watched(sys.stdout, ends=True), _watched(sys.stderr, ends=False)


def _watched(stream: Any, *, ends: bool) -> Any:
    if not isinstance(stream, io.TextIOWrapper):  # closed by whoever started it, or replaced
        return stream
    stream.reconfigure(errors="replace")
    if stream.isatty():  # it is not left, and `input` edits lines on the original alone
        return stream
    buffer = io.BufferedWriter(_Pipe(stream.fileno(), ends=ends))
    return io.TextIOWrapper(buffer, stream.encoding, "replace", line_buffering=stream.line_buffering)


class _Pipe(io.FileIO):
    """The writing end. Once its reader has left it leads to nowhere, so that whatever tidies up may still speak."""

    def __init__(self, descriptor: int, *, ends: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._ends = ends

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if self._ends:
                raise ReaderLeft from None
            return len(data)
