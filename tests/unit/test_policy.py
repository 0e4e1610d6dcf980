"""The meaning of the policy file."""

from inspect import ismodule
from pathlib import Path

import pytest

import sprat_policy
from conftest import WritePolicy
from sprat.errors import UserError
from sprat.settings import Section
from sprat_contracts import TASKS
from sprat_inference.artefact import load_artefact
from sprat_intent.__main__ import IntentSection
from sprat_ner.__main__ import NerSection
from sprat_policy import IntentPolicy, Policy, TaskPolicy, TenantPolicy, effective_rule, load_policy
from sprat_translation.__main__ import TranslationSection

SHIPPED = Path(__file__).parents[2] / "compose" / "policy.yaml"
UP = Path(__file__).parents[2] / "shared" / "local" / "src" / "sprat_local" / "demo" / "policy.yaml"


def test_the_shipped_file_allows_the_demo_tenants_alone() -> None:
    policy = load_policy(SHIPPED)
    for name in ("acme-bank", "nordic-travel"):
        assert policy.tenant(name) == TenantPolicy(frontier="allow", regions=("eu", "local"), deadline_ms=30_000)
    assert policy.tenant("default").frontier == "deny"
    assert policy.task("intent") == IntentPolicy(keep_at=0.72, out_of_scope="keep")


def test_the_policy_of_sprat_up_is_the_shipped_one_and_lets_texts_without_a_tenant_ask_this_machine() -> None:
    up, shipped = load_policy(UP), load_policy(SHIPPED)
    tenants = {"default": TenantPolicy(frontier="redact", regions=("local",), deadline_ms=30_000)}
    assert up == shipped.model_copy(update={"tenants": dict(shipped.tenants) | tenants})


def test_the_shipped_file_has_the_defaults_except_for_the_models_recommendation() -> None:
    shipped = load_policy(SHIPPED).tasks
    recommended = {"keep_at": 0.8, "keep_at_by_language": {}}
    plain = {task: getattr(shipped, task).model_copy(update=recommended) for task in TASKS}
    assert shipped.model_copy(update=plain) == Policy().tasks


@pytest.mark.parametrize("settings", [IntentSection, NerSection, TranslationSection])
def test_each_task_has_the_keep_at_of_the_shipped_models_card(settings: type[Section]) -> None:
    card = load_artefact(settings().artefact).card
    rules = load_policy(SHIPPED).task(card.task)
    assert (rules.keep_at, rules.keep_at_by_language) == (card.keep_at, card.keep_at_by_language)


def test_a_language_has_its_own_threshold_whatever_its_region(write_policy: WritePolicy) -> None:
    rules = load_policy(write_policy("tasks: {ner: {keep_at: 0.9, keep_at_by_language: {de: 0.95}}}")).task("ner")
    assert [rules.keep_at_in(tag) for tag in ("de", "de-AT", "DE_ch", "en", "auto")] == [0.95, 0.95, 0.95, 0.9, 0.9]


@pytest.mark.parametrize(
    ("own", "thresholds"),
    [
        pytest.param("{uncalibrated: keep}", (0.9, 0.95), id="what is left out is the task's"),
        pytest.param("{keep_at: 0.6}", (0.6, 0.6), id="the task's German number is of another model"),
        pytest.param("{keep_at_by_language: {de: 0.7}}", (0.9, 0.7), id="its own German number"),
        pytest.param("{keep_at_by_language: {fr: 0.7}}", (0.9, 0.95), id="a number for a third language"),
        pytest.param("{keep_at: 0.6, keep_at_by_language: {de: 0.7}}", (0.6, 0.7), id="both its own"),
    ],
)
def test_a_named_model_has_its_own_thresholds_by_language(
    write_policy: WritePolicy, own: str, thresholds: tuple[float, float]
) -> None:
    task = f"{{keep_at: 0.9, keep_at_by_language: {{de: 0.95}}, models: {{hr: {own}}}}}"
    rules = load_policy(write_policy(f"tasks: {{ner: {task}}}")).task("ner", "hr")
    assert (rules.keep_at_in("en"), rules.keep_at_in("de-CH")) == thresholds


def test_a_whole_file_is_read(write_policy: WritePolicy) -> None:
    policy = load_policy(
        write_policy("""
tasks:
  intent: {keep_at: 0.7, out_of_scope: escalate}
  ner: {keep_at: 1}
tenants:
  "*": {frontier: redact, regions: [eu]}
  acme-bank: {frontier: allow, regions: [eu, us-east], deadline_ms: 1500}
""")
    )
    assert policy.task("intent") == IntentPolicy(keep_at=0.7, out_of_scope="escalate")
    assert policy.task("ner") == TaskPolicy(keep_at=1.0)
    assert policy.task("translation") == TaskPolicy(keep_at=0.8)
    assert policy.tenant("acme-bank") == TenantPolicy(frontier="allow", regions=("eu", "us-east"), deadline_ms=1500)
    assert policy.tenant("anybody") == TenantPolicy(frontier="redact", regions=("eu",), deadline_ms=30_000)


def test_a_named_model_has_its_own_section_and_otherwise_that_of_the_task(
    write_policy: WritePolicy,
) -> None:
    policy = load_policy(
        write_policy("""
tasks:
  intent:
    keep_at: 0.7
    models:
      hr: {keep_at: 0.6}
      legal: {out_of_scope: escalate}
  ner: {models: {medical: {keep_at: 0.9}}}
""")
    )

    def of(task: str, model: str) -> tuple[float, str | None]:
        found = policy.task(task, model)
        return found.keep_at, getattr(found, "out_of_scope", None)

    assert of("intent", "default") == of("intent", "unknown") == (0.7, "keep")
    assert (of("intent", "hr"), of("intent", "legal")) == ((0.6, "keep"), (0.7, "escalate"))
    assert (of("ner", "medical"), of("ner", "default")) == ((0.9, None), (0.8, None))


def test_names_that_yaml_reads_as_other_types_stay_names(write_policy: WritePolicy) -> None:
    policy = load_policy(write_policy("tenants:\n  no: {frontier: allow, regions: [no]}\n  123: {frontier: deny}\n"))
    assert policy.tenant("no").regions == ("no",)
    assert set(policy.tenants) == {"no", "123"}


def test_tenants_without_a_policy_are_denied(write_policy: WritePolicy) -> None:
    policy = load_policy(write_policy("tenants: {a: {frontier: allow, regions: [eu]}}"))
    assert policy.tenant("b") == TenantPolicy(frontier="deny", regions=())


def test_an_unknown_task_has_no_policy() -> None:
    with pytest.raises(KeyError):
        Policy().task("model_fields")


@pytest.mark.parametrize("text_rule", ["allow", "redact", "deny"])
@pytest.mark.parametrize("tenant_rule", ["allow", "redact", "deny"])
def test_the_stricter_rule_holds(text_rule: str, tenant_rule: str) -> None:
    rules = {text_rule, tenant_rule}
    stricter = "deny" if "deny" in rules else "redact" if "redact" in rules else "allow"
    assert effective_rule(text_rule, TenantPolicy(frontier=tenant_rule, regions=("eu",))) == stricter


def test_a_byte_order_mark_is_ignored(write_policy: WritePolicy) -> None:
    assert load_policy(write_policy(b"\xef\xbb\xbftasks: {ner: {keep_at: 0.5}}")).task("ner").keep_at == 0.5


def test_all_public_names_are_exported_and_no_others() -> None:
    exported = {name for name, value in vars(sprat_policy).items() if name[0] != "_" and not ismodule(value)}
    assert set(sprat_policy.__all__) == exported


def test_only_the_hosts_that_are_named_are_inside_and_those_of_a_region_get_its_texts_alone() -> None:
    hosts = {"inside": ["gpu.internal"], "regions": {"eu": ["api.example"], "us": ["us.api.example"]}}
    policy = Policy.model_validate({"tenants": {}} | hosts)
    assert policy.is_inside("GPU.internal")
    assert not any(map(policy.is_inside, ("evil-gpu.internal", "evil.gpu.internal", "internal", "")))
    policy.check_host("us", "US.api.example")
    with pytest.raises(UserError, match=r"does not list the host us\.api\.example in the region eu"):
        policy.check_host("eu", "us.api.example")
