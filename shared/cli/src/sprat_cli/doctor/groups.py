"""The consumer groups: who is behind, who has no member, and those of models that were withdrawn."""

from collections.abc import Iterator

from sprat_cli.doctor.check import Check, broken, good, warning
from sprat_contracts import TASKS
from sprat_operations.groups import NEEDED
from sprat_operations.lag import Measured
from sprat_operations.retirement import Standing
from sprat_operations.serving import group_of


def check_groups(measured: Measured, standing: Standing | None) -> Iterator[Check]:
    """Look at every group that there is, and at those that must be.

    Args:
        measured: with the groups of withdrawn models cut by :func:`own_alone`.
        standing: None where it cannot be known.
    """
    there = None if standing is None else {group_of(each) for each in standing.announced}
    for name in sorted(measured.groups.keys() | set(NEEDED)):
        group = measured.groups.get(name)
        members, lag = (len(group.group.members), group.lag) if group is not None else (0, 0)
        counted = f"{members} member{'s' * (members != 1)}, {lag} record{'s' * (lag != 1)} behind"
        found = f"{name}: {counted}"
        if standing is not None and there is not None and name not in there and name.partition(".")[0] in TASKS:
            yield from _retired(name, members, lag, known=standing.withdrawn.get(name) is not None)
        elif members:
            yield good("groups", found)
        elif name in NEEDED:
            yield broken("groups", found, f"start it: `sprat up`, or python -m sprat_{name}; its records wait in Kafka")
        else:
            yield warning("groups", found, "start it, or retire its model; until then its texts wait in Kafka")


def _retired(name: str, members: int, lag: int, *, known: bool) -> Iterator[Check]:
    """Tell of a group that new texts pass by since its model was withdrawn; `known`: what it lags behind is its own."""
    texts = f"{lag} text{'s' * (lag != 1)}"
    if members:
        rest = f" once it has answered the {texts} that came before" if lag else ""
        yield good("groups", f"{name} is retired, {members} member{'s' * (members != 1)}: its service may stop{rest}")
    elif lag:
        model = name.replace(".", "/", 1)
        mend = (
            "start its service once more, as it was: it answers them first; then `sprat models retire "
            f"{model}` again, which says when it may stop"
        )
        if known:
            was, wait = ("was", "waits") if lag == 1 else ("were", "wait")
            found = f"{texts} that {was} its own when it was retired {wait}, and nobody reads: no Result without it"
            yield broken("groups", f"{name} is retired, 0 members: {found}", mend)
        else:
            found = f"up to {texts} from before it was retired may wait, and nobody reads"
            yield warning("groups", f"{name} is retired, 0 members: {found}", mend)
