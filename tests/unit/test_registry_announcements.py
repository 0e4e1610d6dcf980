"""Which texts are a model's: agreed on at its announcement, and passed over after its follower."""

import pytest
from aiokafka.errors import KafkaConnectionError

from sprat.base.errors import Fatal, Retryable
from sprat.base.settings import KafkaSettings
from sprat.kafka.publisher import Acknowledged
from sprat.registry.announcements import Announcement, Ownership, announce, announce_again
from sprat.registry.model_table import model_key
from sprat.registry.retirement import Retirement, RetirementFollower, owned_until
from sprat_contracts import ModelAnnounced, decode
from support.measured import thresholds
from support.router_records import announced
from support.stream import SIGNATURES
from support.wire_records import plain

SETTINGS = KafkaSettings(bootstrap="127.0.0.1:1", prefix="sprat")
KEY = model_key("intent", "default")
NOW = 1_700_000_000_000


class Topic:
    """The topic of models in memory: its readers, and a publisher that appends to it."""

    def __init__(self):
        self.log = []
        self.now = NOW
        self.away = False
        self.published = []
        self.beside = []
        """What others append just before our first announcement."""

    def reader(self, settings, signatures, apply):
        return Reader(self, apply)

    def append(self, key, message, *, at=None, ends=None):
        before = next((seen.retirement for seen in reversed(self.log) if seen.key == key), Retirement())
        after = before.after_tombstone(ends) if message is None else before.after_announcement(ends)
        self.log.append(Announcement(key, message, self.now if at is None else at, ends, after))

    async def publish(self, records, hold_s=None):
        (record,) = records
        while self.beside:
            self.append(KEY, announced(owns_from=None), at=self.beside.pop(0))
        message = decode(plain(record.value, headers=tuple(record.headers)), ModelAnnounced).message
        self.published.append(message.owns_from)
        self.append(record.key, message, ends=owned_until(record.headers))
        return [Acknowledged(0, len(self.log) - 1, self.now)]


class Reader:
    def __init__(self, topic, apply):
        self.topic, self.apply, self.position = topic, apply, 0

    async def start(self):
        await self.catch_up()

    async def catch_up(self, within_s=10.0):
        if self.topic.away:
            raise Retryable("away")
        for seen in self.topic.log[self.position :]:
            self.apply(seen)
        self.position = len(self.topic.log)

    async def stop(self):
        pass


@pytest.fixture
def topic():
    return Topic()


async def ownership(topic):
    return await announce(SETTINGS, topic, announced(owns_from=None), "intent", SIGNATURES, topic.reader)


async def test_a_new_model_owns_the_texts_from_its_first_announcement(topic):
    assert await ownership(topic) == Ownership(NOW)
    assert topic.published == [None, NOW]


async def test_a_start_after_a_start_keeps_what_was_announced(topic):
    await ownership(topic)
    topic.now += 1_000
    assert await ownership(topic) == Ownership(NOW)
    assert topic.published == [None, NOW], "the same is not announced again"


async def test_replicas_that_start_together_agree_on_the_earliest_first_announcement(topic):
    topic.beside = [NOW - 200, NOW - 100]
    assert await ownership(topic) == Ownership(NOW - 200)


async def test_a_first_announcement_of_a_start_that_failed_is_not_agreed_on(topic):
    topic.append(KEY, announced(owns_from=None), at=NOW - 60_000)
    topic.append(KEY, announced(owns_from=None), at=NOW - 59_999)
    assert await ownership(topic) == Ownership(NOW - 59_999)


async def test_a_tombstone_ends_the_ownership_before_it_and_what_was_left_is_carried_on(topic):
    topic.append(KEY, announced(owns_from=NOW - 500))
    topic.append(KEY, None)
    topic.append(KEY, None, ends={0: 12})
    assert await ownership(topic) == Ownership(NOW, {0: 12})
    assert [seen.owned_until for seen in topic.log[-2:]] == [{0: 12}, {0: 12}]
    assert topic.log[-1].retirement.left == {0: 12}


async def again(topic, **changed):
    ours = announced(owns_from=NOW).model_copy(update=changed)
    await announce_again(SETTINGS, topic, ours, "intent", SIGNATURES, topic.reader)


async def test_changed_thresholds_are_announced_again_once_with_what_was_left(topic):
    topic.append(KEY, announced(owns_from=NOW), ends={0: 12})
    await again(topic, thresholds=thresholds())
    await again(topic, thresholds=thresholds())
    assert topic.published == [NOW]
    last = topic.log[-1]
    assert (last.announced.thresholds, last.owned_until) == (thresholds(), {0: 12})


@pytest.mark.parametrize(
    "last",
    [None, announced(owns_from=NOW, version="v2"), announced(owns_from=NOW + 1)],
    ids=["withdrawn", "another version", "another ownership"],
)
async def test_what_was_withdrawn_or_replaced_meanwhile_is_not_announced_again(topic, last):
    topic.append(KEY, announced(owns_from=NOW))
    topic.append(KEY, last)
    await again(topic, thresholds=thresholds())
    assert topic.published == []


async def test_a_topic_that_cannot_be_read_is_read_again_later(topic):
    class Away(Reader):
        async def start(self):
            raise KafkaConnectionError

    topic.reader = lambda settings, signatures, apply: Away(topic, apply)
    with pytest.raises(Retryable, match="cannot be read: KafkaConnectionError"):
        await again(topic)


async def test_another_model_is_no_history(topic):
    topic.append(model_key("ner", "default"), announced("ner", owns_from=NOW - 500))
    assert await ownership(topic) == Ownership(NOW)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
async def followed(topic):
    """A withdrawal of a model that owns its texts from NOW, and its clock."""
    topic.append(KEY, announced(owns_from=NOW))
    clock = Clock()
    return await follow(topic, clock), clock


async def follow(topic, clock):
    follower = RetirementFollower(KEY, NOW, clock)
    await follower.start(
        topic.reader(SETTINGS, SIGNATURES, lambda seen: follower.apply(seen.key, seen.announced, seen.retirement))
    )
    return follower


async def owned_after_refresh(followed):
    follower, clock = followed
    clock.now += 20
    await follower.refresh()
    return [offset for offset in (10, 11, 12, 13) if follower.owns(plain(partition=0, offset=offset))]


async def test_without_a_withdrawal_all_texts_are_its_own(followed):
    assert await owned_after_refresh(followed) == [10, 11, 12, 13]


async def test_after_the_second_tombstone_the_texts_before_the_ends_alone_are_its_own(topic, followed):
    topic.append(KEY, None)
    assert await owned_after_refresh(followed) == [10, 11, 12, 13], "the first tombstone does not say where they end"
    topic.append(KEY, None, ends={0: 12})
    assert await owned_after_refresh(followed) == [10, 11]
    assert not followed[0].owns(plain(partition=1, offset=0)), "a partition that is not named has no texts of its own"


async def test_the_withdrawal_of_another_model_changes_nothing(topic, followed):
    topic.append(b"ner/default", None)
    topic.append(b"ner/default", None, ends={0: 0})
    assert await owned_after_refresh(followed) == [10, 11, 12, 13]


@pytest.mark.parametrize("withdrawn_since", [False, True])
@pytest.mark.parametrize("owns_from", [NOW + 5, NOW])
async def test_a_model_that_was_withdrawn_and_announced_anew_ends_the_process(
    topic, followed, owns_from, withdrawn_since
):
    topic.append(KEY, None)
    topic.append(KEY, None, ends={0: 12})
    topic.append(KEY, announced(owns_from=owns_from))
    if withdrawn_since:
        topic.append(KEY, None)
        topic.append(KEY, None, ends={0: 13})
    for _ in range(2):
        with pytest.raises(Fatal, match="must restart"):
            await owned_after_refresh(followed)


async def test_while_the_topic_cannot_be_read_what_is_known_holds(topic, followed):
    topic.append(KEY, None)
    topic.append(KEY, None, ends={0: 12})
    await owned_after_refresh(followed)
    topic.away = True
    assert await owned_after_refresh(followed) == [10, 11]


async def test_the_topic_is_asked_once_a_second_at_most(topic, followed):
    follower, clock = followed
    await owned_after_refresh(followed)
    topic.append(KEY, None)
    topic.append(KEY, None, ends={0: 12})
    clock.now += 0.9
    await follower.refresh()
    assert follower.owns(plain(partition=0, offset=12))
    clock.now += 0.1
    await follower.refresh()
    assert not follower.owns(plain(partition=0, offset=12))


async def test_what_happened_before_the_start_is_over_where_the_announcement_follows_it(topic):
    topic.append(KEY, None)
    topic.append(KEY, None, ends={0: 12})
    topic.append(KEY, announced(owns_from=NOW))
    follower = await follow(topic, Clock())
    await follower.refresh()
    assert follower.owns(plain(partition=0, offset=13))
