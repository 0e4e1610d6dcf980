"""Which offsets may be committed while records finish out of order: up to the lowest one that is not finished."""

from collections.abc import Mapping

from aiokafka import TopicPartition


class OffsetTracker:
    """Offsets in flight, by partition. Not thread-safe; one event loop owns it."""

    def __init__(self) -> None:
        self._flying: dict[TopicPartition, dict[int, bool]] = {}

    def start(self, partition: TopicPartition, offset: int) -> None:
        """Note a record that begins; records of a partition begin in order."""
        self._flying.setdefault(partition, {})[offset] = False

    def finish(self, partition: TopicPartition, offset: int) -> None:
        """Note a record that is done; one that was let go meanwhile is ignored."""
        flying = self._flying.get(partition)
        if flying is not None and offset in flying:
            flying[offset] = True

    def committable(self) -> Mapping[TopicPartition, int]:
        """Give the next offset of each partition in which something new may be committed."""
        offsets: dict[TopicPartition, int] = {}
        for partition, flying in self._flying.items():
            for offset in list(flying):
                if not flying[offset]:
                    break
                offsets[partition] = offset + 1
                del flying[offset]
        return offsets

    def clear(self) -> None:
        """Let all go: the partitions have moved on."""
        self._flying.clear()
