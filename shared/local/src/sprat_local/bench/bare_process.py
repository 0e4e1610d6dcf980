"""The bare model's process, from here: start it, wait, read what it says."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sprat.errors import SpratError, UserError
from sprat_local import environment
from sprat_local.bench.texts import BenchText
from sprat_local.processes import lifeline, logged_child
from sprat_local.processes.service_process import USER_ERROR

_POLL_S: Final = 0.05
_GRACE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Bare:
    """What the bare model did."""

    model: Mapping[str, str]
    """Its name and version."""
    served: tuple[int, ...]
    """Places of the texts that the service does not decline."""
    texts: int
    cpu_s: float

    @property
    def cpu_s_per_1000(self) -> float:
        """CPU seconds for 1,000 texts."""
        return 1000 * self.cpu_s / self.texts


class BareModel:
    """Runs it, any number of times, one after the other."""

    def __init__(self, task: str, texts: Sequence[BenchText], folder: Path, variables: Mapping[str, str]) -> None:
        """Prepare.

        Args:
            task: whose service's model it is.
            texts: what it is to answer.
            folder: for its files.
            variables: of the service, on top of this process's own.
        """
        self._task = task
        self._texts = folder / "texts.json"
        self._texts.write_text(json.dumps([text.as_json() for text in texts]), "utf-8")
        self._output, self._log = folder / "bare.json", folder / "bare.log"
        # It hashes nothing, yet it reads the settings of a service, which must have a secret.
        self._environment = environment.threads() | {"SPRAT_SECRET": "of no use to a bare model"} | dict(variables)
        self._child: lifeline.Child | None = None

    def run(self, *, count: int | None = None, seconds: float = 1.0) -> Bare:
        """Let it answer `count` texts, or as many as it can in `seconds` of CPU.

        Raises:
            UserError: the model cannot be used, or serves none of the texts.
            SpratError: it broke.
        """
        wanted = ["--seconds", str(seconds)] if count is None else ["--count", str(count)]
        files = [str(self._texts), str(self._output)]
        argv = [sys.executable, "-P", "-m", "sprat_local.bench.bare", self._task, *files, *wanted]
        child = logged_child.start("the bare model", argv, self._log, env=self._environment)
        self._child = child.process
        try:
            while child.alive:
                time.sleep(_POLL_S)
        finally:
            self.kill()
        if child.process.returncode == USER_ERROR:
            raise UserError(child.last_lines())
        if child.process.returncode:
            raise SpratError(f"the bare model broke: {child.exit_reason}\n{child.last_lines()}")
        found: dict[str, Any] = json.loads(self._output.read_text("utf-8"))
        return Bare(found["model"], tuple(found["served"]), found["texts"], found["cpu_s"])

    def kill(self) -> None:
        """End it at once, if it runs."""
        child = self._child
        if child is not None and child.poll() is None:
            lifeline.stop(child, _GRACE_S)
