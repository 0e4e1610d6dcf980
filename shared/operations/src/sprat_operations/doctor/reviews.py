"""Checks of what watches kept answers: that a guardian runs where the policy reviews them, and alarms that stand."""

from collections.abc import Iterable, Iterator

from sprat.base.channels import GUARDIAN
from sprat.base.checks import Check, broken, ok, some_of, warning
from sprat.base.words import counted
from sprat.kafka.lag import LagSnapshot
from sprat_contracts import AlarmRaised
from sprat_contracts.reviews import ERRORS
from sprat_operations.alarms import name_of
from sprat_operations.services import module_of
from sprat_policy import Policy


def check_guardian(policy: Policy, measured: LagSnapshot) -> Iterator[Check]:
    """Check that somebody closes the reviews that the policy asks for."""
    reviewed = policy.reviewed_tasks
    group = measured.groups.get(GUARDIAN)
    members = 0 if group is None else len(group.group.members)
    if reviewed and not members:
        yield broken(
            "reviews",
            f"kept answers of {some_of(reviewed)} are drawn to be reviewed, and no guardian runs: no alarm is raised",
            f"start it: `sprat up`, or python -m {module_of(GUARDIAN)}; draws wait in Kafka for 7 days",
        )
    elif reviewed:
        yield ok("reviews", f"of {some_of(reviewed)}; the guardian has {counted(members, 'instance')}")


def check_alarms(standing: Iterable[AlarmRaised]) -> Iterator[Check]:
    """Report each alarm that nobody has cleared."""
    found = False
    for each in standing:
        found = True
        name = name_of(each)
        report = broken if each.kind == ERRORS else warning
        yield report("alarms", f"{name}: {each.detail or 'it stands'}", f"sprat alarms explain {name}")
    if not found:
        yield ok("alarms", "none stands")
