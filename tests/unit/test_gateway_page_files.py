"""What the page is made of: vendored files as they were published, and the bounds on its own."""

import hashlib
import json
import re
from pathlib import Path

import pytest

import sprat_gateway.page
from sprat_gateway.page.render import static_files

STATIC = Path(sprat_gateway.page.__file__).parent / "static"
TEMPLATES = Path(sprat_gateway.page.__file__).parent / "templates"
VENDORED = json.loads((STATIC / "vendored.json").read_text("utf-8"))
NOTICE = (Path(__file__).parents[2] / "NOTICE").read_text("utf-8")


@pytest.mark.parametrize("library", VENDORED, ids=lambda library: library["name"])
def test_a_vendored_library_is_what_was_published_with_its_licence_and_in_the_notice(library):
    for name, file in library["files"].items():
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == file["sha256"], name
    assert (STATIC / library["licence_file"]).stat().st_size > 500
    assert f"{library['name'].removesuffix('.org')} {library['version']}" in NOTICE.replace("uPlot", "uplot")


def test_every_script_that_is_served_is_vendored_or_the_pages_own():
    known = {name for library in VENDORED for name in library["files"]} | {"page.js", "page.css", "icon.svg"}
    assert set(static_files()) == known


def test_own_css_is_at_most_9_kb():
    assert (STATIC / "page.css").stat().st_size <= 9_000


@pytest.mark.parametrize("template", sorted(TEMPLATES.iterdir()), ids=lambda file: file.name)
def test_a_template_holds_no_script_no_style_and_nothing_that_evaluates(template):
    source = template.read_text("utf-8")
    assert not re.findall(r"\bhx-on\b|\bjs:|javascript:|\bon[a-z]+=|\bstyle=|<style|<script(?![^>]+src=)", source)
    assert "|safe" not in source.replace(" ", "")
