"""A folder whose model changes while it is served: the new version takes over by a rolling restart."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from sprat.errors import UserError
from sprat.local.events import Event, Level, OnEvent
from sprat.local.installation import Installation
from sprat.local.served import ServedModel, version_in
from sprat.models.artefact import CARD

_LOOK_EVERY_S = 1.0
_PATIENCE_S = 10.0
"""A folder that is being written is not what its card says for a while."""
_Stamp = tuple[int, int, int]


@dataclass
class _FolderState:
    """What is known of one served folder."""

    model: ServedModel
    version: str
    """The one that is served."""
    stamp: _Stamp | None
    """Of the card that was looked at last; None: look again."""
    broken_since: float | None = None
    told: bool = False


class Takeover:
    """Watches the folders of a person's own models, on a thread of its own.

    A folder that cannot be served changes nothing: the version that was loaded goes on, and the reason is told once.
    """

    def __init__(self, installation: Installation, on_event: OnEvent) -> None:
        self._installation = installation
        self._on_event = on_event
        self._stopped = threading.Event()
        self._folders = {
            spec.name: _FolderState(spec.model, spec.model.version, None)
            for spec in installation.specs
            if spec.model is not None
        }

    def start(self) -> None:
        """Begin to watch."""
        if self._folders:
            threading.Thread(target=self._watch, name="sprat-takeover", daemon=True).start()

    def stop(self) -> None:
        """Watch no more; a restart that is under way ends by itself when the installation stops."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK_EVERY_S):
            for name, folder in self._folders.items():
                if not self._stopped.is_set():
                    self._look(name, folder)

    def _look(self, name: str, folder: _FolderState) -> None:
        stamp = _stamp(folder.model.folder)
        if stamp is not None and stamp == folder.stamp:
            return
        try:
            version = version_in(folder.model.folder, folder.model.task)
        except UserError as error:
            self._broken(name, folder, str(error))
            return
        folder.stamp, folder.broken_since, folder.told = stamp, None, False
        if version != folder.version:
            self._take_over(name, folder, version)

    def _take_over(self, name: str, folder: _FolderState, version: str) -> None:
        self._tell(name, "info", f"takes over version {version}, was {folder.version}")
        folder.version = version
        try:
            self._installation.renew(name)
        except UserError as error:
            if not self._stopped.is_set():
                self._tell(name, "error", f"version {version} does not come up: {error}")
        else:
            self._tell(name, "info", f"version {version} serves")

    def _broken(self, name: str, folder: _FolderState, why: str) -> None:
        now = time.monotonic()
        folder.stamp = None
        folder.broken_since = folder.broken_since or now
        if not folder.told and now - folder.broken_since >= _PATIENCE_S:
            folder.told = True
            self._tell(name, "warning", f"its folder has changed and cannot be served; {folder.version} goes on: {why}")

    def _tell(self, name: str, level: Level, text: str) -> None:
        if not self._stopped.is_set():
            self._on_event(Event(name, level, text))


def _stamp(folder: Path) -> _Stamp | None:
    """Give what changes when a card is written anew; None where there is none."""
    try:
        seen = (folder / CARD).stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_ino, seen.st_size
