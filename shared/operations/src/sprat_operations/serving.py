"""Whether a model that is announced is served: whether its consumer group has members."""

import asyncio
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CoordinatorNotAvailableError, GroupAuthorizationFailedError, for_code

from sprat.model import DEFAULT_MODEL
from sprat_contracts import ModelAnnounced, Topics

_TRIES: Final = 10
_WAIT_S: Final = 0.5


class Serving(StrEnum):
    """How it stands with a model that is announced."""

    yes = "yes"
    starting = "starting"
    """It owns no texts yet: its service starts, or its start failed."""
    nobody = "nobody"
    """Texts that ask for it wait for a service."""
    unknown = "unknown"
    """This user may not see its group."""


def group_of(announced: ModelAnnounced) -> str:
    """Give the consumer group of a model's service, without the prefix."""
    return f"{announced.task}.{announced.model}"


def how_to_serve(announced: ModelAnnounced) -> str:
    """Say what to do about a model that nobody serves."""
    task, model = announced.task, announced.model
    section = f"SPRAT_{task.upper()}__"
    if model == DEFAULT_MODEL:
        start = f"sprat up, or python -m sprat_{task}"
    else:
        start = (
            f"sprat up --model {task}/{model}=DIR, or python -m sprat_{task} with {section}MODEL={model} and "
            f"{section}ARTEFACT=DIR"
        )
    return f"start it: {start}; or retire it, so that new texts are escalated: sprat models retire {task}/{model}"


def advised_keep_at(announced: ModelAnnounced) -> float | None:
    """Give the `keep_at` that a model's card advises; None where it does not say."""
    advised = announced.card.get("keep_at")
    return float(advised) if isinstance(advised, int | float) and not isinstance(advised, bool) else None


async def serving(
    admin: AIOKafkaAdminClient, topics: Topics, announced: Iterable[ModelAnnounced]
) -> tuple[Serving, ...]:
    """Look who serves each of these models, in their order.

    Raises:
        KafkaError: the broker does not answer.
    """
    return tuple([await _serving(admin, topics, each) for each in announced])


async def _serving(admin: AIOKafkaAdminClient, topics: Topics, announced: ModelAnnounced) -> Serving:
    if announced.owns_from is None:
        return Serving.starting
    try:
        members = await _members(admin, f"{topics.prefix}.{group_of(announced)}")
    except GroupAuthorizationFailedError:
        return Serving.unknown
    return Serving.yes if members else Serving.nobody


async def _members(admin: AIOKafkaAdminClient, group: str) -> int:
    """Give how many members a group has; one that there is not has none."""
    for _ in range(_TRIES - 1):
        try:
            return await _counted(admin, group)
        except CoordinatorNotAvailableError:  # a broker that never had a group first makes room for them
            await asyncio.sleep(_WAIT_S)
    return await _counted(admin, group)


async def _counted(admin: AIOKafkaAdminClient, group: str) -> int:
    # One group at a time: aiokafka 0.14 cannot read an answer about several.
    (response,) = await admin.describe_consumer_groups([group])
    error, _name, _state, _type, _protocol, members, *_ = response.groups[0]
    if error:
        raise for_code(error)
    return len(members)
