"""Install what a lock names, and show how far that is: `python install.py pip-arguments…`, as `make setup` does.

pip alone is either silent for minutes or writes some hundred lines. On a terminal this rewrites one line; elsewhere it
writes one for each 25 packages. What pip says when it fails is shown whole.
"""

import re
import subprocess
import sys
from collections import deque
from pathlib import Path

EVERY = 25
"""Packages between two lines where there is no terminal."""
_FOUND = re.compile(r"^\s*Collecting (\S+?)(?:[=<>!~\[].*)?(?: \(from .*)?$")
_PINNED = re.compile(r"^[A-Za-z0-9]", re.MULTILINE)
_LAST_LINES = 40


def main(arguments: list[str]) -> int:
    """Run pip with these arguments; return its exit code."""
    total = sum(len(_PINNED.findall(Path(file).read_text("utf-8"))) for file in arguments if file.endswith(".lock"))
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar=off", *arguments]
    last: deque[str] = deque(maxlen=_LAST_LINES)
    shown, count = Progress(total), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        for line in pip.stdout or ():
            last.append(line)
            if found := _FOUND.match(line):
                count += 1
                shown.step(count, f"fetching {found[1]}")
            elif line.startswith(("Building wheel", "Installing collected", "Preparing")):
                shown.step(count, line.split(":")[0].split(" for ")[0].strip().lower())
    shown.end()
    if pip.returncode:
        sys.stderr.writelines(last)
    return pip.returncode


class Progress:
    """One line on a terminal, a line now and then elsewhere."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._terminal = sys.stdout.isatty()
        self._said = ""

    def step(self, count: int, what: str) -> None:
        """Show a step."""
        line = f"  {count} of {self._total} packages: {what}" if self._total else f"  {what}"
        if self._terminal:
            print(f"\r{line[:78]:78}", end="", flush=True)
        elif line != self._said and (count % EVERY == 0 or not what.startswith("fetching")):
            print(line, flush=True)
        self._said = line

    def end(self) -> None:
        """Go to the next line."""
        if self._terminal and self._said:
            print()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
