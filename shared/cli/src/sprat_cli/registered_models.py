"""The models that are announced on Kafka, and those that were withdrawn."""

import asyncio

from sprat.base.errors import Fatal, UserError
from sprat.base.settings import KafkaSettings
from sprat_cli.connection import explain_kafka_errors, reading_signatures
from sprat_contracts import ModelAnnounced
from sprat_operations.models import RegisteredModels, read_registered_models


def announced_models(kafka: KafkaSettings) -> tuple[ModelAnnounced, ...]:
    """Return all models that are announced.

    Raises:
        UserError: Kafka cannot be reached, or refuses.
    """
    with explain_kafka_errors(kafka):
        return asyncio.run(registered_models(kafka)).announced


async def registered_models(kafka: KafkaSettings) -> RegisteredModels:
    """Return the announced and the withdrawn models.

    Raises:
        UserError: the topic of models does not exist; a user error, as in every command.
    """
    try:
        return await read_registered_models(kafka, reading_signatures(kafka))
    except Fatal as error:
        raise UserError(str(error)) from None
