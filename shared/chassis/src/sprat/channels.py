"""The topics of a service, declared once: the running service subscribes to them, the AsyncAPI document shows them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any

from sprat_contracts import Message


@dataclass(frozen=True, slots=True)
class Channels:
    """The topics that one service reads and writes, each with its message. Made without a connection."""

    service: str
    description: str
    reads: Mapping[str, type[Message]]
    """Topics of the service's consumer group."""
    writes: Mapping[str, type[Message] | None]
    """None: dead letters, which hold records of any kind."""
    follows: Mapping[str, type[Message]] = field(default_factory=dict)
    """Topics that every instance reads from the beginning, outside the group."""

    @property
    def payload(self) -> Any:
        """The message, or the union of the messages, that the group reads: a type, for FastStream."""
        return reduce(or_, dict.fromkeys(self.reads.values()))
