"""Links between the pages, into the pages and from the pages to files of the repository lead somewhere."""

import re
import unicodedata
from pathlib import Path

import pytest
import yaml

from support.readme import DOCS, PAGES, README, ROOT, without_code

PACKAGES = [
    page
    for page in sorted(ROOT.rglob("*.md"))
    if page not in PAGES and not {".venv", "build", "site"} & set(page.relative_to(ROOT).parts)
]
LINK = re.compile(r"\]\((?!https?:|mailto:)(?P<target>[^)\s]+)\)")
README_LINES = 150


def links(page: Path) -> list[str]:
    return [found["target"] for found in LINK.finditer(without_code(page.read_text("utf-8")))]


def headings(page: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", without_code(page.read_text("utf-8")), re.MULTILINE)


def github_anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def site_anchor(heading: str) -> str:
    """Return the anchor that Python-Markdown makes for the site."""
    plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


@pytest.mark.parametrize("page", [*PAGES, *PACKAGES], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    broken = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in map(github_anchor, headings(file))):
            broken.append(target)
        elif anchor and DOCS in file.parents and anchor not in map(site_anchor, headings(file)):
            broken.append(f"{target} (on the site)")
    assert broken == []


def test_pages_of_the_site_link_to_files_because_it_serves_no_folders() -> None:
    pages = [page for page in PAGES if DOCS in page.parents]
    folders = [
        (page.name, target)
        for page in pages
        for target in links(page)
        if (page.parent / target.partition("#")[0]).is_dir()
        if not target.startswith("#")
    ]
    assert folders == []


def test_every_page_is_in_the_sites_navigation() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    assert sorted(pages_of(site["nav"])) == sorted(str(page.relative_to(ROOT)) for page in DOCS.rglob("*.md"))


def pages_of(nav: list[dict[str, object]]) -> list[str]:
    entries = [entry for item in nav for entry in item.values()]
    return [page for each in entries for page in ([each] if isinstance(each, str) else pages_of(each))]


def test_the_readme_is_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= README_LINES


def test_the_walkthrough_names_what_its_files_contain() -> None:
    page = DOCS / "walkthrough.md"
    read = re.findall(
        r"^- \*\*(?:Read|Must read)\*\* \[`[^`]+`\]\((?P<file>[^)]+)\): (?P<names>.+(?:\n  .+)*)$",
        page.read_text("utf-8"),
        re.MULTILINE,
    )
    assert len(read) > 15
    missing = [
        f"{file}: {name}"
        for file, names in read
        for name in re.findall(r"`([^`]+)`", names)
        if not re.search(rf"\b{name}\b", (page.parent / file).read_text("utf-8"))
    ]
    assert missing == []


def test_the_five_files_to_read_are_those_that_the_walkthrough_marks() -> None:
    marked = re.findall(
        r"^- \*\*Must read\*\* \[`[^`]+`\]\(\.\./([^)]+)\)", (DOCS / "walkthrough.md").read_text("utf-8"), re.MULTILINE
    )
    (row,) = [line for line in README.read_text("utf-8").splitlines() if "batch_loop.py" in line]
    assert len(marked) == 5
    assert [target.removeprefix("../") for target in re.findall(r"\]\(([^)]+)\)", row)] == marked
