"""What tests of all kinds share: one real broker and one real Redis for the whole run, and a prefix for each test.

`SPRAT_TEST_BOOTSTRAP` and `SPRAT_TEST_REDIS` name servers that run already; else they are started, and die with pytest.
"""

import gc
import os
import secrets
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import support.forgotten_connections
import support.logs
import support.programs
from sprat.telemetry.instruments import HISTOGRAMS
from sprat_contracts import Topics
from sprat_local.kafka.broker import EmbeddedKafka
from sprat_local.redis import EmbeddedRedis
from sprat_operations import local_run
from sprat_operations.topics import create_topics
from support.metrics import Metrics
from support.spans import Spans

# How long an example takes says more of the machine's load than of the code.
settings.register_profile("sprat", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sprat")

# A shell that starts pytest in the background has it ignore SIGINT, nohup has it ignore SIGHUP, and every child would
# inherit that: neither could be tested. A handler, unlike an ignored signal, is not inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)

_HERE = Path(__file__).parent
_KINDS = (
    "unit",
    "contract",
    "integration",
    "e2e",
    "long",
    "training",
    "observability",
    "bench",
    "containers",
    "kubernetes",
    "deploy",
    "attacks",
    "clients",
    "llm",
    "page",
)


@dataclass(frozen=True)
class Kafka:
    """A broker that tests share. Tests that stop or kill one start their own `EmbeddedKafka`."""

    bootstrap: str


@dataclass(frozen=True)
class Redis:
    """A Redis that tests share. Tests that stop or flush one start their own `EmbeddedRedis`."""

    url: str


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test with the kind that its folder names."""
    for item in items:
        if not item.path.is_relative_to(_HERE):
            continue
        kind = item.path.relative_to(_HERE).parts[0]
        if kind in _KINDS:
            item.add_marker(kind)


def pytest_collection_finish() -> None:
    """Keep what was collected out of garbage collection: else each full one walks over all tests again."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end what was not tested here, and why."""
    lines = list(support.programs.skipped(terminalreporter.getreports("skipped")))
    if lines:
        terminalreporter.section("skipped: not tested here", yellow=True)
        terminalreporter.write("".join(f"{line}\n" for line in lines))


@pytest.fixture(scope="session", autouse=True)
def no_forgotten_connections() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        support.forgotten_connections.close_with_their_loops(patch.setattr)
        yield


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    existing = os.environ.get("SPRAT_TEST_BOOTSTRAP")
    if existing:
        yield Kafka(existing)
        return
    with EmbeddedKafka(on_progress=print) as broker:
        yield Kafka(broker.bootstrap)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    existing = os.environ.get("SPRAT_TEST_REDIS")
    if existing:
        yield Redis(existing)
        return
    with EmbeddedRedis() as server:
        yield Redis(server.url)


@pytest.fixture
def own_logs() -> Iterator[None]:
    """Restore what `configure_logs` changes."""
    with support.logs.own_logs():
        yield


@pytest.fixture
def prefix() -> str:
    """Return a topic prefix that no other test uses, so that tests share one broker in isolation."""
    return f"t{secrets.token_hex(5)}"


@pytest.fixture
async def topics(kafka: Kafka, prefix: str) -> Topics:
    """Return topics of its own for a test, made on the shared broker."""
    topics = Topics(prefix, 2)
    await create_topics({"bootstrap_servers": kafka.bootstrap}, topics)
    return topics


@pytest.fixture
def no_otel_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the variables of OpenTelemetry that this shell has from a test."""
    for name in [*os.environ]:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


@pytest.fixture
def metrics() -> Metrics:
    """Return the metrics that this test emits. Ask for it before anything emits: what comes earlier is lost."""
    return Metrics()


@pytest.fixture(autouse=True)
def own_runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch) -> None:
    """Keep tests of parts from what `sprat up` announces on this machine: commands would use it."""
    if any(request.node.get_closest_marker(kind) for kind in ("unit", "integration", "security", "training")):
        monkeypatch.setattr(local_run, "user_cache_path", lambda _: tmp_path_factory.getbasetemp() / "cache")


@pytest.fixture(autouse=True)
def own_histograms() -> Iterator[None]:
    """Forget the histograms that a test declares: all later exports of the process would send them."""
    declared = [*HISTOGRAMS]
    yield
    HISTOGRAMS[:] = declared


@pytest.fixture
def spans() -> Spans:
    """Return the spans that end in this test."""
    return Spans()


WritePolicy = Callable[[str | bytes], Path]


@pytest.fixture
def write_policy(tmp_path: Path) -> WritePolicy:
    """Return what writes a policy file."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "policy.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
