"""The router: settings → policy and table of models → handler → run."""

import asyncio
import time
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from sprat.base.channels import STRICT_TEXTS, router_channels
from sprat.base.review_tokens import ReviewTokens
from sprat.base.settings import environment
from sprat.context import ServiceContext, Subscription
from sprat.kafka.lag import LagMeter
from sprat.kafka.log_reader import LogReader
from sprat.processing.batch_steps import Need, Refresh
from sprat.processing.handler import Received
from sprat.registry.announcements import Announcement, ModelsReader
from sprat.registry.model_table import ModelTable
from sprat.registry.retirement import READ_EVERY_S
from sprat.runtime import run_service
from sprat_contracts import Message
from sprat_policy import Policy, TaskSettings, load_guarded_policy
from sprat_router.alarms import StandingAlarms
from sprat_router.draws import Draws
from sprat_router.group_metrics import GroupMetrics
from sprat_router.handler import RouterHandler
from sprat_router.policy_check import GRACE_S, PolicyCheck, measure_goals


class RouterSettings(TaskSettings):
    """All settings of the service."""

    policy: Annotated[Path, Field(description="The policy file.")]
    lag_every_s: Annotated[
        float,
        Field(ge=0, le=300, description="How often the elected router measures lag and age of all groups; 0: never."),
    ] = 10.0
    strict_texts: Annotated[
        bool,
        Field(description="Whether a text with an unknown field, or an unclear `frontier`, becomes a dead letter."),
    ] = False


SETTINGS: Final = RouterSettings


async def build(
    context: ServiceContext, settings: RouterSettings, *, policy_check_grace_s: float = GRACE_S
) -> Subscription:
    """Read the policy, then the models topic to its end, before the service reads any other topic."""
    table = ModelTable()
    given, guard = load_guarded_policy(settings.policy, environment(), settings.task_files.table)
    policy = given.with_added(settings.task_files)

    def apply(announcement: Announcement) -> None:
        table.apply(announcement.key, announcement.announced, announcement.retirement.until)
        measure_goals(policy, table)

    measure_goals(policy, table)
    context.name_tenants(policy.named_tenants)
    reader = ModelsReader(settings.kafka, context.signatures, apply)
    context.stack.push_async_callback(reader.stop)
    await context.wait_for_topics(context.topics.models)
    await reader.start()
    draws = Draws(
        ReviewTokens(settings.keys),
        policy.named_tenants,
        lambda task: context.assigned_part(context.topics.predictions(task)),
    )
    alarms = StandingAlarms(context.signatures)
    alarm_reader = await follow_alarms(context, settings, policy, alarms)
    handler = RouterHandler(
        context.topics, policy, guard, table, context.keyed_hash, draws, alarms, strict_texts=settings.strict_texts
    )
    check = PolicyCheck(policy, table, grace_s=policy_check_grace_s)

    read_s = time.monotonic()

    async def refresh() -> None:
        nonlocal read_s
        began_s = time.monotonic()
        await reader.catch_up()
        if alarm_reader is not None:
            await alarm_reader.catch_up()
        check.run_when_due()
        read_s = began_s

    def precedes(received: Received[Message]) -> Need:
        """Return whether announcements and alarms are read before the decision on a record."""
        need = handler.needs_refresh(received)
        is_old = alarm_reader is not None or time.monotonic() - read_s > READ_EVERY_S
        return "now" if need == "none" and is_old else need

    if settings.lag_every_s:
        measure_groups(context, settings, table)
    loop = context.batch_loop(handler, refresh=Refresh(refresh, lambda: False, precedes))
    return Subscription(
        router_channels(context.topics),
        context.group,
        loop.handle,
        loop.release,
        client_suffix=STRICT_TEXTS if settings.strict_texts else "",
        can_wait=(context.topics.texts,),
    )


async def follow_alarms(
    context: ServiceContext, settings: RouterSettings, policy: Policy, alarms: StandingAlarms
) -> LogReader | None:
    """Read the topic of alarms to its end; None where no alarm changes what the router does."""
    rules = [rule for task in policy.task_names for rule in policy.task(task).rules_by_model()]
    if any(each.review for each in rules):
        await context.wait_for_topics(context.topics.reviews)
    if all(each.on_alarm == "tell" for each in rules):
        return None
    await context.wait_for_topics(context.topics.alarms)
    reader = LogReader(settings.kafka, (context.topics.alarms,), alarms.take, alarms.forget)
    context.stack.push_async_callback(reader.stop)
    await reader.start()
    await reader.catch_up()
    return reader


def measure_groups(context: ServiceContext, settings: RouterSettings, models: ModelTable) -> None:
    """Publish metrics of all groups, for as long as this instance is elected, until the service stops."""
    client = settings.kafka.client() | {"client_id": f"sprat-{context.name}-groups"}
    metrics = GroupMetrics(
        lambda: LagMeter(client, context.topics),
        settings.kafka.prefix,
        models,
        lambda: context.is_assigned(context.topics.texts, 0),
        settings.lag_every_s,
    )
    task = asyncio.create_task(metrics.run())

    async def stop() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    context.stack.push_async_callback(stop)


if __name__ == "__main__":
    raise SystemExit(run_service("router", version("sprat-router"), RouterSettings, build))
