"""Build the documentation site into `site/`: `make docs`. Exits 1 and names every link that leads nowhere.

Pages link to source files and to the READMEs of packages, as a reader of the repository expects. A site generator knows
only its own folder. So the pages and all files that they link to are first copied to `build/docs`, each to its place in
the repository. Then Zensical builds that folder in strict mode, and the links of the result are checked.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "build/docs"
SITE = ROOT / "site"

_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)")
_CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)


class Page(HTMLParser):
    """The links and the anchors of one built page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what a tag links to and the anchor it sets."""
        for name, value in attrs:
            if value and name in {"id", "name"}:
                self.anchors.add(value)
            elif value and (tag, name) in {("a", "href"), ("img", "src"), ("link", "href"), ("script", "src")}:
                self.links.append(value)


def main() -> int:
    """Collect, build and check; return the exit code."""
    for folder in (SOURCE, SITE):
        shutil.rmtree(folder, ignore_errors=True)
    for file in collected():
        target = SOURCE / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    zensical = Path(sys.executable).with_name("zensical")
    built = subprocess.run([zensical, "build", "--clean", "--strict", "-f", ROOT / "mkdocs.yml"], check=False)
    if built.returncode:
        return 1
    broken = list(broken_links())
    print("\n".join(broken) or f"every link leads somewhere: {SITE.relative_to(ROOT) / 'docs/index.html'}")
    return 1 if broken else 0


def collected() -> set[Path]:
    """Return the pages in `docs/` and every file that they link to, also through other Markdown files."""
    found: set[Path] = set()
    left = sorted((ROOT / "docs").rglob("*.md"))
    while left:
        file = left.pop()
        if file in found:
            continue
        found.add(file)
        if file.suffix == ".md":
            targets = _LINK.findall(_CODE.sub("", file.read_text("utf-8")))
            left += [path for target in targets if (path := (file.parent / target).resolve()).is_file()]
    return found


def broken_links() -> Iterator[str]:
    """Yield every relative link or anchor of the built site that leads nowhere, with its page."""
    pages = {path: Page(path) for path in sorted(SITE.rglob("*.html")) if path.name != "404.html"}
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if parts.scheme or parts.netloc:
                continue
            if not target.is_file() or (
                target in pages and parts.fragment and unquote(parts.fragment) not in pages[target].anchors
            ):
                yield f"{path.relative_to(SITE)}: {link}"


if __name__ == "__main__":
    sys.exit(main())
