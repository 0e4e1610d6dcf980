"""The draws of a task as Kafka has them: how they ended, and those that have not."""

from typing import Final

from sprat.base.review_tokens import is_replayed
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import client_arguments
from sprat.kafka.signatures import Signatures
from sprat_contracts import KafkaRecord, ReviewAsked, ReviewClosed, Topics, WireError, decode
from sprat_operations.connection import reading_signatures, without_secret
from sprat_operations.topic_reader import OnReadProgress, TopicReader, no_progress
from sprat_training.evaluation.reviewed import HOUR_MS, DrawsOfTask

_BEFORE_MS: Final = HOUR_MS
"""A draw before the period may say that an hour of it was full."""


async def read_draws(
    kafka: KafkaSettings, task: str, since_ms: int, *, progress: OnReadProgress = no_progress
) -> DrawsOfTask:
    """Return the draws of a task since a time, by the records that this installation has signed.

    Raises:
        UserError: there is no such topic, or this shell does not know the secret.
        TimeoutError: the broker returns no more records.
        KafkaError: Kafka cannot be reached or refuses.
    """
    signatures = reading_signatures(kafka)
    if signatures is None:
        raise without_secret("without it, anybody who may write to the topic could certify")
    topics, found = kafka.topics, DrawsOfTask(task)

    async with TopicReader(client_arguments(kafka), progress) as reader:
        since = max(0, since_ms - _BEFORE_MS)
        async for records in reader.read_since([topics.reviews, topics.reviews_closed], since):
            for record in records:
                take(record, topics, signatures, found)
    return found


def take(record: KafkaRecord, topics: Topics, signatures: Signatures, found: DrawsOfTask) -> None:
    """Take a record of the topics of draws; leave out what is not of this installation, or was written once more.

    An old draw would be an open one, or name a share that did not apply or an hour that was not full.
    """
    try:
        if not signatures.accepts(record):
            return
        if record.topic == topics.reviews:
            event = decode(record, ReviewAsked)
            if not is_replayed(event.envelope.time, record.timestamp):
                found.ask(event.message, record.timestamp)
        else:
            found.close(decode(record, ReviewClosed).message)
    except WireError:
        return
