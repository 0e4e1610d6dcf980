"""`sprat init`: the files with which a use case begins."""

import json
import re
import shlex
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
import yaml

from sprat.base.errors import UserError
from sprat_cli.options import option
from sprat_cli.terminal import say, table
from sprat_operations import local_run
from sprat_operations.installation import USUAL_KAFKA

EPILOG = """\b
Examples:
  sprat init
  sprat init my-use-case --tenant acme

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
_ADDRESS = f"#SPRAT_KAFKA__BOOTSTRAP={USUAL_KAFKA}\n"
_EXAMPLES = re.compile(r"^  acme-bank:\n(?P<rules>(?:    .*\n)+)  nordic-travel:\n(?:    .*\n)+", re.MULTILINE)
"""The tenants of the packaged policy, the first of them with all fields explained."""
_DEFAULT = re.compile(r"\n(?:  #.*`default`.*|  # default:.*)(?=\n)")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_MAX_TENANT = 256


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write them; it is made if need be.")] = Path(),
    *,
    tenant: Annotated[str | None, option("NAME", "The tenant of the policy. [default: two examples]")] = None,
) -> None:
    """Write a policy, a file of settings and an example of a producer into a folder. Nothing is overwritten."""
    _check_tenant(tenant)
    if present := [name for name, _ in _FILES.values() if (folder / name).exists() or (folder / name).is_symlink()]:
        raise UserError(f"there already: {', '.join(str(folder / name) for name in present)}; nothing was written")
    running = [run.bootstrap for run in local_run.for_commands()]
    kafka = running[0] if len(running) == 1 else USUAL_KAFKA
    contents = {
        packaged: (files("sprat_cli.commands.init") / "files" / packaged).read_text("utf-8") for packaged in _FILES
    }
    contents["env"] = contents["env"].replace(_ADDRESS, _ADDRESS.replace(USUAL_KAFKA, kafka))
    if tenant is not None:
        contents["policy.yaml"] = _for_tenant(contents["policy.yaml"], tenant)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for packaged, (name, _) in _FILES.items():
            # Keys go into `.env`, so it is for its owner alone.
            (folder / name).touch(0o600 if packaged == "env" else 0o644, exist_ok=False)
            (folder / name).write_text(contents[packaged], encoding="utf-8", newline="\n")
    except OSError as error:
        raise UserError(f"{error.filename or folder} cannot be written: {error.strerror}") from None
    for line in table([(str(folder / name), what) for name, what in _FILES.values()]):
        say(line)
    here = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    say(f"next: {here}sprat up; in another terminal: python producer.py")
    if kafka != USUAL_KAFKA:
        say(f"your `sprat up` is at {kafka}: commands find it; for producer.py, set it in {folder / '.env'}")


def _check_tenant(name: str | None) -> None:
    """Check that texts can name a tenant, and that it is one.

    Raises:
        UserError: it is not.
    """
    if name is None:
        return
    if not 1 <= len(name) <= _MAX_TENANT or not name.isprintable() or name == "*":
        raise UserError(f"--tenant {name!r}: a tenant's name has 1 to {_MAX_TENANT} printable characters, and is not *")


def _for_tenant(policy: str, name: str) -> str:
    """Return the packaged policy with one tenant in place of the examples."""
    key = name if _PLAIN.fullmatch(name) and yaml.safe_load(name) == name else json.dumps(name, ensure_ascii=False)
    policy = _EXAMPLES.sub(lambda found: f"  {key}:\n{found['rules']}", policy)
    return _DEFAULT.sub("", policy) if name == "default" else policy
