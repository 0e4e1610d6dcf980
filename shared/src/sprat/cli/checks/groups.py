"""The consumer groups of the installation: members and lag."""

from collections.abc import Iterator, Sequence

from sprat.cli.checks.check import Check, broken, good, warning
from sprat.operating.groups import NEEDED
from sprat.operating.lag import Measured
from sprat.operating.serving import group_of
from sprat_contracts import TASKS, ModelAnnounced


def check_groups(measured: Measured, announced: Sequence[ModelAnnounced] | None) -> Iterator[Check]:
    """Look at every group that there is, and at those that must be; `announced` is None where it cannot be known."""
    there = None if announced is None else {group_of(each) for each in announced}
    for name in sorted(measured.groups.keys() | set(NEEDED)):
        group = measured.groups.get(name)
        members, lag = (len(group.group.members), group.lag) if group is not None else (0, 0)
        counted = f"{members} member{'s' * (members != 1)}, {lag} record{'s' * (lag != 1)} behind"
        found = f"{name}: {counted}"
        if there is not None and name not in there and name.partition(".")[0] in TASKS:
            yield from _retired(name, members, lag, counted)
        elif members:
            yield good("groups", found)
        elif name in NEEDED:
            yield broken("groups", found, f"start it: `sprat up`, or python -m sprat_{name}; its records wait in Kafka")
        else:
            yield warning("groups", found, "start it, or retire its model; until then its texts wait in Kafka")


def _retired(name: str, members: int, lag: int, counted: str) -> Iterator[Check]:
    """Tell of a group that every text passes by since its model was withdrawn; nobody has to start it."""
    if members:
        rest = " once it has caught up" if lag else ""
        yield good("groups", f"{name} is retired, {counted}: its service may stop{rest}")
    elif lag:
        texts = f"{lag} text{'s' * (lag != 1)}"
        yield good(
            "groups",
            f"{name} is retired, 0 members: of the {texts} since it stopped, those from before it was retired were its "
            "own",
        )
