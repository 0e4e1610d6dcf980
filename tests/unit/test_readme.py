"""The README and the pages say what the code says: settings, topics, fields, figures, the policy."""

import json
import re
import shutil
from pathlib import Path

import pytest

from sprat.base.model import Question
from sprat.base.thresholds import find_thresholds
from sprat_contracts import TASKS, Result, TextSubmitted, Topics
from sprat_contracts.thresholds import SOME
from sprat_inference.artefact import load_artefact
from sprat_inference.serving import Specialist
from sprat_intent.__main__ import SERVICE as INTENT
from sprat_ner.__main__ import SERVICE as NER
from sprat_policy import ReviewPolicy, load_guarded_policy, load_policy
from sprat_translation.__main__ import SERVICE as TRANSLATION
from support.readme import CONFIGURATION, DOCS, PAGES, documented_settings, programs, section, settings
from tests.bench import benchmarks_page

KAFKA_SECURITY = DOCS / "kafka-security.md"


def test_the_page_of_settings_has_each_variable_once_with_its_default() -> None:
    assert sorted(documented_settings(CONFIGURATION)) == sorted(settings().items())


@pytest.mark.parametrize("page", [page for page in PAGES if page != CONFIGURATION], ids=lambda page: page.name)
def test_settings_on_other_pages_have_their_defaults(page: Path) -> None:
    documented = documented_settings(page)
    assert page != KAFKA_SECURITY or len(documented) > 5
    assert set(documented) <= set(settings().items())


def test_every_topic_is_on_the_page_of_the_architecture() -> None:
    page = (DOCS / "architecture.md").read_text("utf-8")
    names = {re.sub(rf"\.({'|'.join(TASKS)})\.v1$", ".intent.v1", topic.name) for topic in Topics().table()}
    assert [name for name in names if name not in page] == []


@pytest.mark.parametrize(
    ("page", "heading", "message"),
    [("reference/text.md", "What a text may say", TextSubmitted), ("results.md", "What a Result says", Result)],
)
def test_the_tables_of_fields_have_every_field(page: str, heading: str, message: type[TextSubmitted | Result]) -> None:
    rows = section(DOCS / page, heading).splitlines()
    first_cells = " ".join(line.split(" | ")[0] for line in rows if line.startswith("| `"))
    assert sorted(re.findall(r"`(\w+)`", first_cells)) == sorted(message.model_fields)


def test_the_policy_shown_is_valid_and_does_what_its_comments_say(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(programs()["policy"], "utf-8")
    policy = load_policy(file)
    rules = policy.task("intent")
    assert [rules.rule(*of).goal for of in (("default", "en"), ("default", "de-AT"), ("hr", "de"))] == [
        0.98,
        0.95,
        0.97,
    ]
    assert (rules.rule("hr", "en").evidence, policy.tenant("acme-bank").frontier) == ("certified", "allow")
    assert policy.task("translation").rule("default", "en").keep_at == 0.63
    assert policy.tenant("somebody else").frontier == "deny"


def test_the_policy_of_reviews_is_valid_and_shows_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(programs()["policy-reviews"], "utf-8")
    rule = load_policy(file).task("intent").rule("default", "en")
    assert (rule.review, rule.on_alarm) == (ReviewPolicy(share=0.01), "tighten")


def test_the_policy_of_names_is_valid_and_shows_the_defaults(tmp_path: Path) -> None:
    file, program = tmp_path / "policy.yaml", programs()["policy-names"]
    file.write_text(program, "utf-8")
    rule = load_policy(file).task("ner").rule("default", "en")
    file.write_text(program.replace("# missed", "missed"), "utf-8")
    allowed = load_policy(file).task("ner").rule("default", "en")
    assert [(each.unit, each.missed) for each in (rule, allowed)] == [("entity", "escalate"), ("entity", "allow")]


def test_the_policy_of_tenants_is_valid_and_does_what_its_comments_say(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(programs()["policy-tenants"], "utf-8")
    _, guard = load_guarded_policy(file, {"SPRAT_CRM_KEY": "k" * 32, "SPRAT_CRM_DOOR_KEY": "d" * 32})
    refusals = [
        guard.refusal(*text, "1", None)
        for text in (("acme-bank", "/else"), ("acme-bank", "/crm/1"), ("x", "/web/acme"))
    ]
    assert [refusal and refusal.code for refusal in refusals] == ["foreign_source", "bad_signature", "foreign_source"]


def test_the_policy_of_regions_is_valid_and_lists_hosts(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(programs()["policy-regions"], "utf-8")
    assert load_policy(file).problem_of_server("api.mistral.ai", "eu") is None
    assert load_policy(file).problem_of_server("vllm.internal", "eu") is not None


def test_the_policy_of_masking_is_valid_and_does_what_its_comments_say(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(programs()["policy-masking"], "utf-8")
    policy = load_policy(file)
    assert policy.perimeter.validators_alone == ("fi", "el")
    assert (policy.tenant("acme-bank").frontier, policy.tenant("nordic-travel").frontier) == ("deny", "redact")


def test_the_small_model_is_sure_enough_of_the_translation_in_the_readme() -> None:
    (text,) = re.findall(r'send "([^"]+)" .*--task translation=de --tenant', programs()["commands"])
    model = TRANSLATION.load(TRANSLATION.shipped)
    (answer,) = model.answer([Question(text, "en", "de")])
    measured = find_thresholds(TRANSLATION.shipped, model_version=model.card.version)
    assert measured is not None
    assert (measured.accuracy(answer.confidence, "en", SOME).estimated or 0) >= measured.recommended_goal


def test_the_figures_are_those_that_were_measured_last() -> None:
    pages = [page.read_text("utf-8") for page in benchmarks_page.PAGES]
    assert list(map(benchmarks_page.filled, pages)) == pages
    named = [name for page in pages for name in benchmarks_page.names(page)]
    assert sorted(named) == sorted([*benchmarks_page.generated(), *benchmarks_page.quoted()])


def test_each_figure_names_its_commit_its_day_and_its_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origins = benchmarks_page.read(benchmarks_page.MEASURED)
    assert origins.keys() == {path.stem for path in benchmarks_page.FIGURES.glob("*.json")} - {benchmarks_page.MEASURED}
    shutil.copytree(benchmarks_page.FIGURES, tmp_path / "figures")
    monkeypatch.setattr(benchmarks_page, "FIGURES", tmp_path / "figures")
    monkeypatch.setattr(benchmarks_page, "PAGES", ())
    benchmarks_page.save("agreement", {"tokens": 1})
    saved = benchmarks_page.read(benchmarks_page.MEASURED)
    assert saved | {"agreement": origins["agreement"]} == origins
    assert re.fullmatch(r"[0-9a-f]{7,}(, changed)?", saved["agreement"]["commit"])
    assert saved["agreement"]["processor"]
    assert benchmarks_page.read("agreement") == {"tokens": 1}


@pytest.mark.parametrize("service", [INTENT, NER, TRANSLATION], ids=lambda service: service.name)
def test_the_measured_models_are_the_shipped_ones(service: Specialist) -> None:
    card = load_artefact(service.shipped).card
    measured = json.loads((benchmarks_page.FIGURES / "models.json").read_text("utf-8"))[card.task]
    assert card.version in {each["version"] for each in ([measured] if isinstance(measured, dict) else measured)}
