"""A running router says which models of its policy nobody announces, with the topic of models read to its end."""

import json
from functools import partial

from sprat_router.__main__ import RouterSettings, build
from sprat_testing.service import running
from support.stream import SECRET, eventually, made_topics, publish, settings_for


async def test_a_typo_in_the_policy_is_in_the_log_once(kafka, prefix, tmp_path, caplog):
    policy = tmp_path / "policy.yaml"
    policy.write_text("tasks: {intent: {models: {bnk: {keep_at: 0.9}}}}")
    common = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(common)
    own = {name: getattr(common, name) for name in ("kafka", "redis", "health_port", "drain_s")}
    settings = RouterSettings(policy=policy, secret=SECRET, _env_file=None, **own)
    text = json.dumps({"text": "hello", "tasks": {"intent": {}}}).encode()
    async with running("router", settings, partial(build, policy_check_grace_s=0)):
        for _ in range(2):
            await publish(kafka.bootstrap, topics.texts, [text])
            await eventually(lambda: "tasks.intent.models.bnk" in caplog.text)
    told = [line for line in caplog.messages if "the policy names models" in line]
    assert told == ["the policy names models that no service announces: tasks.intent.models.bnk"]
