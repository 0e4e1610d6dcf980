"""Which partitions a fetch names within its session, as KIP-227 says what a broker makes of it."""

import random
from types import SimpleNamespace

import pytest
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v4, FetchRequest_v11

from sprat.kafka.fetch_sessions import FetchSession, SessionFetch

MOST = 1_000


class Broker:
    """What a broker keeps of a session: where it reads each partition."""

    def __init__(self):
        self.id = self.epoch = self.fetches = 0
        self.offsets = {}

    def fetch(self, sent):
        """Return the answer."""
        self.fetches += 1
        if sent.session_epoch == 0:
            self.id, self.epoch, self.offsets = self.id + 1, 0, {}
        elif (sent.session_id, sent.session_epoch) != (self.id, self.epoch):
            return answer(error_code=70 if sent.session_id != self.id else 71)
        for topic, partitions in sent.forgotten_topics_data:
            for partition in partitions:
                del self.offsets[topic, partition]
        for topic, partitions in sent.topics:
            self.offsets |= {(topic, each[0]): each[2] for each in partitions}
        self.epoch += 1
        return answer(session_id=self.id)


def answer(*, error_code=0, session_id=0, version=11):
    return SimpleNamespace(API_VERSION=version, error_code=error_code, session_id=session_id)


def request(offsets):
    topics = {}
    for (topic, partition), offset in offsets.items():
        topics.setdefault(topic, []).append((partition, offset, MOST))
    return FetchRequest(500, 1, 1 << 20, 1, [*topics.items()])


def built(session, offsets, version=FetchRequest_v11):
    sent = SessionFetch(request(offsets), session)
    made = sent.build(version)
    assert sent.topics == request(offsets).topics, "whoever reads the answer looks for all of them"
    return made


def test_a_broker_reads_what_is_wanted_whatever_is_lost():
    session, broker, chance, wanted = FetchSession(), Broker(), random.Random(7), {}
    named = 0
    for _ in range(3_000):
        for place in chance.sample([(topic, number) for topic in "abc" for number in range(8)], 2):
            match chance.randrange(4):
                case 0:
                    wanted.pop(place, None)
                case _:
                    wanted[place] = chance.randrange(1_000)
        sent = built(session, wanted)
        named += sum(len(partitions) for _, partitions in sent.topics)
        match chance.randrange(20):
            case 0:
                session.restart()  # it was not received
                continue
            case 1:
                broker.fetch(sent)
                session.restart()  # its answer was not received
                continue
            case 2:
                broker = Broker()  # it was started again
        answered = broker.fetch(sent)
        session.take(answered)
        if answered.error_code:
            assert broker.fetches == 1, "the next fetch begins a new session"
        else:
            assert broker.offsets == wanted
    assert named < 3_000 * 8, "most fetches name what has changed alone"


def test_a_fetch_names_what_has_changed_and_what_is_no_longer_read():
    session = FetchSession()
    built(session, {("a", 0): 5, ("a", 1): 6, ("b", 0): 7})
    session.take(answer(session_id=9))
    sent = built(session, {("a", 0): 5, ("a", 1): 8})
    assert (sent.session_id, sent.session_epoch) == (9, 1)
    assert sent.topics == [("a", [(1, -1, 8, -1, MOST)])]
    assert sent.forgotten_topics_data == [("b", [0])]


@pytest.mark.parametrize("answered", [answer(error_code=70), answer(), answer(version=4)], ids=["lost", "none", "old"])
def test_without_a_session_a_fetch_names_all(answered):
    session = FetchSession()
    built(session, {("a", 0): 5})
    session.take(answered)
    sent = built(session, {("a", 0): 5})
    assert (sent.session_epoch, sent.topics) == (0, [("a", [(0, -1, 5, -1, MOST)])])


def test_an_old_broker_gets_what_aiokafka_sends():
    sent = built(FetchSession(), {("a", 0): 5}, FetchRequest_v4)
    assert sent.topics == [("a", [(0, 5, MOST)])]


def test_epochs_begin_again_after_the_last_one():
    session = FetchSession(id=9, epoch=2**31 - 1)
    session.take(answer(session_id=9))
    assert session.epoch == 1
