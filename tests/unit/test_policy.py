"""The meaning of the policy file."""

from inspect import ismodule
from pathlib import Path

import pytest

import sprat_policy
from conftest import WritePolicy
from sprat_contracts import TASKS
from sprat_local.installation.options import DEMO_POLICY
from sprat_policy import (
    IntentPolicy,
    KeepRule,
    NerPolicy,
    Policy,
    TaskPolicy,
    TenantPolicy,
    effective_rule,
    load_policy,
)

SHIPPED = Path(__file__).parents[2] / "compose" / "policy.yaml"
UP = Path(__file__).parents[2] / "shared" / "local" / "src" / "sprat_local" / "demo" / "policy.yaml"


def test_the_shipped_file_allows_the_demo_tenants_alone() -> None:
    policy = load_policy(SHIPPED)
    for name in ("acme-bank", "nordic-travel"):
        assert policy.tenant(name) == TenantPolicy(frontier="allow", regions=("eu", "local"), deadline_ms=30_000)
    assert policy.tenant("default").frontier == "deny"


def test_the_policy_of_sprat_up_is_the_shipped_one_and_lets_texts_without_a_tenant_ask_this_machine() -> None:
    up, shipped = load_policy(UP), load_policy(SHIPPED)
    tenants = {"default": TenantPolicy(frontier="redact", regions=("local",), deadline_ms=30_000)}
    assert up == shipped.model_copy(update={"tenants": dict(shipped.tenants) | tenants})


def test_the_policy_of_the_demo_is_that_of_sprat_up_and_keeps_names_one_by_one() -> None:
    demo, up = load_policy(DEMO_POLICY), load_policy(UP)
    assert demo == up.model_copy(update={"tasks": up.tasks.model_copy(update={"ner": NerPolicy(unit="entity")})})


def test_the_shipped_file_has_the_defaults() -> None:
    assert {load_policy(SHIPPED).task(task).rule("default", "de") for task in TASKS} == {KeepRule()}


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
    assert policy.task("ner") == NerPolicy(keep_at=1.0)
    assert policy.task("translation") == TaskPolicy()
    assert policy.tenant("acme-bank") == TenantPolicy(frontier="allow", regions=("eu", "us-east"), deadline_ms=1500)
    assert policy.tenant("anybody") == TenantPolicy(frontier="redact", regions=("eu",), deadline_ms=30_000)


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
    assert policy.problem_of_server("US.api.example", "us") is None
    assert policy.problem_of_server("us.api.example", "eu") is not None
