"""All checks, in the order of `sprat doctor`."""

from collections.abc import AsyncIterator
from pathlib import Path

from sprat.base.checks import Check
from sprat.base.settings import KafkaSettings
from sprat_operations import local_run
from sprat_operations.connection import load_command_settings
from sprat_operations.doctor.machine import check_machine


async def examine(kafka: KafkaSettings, policy: Path | None) -> AsyncIterator[Check]:
    """Yield each check as it is done. Nothing is changed, and no secret is among the findings.

    What a check needs is imported when its turn comes: on a busy machine an import takes seconds.

    Args:
        kafka: the Kafka that is examined.
        policy: the policy file; None: that of this user's `sprat up`, else of `SPRAT_POLICY`.
    """
    settings, run = load_command_settings(kafka), local_run.find_by_kafka(kafka.bootstrap)
    for check in check_machine(settings.health_port):
        yield check
    from sprat_operations.doctor.rights import check_rights  # noqa: PLC0415 - see above
    from sprat_operations.doctor.settings import check_settings, check_variables, find_policy  # noqa: PLC0415 - as above

    finding, rules = find_policy(policy, run)
    for check in (*check_settings(finding, rules, run), *check_variables(policy=rules)):
        yield check
    for check in check_rights(kafka, run or local_run.find(settings.redis.url.get_secret_value())):
        yield check
    from sprat_operations.doctor import gateway  # noqa: PLC0415 - as above

    for check in gateway.check_gateway(gateway.keys_file(run), rules, gateway.address(run)):
        yield check
    from sprat_operations.doctor.redis import check_redis  # noqa: PLC0415 - as above

    async for check in check_redis(settings.redis):
        yield check
    from sprat_operations.doctor.kafka import check_cluster  # noqa: PLC0415 - as above

    async for check in check_cluster(kafka, rules):
        yield check
