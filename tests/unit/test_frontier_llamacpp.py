from contextlib import AsyncExitStack

from sprat_frontier.chat import ChatApi, LlamaCppApi
from sprat_frontier.prompts import prompt_for, question_of
from sprat_frontier.tiers import open_tiers
from sprat_policy import Policy
from support import frontier_parts as parts

QUESTION = question_of(parts.request())


def test_a_server_of_llama_cpp_is_told_the_schema_as_the_python_one_takes_it():
    body = LlamaCppApi(0.0, 1024, logprobs=True).body("default", QUESTION)
    assert body["response_format"] == {"type": "json_object", "schema": prompt_for(QUESTION).schema}
    assert (body["logprobs"], body["top_logprobs"]) == (True, 1)
    chat = ChatApi(0.0, 1024, logprobs=True).body("default", QUESTION)
    same = {name for name in chat if chat[name] == body[name]}
    assert same == chat.keys() - {"response_format"}


def test_it_is_asked_for_no_probabilities_where_nobody_reads_them():
    body = LlamaCppApi(0.0, 1024).body("default", QUESTION)
    assert body.keys().isdisjoint({"logprobs", "top_logprobs"})


async def test_the_preset_asks_so():
    policy = Policy.model_validate(
        {"inside": ["gpu"], "tenants": {}, "tiers": [{"preset": "llamacpp:http://gpu:8080/v1"}]}
    )
    async with AsyncExitStack() as stack:
        (tier,) = open_tiers(policy, parts.settings(), {}, stack).of("acme", "intent")
    assert (tier.api, tier.endpoint) == ("llamacpp", "http://gpu:8080/v1 llamacpp")
