"""The frontier service: settings → policy, masking, tiers, answer store → handler → run."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from sprat.audit.settings import AuditSettings
from sprat.base.channels import frontier_channels
from sprat.base.sealing import Seal
from sprat.base.settings import environment
from sprat.context import ServiceContext, Subscription
from sprat.processing.cache import RedisCache
from sprat.runtime import run_service
from sprat_frontier.climb import Climb
from sprat_frontier.egress_audit import KafkaEgressAudit
from sprat_frontier.escalation import CaseReader
from sprat_frontier.handler import SERVICE, FrontierHandler
from sprat_frontier.paid_calls import PaidCalls
from sprat_frontier.protocols import SystemClock
from sprat_frontier.quota import SectionQuota
from sprat_frontier.redaction import Redactor, check_task_files
from sprat_frontier.settings import FrontierSettings
from sprat_frontier.tier_thresholds import TierThresholds
from sprat_frontier.tiers import open_tiers
from sprat_frontier.waiting_cases import WaitingCases
from sprat_langid import classifier
from sprat_policy import TaskSettings, load_guarded_policy

PUBLISHED_AT_ONCE = 1024
"""Requests in progress besides those that wait or are called: mostly, their answers are on the way to Kafka. When one
tenant floods, so many are declined at a time."""

STORE_S = 1.0
"""Time-out of the answer store: longer than a cache's, because a miss is paid for."""

STORE_RETRIES = 3
"""Retries of an operation of the answer store: a process that is busy starting misses what Redis has."""


class FrontierServiceSettings(TaskSettings):
    """All settings of the service."""

    frontier: FrontierSettings = FrontierSettings()
    audit: AuditSettings = AuditSettings()
    policy: Annotated[Path, Field(description="The policy file.")]


SETTINGS: Final = FrontierServiceSettings


async def build(context: ServiceContext, settings: FrontierServiceSettings) -> Subscription:
    """Build the handler with everything that it needs.

    Raises:
        UserError: a setting is missing; the message names all that are.
    """
    policy, guard = load_guarded_policy(settings.policy, environment(), settings.task_files.table)
    files = TierThresholds(settings.policy, settings.task_files.table)
    context.stack.push_async_callback(files.stop)
    tiers = open_tiers(policy, settings.frontier, environment(), context.stack, files)
    audit = await KafkaEgressAudit.open(
        context.publisher, context.topics, context.name, settings.kafka.give_up_s, settings.audit, context.stack
    )
    context.name_tenants(policy.named_tenants)
    classifier()  # the detector of languages, before the tagger: while it is loaded, it takes twice the memory it keeps
    check_task_files(settings.task_files, policy.perimeter)
    redactor = Redactor.load(settings.frontier.tagger, policy.perimeter, settings.frontier.masking_threads)
    context.stack.callback(redactor.close)
    store_settings = {"ttl_s": settings.frontier.answer_ttl_s, "timeout_s": max(STORE_S, settings.redis.timeout_s)}
    store = RedisCache(
        settings.redis.model_copy(update=store_settings),
        f"{settings.kafka.prefix}:",
        Seal(settings.keys),
        name="frontier",
        retries=STORE_RETRIES,
    )
    context.stack.push_async_callback(store.close)
    clock, waiting = SystemClock(), WaitingCases(settings.frontier.max_waiting)
    quota = SectionQuota(policy, store, context.keyed_hash, clock)
    calls = PaidCalls(store, audit, quota, waiting, context.keyed_hash)
    cases = CaseReader(policy, clock, settings.frontier.max_wait_s, settings.task_files, settings.default_language)
    climb = Climb(tiers, cases, redactor, waiting, calls, context.keyed_hash)
    handler = FrontierHandler(context.topics, guard, climb)
    # Calls under way are paid for: their answers are stored for the redelivered requests.
    context.stack.push_async_callback(calls.drain, store.most_s)
    in_progress = settings.frontier.max_waiting + settings.frontier.concurrency + PUBLISHED_AT_ONCE
    loop = context.concurrent_loop(handler, in_progress)
    return Subscription(frontier_channels(context.topics), context.group, loop.handle, loop.release)


if __name__ == "__main__":
    raise SystemExit(run_service(SERVICE, version("sprat-frontier"), FrontierServiceSettings, build))
