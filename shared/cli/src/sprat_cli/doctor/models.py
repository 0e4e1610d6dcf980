"""The models that are announced, and whether anybody serves them."""

from collections.abc import Iterator, Sequence

from sprat_cli.doctor.check import Check, broken, good, warning
from sprat_contracts import ModelAnnounced
from sprat_operations.lag import Measured
from sprat_operations.serving import group_of, how_to_serve


def check_models(announced: Sequence[ModelAnnounced], measured: Measured) -> Iterator[Check]:
    """Look at the models announced, and for the group of each."""
    if not announced:
        yield warning("models", "none announced: every text goes to the frontier", "start a service, as sprat_intent")
        return
    found = ", ".join(_model(each) for each in announced)
    if any(each.owns_from is None for each in announced):
        yield warning("models", found, "a service is starting, or its start failed: look at its log")
    else:
        yield good("models", found)
    for each in announced:
        if each.owns_from is not None and not _members(each, measured):
            yield _unserved(each, measured)


def _members(announced: ModelAnnounced, measured: Measured) -> int:
    group = measured.groups.get(group_of(announced))
    return 0 if group is None else len(group.group.members)


def _unserved(announced: ModelAnnounced, measured: Measured) -> Check:
    group = measured.groups.get(group_of(announced))
    waiting = ""
    if group is not None and group.lag:
        came = "1 text has" if group.lag == 1 else f"{group.lag} texts have"
        waiting = f"; {came} come since, and at most so many of them wait for it"
    name = f"{announced.task}/{announced.model}"
    found = f"{name} is announced, but nobody serves it: texts that ask for it get no Result{waiting}"
    return broken("models", found, how_to_serve(announced))


def _model(announced: ModelAnnounced) -> str:
    labels = f", {len(announced.labels)} labels" if announced.labels else ""
    serving = "" if announced.owns_from is not None else ", not serving yet"
    return f"{announced.task}/{announced.model} {announced.version[:8]}{labels}{serving}"
