"""Questions are asked again while leaders and coordinators move."""

import pytest
from aiokafka.errors import NodeNotReadyError, NotLeaderForPartitionError, TopicAuthorizationFailedError

from sprat.kafka import cluster
from sprat.kafka.cluster import Cluster


@pytest.fixture
def moving(monkeypatch):
    """A cluster that is not connected, and how often it looked for new leaders."""
    monkeypatch.setattr(cluster, "_RETRY_S", 0.0)
    asked = Cluster({"bootstrap_servers": "127.0.0.1:1"})
    asked.looked = 0

    async def refresh(self):
        self.looked += 1

    monkeypatch.setattr(Cluster, "refresh", refresh)
    return asked


def failing(times, error):
    """Return a question that fails so often, and then has an answer."""
    left = iter([error] * times)

    async def ask():
        for failure in left:
            raise failure
        return "answer"

    return ask


async def test_a_question_is_asked_again_when_a_leader_has_moved(moving):
    assert await moving.settled(failing(3, NotLeaderForPartitionError())) == "answer"
    assert moving.looked == 3


@pytest.mark.parametrize("others", [True, False], ids=["another broker answers", "none answers"])
async def test_a_broker_that_does_not_answer_is_waited_for_where_others_do(moving, others, monkeypatch):
    async def refresh(self):
        return others

    monkeypatch.setattr(Cluster, "refresh", refresh)
    asking = moving.settled(failing(3, NodeNotReadyError()))
    if others:
        assert await asking == "answer"
    else:
        with pytest.raises(NodeNotReadyError):
            await asking


async def test_it_is_not_asked_for_ever(moving):
    with pytest.raises(NotLeaderForPartitionError):
        await moving.settled(failing(100, NotLeaderForPartitionError()))


async def test_another_error_is_not_hidden(moving):
    with pytest.raises(TopicAuthorizationFailedError):
        await moving.settled(failing(1, TopicAuthorizationFailedError()))
    assert moving.looked == 0
