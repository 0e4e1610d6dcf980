"""Write the folder of a model into the file of its task; keep comments, order and blank lines as they are."""

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Final

from sprat.base.errors import UserError
from sprat_policy.load import section_of
from sprat_policy.task_files import TaskFile, load_task_file
from sprat_policy.yaml_document import UnreadableYamlError

_ARTEFACT: Final = re.compile(
    r"^artefact[ \t]*:[ \t]*(\"[^\"\n]*\"|'[^'\n]*'|[^#\r\n]*?)(?=[ \t]*(#.*)?\r?$)", re.MULTILINE
)
"""The field on a line of its own."""


def set_task_model(path: Path, artefact: str) -> TaskFile:
    """Write the model of a task into the task's file; return what the file said before.

    The new content is read back first, and the file replaced, as a whole, only if nothing else differs.

    Args:
        path: the file of the task.
        artefact: the folder of the model, from the folder of the file.

    Raises:
        UserError: the file is not valid; it cannot be written, or its layout cannot be edited safely. The file does not
            change then.
    """
    before = load_task_file(path)
    wanted = before.model_copy(update={"artefact": Path(artefact)})
    text = path.read_bytes().decode("utf-8")
    field = f"artefact: {json.dumps(artefact, ensure_ascii=False)}"
    changed, found = _ARTEFACT.subn(lambda _: field, text, count=1)
    if not found:
        end = "\r\n" if "\r\n" in text else "\n"
        changed = text + ("" if text.endswith("\n") else end) + field + end
    new = changed.encode("utf-8")
    try:
        is_wanted = section_of(new, "", TaskFile)[0].model_dump() == wanted.model_dump()
    except (UserError, UnreadableYamlError):
        is_wanted = False
    if not is_wanted:
        raise UserError(f"{path}: laid out in a way that is not edited safely; write it yourself: {field}")
    _replace(path, new)
    return before


def _replace(path: Path, content: bytes) -> None:
    """Replace the file atomically: a service that starts meanwhile reads either the old or the new content."""
    real = path.resolve()
    try:
        handle, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(name, real.stat().st_mode & 0o777)  # noqa: PTH101 - a name, not a Path
            os.replace(name, real)  # noqa: PTH105 - as above
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
