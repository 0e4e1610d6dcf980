"""Publishing corrections, as `sprat feedback` does."""

from collections.abc import Sequence
from difflib import get_close_matches

from aiokafka.errors import KafkaConnectionError, KafkaError

from sprat.cli.connection import client_arguments
from sprat.cli.terminal import printable, remark, say, say_json
from sprat.delivery.publisher import Acknowledged, NotAcknowledged, Publisher, TooLarge
from sprat.errors import SpratError, UserError
from sprat.operating.feedback import feedback_record
from sprat.operating.reading import read_since
from sprat.settings import KafkaSettings
from sprat_contracts import FeedbackGiven, IntentOutput, ModelAnnounced, WireError, decode

_CHUNK = 200
_HOLD_S = 20.0


async def publish(kafka: KafkaSettings, messages: Sequence[FeedbackGiven], *, as_json: bool) -> None:
    """Publish all, and say where each stands.

    Raises:
        UserError: one is too large; those before it are published.
        SpratError: Kafka did not acknowledge some.
    """
    publisher = Publisher(kafka, "sprat-feedback")
    topic = kafka.topics.feedback
    done = 0
    try:
        await publisher.start()
        for start in range(0, len(messages), _CHUNK):
            chunk = messages[start : start + _CHUNK]
            stands = await publisher.publish([feedback_record(message, topic) for message in chunk], _HOLD_S)
            for message, place in zip(chunk, stands, strict=True):
                _tell(message, topic, place, as_json=as_json)
            done += len(chunk)
    except TooLarge:
        raise UserError(f"a correction is larger than {topic} takes; {done:,} are published") from None
    except NotAcknowledged as error:
        raise SpratError(f"{error}; at least {done:,} are published; is there a topic {topic}?") from None
    finally:
        await publisher.stop()


async def remark_unknown_labels(kafka: KafkaSettings, messages: Sequence[FeedbackGiven]) -> None:
    """Say which intents no announced model knows: new ones, or misspelt. An export would train them as they are.

    Where the announcements cannot be read, nothing is said: a correction does not depend on them.
    """
    outputs = [message.output for message in messages if isinstance(message.output, IntentOutput)]
    labels = {output.label for output in outputs if output.label is not None}
    if not labels:
        return
    try:
        known = await _announced_labels(kafka)
    except KafkaConnectionError:
        raise
    except (KafkaError, UserError, TimeoutError):
        return
    for label in sorted(labels - known) if known else ():
        near = get_close_matches(label, known, 1)
        hint = f"; did you mean {printable(near[0], 60)}?" if near else ""
        remark(f"no announced model knows the intent {printable(label, 60)}{hint}")


async def _announced_labels(kafka: KafkaSettings) -> set[str]:
    """Give the labels of all intent models that are announced."""
    labels: dict[bytes | None, set[str]] = {}
    async for record in read_since(client_arguments(kafka), [kafka.topics.models], None):
        labels.pop(record.key, None)
        try:
            announced = decode(record, ModelAnnounced).message if record.value else None
        except WireError:
            continue
        if announced is not None and announced.task == "intent":
            labels[record.key] = set(announced.labels or ())
    return set().union(*labels.values())


def _tell(message: FeedbackGiven, topic: str, stands: Acknowledged, *, as_json: bool) -> None:
    if as_json:
        place = {"topic": topic, "partition": stands.partition, "offset": stands.offset}
        names = {"text_id": message.text_id, "text_source": message.text_source, "task": message.task}
        say_json({"type": "feedback", **names, **place, "given_at": stands.timestamp_ms})
        return
    right = message.output.label or "none of the known intents" if isinstance(message.output, IntentOutput) else ""
    what = f"{message.task} {right}".strip()
    say(f"published: {printable(message.text_id)} is {printable(what)}  · {topic} {stands.partition}@{stands.offset}")
