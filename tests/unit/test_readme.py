"""The README and the pages in docs say what the code says: settings, topics, files, figures, the policy."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from readme import README, ROOT, SETTINGS, programs, settings, told_settings
from sprat.policy import load_policy
from sprat_contracts import Result, TextSubmitted, Topics

PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))
CARD = ROOT / "services/intent/src/sprat_intent/artefacts/en-fast/card.json"


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
    assert (policy.task("intent").keep_at, policy.tenant("acme-bank").frontier) == (0.75, "allow")
    assert policy.tenant("somebody else").frontier == "deny"


def test_the_models_figures_are_those_of_its_card() -> None:
    card = json.loads(CARD.read_text("utf-8"))
    scores = {score["name"]: score["value"] for score in card["scores"]}
    said = README.read_text("utf-8")
    for row in quality_rows(scores):
        assert row in said
    assert f"out of scope: {scores['auroc_out_of_scope']:.3f}. With `keep_at` {card['keep_at']}:" in said


def quality_rows(scores: Mapping[str, float]) -> list[str]:
    """Give the ends of the README's rows of figures."""
    rows = [f"sent out | {scores['in_scope_accuracy_raw']:.1%} | – |"]
    for protocol in ("tuned_unweighted", "tuned", "served"):
        inside, outside = (scores[f"{protocol}_{what}"] for what in ("in_scope_accuracy", "out_of_scope_recall"))
        rows.append(f"| {inside:.1%} | {outside:.1%} |")
    for share in (3, 10, 20):
        kept, right, error = (scores[f"{what}_at_{share}"] for what in ("kept_share", "kept_right", "ece"))
        rows.append(f"| {share} % | {kept:.1%} | {right:.1%} | {error:.3f} |")
    return [row.replace("%", " %").replace("  %", " %") for row in rows]
