"""This machine's clock against the cluster's: deadlines are told in the broker's time and judged by a service's."""

from aiokafka.errors import KafkaError

from sprat.kafka.clients import client_arguments
from sprat.settings import KafkaSettings
from sprat_cli.doctor.check import Check, broken, good, warning
from sprat_operations.clock import clock_skew

_WORTH_SAYING_MS = 1_000
_DEADLINE_MS = 30_000
"""How long a hard case may wait where neither its text nor a policy says."""
_MEND = "let both set their clocks over the network (chronyc tracking, timedatectl); look where each service runs, too"


async def check_clock(kafka: KafkaSettings) -> Check:
    """Compare the clocks, where Kafka tells its own."""
    try:
        skew = await clock_skew(client_arguments(kafka))
    except KafkaError as error:
        return good("clock", f"cannot be compared with Kafka's: {type(error).__name__}")
    if skew is None:
        return good("clock", "cannot be compared with Kafka's: it does not tell the time (that needs KRaft, 3.3)")
    if skew.certain_ms < _WORTH_SAYING_MS:
        return good("clock", f"as Kafka's, give or take {max(1, skew.uncertain_ms + skew.certain_ms):.0f} ms")
    side = "ahead of" if skew.ahead_ms > 0 else "behind"
    found = f"{skew.certain_ms / 1000:,.1f} s {side} Kafka's: deadlines of hard cases are judged by as much too "
    found += "early" if skew.ahead_ms > 0 else "late"
    return (broken if skew.certain_ms >= _DEADLINE_MS else warning)("clock", found, _MEND)
