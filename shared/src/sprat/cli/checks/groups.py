"""The consumer groups of the installation: members and lag."""

from collections.abc import Iterator

from sprat.cli.checks.check import Check, broken, good, warning
from sprat.operating.groups import NEEDED
from sprat.operating.lag import Measured


def check_groups(measured: Measured) -> Iterator[Check]:
    """Look at every group that there is, and at those that must be."""
    for name in sorted(measured.groups.keys() | set(NEEDED)):
        group = measured.groups.get(name)
        members, lag = (len(group.group.members), group.lag) if group is not None else (0, 0)
        found = f"{name}: {members} member{'s' * (members != 1)}, {lag} record{'s' * (lag != 1)} behind"
        if members:
            yield good("groups", found)
        elif name in NEEDED:
            yield broken("groups", found, f"start it: `sprat up`, or python -m sprat_{name}; its records wait in Kafka")
        else:
            yield warning("groups", found, "start it, or retire its model; until then its texts wait in Kafka")
