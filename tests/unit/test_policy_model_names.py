"""Names of models that stand in the policy and that nobody announces: found, and said once by the router."""

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
    ("tasks", "found"),
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
def test_names_that_nobody_announces_are_found_with_the_likeliest_that_is_meant(tasks, found):
    assert [(each.place, each.suggestion) for each in unannounced_models(policy(**tasks), ANNOUNCED)] == found


@pytest.fixture
def warned(caplog):
    """Give what a router has warned of, after so many seconds each."""

    def warned(rules, *seconds, announced=ANNOUNCED):
        now = [0.0]
        models = table(*announced)
        check = PolicyCheck(rules, models, lambda: now[0])
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            for now[0] in seconds:
                check.run_when_due()
        return caplog.messages

    return warned


def test_the_router_says_once_which_names_nobody_announces(warned):
    rules = policy(intent=["bnk", "default"], ner=["x"])
    said = "the policy names models that nobody announces: tasks.intent.models.bnk (did you mean bank?), "
    assert warned(rules, 1, GRACE_S, GRACE_S + 1) == [f"{said}tasks.ner.models.x"]


def test_services_that_start_with_the_router_have_time_to_announce_their_models(warned):
    assert warned(policy(intent=["hr"]), 0, GRACE_S - 1, announced=()) == []
    assert len(warned(policy(intent=["hr"]), GRACE_S, announced=())) == 1


def test_a_router_whose_policy_names_what_is_announced_has_nothing_to_say(warned):
    assert warned(policy(intent=["bank"]), GRACE_S) == []
