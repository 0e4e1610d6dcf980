"""Sprat as processes on this machine, with the embedded Kafka: the backend that needs nothing installed beside."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import SHIPPED_POLICY, Options, Simulation
from sprat_local.processes.notices import Notice, OnProgress
from sprat_operations.services import SERVICES
from sprat_policy import load_task_files, tasks_folder
from sprat_testing.answers import VARIABLE

FIXED_SERVICE = "router"
"""The service whose process runs all of the mode without models."""
_NO_REDIS = "redis://127.0.0.1:1/0"
_PARTITIONS = 2


class Embedded:
    """An installation of `sprat_local` for tests."""

    def __init__(
        self,
        *,
        answers: Path | None,
        policy: Path | None,
        tasks: Path | None = None,
        services: Sequence[str] | None,
        environment: Mapping[str, str],
        on_progress: OnProgress,
    ) -> None:
        """Plan it; `answers` is the file of fixed answers, None for the shipped models.

        Raises:
            UserError: a service of the shipped models is not installed, or a task file is not valid.
        """
        wanted = [spec for spec in SERVICES if (not spec.on_request if services is None else spec.name in services)]
        if answers is None and not all(spec.is_installed for spec in wanted):
            raise UserError(
                "the shipped models are not installed: pip install --find-links dist 'sprat-testing[models]'"
            )
        self._notices: list[Notice] = []
        options = Options(
            policy=policy or SHIPPED_POLICY,
            task_files=load_task_files(tasks_folder(tasks, policy) if tasks or policy else None),
            partitions=_PARTITIONS,
            environment=environment,
            services=None if services is None else tuple(services),
            simulation=Simulation(latency_ms=5, jitter_ms=5, wrong_rate=0.0),
        )
        if answers is not None:
            options = replace(
                options,
                services=(FIXED_SERVICE,),
                modules={FIXED_SERVICE: "sprat_testing.fixed"},
                service_environment={FIXED_SERVICE: {VARIABLE: str(answers)}},
                redis=_NO_REDIS,
                early=True,
            )
        self._installation = Installation(options, on_notice=self._notices.append, on_progress=on_progress)

    @property
    def kafka(self) -> KafkaSettings:
        """How to reach its Kafka."""
        return self._installation.kafka

    def start(self) -> None:
        """Start it and wait until texts are answered.

        Raises:
            UserError: it cannot start.
        """
        self._installation.start()

    def stop(self) -> None:
        """Stop it and remove its data."""
        self._installation.stop()

    def kill(self, service: str) -> None:
        """Kill a service as a power cut would; it is started again."""
        self._installation.kill(service)

    def report(self) -> str:
        """Return what happened that was not as it should be; empty if nothing did."""
        return "\n".join(f"{each.service}: {each.text}" for each in self._notices)
