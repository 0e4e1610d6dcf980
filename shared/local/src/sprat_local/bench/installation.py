"""Deleting the topics that a benchmark made on somebody's own Kafka."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code

from sprat.kafka.clients import close_in_time
from sprat_contracts import Topics
from sprat_local.bench.plan import Plan
from sprat_local.bench.resources import Meter
from sprat_local.installation import Installation
from sprat_local.options import Options

_PATIENCE_S: Final = 15.0


async def delete_topics(client: Mapping[str, Any], topics: Topics) -> None:
    """Delete all topics of this prefix that are there. Kafka forgets the groups that read them by itself.

    Raises:
        KafkaError: the broker refuses or is gone.
        TimeoutError: it takes too long.
    """
    admin = AIOKafkaAdminClient(**client)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await admin.start()
            described = await admin.describe_topics([topic.name for topic in topics.table()])
            there = [each["topic"] for each in described if not each["error_code"]]
            response = await admin.delete_topics(there) if there else None
            for _name, code in response.topic_error_codes if response is not None else ():
                if code:
                    raise for_code(code)
    finally:
        await close_in_time(admin.close)


# The installation that is measured: the task's service and the router, with a policy that keeps every answer.

DEFAULT_PREFIX: Final = "sprat-bench"
POLICY: Final = """\
# Whatever the small model answers is kept: a benchmark asks no frontier.
tasks:
  intent: {keep_at: 0, out_of_scope: keep}
  ner: {keep_at: 0}
  translation: {keep_at: 0}
"""
_ROUTER: Final = "router"


def service_variables(plan: Plan) -> Mapping[str, str]:
    """Give what the service, and the bare model, are told of the artefact."""
    if plan.artefact is None:
        return {}
    return {f"SPRAT_{plan.task.upper()}__ARTEFACT": str(plan.artefact.absolute())}


def bench_options(plan: Plan, folder: Path, *, bootstrap: str | None = None, prefix: str = DEFAULT_PREFIX) -> Options:
    """Give the choices of an installation to be measured, with topics of a prefix that nobody has used.

    Args:
        plan: what is measured.
        folder: for the policy's file.
        bootstrap: an existing Kafka; None: an embedded one.
        prefix: how the topics' prefix begins.
    """
    policy = folder / "policy.yaml"
    policy.write_text(POLICY, "utf-8")
    return Options(
        bootstrap=bootstrap,
        prefix=f"{prefix}-{token_hex(4)}",
        policy=policy,
        services=(_ROUTER, plan.task),
        service_environment={plan.task: service_variables(plan)},
        environment={"SPRAT_LOG_LEVEL": "warning"},
        restart=False,  # a death ends the run: its figures would say nothing
    )


def meter_of(installation: Installation) -> Meter:
    """Measure all processes of an installation that runs."""
    pids = {name: process.pid for name, process in installation.processes.items()}
    pids |= {name: server.pid for name, server in installation.servers.items()}
    return Meter({name: pid for name, pid in pids.items() if pid is not None})
