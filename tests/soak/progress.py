"""What a soak run says while it runs."""

import threading
import time
from pathlib import Path
from typing import Final

from sprat_local.processes.notices import Notice
from tests.soak.measure import Ends
from tests.soak.sender import AcknowledgementLog, PlainSender

_TELL_S: Final = 10.0


class Narrator:
    """Says what happens, on standard output and in a file."""

    def __init__(self, file: Path) -> None:
        self._began = time.monotonic()
        self._file = file

    def __call__(self, line: str) -> None:
        """Say a line."""
        said = f"{time.monotonic() - self._began:7.1f} s  {line}"
        print(said, flush=True)
        with self._file.open("a", encoding="utf-8") as lines:
            lines.write(said + "\n")

    def notice(self, notice: Notice) -> None:
        """Say what the installation reports, but for the logs of its services, which have files of their own."""
        self(f"  {notice.level}: {notice.service}: {notice.text.splitlines()[0]}")


class Progress(threading.Thread):
    """Says every few seconds how far a run is, and knows how much waits in the installation."""

    def __init__(self, plain: PlainSender, log: AcknowledgementLog, results: Ends, tell: Narrator) -> None:
        super().__init__(name="soak-progress", daemon=True)
        self.waiting = 0
        """Texts that are acknowledged and have no Result, about: a text may have two, and a Result may stand twice."""
        self._plain, self._log, self._results, self._tell = plain, log, results, tell
        self._over = threading.Event()

    def end(self) -> None:
        """Stop."""
        self._over.set()
        self.join()

    def run(self) -> None:
        """Say it until `end` is called."""
        while not self._over.wait(_TELL_S):
            ended = self._results.look()
            self.waiting = max(0, self._log.texts + self._log.counts["broken"] - ended)
            self._log.flush()
            self._tell(f"{self._plain.sent} sent, {dict(self._log.counts)} acknowledged, {ended} Results and letters")
