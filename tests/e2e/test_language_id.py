"""The task `language-id` where no service serves it, and once one does, on a real Kafka."""

from pydantic import SecretStr

from conftest import Kafka, Redis
from sprat.base.model import DEFAULT_MODEL
from sprat.base.settings import KafkaSettings, RedisSettings
from sprat_language_id.__main__ import SERVICE
from sprat_testing.service import running
from support.stream import SECRET
from support.system import ALLOWED, whole_system

TASK = "language-id"
TEXT = {"text": "Waar blijft mijn bestelling?", "tasks": {TASK: {}}, "tenant": ALLOWED, "frontier": "allow"}


async def test_a_text_is_unanswered_without_the_service_and_answered_with_it(
    kafka: Kafka, redis_server: Redis, prefix: str
) -> None:
    settings = SERVICE.settings(
        kafka=KafkaSettings(bootstrap=kafka.bootstrap, prefix=prefix, partitions=2),
        redis=RedisSettings(url=SecretStr(redis_server.url)),
        secret=SecretStr(SECRET),
        health_port=0,
        _env_file=None,
    )
    async with whole_system(kafka.bootstrap, redis_server.url, prefix) as system:
        without = await system.result(await system.submit(TEXT), TASK)
        async with running(TASK, settings, SERVICE.build, model=DEFAULT_MODEL):
            answered = await system.result(await system.submit(TEXT), TASK)
    assert (without.status, without.source, without.output) == ("unanswered", "none", None)
    assert without.declined.code == without.declined.causes[0].code == "no_service"
    assert without.declined.detail.startswith("no model language-id/default served when the text arrived; ")
    assert without.egress is None or not without.egress.left, "no provider is asked for a language"
    assert (answered.status, answered.source, answered.route.decision) == ("answered", "small", "kept")
    assert answered.output.label == "nl"
