"""What a service reads and writes, said once: the running service subscribes to it, the AsyncAPI document shows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any

from sprat_contracts import Message


@dataclass(frozen=True, slots=True)
class Channels:
    """The topics of one service, each with its message. Made without connecting to anything."""

    service: str
    description: str
    reads: Mapping[str, type[Message]]
    """Topics of the service's consumer group."""
    writes: Mapping[str, type[Message] | None]
    """None: dead letters, which hold what came."""
    follows: Mapping[str, type[Message]] = field(default_factory=dict)
    """Topics read from their beginning by every instance, outside the group."""

    @property
    def payload(self) -> Any:
        """Give the message, or the union of the messages, that the group reads: a type, for FastStream."""
        return reduce(or_, dict.fromkeys(self.reads.values()))
