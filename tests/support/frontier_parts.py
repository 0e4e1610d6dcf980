"""Shared by the tests of the frontier: requests, fakes in memory, a scripted provider, the simulator."""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

from pydantic import SecretStr

from sprat.audit.keys import SigningKey
from sprat.audit.settings import AuditSettings
from sprat.processing.handler import Received
from sprat_contracts import (
    EgressRecord,
    Envelope,
    FrontierAnswered,
    FrontierRequested,
    IntentOutput,
    Output,
    Prediction,
    Topics,
    Traceparent,
    Usage,
)
from sprat_frontier.breaker import ProviderBreaker
from sprat_frontier.call_limiter import CallLimiter
from sprat_frontier.climb import Climb
from sprat_frontier.errors import ProviderError
from sprat_frontier.escalation import CaseReader
from sprat_frontier.handler import FrontierHandler
from sprat_frontier.paid_calls import PaidCalls
from sprat_frontier.prompts import FrontierQuestion
from sprat_frontier.protocols import PreparedRequest, ProviderAnswer
from sprat_frontier.quota import SectionQuota
from sprat_frontier.redaction import Redactor
from sprat_frontier.settings import FrontierSettings
from sprat_frontier.tiers import Tiers
from sprat_frontier.waiting_cases import WaitingCases
from sprat_policy import Policy, TaskFile, TenantGuard
from sprat_privacy import Detector
from support.detectors import Words

KEY = SigningKey.generate()
AUDIT = AuditSettings(key=SecretStr(KEY.der_base64))
"""Settings of the audit: a key of this test run, and no checkpoints."""
NOW_MS = 1_760_000_000_000
LABELS = ("transfer", "balance", "card_declined")
POLICY = Policy.model_validate(
    {
        "tenants": {
            "acme": {"frontier": "allow", "regions": ["eu"], "deadline_ms": 20_000},
            "nordic": {"frontier": "allow", "regions": ["eu"]},
            "masked": {"frontier": "redact", "regions": ["eu"]},
            "abroad": {"frontier": "allow", "regions": ["us"]},
        }
    }
)


DETECTORS: tuple[Detector, ...] = (
    Words({"Zoë Ångström": "PERSON", "Tromsø": "LOCATION", "zoe@example.org": "EMAIL", "Zoë": "PERSON"}),
)


class FakeClock:
    def __init__(self) -> None:
        self.ms = NOW_MS

    def now_ms(self) -> int:
        return self.ms


class MemoryStore:
    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.unavailable = False

    async def get(self, key: str) -> bytes | None:
        return None if self.unavailable else self.values.get(key)

    async def put(self, key: str, value: bytes) -> None:
        if not self.unavailable:
            self.values[key] = value


class AuditLog:
    def __init__(self) -> None:
        self.records: list[EgressRecord] = []
        self.error: Exception | None = None

    async def __call__(self, record: EgressRecord) -> None:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        self.records.append(record)

    @property
    def phases(self) -> list[tuple[str, str | None]]:
        return [(record.phase, record.outcome) for record in self.records]


Script = Callable[[int], Output | ProviderAnswer | ProviderError]


class FakeProvider:
    """Answers call number n (from 0) with `script(n)`. While the event `gate` is not set, no call returns."""

    def __init__(self, script: Script | None = None, name: str = "simulated", region: str = "eu") -> None:
        self.name, self.region, self.model = name, region, "large"
        self.script = script or (lambda _: IntentOutput(label="transfer"))
        self.gate = asyncio.Event()
        self.gate.set()
        self.questions: list[FrontierQuestion] = []
        self.call_times: list[float] = []
        """Start of each call on the event loop's clock."""
        self._called = asyncio.Event()

    async def wait_for_calls(self, count: int) -> None:
        """Wait until this many calls have been made."""
        async with asyncio.timeout(10):
            while len(self.questions) < count:
                self._called.clear()
                await self._called.wait()

    def problem(self, question: FrontierQuestion) -> None:
        return None

    def prepare(self, question: FrontierQuestion) -> PreparedRequest:
        return PreparedRequest(question, {}, len(question.text))

    async def ask(self, prepared: PreparedRequest) -> ProviderAnswer:
        number = len(self.questions)
        self.questions.append(prepared.question)
        self.call_times.append(asyncio.get_running_loop().time())
        self._called.set()
        await self.gate.wait()
        result = self.script(number)
        if isinstance(result, ProviderError):
            raise result
        if isinstance(result, ProviderAnswer):
            return result
        return ProviderAnswer(result, "simulated-large", Usage(input_tokens=1000, output_tokens=10))


def keyed_hash(*parts: str) -> str:
    return hashlib.sha256(json.dumps(["secret", *parts]).encode()).hexdigest()


def settings(**changes: Any) -> FrontierSettings:
    defaults = {
        "base_url": "http://127.0.0.1:9/v1",
        "provider": "simulated",
        "region": "eu",
        "model": "large",
        "prices": {"large": {"input_eur": 2.0, "output_eur": 6.0}},
        "retry_base_s": 0.01,
        "retry_cap_s": 0.02,
        "breaker": {"failures": 3, "cooldown_s": 0.05, "max_cooldown_s": 0.1},
    }
    return FrontierSettings.model_validate(defaults | changes)


def request(text: str = "please move 100 euros", task: str = "intent", **changes: Any) -> FrontierRequested:
    """Build a request; `changes` may have `id`, `key`, `labels`, `age_ms` and fields of the text."""
    labels = changes.pop("labels", LABELS if task == "intent" else None)
    text_id, key, age_ms = changes.pop("id", "t-1"), changes.pop("key", None), changes.pop("age_ms", 0)
    options = {"target": "de"} if task == "translation" else {}
    submitted = {"text": text, "tasks": {task: options}, "language": "en", "tenant": "acme", "frontier": "allow"}
    submitted |= changes
    prediction = {
        "text_id": text_id,
        "text_source": "/test",
        "task": task,
        "origin": {"partition": 0, "offset": 7, "appended_at": NOW_MS - age_ms, "key": key},
        "submitted": submitted,
        "output": None,
        "confidence": None,
        "model": None,
        "declined": {"code": "no_service"},
    }
    return FrontierRequested(
        prediction=Prediction.model_validate_json(json.dumps(prediction)),
        reasons=("no_service",),
        labels=labels,
        label_set=None if labels is None else keyed_hash(*labels),
    )


def received(message: FrontierRequested) -> Received[FrontierRequested]:
    envelope = Envelope(id="r-1", source="/router", traceparent=Traceparent("1" * 32, "2" * 16))
    return Received(message, envelope, "sprat.frontier.requests.v1", 0, 3, NOW_MS, b"k")


class FrontierHarness:
    """A handler with fakes of everything that it needs, and the means to restart it."""

    def __init__(
        self,
        provider: Any = None,
        settings_: FrontierSettings | None = None,
        clock: Any = None,
        redactor: Redactor | None = None,
        policies: Policy = POLICY,
        counter: Any = None,
        tiers: Tiers | None = None,
        tasks: Mapping[str, TaskFile] | None = None,
        default_language: str = "en",
    ) -> None:
        self.default_language = default_language
        self.tiers = tiers
        self.tasks = tasks
        self.settings = settings_ or settings()
        self.provider = provider or FakeProvider()
        self.clock = clock or FakeClock()
        self.policies = policies
        self.counter = counter
        self.redactor = redactor or Redactor(DETECTORS, POLICY.perimeter, "1")
        self.store = MemoryStore()
        self.audit = AuditLog()
        self.guard = TenantGuard(POLICY, {})
        self.breaker = ProviderBreaker(self.settings.breaker, self.settings.provider)
        self.limiter = CallLimiter(self.settings, self.breaker, jitter=lambda: 0.0)
        self.restart()

    def restart(self) -> None:
        waiting = WaitingCases(self.settings.max_waiting)
        quota = SectionQuota(self.policies, self.counter, keyed_hash, self.clock)
        self.calls = PaidCalls(self.store, self.audit, quota, waiting, keyed_hash)
        cases = CaseReader(self.policies, self.clock, self.settings.max_wait_s, self.tasks or {}, self.default_language)
        tiers = self.tiers or Tiers.one(self.settings, self.provider, self.limiter)
        climb = Climb(tiers, cases, self.redactor, waiting, self.calls, keyed_hash)
        self.handler = FrontierHandler(Topics(), self.guard, climb)

    async def answer(self, message: FrontierRequested) -> FrontierAnswered:
        outcome = await self.handler.handle(received(message))
        (emit,) = outcome.events
        answered = emit.message
        assert isinstance(answered, FrontierAnswered)
        added = {"prediction": {"language_detected"}}  # the one thing that the frontier adds
        assert answered.request.model_dump(exclude=added) == message.model_dump(exclude=added)
        return answered


CONTROL_TOKEN = "the simulator's token"
"""What `/control` of a simulator asks for."""


class SimulatorProcess:
    """The simulator as its own process on a free loopback port."""

    def __init__(self, process: "subprocess.Popen[str]", url: str, *, invent: bool) -> None:
        self.process = process
        self.invent = invent
        self.base_url = url
        self.root = url.removesuffix("/v1")

    def call(self, path: str, method: str = "GET", body: Any = None) -> Any:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": "application/json", "authorization": f"Bearer {CONTROL_TOKEN}"}
        request = Request(self.root + path, data, headers, method=method)
        with urlopen(request, timeout=10) as response:
            return json.load(response)

    def reset(self, **behaviour: Any) -> None:
        """Delete counts and requests, and set the behaviour; fields that are not named get their defaults."""
        defaults = {"latency_ms": 0, "jitter_ms": 0, "error_status": 500, "rate_limit_per_s": None, "seed": 0}
        defaults["confidence"] = 1.0
        defaults["invent"] = self.invent
        rates = {name: 0 for name in self.call("/control") if name.endswith(("_rate", "_eur"))}
        self.call("/control", "POST", defaults | rates | behaviour)
        self.call("/stats", "DELETE")
        self.call("/requests", "DELETE")

    @property
    def bodies(self) -> list[str]:
        return [kept["body"] for kept in self.call("/requests")["requests"]]


@contextmanager
def simulator(**environment: str | None) -> Iterator[SimulatorProcess]:
    """Run a simulator that keeps its requests, and answers everything unless it has a file of answers."""
    settings = {"PORT": "0", "KEEP_REQUESTS": "1", "CONTROL_TOKEN": CONTROL_TOKEN}
    settings |= {"INVENT": str("GOLD" not in environment)} | environment
    variables = os.environ | {f"SPRAT_SIMULATOR_{name}": value for name, value in settings.items() if value is not None}
    with subprocess.Popen(
        [sys.executable, "-m", "sprat_simulator"], env=variables, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert " at http://127.0.0.1:" in line, line + process.stderr.read()
        try:
            yield SimulatorProcess(process, line.split()[-1], invent=settings["INVENT"] == "True")
        finally:
            process.terminate()
            process.wait(5)
            process.stderr.close()
