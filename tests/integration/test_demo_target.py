"""`sprat demo --running`: what it says of an installation that is not ready for it."""

import pytest

from sprat.base.errors import UserError
from sprat_local.demo.target import DemoTarget
from support.stream import made_topics, settings_for


async def test_a_missing_topic_is_named(kafka, prefix) -> None:
    with pytest.raises(UserError, match=rf"topic {prefix}\.\S+ does not exist: run `sprat topics create`"):
        await DemoTarget.running(settings_for(kafka.bootstrap, prefix).kafka)


async def test_services_that_are_not_there_are_named(kafka, prefix) -> None:
    settings = settings_for(kafka.bootstrap, prefix)
    await made_topics(settings)
    named = r"router, intent\.default, ner\.default, translation\.default, frontier"
    with pytest.raises(UserError, match=f"no service reads for {named}: start all services"):
        await DemoTarget.running(settings.kafka, ready_s=0)
