"""The tiers of the policy: what they are, which are refused, and what the frontier service makes of them."""

import math
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from conftest import WritePolicy
from sprat.base.errors import UserError
from sprat_cli.commands.policy import describe
from sprat_contracts import BUILT_IN, IntentOutput, TaskTable
from sprat_frontier.prompts import question_of
from sprat_frontier.settings import Price
from sprat_frontier.tier_thresholds import TierThresholds
from sprat_frontier.tiers import Tier, Tiers, open_tiers
from sprat_policy import Policy, load_guarded_policy, load_policy
from support import frontier_parts as parts
from support.readme import programs

TENANTS = "tenants: {acme: {frontier: redact, regions: [eu]}}\n"
PRICE = "price: {input_eur: 0.4, output_eur: 2}"
MISTRAL = f"{{preset: mistral, api_key: '${{KEY}}', {PRICE}}}"


def tiers_of(write_policy: WritePolicy, *tiers: str, more: str = "") -> Path:
    listed = "".join(f"  - {tier}\n" for tier in tiers)
    return write_policy(f"{more}{TENANTS}tiers:\n{listed}")


@pytest.mark.parametrize(
    ("tier", "expected"),
    [
        ("{preset: gpt}", ":3:5: tiers.0: preset: no such preset; expected: one of frontier, ollama:MODEL, vllm:URL"),
        ("{preset: 'mistral:x'}", "no such preset"),
        ("{preset: 'ollama:'}", "no such preset"),
        ("{preset: ollama}", "no such preset"),
        ("{preset: 'generalist:http://127.0.0.1:8090/v1'}", "write preset: 'llamacpp:http://HOST:8080/v1'"),
        ("{preset: frontier, region: eu}", "is the model of the settings (SPRAT_FRONTIER__…); take out region"),
        (f"{{preset: mistral, {PRICE}}}", "mistral needs `api_key`"),
        ("{preset: mistral, api_key: '${KEY}'}", "mistral needs `price`, as {input_eur: 0.4, output_eur: 2}"),
        (f"{{preset: mistral, api_key: '${{SPRAT_SECRET}}', {PRICE}}}", "the secret of the services"),
        (f"{{preset: mistral, keep_at: 0.8, api_key: '${{KEY}}', {PRICE}}}", "mistral tells no probabilities"),
        (f"{{preset: mistral, goal: 0.97, api_key: '${{KEY}}', {PRICE}}}", "mistral tells no probabilities"),
        (
            "{preset: 'ollama:x', region: eu, goal: 0.97, keep_at: 0.8}",
            ":3:50: tiers.0.keep_at: a goal stands beside it; keep one of the two",
        ),
        ("{preset: 'ollama:x', region: eu, evidence: certified}", "tiers.0.evidence: no goal stands beside it"),
        ("{preset: 'ollama:x', region: eu, goal: 0.973}", "'0.973': no such goal; the nearest: 0.97 and 0.975;"),
        ("{preset: 'vllm:gpu:8000', model: x}", "its URL is not of the form"),
        ("{preset: 'vllm:http://u:sesame@gpu:8000/v1', model: x}", "its URL holds credentials"),
        ("{preset: 'vllm:http://[gpu/v1', model: x}", "its URL cannot be read"),
        ("{preset: 'vllm:http://gpu:abc/v1', model: x}", "its URL cannot be read"),
        ("{preset: 'vllm:http://gpu:99999/v1', model: x}", "its URL cannot be read"),
        ("{preset: 'vllm:http://gpu:0/v1', model: x}", "its URL cannot be read"),
        ("{preset: 'vllm:http://gpu: 8000/v1', model: x}", "its URL holds blanks or control characters"),
        ('{preset: "vllm:http://gpu\\n.evil/v1", model: x}', "its URL holds blanks or control characters"),
        ("{preset: 'vllm:http://gpu:8000/v1'}", "vllm needs `model`"),
        ("{preset: 'ollama:x', region: inside}", "the region inside is that of the hosts under `inside`"),
        ("{preset: 'openai:x'}", "openai needs `price`"),
        ("{preset: 'openai:x'}", "for a server of your own {input_eur: 0, output_eur: 0}"),
        (f"{{preset: 'openai:x', {PRICE}}}", "it needs `region`: where api.openai.com runs; or name the host under"),
        ("{preset: 'ollama:x', region: eu, keep_at: 2}", "keep_at: '2': input should be less than or equal to 1"),
        ("{preset: 'ollama:x', region: eu, keepat: 0.5}", "no such field; did you mean keep_at?"),
        (
            "{preset: 'ollama:x', region: eu, calibration: {intent: {bias: 0, slope: 1, model: y, texts: 90}}}",
            "calibration.intent was measured with the model y, and the tier's is x",
        ),
        (
            "{preset: 'ollama:x', region: eu, calibration: {intent: {bias: 0, slope: -1, model: x, texts: 90}}}",
            "tiers.0.calibration.intent.slope: '-1': input should be greater than or equal to 0",
        ),
        ("{preset: 'ollama:x', region: eu, tenants: [acmee]}", "no tenant 'acmee' has a section of its own"),
    ],
)
def test_a_tier_that_cannot_be_asked_is_refused_with_its_place(
    write_policy: WritePolicy, tier: str, expected: str
) -> None:
    with pytest.raises(UserError) as caught:
        load_policy(tiers_of(write_policy, tier))
    assert expected in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_names_are_unique(write_policy: WritePolicy) -> None:
    with pytest.raises(UserError, match="another tier is called ollama; give this one a `name`"):
        load_policy(tiers_of(write_policy, "{preset: 'ollama:x', region: eu}", "{preset: 'ollama:y', region: eu}"))


def test_a_host_that_its_region_does_not_list_is_refused(write_policy: WritePolicy) -> None:
    tier = "{preset: 'vllm:http://GPU.internal/v1', model: x, region: eu}"
    with pytest.raises(UserError, match=r"does not list the host gpu\.internal in the region eu"):
        load_policy(tiers_of(write_policy, tier, more="regions: {eu: [api.mistral.ai]}\n"))
    load_policy(tiers_of(write_policy, tier, more="regions: {eu: [gpu.internal]}\n"))
    load_policy(tiers_of(write_policy, tier, more="regions: {eu: []}\ninside: [gpu.internal]\n"))


def test_a_task_that_nobody_knows_is_refused_with_its_place(write_policy: WritePolicy) -> None:
    file = tiers_of(write_policy, "{preset: 'ollama:x', region: eu, tasks: [intent, intnet]}")
    load_policy(file)  # who does not know the task files cannot tell
    with pytest.raises(UserError, match=r":3:\d+: tiers\.0\.tasks\.1: no task 'intnet'; did you mean intent\?"):
        load_policy(file, BUILT_IN)
    with pytest.raises(UserError, match="no task 'intnet'"):
        load_guarded_policy(file, {}, BUILT_IN)
    load_policy(file, TaskTable({"intnet": IntentOutput}))


def test_the_providers_of_a_group_stand_together(write_policy: WritePolicy) -> None:
    def local(name: str, group: str = "") -> str:
        member = f", group: {group}" if group else ""
        return f"{{preset: 'ollama:x', name: {name}, region: eu{member}}}"

    load_policy(tiers_of(write_policy, local("a", "g"), local("b", "g"), local("c"), local("d", "h")))
    with pytest.raises(UserError, match="another tier stands between those of the group g; put them together"):
        load_policy(tiers_of(write_policy, local("a", "g"), local("c"), local("b", "g")))


@pytest.mark.parametrize(
    "tier",
    [
        "{preset: 'ollama:gpt-oss:120b-cloud', region: eu}",
        "{preset: 'ollama:kimi-k2:cloud', region: eu}",
        "{preset: 'ollama:gpt-oss:120b-CLOUD', region: eu}",
        "{preset: 'vllm:http://127.0.0.1:11434/v1', model: 'gpt-oss:120b-cloud', region: eu}",
        f"{{preset: 'openai:gpt-oss:120b-cloud', url: 'http://127.0.0.1:11434/v1', region: eu, {PRICE}}}",
    ],
)
def test_a_model_that_ollama_runs_elsewhere_is_not_inside(write_policy: WritePolicy, tier: str) -> None:
    load_policy(tiers_of(write_policy, tier))
    with pytest.raises(UserError, match=r"to ollama\.com, so it is not inside"):
        load_policy(tiers_of(write_policy, tier, more="inside: [127.0.0.1]\n"))


async def opened(policy: Policy, **environment: str) -> tuple[Tier, ...]:
    async with AsyncExitStack() as stack:
        tiers = open_tiers(policy, parts.settings(region="eu"), environment, stack)
        assert isinstance(tiers, Tiers)
        return tiers.of("acme", "intent")


async def test_what_a_tier_does_not_say_is_the_presets_or_the_settings(write_policy: WritePolicy) -> None:
    local = "{preset: 'ollama:smollm3', keep_at: 0.8, share: 0.25, mask: true, timeout_s: 3, concurrency: 2}"
    policy = load_policy(tiers_of(write_policy, local, MISTRAL, "{preset: frontier}", more="inside: [127.0.0.1]\n"))
    first, mistral, frontier = await opened(policy, KEY=" k-1 ")
    assert (first.name, first.inside, first.rules.mask, first.rules.keep_at, first.rules.share) == (
        "ollama",
        True,
        True,
        0.8,
        0.25,
    )
    assert (first.settings.base_url, first.settings.model) == ("http://127.0.0.1:11434/v1", "smollm3")
    assert (first.settings.timeout_s, first.settings.concurrency) == (3, 2)
    assert (first.settings.region, first.price) == ("inside", Price(input_eur=0, output_eur=0))
    assert (mistral.inside, mistral.rules.mask, mistral.rules.keep_at) == (False, False, None)
    assert (mistral.provider.name, mistral.provider.region) == ("mistral_ai", "eu")
    assert (mistral.settings.host, mistral.settings.model) == ("api.mistral.ai", "mistral-medium-latest")
    assert mistral.settings.api_key.get_secret_value() == "k-1"
    assert mistral.price == Price(input_eur=0.4, output_eur=2)
    assert (frontier.name, frontier.settings, frontier.inside) == ("frontier", parts.settings(region="eu"), True)


async def test_a_goal_asks_for_probabilities_and_thresholds_beside_the_policy(write_policy: WritePolicy) -> None:
    file = tiers_of(write_policy, "{preset: 'ollama:x', region: eu, goal: 0.97, evidence: certified}")
    files = TierThresholds(file, BUILT_IN)
    async with AsyncExitStack() as stack:
        (tier,) = open_tiers(load_policy(file), parts.settings(), {}, stack, files).of("acme", "intent")
    assert (tier.rules.goal, tier.rules.evidence, tier.rules.decides) == (0.97, "certified", True)
    assert tier.endpoint.endswith("with probabilities")
    assert tier.thresholds["intent"].path == file.parent / "thresholds" / "ollama.intent.json"
    await files.stop()


async def test_a_calibration_holds_for_its_task_and_the_model_that_it_was_measured_with(
    write_policy: WritePolicy, caplog: pytest.LogCaptureFixture
) -> None:
    fitted = "calibration: {intent: {bias: -1, slope: 0.5, model: %s, texts: 90}}"
    policy = load_policy(tiers_of(write_policy, f"{{preset: 'ollama:x', region: eu, {fitted % 'x'}}}"))
    (tier,) = await opened(policy)
    assert tier.chance("intent", 0.5) == pytest.approx(1 / (1 + math.e))
    assert tier.chance("mood", 0.5) is tier.chance("intent", None) is None
    assert caplog.messages == ["tier ollama: its calibration is read; a goal and sprat tiers calibrate take its place"]
    settings = load_policy(tiers_of(write_policy, f"{{preset: frontier, {fitted % 'other'}}}"))
    with pytest.raises(UserError, match="was measured with the model other, and the tier's is large"):
        await opened(settings)


async def test_decision_models_are_asked_by_their_own_apis(write_policy: WritePolicy) -> None:
    decisions = f"{{preset: 'decisions:gpt-6-luna', region: eu, keep_at: 0.8, {PRICE}}}"
    systemone = f"{{preset: 'systemone:https://api.typesafe.ai/v1', model: jev-1.13.0, region: eu, {PRICE}}}"
    chat = f"{{preset: 'openai:gpt-6-luna', region: eu, keep_at: 0.8, {PRICE}}}"
    tiers = await opened(load_policy(tiers_of(write_policy, decisions, systemone, chat)))
    assert [tier.rules.known.api for tier in tiers] == ["decisions", "systemone", "chat"]
    assert [tier.settings.host for tier in tiers] == ["api.openai.com", "api.typesafe.ai", "api.openai.com"]
    assert len({tier.endpoint for tier in tiers}) == 3, "their answers are stored apart"
    entities = question_of(parts.request("text", "ner"))
    assert {tier.problem(entities).code for tier in tiers} == {"task", "no_confidence"}


async def test_a_key_that_is_not_there_is_named_and_one_that_is_none_is_not_shown(write_policy: WritePolicy) -> None:
    policy = load_policy(tiers_of(write_policy, MISTRAL))
    with pytest.raises(
        UserError, match="the variable KEY is not set; the policy names it as the key of the tier mistral"
    ):
        await opened(policy)
    with pytest.raises(UserError) as caught:
        await opened(policy, KEY="sesame open")
    assert "do not fit a header" in str(caught.value)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("keys", ["signing_keys: ['${KEY}']", "door_sources: [/web], door_keys: ['${KEY}']"])
def test_the_signing_key_of_a_tenant_is_no_key_of_a_tier(write_policy: WritePolicy, keys: str) -> None:
    tenants = f"tenants: {{acme: {{frontier: redact, regions: [eu], {keys}}}}}\n"
    with pytest.raises(UserError, match=r"tiers\.0: KEY is a signing key of tenant 'acme', which no provider may know"):
        load_policy(write_policy(f"{tenants}tiers:\n  - {MISTRAL}\n"))
    load_policy(write_policy(f"{tenants.replace('KEY', 'OTHER')}tiers:\n  - {MISTRAL}\n"))


async def test_the_region_inside_is_kept_for_hosts_inside() -> None:
    settings = parts.settings(region="inside")
    async with AsyncExitStack() as stack:
        with pytest.raises(UserError, match="the region inside is that of the hosts under `inside`"):
            open_tiers(Policy.model_validate({"tenants": {}}), settings, {}, stack)
        open_tiers(Policy.model_validate({"tenants": {}, "inside": [settings.host]}), settings, {}, stack)


async def test_without_tiers_there_is_the_one_of_the_settings_and_its_host_is_checked() -> None:
    (only,) = await opened(Policy.model_validate({"tenants": {}}))
    assert (only.name, only.inside, only.rules.keep_at, only.rules.mask) == ("simulated", False, None, False)
    pinned = Policy.model_validate({"tenants": {}, "regions": {"eu": ["api.mistral.ai"]}})
    with pytest.raises(UserError, match=r"does not list the host 127\.0\.0\.1 in the region eu"):
        await opened(pinned)


@pytest.mark.parametrize("tiers", [[], [{"preset": "frontier"}]], ids=["no tiers", "frontier"])
async def test_the_model_of_the_settings_is_not_inside_where_ollama_runs_it_elsewhere(tiers: list[object]) -> None:
    model = "gpt-oss:120b-Cloud"
    settings = parts.settings(region="eu", model=model, prices={model: {"input_eur": 0, "output_eur": 0}})
    sections = {"tenants": {}, "tiers": tiers}
    async with AsyncExitStack() as stack:
        open_tiers(Policy.model_validate(sections), settings, {}, stack)
        inside = Policy.model_validate(sections | {"inside": [settings.host]})
        with pytest.raises(UserError, match=r"to ollama\.com, so it is not inside; name a model that runs on 127"):
            open_tiers(inside, settings, {}, stack)


def test_the_tiers_of_the_documentation_are_valid(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(programs()["policy-tiers"], "utf-8")
    local, mistral = load_policy(file).tiers
    assert (local.host, local.keep_at, local.tasks) == ("gpu.internal", 0.8, ("intent",))
    assert mistral.label == "mistral"
    assert list(describe(load_policy(file)))[-1].endswith("for all")


def test_the_tiers_of_a_model_of_ones_own_in_the_documentation_are_valid(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(programs()["policy-tiers-own"], "utf-8")
    policy = load_policy(file)
    assert [(tier.label, tier.provider_name, tier.goal) for tier in policy.tiers] == [
        ("small", "llama_cpp", 0.95),
        ("large", "vllm", 0.9),
    ]
    assert {tier.host for tier in policy.tiers} == set(policy.inside)
    assert all(line.endswith("for tasks with labels") for line in list(describe(policy))[-2:])


async def test_the_simulated_decision_tier_of_the_documentation_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(programs()["policy-tier-simulated"], "utf-8")
    policy = load_policy(file)
    (tier,) = await opened(policy)
    assert (tier.rules.known.api, tier.settings.host, tier.provider.region) == ("decisions", "127.0.0.1", "local")
    assert "for tasks of one label" in list(describe(policy))[-1]


@pytest.mark.parametrize(
    ("tier", "provider"),
    [
        ("preset: 'openai:x', region: eu", "openai"),
        ("preset: 'openai:x', region: eu, url: 'https://api.openai.com/v1/'", "openai"),
        ("preset: 'openai:x', name: house, region: eu, url: 'http://gpu:8000/v1'", "house"),
        ("preset: 'openai:x', region: eu, url: 'http://gpu:8000/v1'", "openai-compatible"),
        ("preset: 'openai:x', name: house, provider: azure, region: eu, url: 'http://gpu:8000/v1'", "azure"),
        ("preset: 'decisions:x', name: house, region: eu, url: 'http://gpu:8000/v1'", "house"),
        ("preset: 'ollama:x', name: house, region: eu, url: 'http://gpu:11434/v1'", "ollama"),
        ("preset: 'vllm:http://gpu:8000/v1', name: house, model: x, region: eu", "vllm"),
    ],
)
def test_a_server_of_ones_own_does_not_bear_the_name_of_the_provider_whose_api_it_speaks(
    write_policy: WritePolicy, tier: str, provider: str
) -> None:
    (found,) = load_policy(tiers_of(write_policy, f"{{{tier}, {PRICE}}}")).tiers
    assert found.provider_name == provider
