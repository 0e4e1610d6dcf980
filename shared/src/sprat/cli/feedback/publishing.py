"""Publishing corrections, as `sprat feedback` does."""

from collections.abc import Sequence

from sprat.cli.terminal import printable, say, say_json
from sprat.delivery.publisher import Acknowledged, NotAcknowledged, Publisher, TooLarge
from sprat.errors import SpratError, UserError
from sprat.operating.feedback import feedback_record
from sprat.settings import KafkaSettings
from sprat_contracts import FeedbackGiven, IntentOutput

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


def _tell(message: FeedbackGiven, topic: str, stands: Acknowledged, *, as_json: bool) -> None:
    if as_json:
        place = {"topic": topic, "partition": stands.partition, "offset": stands.offset}
        names = {"text_id": message.text_id, "text_source": message.text_source, "task": message.task}
        say_json({"type": "feedback", **names, **place, "given_at": stands.timestamp_ms})
        return
    right = message.output.label or "none of the known intents" if isinstance(message.output, IntentOutput) else ""
    what = f"{message.task} {right}".strip()
    say(f"published: {printable(message.text_id)} is {printable(what)}  · {topic} {stands.partition}@{stands.offset}")
