"""`sprat init`: the files with which a use case begins."""

import shlex
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from sprat.errors import UserError
from sprat_cli.terminal import say, table
from sprat_operations import local_run

EPILOG = """\b
Examples:
  sprat init
  sprat init my-use-case

\b
Exit codes:
  0  written
  2  a file is there already: nothing was written; or one cannot be written"""

_FILES = {
    "policy.yaml": ("policy.yaml", "what may leave, for whom, and when an answer is kept; every field is explained"),
    "env": (".env", "settings of the commands and services started in this folder"),
    "producer": ("producer.py", "a program that publishes a text and waits for its Result"),
}
"""Packaged file → its name there, and what it is. No packaged one has a suffix by which it would count as code of this
package."""


_USUAL_KAFKA = b"127.0.0.1:9092"


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write them; it is made if need be.")] = Path(),
) -> None:
    """Write a policy, a file of settings and an example of a producer into a folder. Nothing is overwritten."""
    if present := [name for name, _ in _FILES.values() if (folder / name).exists() or (folder / name).is_symlink()]:
        raise UserError(f"there already: {', '.join(str(folder / name) for name in present)}; nothing was written")
    # The address of what runs already; else `sprat up` takes the one that it finds in `.env`, if it is free.
    running = [run.bootstrap for run in local_run.for_commands()]
    kafka = running[0].encode() if len(running) == 1 else _USUAL_KAFKA
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for packaged, (name, _) in _FILES.items():
            # Keys go into `.env`, so it is for its owner alone.
            (folder / name).touch(0o600 if packaged == "env" else 0o644, exist_ok=False)
            content = (files("sprat_cli.init") / "files" / packaged).read_bytes()
            (folder / name).write_bytes(content.replace(_USUAL_KAFKA, kafka) if packaged == "env" else content)
    except OSError as error:
        raise UserError(f"{error.filename or folder} cannot be written: {error.strerror}") from None
    for line in table([(str(folder / name), what) for name, what in _FILES.values()]):
        say(line)
    here = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    say(f"next: {here}sprat up --policy policy.yaml; in another terminal: python producer.py")
