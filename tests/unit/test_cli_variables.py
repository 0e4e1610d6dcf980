"""`sprat doctor` on variables that nothing reads."""

from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from sprat.base import plugins
from sprat.base.settings import ServiceSettings
from sprat_cli.doctor.settings import SERVICES_OWN, _names, check_variables
from sprat_contracts import TASKS
from sprat_frontier.__main__ import FrontierServiceSettings
from sprat_policy import Policy
from sprat_router.__main__ import RouterSettings

SERVICES = (
    *(plugins.load_specialist(name).settings for name in (*TASKS, "classify")),
    RouterSettings,
    FrontierServiceSettings,
)


def read_by(*models: type[BaseModel]) -> Iterator[str]:
    for model in models:
        yield from _names(model, "SPRAT_")


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


def test_a_variable_that_is_read_is_not_reported() -> None:
    names = ("SPRAT_KAFKA", "SPRAT_FRONTIER__PRICES__LARGE__INPUT_EUR", "SPRAT_LEGAL__FOLDER", "SPRAT_SIMULATOR_SEED")
    every = (*names, *read_by(*SERVICES), "PATH")
    assert list(check_variables(dict.fromkeys(every, "x"))) == []


def test_the_table_holds_what_the_services_read() -> None:
    services = set(read_by(*SERVICES))
    assert services - set(read_by(ServiceSettings)) == set(SERVICES_OWN)


def test_a_key_that_the_policy_names_is_read():
    policy = Policy.model_validate({"tenants": {"acme": {"signing_keys": ["${SPRAT_CRM_KEY}"]}}})
    variables = {"SPRAT_CRM_KEY": "x", "SPRAT_CRM_KEYS": "x"}
    assert [check.finding for check in check_variables(variables, policy)] == [
        "SPRAT_CRM_KEYS is not a setting: nothing reads it"
    ]
