"""What tests on a secured broker share: the commands that talk to it, what they say, and two services on it."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from sprat.base.model import Answer, Question
from sprat.base.settings import KafkaSettings, RedisSettings, ServiceSettings
from sprat_contracts import TASKS, IntentOutput, NerOutput, TranslationOutput
from sprat_frontier.__main__ import FrontierServiceSettings
from sprat_frontier.__main__ import build as build_frontier
from sprat_frontier.settings import FrontierSettings, Price
from sprat_inference.serving import serve_model
from sprat_inference.specialist import SpecialistHandler
from sprat_router.__main__ import RouterSettings
from sprat_router.__main__ import build as build_router
from sprat_testing.service import running
from support.frontier_parts import AUDIT, KEY
from support.secured_kafka import PASSWORD, USER, SecuredKafka
from support.stream import SECRET, FakeModel, card
from support.system import POLICY

BAD_PASSWORD = "a-wrong-word"
PUBLIC_KEY = "public.pem"
"""File in the folder of the commands: what the frontier signs the audit with."""
CORRECTION = (
    *("feedback", "--text-id", "1", "--source", "/crm", "--task", "intent"),
    *("--label", "greet", "--by", "agent-17", "--allow-missing-texts", "--json"),
)
TALKING = {
    "topics create": ("topics", "create", "--json"),
    "acls check": ("acls", "check", "--principal", "upstream=User:crm", "--json"),
    "acls apply": ("acls", "apply", "--principal", "upstream=User:crm", "--json"),
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
    "models clean": ("models", "clean", "--yes", "--json"),
    "feedback": CORRECTION,
    "feedback export": ("feedback", "export", "--output", "corrections.csv", "--json"),
    "audit": ("audit", "--json"),
    "audit verify": ("audit", "verify", "--public-key", PUBLIC_KEY, "--json"),
    "erase": ("erase", "--tenant", "acme-bank", "--dry-run", "--json"),
    "alarms list": ("alarms", "list", "--json"),
    "alarms explain": ("alarms", "explain", "errors/intent", "--json"),
    "alarms clear": ("alarms", "clear", "errors/intent", "--because", "a test", "--by", "on-call", "--json"),
    "review": ("review", "--list", "--json"),
}
"""Every command that talks to Kafka, but for `doctor`, which goes on when it cannot, and `up`."""


def folder_of_commands(folder: Path) -> Path:
    """Put into a folder what commands read there, and return it."""
    (folder / PUBLIC_KEY).write_bytes(KEY.public_pem)
    return folder


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


Start = Callable[[AsyncExitStack], Awaitable[None]]
"""Starts services, which end with the stack."""


@contextmanager
def serving(broker: SecuredKafka, prefix: str) -> Iterator[None]:
    """Run a router and a service with a small model over SASL_SSL, on a thread of their own, until the block ends."""
    common = _settings(broker, prefix, USER, "redis://127.0.0.1:1/0")

    async def start(stack: AsyncExitStack) -> None:
        router = running("router", RouterSettings(policy=POLICY, **common), build_router)
        await stack.enter_async_context(router)
        await stack.enter_async_context(running("intent", ServiceSettings(**common), _builder(FakeModel())))

    with _on_a_thread(start):
        yield


@contextmanager
def serving_by_rights(
    broker: SecuredKafka, prefix: str, users: Mapping[str, str], redis_url: str, simulator: str
) -> Iterator[None]:
    """Run every service over SASL_SSL, each as a user of its own: `users` has them by service.

    Intents are kept, names and translations escalated.
    """

    def settings(service: str) -> dict[str, Any]:
        return _settings(broker, prefix, users[service], redis_url)

    async def start(stack: AsyncExitStack) -> None:
        router = RouterSettings(policy=POLICY, lag_every_s=1, **settings("router"))
        await stack.enter_async_context(running("router", router, build_router))
        for task in TASKS:
            model = FakeModel() if task == "intent" else UnsureModel(task)
            service = running(task, ServiceSettings(**settings(task)), _builder(model))
            await stack.enter_async_context(service)
        provider = FrontierSettings(
            base_url=simulator,
            model="simulated-large",
            provider="simulator",
            region="local",
            prices={"simulated-large": Price(input_eur=0.4, output_eur=2.0)},
        )
        frontier = FrontierServiceSettings(policy=POLICY, frontier=provider, audit=AUDIT, **settings("frontier"))
        await stack.enter_async_context(running("frontier", frontier, build_frontier))

    with _on_a_thread(start):
        yield


class UnsureModel(FakeModel):
    """A model of another task than intent, whose answers are never kept."""

    def __init__(self, task: str) -> None:
        super().__init__()
        self.card = card(task, labels=None if task == "translation" else ("PER", "LOC"))
        if task == "translation":
            self.card = self.card.model_copy(update={"targets": ("de",)})

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        if self.card.task == "language-id":
            return [Answer(IntentOutput(label=None), 0.1) for _ in questions]
        if self.card.task == "ner":
            return [Answer(NerOutput(entities=()), 0.1) for _ in questions]
        return [Answer(TranslationOutput(text="?", target="de"), 0.1) for _ in questions]


def _settings(broker: SecuredKafka, prefix: str, user: str, redis_url: str) -> dict[str, Any]:
    variables = broker.settings(SASL_USERNAME=user).items()
    given = {name.removeprefix("SPRAT_KAFKA__").lower(): value for name, value in variables}
    return {
        "kafka": KafkaSettings.model_validate({**given, "prefix": prefix, "partitions": 2}),
        "redis": RedisSettings(url=SecretStr(redis_url)),
        "secret": SecretStr(SECRET),
        "health_port": 0,
        "drain_s": 5,
        "_env_file": None,
    }


def _builder(model: FakeModel) -> Callable[[Any, Any], Awaitable[Any]]:
    async def build(context: Any, _: Any) -> Any:
        return await serve_model(context, model, "default", SpecialistHandler)

    return build


@contextmanager
def _on_a_thread(start: Start) -> Iterator[None]:
    """Run services on a thread of their own until the block ends."""
    ready, over, loops = threading.Event(), asyncio.Event(), []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with AsyncExitStack() as stack:
            await start(stack)
            ready.set()
            await over.wait()

    with ThreadPoolExecutor(1) as pool:
        serving = pool.submit(asyncio.run, serve())
        while not ready.wait(0.05):
            assert not serving.done(), serving.exception()
        yield
        loops[0].call_soon_threadsafe(over.set)
        serving.result(20)
