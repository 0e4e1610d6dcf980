"""What tests on a secured broker share: the commands that talk to it, what they say, and two services on it."""

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager

from pydantic import SecretStr

from sprat.settings import KafkaSettings, RedisSettings, ServiceSettings
from sprat_inference.serving import serve_model
from sprat_inference.specialist import SpecialistHandler
from sprat_router.__main__ import RouterSettings
from sprat_router.__main__ import build as build_router
from sprat_testing.service import running
from support.secured_kafka import PASSWORD, SecuredKafka
from support.stream import SECRET, FakeModel
from support.system import POLICY

BAD_PASSWORD = "a-wrong-word"
CORRECTION = (
    *("feedback", "--text-id", "1", "--source", "/crm", "--task", "intent"),
    *("--label", "greet", "--by", "agent-17", "--json"),
)
TALKING = {
    "topics create": ("topics", "create", "--json"),
    "topics list": ("topics", "list", "--json"),
    "send": ("send", "hello there", "--json", "--timeout", "10"),
    "send without waiting": ("send", "hello there", "--json", "--no-wait"),
    "watch": ("watch", "--since", "1h", "--count", "1", "--json"),
    "trace": ("trace", "1", "--json"),
    "lag": ("lag", "--over", "0.5", "--json"),
    "top": ("top", "--count", "1", "--json"),
    "dlq list": ("dlq", "list", "--json"),
    "dlq count": ("dlq", "count", "--json"),
    "dlq show": ("dlq", "show", "0:0", "--raw", "--json"),
    "dlq replay": ("dlq", "replay", "--json"),
    "models list": ("models", "list", "--json"),
    "models show": ("models", "show", "intent/default", "--json"),
    "models retire": ("models", "retire", "intent/default", "--yes", "--json"),
    "feedback": CORRECTION,
    "feedback export": ("feedback", "export", "--output", "corrections.csv", "--json"),
    "audit": ("audit", "--json"),
    "audit verify": ("audit", "verify", "--json"),
}
"""Every command that talks to Kafka, but for `doctor`, which goes on when it cannot, and `up`."""


def said(result) -> str:
    """Everything that a command said, and whether it ended as it should."""
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    words = result.stdout + result.stderr
    assert "Traceback" not in words
    assert PASSWORD not in words
    assert BAD_PASSWORD not in words
    return words


def rows(result) -> list[dict]:
    assert result.exit_code == 0, said(result)
    return [json.loads(line) for line in result.stdout.splitlines()]


@contextmanager
def serving(broker: SecuredKafka, prefix: str) -> Iterator[None]:
    """Run a router and a service with a small model over SASL_SSL, on a thread of their own, until the block ends."""
    given = {name.removeprefix("SPRAT_KAFKA__").lower(): value for name, value in broker.settings().items()}
    common = {
        "kafka": KafkaSettings.model_validate({**given, "prefix": prefix, "partitions": 2}),
        "redis": RedisSettings(url=SecretStr("redis://127.0.0.1:1/0")),
        "secret": SecretStr(SECRET),
        "health_port": 0,
        "drain_s": 5,
        "_env_file": None,
    }

    async def build(context, _):
        return await serve_model(context, FakeModel(), "default", SpecialistHandler)

    ready, over, loops = threading.Event(), asyncio.Event(), []

    async def serve():
        loops.append(asyncio.get_running_loop())
        async with AsyncExitStack() as stack:
            router = running("router", RouterSettings(policy=POLICY, **common), build_router)
            await stack.enter_async_context(router)
            await stack.enter_async_context(running("intent", ServiceSettings(**common), build))
            ready.set()
            await over.wait()

    with ThreadPoolExecutor(1) as pool:
        serving = pool.submit(asyncio.run, serve())
        while not ready.wait(0.05):
            assert not serving.done(), serving.exception()
        yield
        loops[0].call_soon_threadsafe(over.set)
        serving.result(20)
