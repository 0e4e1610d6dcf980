"""`thresholds.json`: the file beside a model's card that says from which confidence on its answers are how often right.

It is read only where its content has the version that it states, and is of the model's version. Whoever can write it
decides which answers are kept, so the rules of `sprat.base.file_guard` hold.
"""

import asyncio
import json
import logging
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from sprat.base.errors import Retryable, UserError
from sprat.base.file_guard import check_writers
from sprat_contracts.thresholds import FORMAT, Thresholds, content_version

log = logging.getLogger(__name__)

THRESHOLDS: Final = "thresholds.json"
LOOK_EVERY_S: Final = 5.0
_MAX_BYTES: Final = 4 << 20
_COULD = "decide which answers are kept"
_MEASURE = "measure the model: sprat evaluate FILE --model MODEL --write"


def read_thresholds(path: Path, *, model_version: str, label_set: str | None = None) -> Thresholds:
    """Read the thresholds of one version of a model.

    Args:
        path: the file, or a link to it.
        model_version: of the model whose answers are judged.
        label_set: hash of its labels; None where it is not to be compared.

    Raises:
        UserError: the file is not there, may be somebody else's work, is torn or changed, or is of another model.
    """
    raw = _read(path)
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        raise UserError(f"{path}: not JSON, or only a part of it; restore it, or {_MEASURE}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no thresholds, but a {type(content).__name__}; restore it, or {_MEASURE}")
    if (found := content.get("format")) != FORMAT:
        raise UserError(
            f"{path}: has the format {found!r}, this release reads {FORMAT}; use the release that wrote it, or "
            f"{_MEASURE}"
        )
    try:
        thresholds = Thresholds.model_validate_json(raw)
        version = content_version(content)
    except ValidationError as error:
        raise UserError(f"{path}: not thresholds, look at {_fields(error)}; restore it, or {_MEASURE}") from None
    except ValueError:
        raise UserError(f"{path}: holds a number that is none (NaN, Infinity); restore it, or {_MEASURE}") from None
    if version != thresholds.thresholds_version:
        raise UserError(
            f"{path}: says version {thresholds.thresholds_version} but its content is {version}: it was changed after "
            f"it was written; restore it, or {_MEASURE}"
        )
    if thresholds.model_version != model_version:
        raise UserError(
            f"{path}: was measured with version {thresholds.model_version} of the model, this one is {model_version}; "
            f"remove it, or {_MEASURE}"
        )
    if label_set is not None and thresholds.label_set != label_set:
        raise UserError(f"{path}: was measured with other labels; remove it, or {_MEASURE}")
    return thresholds


def find_thresholds(folder: Path, *, model_version: str, label_set: str | None = None) -> Thresholds | None:
    """Return the thresholds in the folder of a model; None where it has no such file.

    Raises:
        UserError: as `read_thresholds`.
    """
    path = folder / THRESHOLDS
    return read_thresholds(path, model_version=model_version, label_set=label_set) if path.exists() else None


def write_thresholds(path: Path, thresholds: Thresholds) -> None:
    """Write the file at once: a reader finds the former content or this one. Only this user can write it.

    Raises:
        ValueError: the version is not that of the content.
        OSError: it cannot be written.
    """
    content = thresholds.model_dump(mode="json")
    if (version := content_version(content)) != thresholds.thresholds_version:
        raise ValueError(f"the thresholds say version {thresholds.thresholds_version}, their content is {version}")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(content, ensure_ascii=False, indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:  # Ctrl-C, too: no half file stays beside the model
        Path(name).unlink(missing_ok=True)
        raise


class ThresholdsFile:
    """The thresholds that a running service judges by; a changed file is taken over.

    A file that is refused or gone leaves those that were read last, at the start the default.

    Args:
        path: the file, or a link to it that may be swapped.
        model_version: of the model served.
        label_set: hash of its labels, if any.
        default: what is used until there is a file that is not refused.
    """

    def __init__(
        self, path: Path, *, model_version: str, label_set: str | None = None, default: Thresholds | None = None
    ) -> None:
        self.path = path
        self.current = default
        self._model_version = model_version
        self._label_set = label_set
        self._refused: tuple[str, int] | None = None
        """The last refusal that was logged, and when its file was changed."""
        self._was_there = path.exists()
        if not self._was_there:
            return
        try:
            self.current = self._read()
        except UserError as error:
            self._log(error)

    async def follow(self, on_change: Callable[[Thresholds], Awaitable[None]], every_s: float = LOOK_EVERY_S) -> None:
        """Check the file until cancelled, and hand each changed content to `on_change`.

        Where `on_change` raises `Retryable`, it gets the content again at the next look.
        """
        told = self.current
        while True:
            await asyncio.sleep(every_s)
            await self._look()
            if self.current is None or self.current is told:
                continue
            try:
                await on_change(self.current)
            except Retryable as error:
                log.warning("thresholds %s: %s; trying again", self.current.thresholds_version, error)
            else:
                told = self.current

    async def _look(self) -> None:
        self._was_there = self._was_there or self.path.exists()
        if not self._was_there:
            return
        try:
            found = await asyncio.to_thread(self._read)
        except UserError as error:
            self._log(error)
            return
        self._refused = None
        if self.current is None or found.thresholds_version != self.current.thresholds_version:
            log.info("thresholds %s taken over from %s", found.thresholds_version, self.path)
            self.current = found

    def _log(self, error: UserError) -> None:
        """Log why the present content is refused, once."""
        refused = str(error), _changed_at(self.path)
        if refused != self._refused:
            version = "none" if self.current is None else self.current.thresholds_version
            log.warning("thresholds refused, version %s stays: %s", version, error)
        self._refused = refused

    def _read(self) -> Thresholds:
        return read_thresholds(self.path, model_version=self._model_version, label_set=self._label_set)


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _read(path: Path) -> bytes:
    check_writers(path, _COULD)
    try:
        with path.open("rb") as file:
            check_writers(path, _COULD, opened=file.fileno())  # again: another file may stand there by now
            raw = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: not found; {_MEASURE}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; restore it, or {_MEASURE}") from None
    if len(raw) > _MAX_BYTES:
        raise UserError(f"{path}: larger than {_MAX_BYTES >> 20} MiB, so no thresholds; restore it, or {_MEASURE}")
    return raw


def _fields(error: ValidationError) -> str:
    problems: list[Any] = error.errors(include_input=False, include_url=False)
    return ", ".join(
        f"{'.'.join(map(str, each['loc'])) or 'the whole'} ({each['msg'].removeprefix('Value error, ')})"
        for each in problems[:3]
    )
