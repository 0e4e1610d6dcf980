"""What an installation is made of: a person's or a test's choices."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sprat_contracts.topics import DEFAULT_PARTITIONS, DEFAULT_PREFIX
from sprat_operations.services import ServedModel

SIMULATED = "simulated"
SHIPPED = Path(__file__).parent / "demo"
"""Folder of the demo's policy and samples, as packaged."""
POLICY = SHIPPED / "policy.yaml"
USUAL_KAFKA_PORT = 9092
USUAL_REDIS_PORT = 6379


@dataclass(frozen=True, slots=True)
class Simulation:
    """How the simulated frontier behaves. It answers from the samples' gold answers, wrongly at the stated rate."""

    seed: int = 7
    latency_ms: int = 150
    jitter_ms: int = 150
    wrong_rate: float = 0.05
    input_eur: float = 0.4
    """For a million tokens; a mid-sized model's list price."""
    output_eur: float = 2.0
    gold: Path = SHIPPED / "texts.jsonl"


@dataclass(frozen=True, slots=True)
class Options:
    """All choices."""

    bootstrap: str | None = None
    """An existing Kafka; None: an embedded one."""
    redis: str | None = None
    """URL of an existing Redis; None: an embedded one."""
    frontier: str = SIMULATED
    """`simulated`, or the URL of an OpenAI-compatible API, whose model, region and prices SPRAT_FRONTIER__* say."""
    data: Path | None = None
    """Where Kafka's data, the secret and the logs are kept between runs; None: a temporary folder."""
    policy: Path = POLICY
    partitions: int = DEFAULT_PARTITIONS
    prefix: str = DEFAULT_PREFIX
    usual_ports: bool = False
    """Take 9092 and 6379 where they are free, so that other programs need no setting; else any free ones."""
    services: tuple[str, ...] | None = None
    """Which of the table; None: all that are installed."""
    models: tuple[ServedModel, ...] = ()
    """Models of a person's own, in the place of shipped ones or beside them."""
    simulation: Simulation = field(default_factory=Simulation)
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of all services."""
    service_environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Variables of single services, by name."""
    modules: Mapping[str, str] = field(default_factory=dict)
    """Service → the module that is run in the place of its own. Tests start services with a kill switch."""
    restart: bool = True
    """Restart what dies. Tests of faults may want to do it themselves."""
    ready_timeout_s: float = 60.0
