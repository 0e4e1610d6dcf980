"""Install what a lock names, and show how far that is: `python install.py pip-arguments…`, as `make setup` does.

pip alone is either silent for minutes or writes some hundred lines. On a terminal this rewrites one line, at least once
a second; elsewhere it writes one for each 25 packages, and one after 15 s of silence. What pip says when it fails is
shown whole.
"""

import queue
import re
import subprocess
import sys
import sysconfig
import threading
import time
from collections import deque
from pathlib import Path

EVERY = 25
"""Packages between two lines where there is no terminal."""
_FOUND = re.compile(r"^\s*Collecting (\S+?)(?:[=<>!~\[].*)?(?: \(from .*)?$")
_BUILT = re.compile(r"^\s+Building (?:wheel|editable) for (\S+) .*: started")
_PINNED = re.compile(r"^[A-Za-z0-9]", re.MULTILINE)
_LAST_LINES = 40
_LOOK_S = 0.5
SILENCE_S = 15.0
"""Between two lines where there is no terminal and pip says nothing."""
_INSTALLED = Path(sysconfig.get_path("purelib"))


def main(arguments: list[str]) -> int:
    """Run pip with these arguments; return its exit code."""
    total = sum(len(_PINNED.findall(Path(file).read_text("utf-8"))) for file in arguments if file.endswith(".lock"))
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar=off", *arguments]
    last: deque[str] = deque(maxlen=_LAST_LINES)
    shown, count, before = Progress(total), 0, _installed()
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        threading.Thread(target=_read, args=(pip, lines), daemon=True).start()
        while True:
            try:
                line = lines.get(timeout=_LOOK_S)
            except queue.Empty:
                shown.wait(_installed() - before)
                continue
            if line is None:
                break
            last.append(line)
            if found := _FOUND.match(line):
                count += 1
                shown.step(count, f"fetching {found[1]}")
            elif built := _BUILT.match(line):
                shown.note(count, f"building {built[1]}")
            elif line.startswith(("Building wheel", "Installing collected", "Preparing")):
                shown.step(count, line.split(":")[0].split(" for ")[0].strip().lower())
    shown.end()
    if pip.returncode:
        sys.stderr.writelines(last)
    return pip.returncode


def _read(pip: subprocess.Popen[str], lines: "queue.SimpleQueue[str | None]") -> None:
    for line in pip.stdout or ():
        lines.put(line)
    lines.put(None)


def _installed() -> int:
    """Return how many packages are there; pip says nothing while it unpacks one after the other."""
    return sum(1 for _ in _INSTALLED.glob("*.dist-info"))


class Progress:
    """One line on a terminal, a line now and then elsewhere."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._terminal = sys.stdout.isatty()
        self._said = ""
        self._at = self._began = time.monotonic()

    def note(self, count: int, what: str) -> None:
        """Show a small step: on a terminal, else in the line after a silence."""
        if self._terminal:
            self.step(count, what)
        else:
            self._said = self._line(count, what)

    def _line(self, count: int, what: str) -> str:
        return f"  {count} of {self._total} packages: {what}" if self._total else f"  {what}"

    def step(self, count: int, what: str) -> None:
        """Show a step."""
        line = self._line(count, what)
        if self._terminal:
            print(f"\r{line[:78]:78}", end="", flush=True)
        elif line != self._said and (count % EVERY == 0 or not what.startswith("fetching")):
            print(line, flush=True)
            self._at = time.monotonic()
        self._said = line

    def wait(self, installed: int) -> None:
        """Show that pip is still at work: since when, and how many packages are unpacked."""
        now = time.monotonic()
        of = f" of {self._total}" if self._total else ""
        said = self._said or "  waiting for pip, which reads what to install"
        line = f"{said}; {installed}{of} installed, {now - self._began:.0f} s"
        if self._terminal:
            print(f"\r{line[:78]:78}", end="", flush=True)
        elif now - self._at >= SILENCE_S:
            print(line, flush=True)
            self._at = now

    def end(self) -> None:
        """Go to the next line."""
        if self._terminal and self._said:
            print()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
