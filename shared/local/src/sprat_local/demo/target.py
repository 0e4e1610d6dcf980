"""What the demo runs against: an installation that it starts, or one that runs already."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Self

from aiokafka.errors import KafkaError

from sprat.base.errors import UserError
from sprat.base.model import DEFAULT_MODEL
from sprat.base.settings import KafkaSettings
from sprat.kafka.lag import LagMeter
from sprat_contracts import Topics
from sprat_local.installation.gateway import LocalGateway
from sprat_local.installation.lifecycle import Installation
from sprat_operations.services import SERVICES
from sprat_operations.topics import list_topics

READY_S = 60.0
"""How long the services of a running installation may take to join their groups."""
_LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class DemoTarget:
    """An installation that is ready."""

    kafka: KafkaSettings
    groups: tuple[str, ...]
    """Consumer groups of its services, without the prefix."""
    phases: dict[str, float] = field(default_factory=dict)
    """Phase of the start → seconds until its end, where the demo started it."""
    alone: bool = False
    """Whether nobody else publishes to it."""
    gateway: LocalGateway | None = None
    """Where its page is, where the demo started one."""

    @property
    def topics(self) -> Topics:
        """The names of its topics."""
        return self.kafka.topics

    @classmethod
    def started(cls, installation: Installation) -> Self:
        """Return an installation that was started here."""
        running = [spec for spec in installation.specs if spec.name in installation.processes]
        groups = (spec.group_name(installation.models.get(spec.name)) for spec in running)
        return cls(
            installation.kafka,
            tuple(group for group in groups if group),
            installation.phases,
            alone=True,
            gateway=installation.gateway,
        )

    @classmethod
    async def running(cls, kafka: KafkaSettings, ready_s: float = READY_S) -> Self:
        """Return an installation that runs already, when all its services have joined their groups.

        Raises:
            UserError: Kafka cannot be reached, a topic is missing, or a service is not there in time.
        """
        states = await list_topics(kafka.client(), kafka.topics)
        missing = [state.name for state in states if state.status == "missing"]
        if missing:
            raise UserError(f"topic {missing[0]} does not exist: run `sprat topics create`")
        started = (spec for spec in SERVICES if not spec.on_request)  # the demo asks no other
        groups = tuple(group for spec in started if (group := spec.group_name(DEFAULT_MODEL)))
        target = cls(kafka, groups)
        deadline = time.monotonic() + ready_s
        while absent := await target._absent():
            if time.monotonic() > deadline:
                raise UserError(f"no service reads for {', '.join(absent)}: start all services, then run it again")
            await asyncio.sleep(_LOOK_EVERY_S)
        return target

    async def _absent(self) -> list[str]:
        """Return the groups in which no member has a partition."""
        try:
            async with LagMeter(self.kafka.client(), self.topics, groups=self.groups) as meter:
                groups = (await meter.measure()).groups
        except KafkaError as error:
            raise UserError(f"Kafka at {self.kafka.bootstrap}: {type(error).__name__}") from None
        return [name for name in self.groups if name not in groups or not groups[name].group.members]
