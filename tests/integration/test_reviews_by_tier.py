"""`by: TIER` through real services: the router draws, the frontier asks, and its answer has the draw's token."""

from dataclasses import replace

import pytest
from pydantic import SecretStr

from sprat.base.keys import Keys
from sprat.base.review_tokens import ReviewTokens
from sprat.base.settings import KafkaSettings, RedisSettings
from sprat_contracts import EgressRecord, FeedbackGiven, FrontierRequested, ReviewAsked, decode
from sprat_contracts.reviews import PEOPLE
from sprat_frontier import __main__ as frontier
from sprat_frontier.settings import FrontierSettings, Price
from sprat_testing.service import running
from support.frontier_parts import AUDIT
from support.stream import SECRET, eventually, made_topics, read_all
from support.system import ALLOWED, policy_with_reviews, whole_system

PRICE = Price(input_eur=0.4, output_eur=2.0)


@pytest.mark.long
async def test_a_tier_reviews_what_may_leave_and_people_review_the_rest(kafka, redis_server, prefix, tmp_path):
    policy = policy_with_reviews(tmp_path, by="frontier")
    async with whole_system(kafka.bootstrap, redis_server.url, prefix, policy=policy) as system:
        text = {"text": "please move 100 euros to my savings account", "tasks": {"intent": {}}, "language": "en"}
        may_leave = await system.submit(text | {"tenant": ALLOWED, "frontier": "allow"})
        denied = await system.submit(text | {"tenant": ALLOWED, "frontier": "deny"})
        for place in (may_leave, denied):
            assert (await system.result(place)).route.decision == "kept"

        async def answered():
            return len(await read_all(kafka.bootstrap, system.topics.feedback)) == 1

        await eventually(answered)
        await system.settled()
        draws = [decode(each, ReviewAsked).message for each in await read_all(kafka.bootstrap, system.topics.reviews)]
        by = {each.by: each for each in draws}
        assert by.keys() == {"frontier", PEOPLE}
        assert (by["frontier"].labels is not None, by[PEOPLE].labels) == (True, None)
        (record,) = await read_all(kafka.bootstrap, system.topics.feedback)
        given = decode(record, FeedbackGiven).message
        assert (given.by, given.of, given.text_id) == ("tier:frontier", "review", by["frontier"].prediction.text_id)
        assert ReviewTokens(Keys(SecretStr(SECRET))).is_of(by["frontier"], given.token)
        calls = [decode(each, EgressRecord).message for each in await read_all(kafka.bootstrap, system.topics.egress)]
        assert [(each.phase, each.purpose) for each in calls] == [("attempt", "review"), ("outcome", "review")]


@pytest.mark.long
async def test_beside_an_older_frontier_a_new_one_reads_the_draws_and_both_the_hard_cases(
    kafka, redis_server, prefix, tmp_path, monkeypatch
):
    """As during an upgrade, in one group: the older one subscribes to hard cases alone."""
    new = frontier.frontier_channels

    def older(topics):
        return replace(new(topics), reads={topics.frontier_requests: FrontierRequested})

    kafka_settings = KafkaSettings(bootstrap=kafka.bootstrap, prefix=prefix, partitions=2)
    redis = RedisSettings(url=SecretStr(redis_server.url))
    provider = FrontierSettings(
        base_url="http://127.0.0.1:1/v1", model="m", provider="p", region="local", prices={"m": PRICE}
    )
    settings = frontier.FrontierServiceSettings(
        policy=policy_with_reviews(tmp_path, by="frontier"),
        frontier=provider,
        audit=AUDIT.model_copy(update={"checkpoints": tmp_path}),
        kafka=kafka_settings,
        redis=redis,
        secret=SecretStr(SECRET),
        health_port=0,
        _env_file=None,
    )
    topics = await made_topics(settings)

    def assigned(context):
        return {each.topic for each in context.consumers[0].assignment()} if context.consumers else set()

    monkeypatch.setattr(frontier, "frontier_channels", older)
    async with running("frontier", settings, frontier.build) as first:
        await eventually(lambda: assigned(first) == {topics.frontier_requests}, 30)
        monkeypatch.setattr(frontier, "frontier_channels", new)
        async with running("frontier", settings, frontier.build) as second:
            await eventually(lambda: topics.reviews in assigned(second), 30)
            assert topics.reviews not in assigned(first)
            held = first.consumers[0].assignment() | second.consumers[0].assignment()
            assert {each.partition for each in held if each.topic == topics.frontier_requests} == {0, 1}
