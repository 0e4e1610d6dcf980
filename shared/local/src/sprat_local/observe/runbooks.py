"""The runbooks, as pages of Prometheus, and the rules whose alerts link to them."""

import html
import re
from pathlib import Path

from sprat_local.processes import private

PATH = "/consoles/runbooks"
"""Where Prometheus serves them. An alert's link is this address and the name of its file."""
_FOLDER = "runbooks"
_BASE = re.compile(r"(?<=labels: \{base: )[^}]+")
"""In the rules: where the runbooks are."""
_LINK = re.compile(r"\[([^]]+)\]\(([^)]+)\)")


def write_pages(configuration: Path, consoles: Path) -> None:
    """Write the runbooks into the folder of what Prometheus serves: as they are, with links from one to another."""
    folder = consoles / _FOLDER
    private.make_folder(folder)
    for path in (configuration / _FOLDER).glob("*.md"):
        text = _LINK.sub(_linked, html.escape(path.read_text("utf-8"), quote=False))
        head = f'<!DOCTYPE html><meta charset="utf-8"><title>{path.stem}</title>'
        private.write_text(folder / path.name, f'{head}<pre style="white-space: pre-wrap">{text}</pre>')


def write_rules(files: list[str], folder: Path, url: str) -> list[str]:
    """Return the files with rules, where one says where the runbooks are: a copy in the folder that says `url`."""
    private.make_folder(folder)
    return [_with_base(Path(name), folder, url) for name in files]


def _with_base(path: Path, folder: Path, url: str) -> str:
    text = path.read_text("utf-8")
    if not _BASE.search(text):
        return str(path)
    own = folder / path.name
    private.write_text(own, _BASE.sub(url, text))
    return str(own)


def _linked(found: re.Match[str]) -> str:
    """Return a link to another runbook; of one that leads to the documentation, its words and the file."""
    words, target = found.groups()
    if "/" in target:
        return f"{words} ({target.removeprefix('../../')})"
    return f'<a href="{target.partition("#")[0]}">{words}</a>'  # the headings of a page as it is are no targets
