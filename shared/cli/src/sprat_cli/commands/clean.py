"""`sprat clean`: show what lies in the user's cache, and remove it."""

from typing import Annotated

import typer

from sprat.base.errors import SpratError, UserError
from sprat_cli.options import Json
from sprat_cli.terminal import printable, remark, say, say_json, table
from sprat_operations import local_cache, local_run

EPILOG = """\b
Examples:
  sprat clean --dry-run
  sprat clean --yes
  sprat clean --dry-run --json | jq .size

\b
It removes what Sprat has made there and nothing else: the files of Apache Kafka, weights that recipes fetch, what tests
fetch or build. Links are removed, never what they lead to; where the cache itself is a link, nothing is. It does not
touch the folders that were named with --data, nor `.venv`, which `make clean` removes.

\b
Exit codes:
  0  removed, or there was nothing
  1  not removed: not confirmed, or a file cannot be removed
  2  wrong usage, an installation runs with it, or the cache is a link"""


def clean(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show it and remove nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove it without a question.")] = False,
    as_json: Json = False,
) -> None:
    """Show what Sprat keeps in the cache of this user, and how much; then remove it.

    The next `sprat up` fetches Apache Kafka again (44 MB). While one runs, nothing is removed; one that was started
    with --redis is not noticed.
    """
    found, others = local_cache.contents(), local_cache.others()
    total = sum(each.size for each in found)
    if as_json:
        for each in found:
            say_json({"type": "cached", "path": str(each.path), "size": each.size, "what": each.what})
        for path in others:
            say_json({"type": "left", "path": str(path)})
    elif found:
        for line in table([(format_size(each.size), str(each.path), each.what) for each in found]):
            say(line)
        say(f"{format_size(total)} in all")
    else:
        say(f"nothing of Sprat in {local_cache.folder()}")
    if others and not as_json:
        remark(f"not made by Sprat, and left there: {', '.join(printable(path.name) for path in others)}")
    if dry_run or not found:
        return
    if runs := local_run.running():
        raise UserError(f"sprat up or sprat demo runs (process {runs[0].pid}) with these files: stop it first")
    if not yes and not typer.confirm("Remove it?", err=True):
        raise SpratError("nothing was removed")
    _remove(found)
    remark(f"removed {format_size(total)}")


def _remove(found: list[local_cache.CachedFolder]) -> None:
    """Remove all that can be removed.

    Raises:
        SpratError: something cannot; each is named on standard error.
    """
    failed = 0
    for each in found:
        try:
            local_cache.remove(each)
        except OSError as error:
            failed += 1
            remark(f"{error.filename or each.path} cannot be removed: {error.strerror}")
    if failed:
        raise SpratError(f"{failed} of {len(found)} could not be removed")


def format_size(size: int) -> str:
    """Return bytes as whole megabytes, or less as kilobytes."""
    return f"{size / 1e6:,.0f} MB" if size >= 1_000_000 else f"{size / 1e3:,.0f} kB"
