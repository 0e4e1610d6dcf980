"""The sending of replays, also of those that Kafka refuses or does not acknowledge."""

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from sprat.base.settings import KafkaSettings
from sprat.kafka.publisher import Acknowledged, NotAcknowledged, OutRecord, Publisher
from sprat_contracts import DeadLetterReason, Record
from sprat_operations.dead_letters import read_dead_letter
from sprat_operations.replay import Replay, ReplaysNotAcknowledged, send


class Half(Publisher):
    """Takes the first record; the second is too large, and of the third nothing is heard."""

    async def _send(self, records, deadline):
        answers = {b"0": Acknowledged(0, 0, 0), b"1": MessageSizeTooLargeError(), b"2": KafkaTimeoutError()}
        return [answers[record.value] for record in records]


@pytest.fixture
def publisher():
    return Half(KafkaSettings(bootstrap="127.0.0.1:1", prefix="sprat"), "test")


async def test_too_large_replays_are_reported_beside_those_not_acknowledged(publisher):
    with pytest.raises(NotAcknowledged) as error:
        await publisher.publish([OutRecord("t", None, b"%d" % number) for number in range(3)], 0.01)
    assert (error.value.places, error.value.too_large) == ((2,), (1,))


async def test_a_refused_replay_is_not_reported_as_sent(publisher):
    headers = tuple(DeadLetterReason("model_error", "it broke", "t", 0, 0, 0, "router", "1.2.3").headers(()))
    letters = [read_dead_letter(Record("d", 0, number, 0, None, b"%d" % number, headers)) for number in range(3)]
    replays = [Replay(letter, "t", [], None) for letter in letters]
    sent, refused = [], []
    with pytest.raises(ReplaysNotAcknowledged) as error:
        await send(publisher, replays, sent.append, refused.append, hold_s=0.01)
    assert (sent, refused, error.value.replays) == ([replays[0]], [replays[1]], (replays[2],))
