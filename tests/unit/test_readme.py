"""The README and the pages in docs say what the code says: settings, topics, files, figures, the policy."""

import json
import re
from pathlib import Path

import pytest

from sprat.settings import Section
from sprat_contracts import Result, TextSubmitted, Topics
from sprat_inference.artefact import load_artefact
from sprat_intent.__main__ import IntentSection
from sprat_ner.__main__ import NerSection
from sprat_policy.load import load_policy
from sprat_translation.__main__ import TranslationSection
from support.readme import README, ROOT, SETTINGS, programs, settings, told_settings
from tests.bench.model_tables import BEGIN, END, page, readme_rows

PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))


def test_the_page_of_settings_has_each_variable_once_with_its_default() -> None:
    assert sorted(told_settings(SETTINGS)) == sorted(settings().items())


def test_the_readmes_settings_have_their_defaults() -> None:
    told = told_settings(README)
    assert len(told) > 10
    assert set(told) <= set(settings().items())


def test_every_topic_is_in_the_readme() -> None:
    said = README.read_text("utf-8")
    assert [topic.name for topic in Topics().table() if topic.name not in said] == []


@pytest.mark.parametrize(
    ("heading", "message"), [("What a text may say", TextSubmitted), ("What a Result says", Result)]
)
def test_the_tables_of_fields_have_every_field(heading: str, message: type[TextSubmitted | Result]) -> None:
    section = README.read_text("utf-8").partition(f"### {heading}\n")[2].partition("\n#")[0]
    first_cells = " ".join(line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `"))
    assert sorted(re.findall(r"`(\w+)`", first_cells)) == sorted(message.model_fields)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text("utf-8"))
    broken = []
    for target in targets:
        path, _, heading = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (heading and heading not in anchors(file)):
            broken.append(target)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """Give the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_policy_shown_is_valid_and_does_what_its_comments_say(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(programs()["policy"], "utf-8")
    policy = load_policy(file)
    assert (policy.task("intent").keep_at, policy.tenant("acme-bank").frontier) == (0.72, "allow")
    assert policy.tenant("somebody else").frontier == "deny"


def test_the_table_of_models_is_the_one_that_was_measured_last() -> None:
    figures = json.loads((ROOT / "docs/models.json").read_text("utf-8"))
    assert BEGIN + readme_rows(figures) + END in README.read_text("utf-8")
    assert (ROOT / "docs/models.md").read_text("utf-8") == page(figures)


@pytest.mark.parametrize("settings", [IntentSection, NerSection, TranslationSection])
def test_the_measured_models_are_the_shipped_ones(settings: type[Section]) -> None:
    card = load_artefact(settings().artefact).card
    measured = json.loads((ROOT / "docs/models.json").read_text("utf-8"))[card.task]
    assert card.version in {each["version"] for each in ([measured] if isinstance(measured, dict) else measured)}
