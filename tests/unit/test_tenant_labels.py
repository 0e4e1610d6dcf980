"""Who invents tenants takes no label from those that the policy names."""

from contextlib import AsyncExitStack

import pytest

from sprat.base.sealing import Seal
from sprat.context import ServiceContext
from sprat.processing.cache import RedisCache
from sprat.telemetry import attributes
from sprat.telemetry.instruments import Attribute
from sprat.telemetry.tracing import Tracing
from sprat_policy import Policy
from support.stream import settings_for


@pytest.fixture
def tenant(monkeypatch):
    """Return the attribute of tenants as it is in a process that has just started."""
    attribute = Attribute("tenant", "sprat.tenant", "The tenant.", limit=3)
    monkeypatch.setattr(attributes, "TENANT", attribute)
    return attribute


@pytest.fixture
async def context():
    settings = settings_for("h:1", "test")
    async with AsyncExitStack() as stack:
        yield ServiceContext(
            "test",
            "0",
            settings,
            None,
            RedisCache(settings.redis, "test:", Seal(settings.keys)),
            stack,
            Tracing(exporting=False),
        )


def labels(attribute, *names):
    return [attribute.bounded(name) for name in names]


async def test_tenants_of_the_policy_have_labels_and_invented_ones_have_not(tenant, context):
    context.name_tenants(Policy.model_validate({"tenants": {"acme": {}, "*": {}}}).named_tenants)
    assert labels(tenant, "invented", "invented-2", "acme", "default", "*") == [
        *("other", "other", "acme", "default", "other")
    ]


async def test_a_policy_that_names_nobody_leaves_the_labels_to_the_first_tenants(tenant, context):
    context.name_tenants(Policy.model_validate({"tenants": {"*": {}}}).named_tenants)
    assert labels(tenant, "a", "b", "c", "d") == ["a", "b", "c", "other"]


async def test_the_number_of_tenants_is_bounded_also_in_the_policy(tenant, context):
    context.name_tenants(Policy.model_validate({"tenants": {"a": {}, "b": {}, "c": {}}}).named_tenants)
    assert labels(tenant, "c", "b", "a", "default") == ["other", "b", "a", "default"]


async def test_a_service_that_has_stopped_leaves_no_names_behind(tenant, context):
    tenant.bounded("early")
    context.name_tenants(("acme",))
    assert labels(tenant, "early", "acme") == ["other", "acme"]
    await context.stack.aclose()
    assert labels(tenant, "early", "acme", "more", "even-more") == ["early", "acme", "more", "other"]
