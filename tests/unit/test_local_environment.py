"""What the services of a local installation get to know."""

import stat
from pathlib import Path

import pytest

from sprat.errors import UserError
from sprat.settings import KafkaSettings
from sprat_local import environment
from sprat_local.options import Options
from sprat_local.plan import Launches, choose_services, service_named
from sprat_operations.services import SERVICES


def test_the_secret_is_made_once_and_readable_by_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPRAT_SECRET", raising=False)
    secret = environment.kept_secret(tmp_path)

    assert len(secret) >= 32
    assert environment.kept_secret(tmp_path) == secret
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_a_persons_own_secret_wins_and_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRAT_SECRET", "a secret of one's own")

    assert environment.kept_secret(tmp_path) == "a secret of one's own"
    assert not (tmp_path / "secret").exists()


def test_a_persons_security_settings_do_not_reach_the_embedded_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRAT_KAFKA__SECURITY_PROTOCOL", "SASL_SSL")
    shared = (KafkaSettings(), "redis://127.0.0.1:1/0", "s" * 32, Path("policy.yaml"))

    assert environment.common(*shared, embedded=True)["SPRAT_KAFKA__SECURITY_PROTOCOL"] == "PLAINTEXT"
    assert environment.common(*shared, embedded=False)["SPRAT_KAFKA__SECURITY_PROTOCOL"] == "SASL_SSL"
    assert environment.kafka_settings({"prefix": "p"}, embedded=True).security_protocol == "PLAINTEXT"


def test_a_wrong_option_is_named() -> None:
    with pytest.raises(UserError, match="prefix"):
        environment.kafka_settings({"prefix": "no spaces"}, embedded=True)


def test_a_wrong_variable_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRAT_DRAIN_S", "-4")
    with pytest.raises(UserError, match=r"^settings: SPRAT_DRAIN_S: "):
        environment.kafka_settings({}, embedded=True)


def test_threads_are_pinned() -> None:
    assert environment.threads()["OMP_NUM_THREADS"] == "1"


def test_the_simulated_frontier_is_wired_to_the_simulators_port_and_gets_no_key(tmp_path: Path) -> None:
    launches = Launches(Options(), tmp_path)
    port = launches.launch(service_named("simulator", SERVICES), "simulator", {}).port
    frontier = launches.launch(service_named("frontier", SERVICES), "frontier", {}).environment

    assert port is not None
    assert frontier["SPRAT_FRONTIER__BASE_URL"] == f"http://127.0.0.1:{port}/v1"
    assert frontier["SPRAT_FRONTIER__API_KEY"] == ""


def test_with_a_url_there_is_no_simulator_and_the_rest_is_the_persons_to_say(tmp_path: Path) -> None:
    options = Options(frontier="http://127.0.0.1:1/v1")
    frontier = Launches(options, tmp_path).launch(service_named("frontier", SERVICES), "frontier", {}).environment

    assert "simulator" not in [spec.name for spec in choose_services(options)[0]]
    assert frontier["SPRAT_FRONTIER__BASE_URL"] == "http://127.0.0.1:1/v1"
    assert "SPRAT_FRONTIER__PROVIDER" not in frontier


def test_what_is_said_for_one_service_wins_over_what_is_said_for_all(tmp_path: Path) -> None:
    options = Options(environment={"A": "all", "B": "all"}, service_environment={"intent#2": {"B": "second"}})
    launches = Launches(options, tmp_path)
    second = launches.launch(service_named("intent", SERVICES), "intent#2", {"C": "now"}).environment

    assert (second["A"], second["B"], second["C"]) == ("all", "second", "now")
    assert launches.launch(service_named("intent", SERVICES), "intent", {}).environment["B"] == "all"


def test_only_the_first_instance_on_an_embedded_broker_keeps_its_membership(tmp_path: Path) -> None:
    def instance_id(options: Options, name: str) -> str | None:
        return (
            Launches(options, tmp_path)
            .launch(service_named("frontier", SERVICES), name, {})
            .environment.get("SPRAT_KAFKA__INSTANCE_ID")
        )

    assert instance_id(Options(), "frontier") == "frontier"
    assert instance_id(Options(), "frontier#2") is None
    assert instance_id(Options(bootstrap="127.0.0.1:1"), "frontier") is None


def test_an_unknown_service_is_named_with_those_that_are_known() -> None:
    with pytest.raises(UserError, match="no service itent: known are simulator, router, intent"):
        service_named("itent", SERVICES)
