"""A pseudo-terminal: what a person types into it, what a program draws on it, and how wide it is."""

import codecs
import fcntl
import os
import pty
import re
import struct
import termios
from collections.abc import Iterable, Iterator
from typing import Self

CTRL_C = "\x03"
CLEARED = "\x1b[2J"
"""Clears the screen."""
_ROWS = 50
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A terminal with so many columns. Also a context manager: it closes what was opened."""

    def __init__(self, columns: int = 80) -> None:
        self._ours, self.theirs = pty.openpty()
        self._open = {self._ours, self.theirs}
        self.resize(columns)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in list(self._open):
            self._close(each)

    def type(self, text: str) -> None:
        """Type a text, as the person in front of it does."""
        os.write(self._ours, text.encode())

    def resize(self, columns: int) -> None:
        """Give it another width; the programs that it controls get SIGWINCH."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, columns, 0, 0))

    def hand_over(self) -> None:
        """Leave the programs' side to those that were started on it: when they have ended, `lines` ends."""
        self._close(self.theirs)

    def lines(self) -> Iterator[str]:
        """Yield each line that programs write, with its control sequences, until all of them have ended."""
        decoder, begun = codecs.getincrementaldecoder("utf-8")("replace"), ""
        while piece := self._read():
            *whole, begun = (begun + decoder.decode(piece)).split("\n")
            yield from whole
        yield begun

    def _read(self) -> bytes:
        try:
            return os.read(self._ours, 65_536)
        except OSError:  # on Linux, the end: no program has it open
            return b""

    def _close(self, descriptor: int) -> None:
        self._open.discard(descriptor)
        os.close(descriptor)


def drawn(lines: Iterable[str]) -> list[str]:
    """Return what stood on a line of the screen, one after the other, without control sequences.

    A program that goes back to the start of a line draws another one.
    """
    return [piece for line in lines for piece in _CONTROL.sub("", line).split("\r") if piece]
