"""Names of models in the policy that no service has announced: found, and logged once by the router."""

import logging

import pytest

from sprat_contracts import ModelAnnounced
from sprat_policy import Policy, unannounced_models
from sprat_router.policy_check import GRACE_S, PolicyCheck
from support.router_records import table

ANNOUNCED = (
    ModelAnnounced(task="intent", version="1"),
    ModelAnnounced(task="intent", model="bank", version="1"),
    ModelAnnounced(task="ner", model="legal", version="1"),
)


def policy(**tasks):
    sections = {task: {"models": {name: {} for name in names}} for task, names in tasks.items()}
    return Policy.model_validate({"tasks": sections})


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ({}, []),
        ({"intent": ["bank", "default"], "ner": ["legal"]}, []),
        ({"intent": ["bnk"]}, [("tasks.intent.models.bnk", "bank")]),
        ({"intent": ["bnk", "bank"]}, [("tasks.intent.models.bnk", None)]),
        ({"intent": ["Default"]}, [("tasks.intent.models.Default", "default")]),
        (
            {"intent": ["legal"], "translation": ["fr"]},
            [("tasks.intent.models.legal", None), ("tasks.translation.models.fr", None)],
        ),
    ],
)
def test_unannounced_names_are_found_with_the_closest_announced_name(tasks, expected):
    assert [(each.place, each.suggestion) for each in unannounced_models(policy(**tasks), ANNOUNCED)] == expected


@pytest.fixture
def warnings_of(caplog):
    """Return a function that gives the router's warnings at these times, in seconds after its start."""

    def warnings_of(rules, *seconds, announced=ANNOUNCED):
        now = [0.0]
        models = table(*announced)
        check = PolicyCheck(rules, models, lambda: now[0])
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            for now[0] in seconds:
                check.run_when_due()
        return caplog.messages

    return warnings_of


def test_the_router_logs_unannounced_names_once(warnings_of):
    rules = policy(intent=["bnk", "default"], ner=["x"])
    message = "the policy names models that no service announces: tasks.intent.models.bnk (did you mean bank?), "
    assert warnings_of(rules, 1, GRACE_S, GRACE_S + 1) == [f"{message}tasks.ner.models.x"]


def test_services_have_time_to_announce_their_models_before_the_warning(warnings_of):
    assert warnings_of(policy(intent=["hr"]), 0, GRACE_S - 1, announced=()) == []
    assert len(warnings_of(policy(intent=["hr"]), GRACE_S, announced=())) == 1


def test_the_router_logs_nothing_if_all_names_are_announced(warnings_of):
    assert warnings_of(policy(intent=["bank"]), GRACE_S) == []
