"""How the services of a local installation are started."""

import re
import stat
from collections.abc import Iterable
from pathlib import Path

import pytest

from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings
from sprat_local.installation import environment, gateway
from sprat_local.installation.environment import LaunchBuilder
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options, choose_services
from sprat_operations import api_keys
from sprat_operations.services import SERVICES, ServiceSpec


def spec(name: str) -> ServiceSpec:
    return next(each for each in SERVICES if each.name == name)


def test_the_secret_is_created_once_and_readable_by_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPRAT_SECRET", raising=False)
    secret = environment.load_or_create_secret(tmp_path)

    assert len(secret) >= 32
    assert environment.load_or_create_secret(tmp_path) == secret
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_the_users_own_secret_is_used_and_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRAT_SECRET", "a secret of one's own")

    assert environment.load_or_create_secret(tmp_path) == "a secret of one's own"
    assert not (tmp_path / "secret").exists()


def test_the_users_security_settings_do_not_apply_to_the_embedded_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRAT_KAFKA__SECURITY_PROTOCOL", "SASL_SSL")
    shared = (KafkaSettings(), "redis://127.0.0.1:1/0", "s" * 32, Path("policy.yaml"))

    assert environment.shared_variables(*shared, embedded=True)["SPRAT_KAFKA__SECURITY_PROTOCOL"] == "PLAINTEXT"
    assert environment.shared_variables(*shared, embedded=False)["SPRAT_KAFKA__SECURITY_PROTOCOL"] == "SASL_SSL"
    assert environment.kafka_settings({"prefix": "p"}, embedded=True).security_protocol == "PLAINTEXT"


def test_the_users_default_language_is_that_of_all_services(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPRAT_DEFAULT_LANGUAGE", "de")
    shared = environment.shared_variables(
        KafkaSettings(), "redis://127.0.0.1:1/0", "s" * 32, Path("policy.yaml"), embedded=True
    )
    builder = LaunchBuilder(Options(), tmp_path)
    builder.share(shared, {})
    launched = [builder.build(spec(name), name, {}).environment for name in ("router", "intent", "frontier")]

    assert [each["SPRAT_DEFAULT_LANGUAGE"] for each in launched] == ["de"] * 3


@pytest.mark.parametrize(
    ("overrides", "variables", "message"),
    [
        ({"prefix": "no spaces"}, {}, "prefix"),
        ({}, {"SPRAT_DRAIN_S": "-4"}, r"^settings: SPRAT_DRAIN_S: "),
        ({}, {"SPRAT_DEFAULT_LANGUAGE": "german"}, r"^settings: SPRAT_DEFAULT_LANGUAGE: no language tag"),
    ],
    ids=["an option", "a variable", "a language"],
)
def test_the_error_names_what_is_wrong(
    overrides: dict[str, str], variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message):
        environment.kafka_settings(overrides, embedded=True)


def test_the_simulated_frontier_uses_the_simulators_port_and_gets_no_key(tmp_path: Path) -> None:
    builder = LaunchBuilder(Options(), tmp_path)
    port = builder.build(spec("simulator"), "simulator", {}).port
    frontier = builder.build(spec("frontier"), "frontier", {}).environment

    assert port is not None
    assert frontier["SPRAT_FRONTIER__BASE_URL"] == f"http://localhost:{port}/v1"
    assert frontier["SPRAT_FRONTIER__API_KEY"] == ""


def test_with_a_url_there_is_no_simulator_and_the_user_sets_the_rest(tmp_path: Path) -> None:
    options = Options(frontier="http://127.0.0.1:1/v1")
    frontier = LaunchBuilder(options, tmp_path).build(spec("frontier"), "frontier", {}).environment

    assert "simulator" not in [each.name for each in choose_services(options)[0]]
    assert frontier["SPRAT_FRONTIER__BASE_URL"] == "http://127.0.0.1:1/v1"
    assert "SPRAT_FRONTIER__PROVIDER" not in frontier


ALL = {"MODEL": "m", "PROVIDER": "p", "REGION": "eu", "PRICES": "{}"}


def of_frontier(names: Iterable[str]) -> dict[str, str]:
    return {f"SPRAT_FRONTIER__{name}": value for name, value in ALL.items() if name in names}


URL = "http://127.0.0.1:1/v1"


@pytest.mark.parametrize(
    ("url", "variables", "message"),
    [
        *((URL, of_frontier(ALL.keys() - {name}), f"127.0.0.1:1/v1: set SPRAT_FRONTIER__{name}, too") for name in ALL),
        (URL, of_frontier(["PROVIDER", "REGION"]), "set SPRAT_FRONTIER__MODEL, SPRAT_FRONTIER__PRICES, too"),
        ("https://api.mistral.ai/v1", {}, "set SPRAT_FRONTIER__API_KEY, SPRAT_FRONTIER__PRICES, too; prices are"),
        ("api.example.org/v1", of_frontier(ALL), "--frontier: the URL "),
    ],
)
def test_what_is_missing_for_a_frontier_is_named_before_anything_starts(
    url: str, variables: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        environment.check_options(Options(frontier=url, environment=variables))


def test_a_frontier_whose_variables_are_set_is_accepted_wherever_they_stand() -> None:
    environment.check_options(Options(frontier=URL, environment=of_frontier(ALL)))
    environment.check_options(Options(frontier=URL, service_environment={"frontier": of_frontier(ALL)}))


def test_variables_for_one_service_override_those_for_all(tmp_path: Path) -> None:
    options = Options(environment={"A": "all", "B": "all"}, service_environment={"intent#2": {"B": "second"}})
    builder = LaunchBuilder(options, tmp_path)
    second = builder.build(spec("intent"), "intent#2", {"C": "now"}).environment

    assert (second["A"], second["B"], second["C"]) == ("all", "second", "now")
    assert builder.build(spec("intent"), "intent", {}).environment["B"] == "all"


def test_only_the_first_instance_on_an_embedded_broker_keeps_its_membership(tmp_path: Path) -> None:
    def instance_id(options: Options, name: str) -> str | None:
        return (
            LaunchBuilder(options, tmp_path)
            .build(spec("frontier"), name, {})
            .environment.get("SPRAT_KAFKA__INSTANCE_ID")
        )

    assert instance_id(Options(), "frontier") == "frontier"
    assert instance_id(Options(), "frontier#2") is None
    assert instance_id(Options(bootstrap="127.0.0.1:1"), "frontier") is None
    assert instance_id(Options(static_members=False), "frontier") is None


def test_an_unknown_service_is_reported_with_the_known_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installation = Installation()
    monkeypatch.setattr(installation, "_launch_builder", LaunchBuilder(Options(), tmp_path))
    with pytest.raises(UserError, match="no service itent: known are simulator, router, intent"):
        installation.start_service("itent")


SIGNING = """
tasks: {intent: {keep_at: 1}}
tenants:
  crm:
    frontier: deny
    sources: [/crm]
    signing_keys: ["${CRM_SIGNS}"]
    door_sources: [/web]
    door_keys: ["${DOOR_SIGNS}"]
"""


def test_the_gateway_gets_no_secret_and_no_key_of_a_tenant_or_a_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(SIGNING)
    private = ("SPRAT_SECRET", "SPRAT_PREVIOUS_SECRET", "SPRAT_FRONTIER__API_KEY", "SPRAT_AUDIT__KEY", "CRM_SIGNS")
    for name in (*private, "DOOR_SIGNS"):
        monkeypatch.setenv(name, "k" * 32)
    monkeypatch.setenv("SPRAT_GATEWAY__MAX_WAITING", "7")
    shared = environment.shared_variables(
        KafkaSettings(), "redis://127.0.0.1:1/0", "s" * 32, Path("policy.yaml"), embedded=True
    )
    options = Options(policy=policy, environment={"SPRAT_SECRET": "of all services"})
    builder = LaunchBuilder(options, tmp_path / "logs")
    builder.share(shared, {"SPRAT_AUDIT__KEY_FILE": "audit.key"})
    builder.gateway_port = 8088
    launched = {name: builder.build(spec(name), name, {}).environment for name in ("gateway", "router")}

    assert not {*private, "SPRAT_AUDIT__KEY_FILE"} & launched["gateway"].keys()
    assert {"SPRAT_SECRET", "CRM_SIGNS"} <= launched["router"].keys()
    assert "DOOR_SIGNS" in launched["gateway"], "it signs with this one"
    assert {name: value for name, value in launched["gateway"].items() if name.startswith("SPRAT_GATEWAY__")} == {
        "SPRAT_GATEWAY__PAGE": "on",
        "SPRAT_GATEWAY__MAX_WAITING": "7",
        "SPRAT_GATEWAY__PORT": "8088",
        "SPRAT_GATEWAY__KEYS_FILE": str(tmp_path / "api-keys.json"),
        "SPRAT_GATEWAY__DATA": str(tmp_path / "gateway"),
    }


def test_of_the_keys_that_are_made_at_each_start_the_last_two_are_valid(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("tasks: {intent: {keep_at: 1}}\ntenants: {acme: {frontier: deny}}\n")
    _, other = api_keys.add_key(tmp_path / "api-keys.json", "acme", "/crm")
    made = [gateway.make_gateway(Options(policy=policy), tmp_path, 8088).entry for _ in range(4)]

    assert {entry.tenant for entry in made} == {"acme"}, "the policy knows no other"
    left = {each.id for each in api_keys.read_keys(tmp_path / "api-keys.json")}
    assert left == {other.id, made[-1].id, made[-2].id}


def test_the_port_of_the_gateway_is_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = {}
    for named in ("9443", "", "none", "70000"):
        monkeypatch.setenv("SPRAT_GATEWAY__PORT", named)
        ports[named] = gateway.named_port()
    assert ports == {"9443": 9443, "": 8088, "none": 8088, "70000": 8088}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Options(brokers=2), "--brokers: 2 is not 1 or 3"),
        (Options(brokers=3, bootstrap="127.0.0.1:9092"), "--brokers: an existing Kafka (--bootstrap) has its own"),
    ],
)
def test_a_number_of_brokers_that_cannot_be_had_is_refused(options: Options, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        environment.check_options(options)
