"""The models that are announced, and whether anybody serves them."""

from collections.abc import AsyncIterator

from sprat.announcing import Announcement, ModelsReader
from sprat.cli.checks.check import Check, broken, good, warning
from sprat.model_table import ModelTable
from sprat.operating.lag import Measured
from sprat.settings import KafkaSettings
from sprat_contracts import ModelAnnounced


async def check_models(kafka: KafkaSettings, measured: Measured) -> AsyncIterator[Check]:
    """Look at the topic of announcements, and for the group of each model announced."""
    announced = await _announced(kafka)
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


async def _announced(kafka: KafkaSettings) -> tuple[ModelAnnounced, ...]:
    table = ModelTable()

    def apply(seen: Announcement) -> None:
        table.apply(seen.key, seen.announced)

    reader = ModelsReader(kafka, apply)
    try:
        await reader.start()
    finally:
        await reader.stop()
    return table.announced()


def _group(announced: ModelAnnounced) -> str:
    return f"{announced.task}.{announced.model}"


def _members(announced: ModelAnnounced, measured: Measured) -> int:
    group = measured.groups.get(_group(announced))
    return 0 if group is None else len(group.group.members)


def _unserved(announced: ModelAnnounced, measured: Measured) -> Check:
    group = measured.groups.get(_group(announced))
    waiting = f", {group.lag} wait now" if group is not None and group.lag else ""
    name = f"{announced.task}/{announced.model}"
    return broken(
        "models",
        f"{name} is announced, but nobody serves it: its texts get no Result{waiting}",
        f"start it: python -m sprat_{announced.task} with SPRAT_{announced.task.upper()}__MODEL={announced.model}; or "
        f"retire it, so that its texts go to the frontier: sprat models retire {name}",
    )


def _model(announced: ModelAnnounced) -> str:
    labels = f", {len(announced.labels)} labels" if announced.labels else ""
    serving = "" if announced.owns_from is not None else ", not serving yet"
    return f"{announced.task}/{announced.model} {announced.version[:8]}{labels}{serving}"
