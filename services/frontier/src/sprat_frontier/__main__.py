"""The frontier service: settings → policy, perimeter, provider, gateway → handler → run."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from pydantic import Field

from sprat.cache import RedisCache
from sprat.chassis import Chassis, Subscription
from sprat.delivery.patience import patiently
from sprat.delivery.publisher import OutRecord
from sprat.errors import Retryable
from sprat.policy import load_policy
from sprat.service import run_service
from sprat.settings import ServiceSettings
from sprat.telemetry.tracing import current_traceparent
from sprat_contracts import EgressRecord, Envelope, encode
from sprat_contracts.ids import derive, root_traceparent
from sprat_frontier.clock import SystemClock
from sprat_frontier.declaration import declare
from sprat_frontier.gateway import Gateway
from sprat_frontier.handler import FrontierHandler
from sprat_frontier.ports import Audit
from sprat_frontier.provider import OpenAIProvider
from sprat_frontier.redaction import Redactor
from sprat_frontier.settings import FrontierSettings

WAITING = 256
"""Requests in hand, most of them waiting for a call or for the provider to come back."""


STORE_S = 1.0
"""How long to wait for a kept answer: a miss is paid for, so it is more than a cache's time-out."""

STORE_RETRIES = 3
"""How often to look for, or keep, an answer again: a process that is busy starting misses what Redis has."""


class FrontierServiceSettings(ServiceSettings):
    """All settings of the service."""

    frontier: FrontierSettings = FrontierSettings()
    policy: Annotated[Path, Field(description="The policy file.")]


async def build(chassis: Chassis, settings: FrontierServiceSettings) -> Subscription:
    """Wire the way out."""
    policy = load_policy(settings.policy)
    redactor = Redactor.load(settings.frontier.tagger, policy.perimeter)
    chassis.stack.callback(redactor.close)
    provider = OpenAIProvider(settings.frontier)
    chassis.stack.push_async_callback(provider.close)
    patient = {"ttl_s": settings.frontier.answer_ttl_s, "timeout_s": max(STORE_S, settings.redis.timeout_s)}
    store = RedisCache(settings.redis.model_copy(update=patient), f"{settings.kafka.prefix}:", retries=STORE_RETRIES)
    chassis.stack.push_async_callback(store.close)
    handler = FrontierHandler(
        topics=chassis.topics,
        policies=policy,
        perimeter=redactor,
        store=store,
        gateway=Gateway(settings.frontier, provider, audit=auditing(chassis), hash=chassis.keyed_hash),
        hash=chassis.keyed_hash,
        clock=SystemClock(),
        endpoint=settings.frontier.base_url,
        max_wait_s=settings.frontier.max_wait_s,
        counts=chassis.counts,
    )
    # A call under way is paid for: its answer is kept for the redelivered request.
    chassis.stack.push_async_callback(handler.drain, store.most_s)
    loop = chassis.flight_loop(handler, WAITING)
    return Subscription(declare(chassis.topics), chassis.group, loop.handle, let_go=loop.let_go)


def auditing(chassis: Chassis) -> Audit:
    """Give what writes an egress record and returns when Kafka has acknowledged it."""
    source = f"/{chassis.topics.prefix}/{chassis.name}"

    async def audit(record: EgressRecord) -> None:
        event_id = str(derive(f"egress-{record.phase}", source, record.call_id, record.task))
        traceparent = current_traceparent.get() or root_traceparent(source, event_id)
        envelope = Envelope(id=event_id, source=source, traceparent=traceparent, extensions={"tenant": record.tenant})
        value, headers = encode(record, envelope)
        letter = OutRecord(chassis.topics.egress, record.text_hash.encode(), value, headers)

        async def publish() -> None:
            await chassis.publisher.publish([letter])

        # Waited for, not made anew: the audit must not tell of an attempt that was none.
        await patiently(publish, Retryable, chassis.settings.kafka.give_up_s)

    return audit


if __name__ == "__main__":
    raise SystemExit(run_service("frontier", version("sprat-frontier"), FrontierServiceSettings, build))
