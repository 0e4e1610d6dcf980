"""A service that Kafka does not let in: it ends at once, at its start and later, and says which setting to look at."""

import asyncio
import logging
from contextlib import suppress

import pytest
from aiokafka.errors import ClusterAuthorizationFailedError, KafkaConnectionError, SaslAuthenticationFailed

from sprat.base.errors import Fatal, UserError
from sprat.base.settings import TelemetrySettings
from sprat.runtime import stop_work, work_until_cancelled
from sprat.telemetry import attributes
from sprat.telemetry.logs import configure_logs
from support.stream import chassis_of, settings_for


def refuse():
    """Say what aiokafka says of a wrong password; it raises no more than that there is no connection."""
    logging.getLogger("aiokafka").error("Unable connect to %s: %s", "h:1", SaslAuthenticationFailed("no"))


class Publisher:
    """Starts as it is told."""

    def __init__(self, start=lambda: None):
        self._start = start

    async def start(self):
        self._start()

    async def stop(self):
        pass


def chassis_with(publisher):
    context = chassis_of("h:1")
    context.publisher = publisher
    return context


async def test_a_wrong_password_ends_the_start_without_another_try():
    def start():
        refuse()
        raise KafkaConnectionError

    context = chassis_with(Publisher(start))
    async with asyncio.timeout(5):
        with pytest.raises(
            UserError, match=r"Kafka at h:1 does not let this service in: .* SPRAT_KAFKA__SASL_PASSWORD"
        ):
            await work_until_cancelled(context, context.settings, None)


async def test_missing_rights_end_the_start_without_another_try():
    def start():
        raise ClusterAuthorizationFailedError

    context = chassis_with(Publisher(start))
    async with asyncio.timeout(5):
        with pytest.raises(Fatal, match="ClusterAuthorizationFailedError; check the ACLs"):
            await work_until_cancelled(context, context.settings, None)


async def test_a_password_that_is_changed_later_ends_the_service_with_code_2():
    async def build(*_):
        refuse()
        await asyncio.Event().wait()

    context = chassis_with(Publisher())
    work = asyncio.create_task(work_until_cancelled(context, context.settings, build))
    async with asyncio.timeout(5):
        error = await context.failure.wait()
        assert "SPRAT_KAFKA__SASL_PASSWORD" in str(error)
        assert await stop_work(context, work) == 2
    with suppress(asyncio.CancelledError):
        await work


def test_failed_connections_do_not_fill_the_log(own_logs, capsys):
    configure_logs("test", "info", "json")
    refuse()
    logging.getLogger("sprat.test").error("of ours")
    assert "of ours" in (said := capsys.readouterr().err)
    assert "aiokafka" not in said


async def test_the_settings_bound_the_tenants_of_metrics(monkeypatch):
    monkeypatch.setattr(attributes.TENANT, "limit", attributes.TENANT.limit)
    settings = settings_for("h:1", "test", telemetry=TelemetrySettings(tenants=2))

    def start():
        raise ClusterAuthorizationFailedError

    with suppress(Fatal):
        await work_until_cancelled(chassis_with(Publisher(start)), settings, None)
    assert attributes.TENANT.limit == 2
