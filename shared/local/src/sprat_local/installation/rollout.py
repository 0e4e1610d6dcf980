"""The rollout of a new version of a model while its folder is being served.

`python -m sprat_local.installation.rollout TASK DIR` loads a model as its service would, and probes it; exit code 1 and
one line if it cannot be served.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sprat.base import plugins
from sprat.base.errors import SpratError, UserError
from sprat.base.thresholds import find_thresholds
from sprat_local.installation import environment
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.models import version_in
from sprat_local.processes import lifeline
from sprat_local.processes.notices import Level, Notice, OnNotice
from sprat_operations.services import ServedModel, program_of

_CHECK_EVERY_S: Final = 1.0
_PROBE_TIMEOUT_S: Final = 60.0
_Stamp = tuple[tuple[str, int, int, int], ...]


@dataclass
class _FolderState:
    """The state of one served folder."""

    model: ServedModel
    version: str
    """The version in use; empty if none could be started."""
    thresholds: str = ""
    """What was found of its thresholds at the last check."""
    tried: str = ""
    """The version of which the user was told last that it is tried."""
    stamp: _Stamp | None = None
    """Of the files at the last check; None: check again."""
    problem: str = ""
    """Why the present files cannot be served."""
    problem_since: float = 0.0
    reported: bool = False
    not_before: float = 0.0
    """Time of the next check."""


class ModelRollout:
    """Watches the folders of the user's own models from a thread of its own, and rolls out new versions.

    A new version is first loaded and probed in another process. If it cannot be served, the previous version stays in
    use and the reason is reported once.
    """

    def __init__(
        self,
        installation: Installation,
        on_notice: OnNotice,
        *,
        report_after_s: float = 10.0,
        retry_after_s: float = 10.0,
    ) -> None:
        """Take the served folders from the installation.

        Args:
            installation: it must run before `start`.
            on_notice: receives what happens.
            report_after_s: how long a folder may be unusable before that is reported: while files are being written,
                they do not match their card.
            retry_after_s: pause after a version that did not start.
        """
        self._installation = installation
        self._on_notice = on_notice
        self._report_after_s = report_after_s
        self._retry_after_s = retry_after_s
        self._stopped = threading.Event()
        self._folders = {
            spec.name: _FolderState(
                spec.model, spec.model.version, _thresholds(spec.model.folder, spec.model.version)[1]
            )
            for spec in installation.specs
            if spec.model is not None
        }

    def start(self) -> None:
        """Start to watch."""
        if self._folders:
            threading.Thread(target=self._watch, name="sprat-rollout", daemon=True).start()

    def stop(self) -> None:
        """Stop watching; a restart in progress ends when the installation stops."""
        self._stopped.set()

    def check(self) -> None:
        """Check all folders once and roll out new versions."""
        for name, folder in self._folders.items():
            if not self._stopped.is_set() and time.monotonic() >= folder.not_before:
                self._check(name, folder)

    def _watch(self) -> None:
        while not self._stopped.wait(_CHECK_EVERY_S):
            self.check()

    def _check(self, name: str, folder: _FolderState) -> None:
        stamp = _stamp(folder.model.folder)
        if stamp != folder.stamp:
            folder.stamp = stamp
            self._handle_change(name, folder)
        unusable_s = time.monotonic() - folder.problem_since
        if folder.problem and not folder.reported and unusable_s >= self._report_after_s:
            folder.reported = True
            in_use = f"{folder.version} stays in use" if folder.version else "nothing is served"
            self._notify(name, "warning", f"its folder has changed and cannot be served; {in_use}: {folder.problem}")

    def _handle_change(self, name: str, folder: _FolderState) -> None:
        model = folder.model
        try:
            version = version_in(model.folder, model.task)
            if version != folder.version:
                self._say_tried(name, folder, version)
                probe_in_process(model.task, model.folder)
        except UserError as error:
            folder.problem_since = folder.problem_since if folder.problem else time.monotonic()
            folder.problem = str(error)
            return
        if folder.reported:
            self._notify(name, "info", f"its folder can be served again: version {version}")
        folder.problem, folder.reported = "", False
        if version != folder.version:
            self._roll_out(name, folder, version)
        level, found = _thresholds(model.folder, version)
        if found != folder.thresholds and version == folder.version:
            folder.thresholds = found
            self._notify(name, level, found)

    def _say_tried(self, name: str, folder: _FolderState, version: str) -> None:
        """Send a notice of the new version and of what comes next, before it is loaded, which takes seconds."""
        if folder.tried == version:
            return
        folder.tried = version
        meanwhile = f"{folder.version} stays in use" if folder.version else "nothing is served"
        self._notify(
            name,
            "info",
            f"{folder.model.folder} holds another version, {version}: it is loaded and tried now, and {meanwhile} "
            "meanwhile; then it is rolled out, or a line says why not",
        )

    def _roll_out(self, name: str, folder: _FolderState, version: str) -> None:
        self._notify(name, "info", f"rolling out version {version}, was {folder.version or 'none'}")
        try:
            self._installation.rolling_restart(name)
        except UserError as error:
            # The folder may have changed again meanwhile: check it even if its files look the same.
            folder.version, folder.stamp = "", None
            folder.not_before = time.monotonic() + self._retry_after_s
            retry = f"next try in {self._retry_after_s:.0f} s"
            self._notify(name, "error", f"version {version} does not start, {retry}: {error}")
        else:
            folder.version = version
            folder.thresholds = _thresholds(folder.model.folder, version)[1]
            self._notify(name, "info", f"version {version} is in use")

    def _notify(self, name: str, level: Level, text: str) -> None:
        if not self._stopped.is_set():
            self._on_notice(Notice(name, level, text))


def _stamp(folder: Path) -> _Stamp:
    """Return what changes when a file of the folder is written, replaced or removed; empty without a folder."""
    try:
        stats = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
    except OSError:
        return ()
    return tuple((name, stat.st_mtime_ns, stat.st_ino, stat.st_size) for name, stat in stats)


def _thresholds(folder: Path, version: str) -> tuple[Level, str]:
    """Return what becomes of the thresholds in a folder: its service looks at them by itself."""
    try:
        found = find_thresholds(folder, model_version=version)
    except UserError as error:
        return "warning", f"its thresholds are refused, and those before stay in use: {error}"
    if found is None:
        return "info", "its thresholds are gone: those before stay in use until it is started again"
    return "info", f"its service takes over the thresholds {found.thresholds_version}"


def probe_in_process(task: str, folder: Path) -> None:
    """Load and probe the model in `folder` in another process, so that a model that crashes cannot crash this one.

    It ends with this process.

    Raises:
        UserError: it cannot be served; the message says why.
    """
    argv = [sys.executable, "-P", "-m", "sprat_local.installation.rollout", task, str(folder)]
    with tempfile.TemporaryFile() as errors:
        child = lifeline.spawn(argv, env=environment.single_threaded(), stderr=errors)
        try:
            code = child.wait(_PROBE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            raise UserError(f"{folder}: it does not answer its probe within {_PROBE_TIMEOUT_S:.0f} s") from None
        errors.seek(0)
        lines = errors.read().decode("utf-8", "replace").strip().splitlines()
    if code:
        raise UserError(lines[-1] if lines else f"{folder}: loading it ends the process, code {code}")


def main() -> int:
    """Load and probe a model; return the exit code."""
    parser = argparse.ArgumentParser(description="Check whether a model can be served.")
    parser.add_argument("task")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    try:
        plugins.load_specialist(program_of(arguments.task)).load(arguments.folder, threads=1).probe()
    except SpratError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
