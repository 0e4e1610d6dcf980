"""`by: TIER` through real services: the router draws, the frontier asks, and its answer has the draw's token."""

import pytest
from pydantic import SecretStr

from sprat.base.keys import Keys
from sprat.base.review_tokens import ReviewTokens
from sprat_contracts import EgressRecord, FeedbackGiven, ReviewAsked, decode
from sprat_contracts.reviews import PEOPLE
from support.stream import SECRET, eventually, read_all
from support.system import ALLOWED, policy_with_reviews, whole_system


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
