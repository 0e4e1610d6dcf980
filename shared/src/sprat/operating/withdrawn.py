"""The models that were withdrawn, and their groups: what is still theirs, and not what came later."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sprat.announcing import Announcement, ModelsReader
from sprat.model_table import ModelTable
from sprat.operating.lag import GroupLag, Measured, PartitionLag
from sprat.settings import KafkaSettings
from sprat.withdrawal import Ends
from sprat_contracts import ModelAnnounced

Withdrawn = Mapping[str, Ends | None]
"""The group of a withdrawn model's service, without the prefix → up to where texts are its own; None: nobody says."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the topic of models says."""

    announced: tuple[ModelAnnounced, ...]
    """Ordered by task and name."""
    withdrawn: Withdrawn


async def read_standing(settings: KafkaSettings) -> Standing:
    """Give the models that are announced now, and those that were withdrawn as far as is still known.

    Raises:
        Fatal: the topic does not exist.
        Retryable: Kafka does not answer.
        KafkaError: it refuses.
    """
    models = ModelTable()
    withdrawn: dict[str, Ends | None] = {}

    def apply(seen: Announcement) -> None:
        if not models.apply(seen.key, seen.announced):
            return
        group = (seen.key or b"").decode("utf-8", "replace").replace("/", ".", 1)
        if seen.announced is None:
            withdrawn[group] = seen.retirement.until
        else:
            withdrawn.pop(group, None)

    reader = ModelsReader(settings, apply)
    try:
        await reader.start()
    finally:
        await reader.stop()
    return Standing(models.announced(), withdrawn)


def own_alone(measured: Measured, withdrawn: Withdrawn) -> Measured:
    """Give the measurement with the groups of withdrawn models as if the texts had ended where they stop owning them.

    Where nobody says where that is, all that a group has not committed may be its own.
    """
    groups = {name: _cut(group, withdrawn.get(name)) for name, group in measured.groups.items()}
    return replace(measured, groups=groups)


def _cut(group: GroupLag, ends: Ends | None) -> GroupLag:
    if ends is None:
        return group
    return replace(group, partitions=tuple(_cut_partition(each, ends) for each in group.partitions))


def _cut_partition(each: PartitionLag, ends: Ends) -> PartitionLag:
    return replace(each, end=min(each.end, ends.get(each.partition.partition, 0)))
