"""A folder whose model changes while it is served: the new version takes over by a rolling restart."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from sprat.errors import UserError
from sprat_local.installation import Installation
from sprat_local.models.served import version_in
from sprat_local.models.trial import try_model
from sprat_local.notices import Level, Notice, OnNotice
from sprat_operations.services import ServedModel

_LOOK_EVERY_S = 1.0
_PATIENCE_S = 10.0
"""How long a folder may be unfit before that is told: while it is being written, it is not what its card says."""
_AGAIN_S = 10.0
"""After a new version did not come up."""
_Stamp = tuple[tuple[str, int, int, int], ...]


@dataclass
class _FolderState:
    """What is known of one served folder."""

    model: ServedModel
    version: str
    """The one that is served; empty when none came up."""
    stamp: _Stamp | None = None
    """Of the files that were looked at last; None: look again."""
    unfit: str = ""
    """Why what lies there now cannot be served."""
    unfit_since: float = 0.0
    told: bool = False
    not_before: float = 0.0


class Takeover:
    """Watches the folders of a person's own models, on a thread of its own.

    A new version is loaded and probed in a process of its own before anything is stopped. One that cannot be served
    changes nothing: the version that was loaded goes on, and the reason is told once.
    """

    def __init__(self, installation: Installation, on_notice: OnNotice) -> None:
        self._installation = installation
        self._on_notice = on_notice
        self._stopped = threading.Event()
        self._folders = {
            spec.name: _FolderState(spec.model, spec.model.version)
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

    def look(self) -> None:
        """Look once at all folders, and take over what is new."""
        for name, folder in self._folders.items():
            if not self._stopped.is_set() and time.monotonic() >= folder.not_before:
                self._look(name, folder)

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK_EVERY_S):
            self.look()

    def _look(self, name: str, folder: _FolderState) -> None:
        stamp = _stamp(folder.model.folder)
        if stamp != folder.stamp:
            folder.stamp = stamp
            self._judge(name, folder)
        if folder.unfit and not folder.told and time.monotonic() - folder.unfit_since >= _PATIENCE_S:
            folder.told = True
            goes_on = f"{folder.version} goes on" if folder.version else "nothing is served"
            self._tell(name, "warning", f"its folder has changed and cannot be served; {goes_on}: {folder.unfit}")

    def _judge(self, name: str, folder: _FolderState) -> None:
        model = folder.model
        try:
            version = version_in(model.folder, model.task)
            if version != folder.version:
                try_model(model.task, model.folder)
        except UserError as error:
            folder.unfit_since = folder.unfit_since if folder.unfit else time.monotonic()
            folder.unfit = str(error)
            return
        if folder.told:
            self._tell(name, "info", f"its folder can be served again: version {version}")
        folder.unfit, folder.told = "", False
        if version != folder.version:
            self._take_over(name, folder, version)

    def _take_over(self, name: str, folder: _FolderState, version: str) -> None:
        self._tell(name, "info", f"takes over version {version}, was {folder.version or 'none'}")
        try:
            self._installation.rolling_restart(name)
        except UserError as error:
            # The folder may have changed again meanwhile: look at it anew, whatever its files say.
            folder.version, folder.stamp, folder.not_before = "", None, time.monotonic() + _AGAIN_S
            self._tell(name, "error", f"version {version} does not come up, again in {_AGAIN_S:.0f} s: {error}")
        else:
            folder.version = version
            self._tell(name, "info", f"version {version} serves")

    def _tell(self, name: str, level: Level, text: str) -> None:
        if not self._stopped.is_set():
            self._on_notice(Notice(name, level, text))


def _stamp(folder: Path) -> _Stamp:
    """Give what changes when a file of the folder is written, replaced or removed; empty where there is no folder."""
    try:
        seen = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
    except OSError:
        return ()
    return tuple((name, stat.st_mtime_ns, stat.st_ino, stat.st_size) for name, stat in seen)
