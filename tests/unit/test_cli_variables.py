"""`sprat doctor` on variables that nothing reads."""

import pytest

from sprat.base import plugins
from sprat_operations.doctor.settings import check_variables
from sprat_policy import Policy


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SPRAT_KAFKA_BOOTSTRAP", "SPRAT_KAFKA__BOOTSTRAP"),
        ("SPRAT_KAFKA__BOOTSTRP", "SPRAT_KAFKA__BOOTSTRAP"),
        ("SPRAT_FRONTIER_API_KEY", "SPRAT_FRONTIER__API_KEY"),
        ("sprat_redis_url", "SPRAT_REDIS__URL"),
    ],
)
def test_a_mistyped_name_is_reported_with_the_right_one(name: str, meant: str) -> None:
    (check,) = check_variables({name: "value-that-must-not-be-shown"})
    assert check.finding == f"{name} is not a setting: nothing reads it"
    assert check.fix == f"did you mean {meant}?"


def test_an_unknown_name_without_a_match_is_reported() -> None:
    (check,) = check_variables({"SPRAT_COLOUR": "red"})
    assert "SPRAT_COLOUR" in check.finding


READ = [
    "KAFKA",
    "POLICY",
    "TASKS",
    "CLASSIFY__TASK",
    "INTENT__ARTEFACT",
    "NER__THREADS",
    "TRANSLATION__THRESHOLDS",
    "LANGUAGE_ID__MODEL",
    "LAG_EVERY_S",
    "STRICT_TEXTS",
    "FRONTIER__PRICES__LARGE__INPUT_EUR",
    "FRONTIER__BREAKER__FAILURES",
    "AUDIT__KAFKA__BOOTSTRAP",
    "LEGAL__FOLDER",
    "SIMULATOR_SEED",
]


def test_a_variable_that_a_service_or_another_program_reads_is_not_reported() -> None:
    assert list(check_variables({f"SPRAT_{name}": "x" for name in READ} | {"PATH": "x"})) == []


@pytest.mark.parametrize("name", ["SPRAT_POLICY", "SPRAT_TASKS"])
def test_what_commands_read_needs_no_service(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(plugins, "find_all", lambda _: ())
    assert list(check_variables({name: "x"})) == []


def test_a_key_that_the_policy_names_is_read():
    policy = Policy.model_validate({"tenants": {"acme": {"signing_keys": ["${SPRAT_CRM_KEY}"]}}})
    variables = {"SPRAT_CRM_KEY": "x", "SPRAT_CRM_KEYS": "x"}
    assert [check.finding for check in check_variables(variables, policy)] == [
        "SPRAT_CRM_KEYS is not a setting: nothing reads it"
    ]
