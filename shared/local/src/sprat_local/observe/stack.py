"""What observes an installation: started beside it, connected with it and with each other, stopped with it."""

import contextlib
import json
import os
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sprat.base.retry import Deadline
from sprat_local.observe import configuration, runbooks
from sprat_local.observe.configuration import Addresses
from sprat_local.observe.programs import (
    ALERTMANAGER,
    COLLECTOR,
    HOW_TO_GET,
    JAEGER,
    PROGRAMS,
    PROMETHEUS,
    VICTORIA_METRICS,
    Program,
    collector_accepts,
    find_programs,
)
from sprat_local.observe.server import ObservingServer
from sprat_local.processes import private
from sprat_local.processes.notices import Notice, OnNotice
from sprat_local.processes.ports import HOST, PortClaims, free_port, free_ports
from sprat_local.processes.server_starts import ConcurrentStarts
from sprat_local.processes.supervisor import Supervisor

SHIPPED = Path(__file__).parent / "configuration"
"""The packaged alerts, recording rules, runbooks, and layers of the collector."""


@dataclass(frozen=True, slots=True)
class Observability:
    """How an installation is observed."""

    configuration: Path = SHIPPED
    """Folder with all that configures the programs, as `observability/` in the repository."""
    scrape_s: float = 5.0
    """How often the metrics are read and the rules are evaluated."""
    files: bool = False
    """Whether the collector also writes traces and logs into files as the services have sent them."""


@dataclass(frozen=True, slots=True)
class Target:
    """A process that Prometheus scrapes. One that has died stays: it is down."""

    instance: str
    port: int
    labels: Mapping[str, str]
    """What it calls itself, too; known while it is down."""


class Observers:
    """The programs that observe an installation."""

    def __init__(
        self,
        options: Observability,
        supervisor: Supervisor,
        on_notice: OnNotice,
        *,
        usual_ports: bool,
        restart: bool,
    ) -> None:
        self._options = options
        self._on_notice = on_notice
        self._claims = PortClaims()
        self._starts = ConcurrentStarts(supervisor, on_notice, restart=restart)
        self._servers: list[ObservingServer] = []
        self._usual_ports = usual_ports
        self._programs: Mapping[Program, Path] = {}
        self._addresses = Addresses({}, 0, 0, 0)
        self._targets = Path()
        self._written: list[dict[str, Any]] = []

    @property
    def addresses(self) -> Addresses:
        """Where they are; empty before the start."""
        return self._addresses

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of those that are not installed."""
        return tuple(program.name for program in PROGRAMS if program not in self._addresses.pages)

    def variables(self) -> dict[str, str]:
        """Return the variables that make the services export to them."""
        return configuration.service_variables(self._addresses, os.environ)

    def find(self) -> None:
        """Find the installed programs. A collector that lacks what the shipped layers need is left out, with a notice.

        Raises:
            UserError: nothing is installed.
        """
        programs = find_programs()
        path = programs.get(COLLECTOR)
        if path is not None and not collector_accepts(
            path, configuration.collector_layers(self._options.configuration)
        ):
            del programs[COLLECTOR]
            text = (
                f"{path} cannot run Sprat's configuration and is not started; "
                f"the distribution otelcol-contrib can: {HOW_TO_GET}"
            )
            self._on_notice(Notice(COLLECTOR.name, "warning", text))
        self._programs = programs

    def begin_start(self, folder: Path, logs: Path) -> None:
        """Begin to start what was found, and return at once; `folder` is for what they write."""
        programs = self._programs
        ports = {program: self._port(program) for program in programs}
        self._addresses = Addresses(ports, *free_ports(3))
        self._targets = folder / "targets.json"
        private.make_folder(folder)
        private.write_text(self._targets, "[]")
        # Jaeger would trace itself, with the exporter that the user's variables name.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        environment["OTEL_TRACES_SAMPLER"] = "always_off"
        for program, path in programs.items():
            home = folder / program.name
            private.make_folder(home)
            server = ObservingServer(
                program.name,
                [str(path), *self._arguments(program, home)],
                ports[program],
                ready_path=program.ready_path,
                folder=home,
                log=logs / f"{program.name}.log",
                environment=environment,
            )
            self._servers.append(server)
            self._starts.begin(program.name, server)

    def wait(self) -> None:
        """Wait until they serve.

        Raises:
            LocalError: one does not start.
        """
        self._starts.wait()

    def write_targets(self, targets: Iterable[Target]) -> None:
        """Write which processes Prometheus scrapes, if that has changed."""
        content = [
            {"targets": [f"{HOST}:{target.port}"], "labels": {"instance": target.instance, **target.labels}}
            for target in targets
        ]
        if content != self._written:
            with contextlib.suppress(OSError):  # such as a full disk, which may be temporary: tried again
                new = self._targets.with_suffix(".new")
                private.write_text(new, json.dumps(content))
                new.replace(self._targets)  # at once: a half-written file would be an error in Prometheus' log
                self._written = content

    def request_stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send all a signal, and return at once."""
        for server in self._servers:
            server.request_stop(number)

    def stop(self, *, grace_s: float) -> None:
        """Stop all: SIGTERM, SIGKILL after `grace_s`."""
        self.request_stop()
        deadline = Deadline(grace_s)
        self._starts.end(grace_s)
        for server in self._servers:
            server.stop(grace_s=deadline.remaining())
        self._servers.clear()
        self._claims.release()

    def _port(self, program: Program) -> int:
        return program.port if self._usual_ports and self._claims.claim(program.port) else free_port()

    def _arguments(self, program: Program, home: Path) -> list[str]:
        """Return the arguments with which a program starts; write its configuration into its folder."""
        addresses, options = self._addresses, self._options

        def config(content: Mapping[str, object]) -> str:
            path = home / "config.json"
            private.write_text(path, json.dumps(content, indent=2))
            return str(path)

        listen = addresses.host(program)
        if program is PROMETHEUS:
            consoles = home / "consoles"
            private.make_folder(consoles)
            runbooks.write_pages(options.configuration, consoles)
            files = configuration.rule_files(options.configuration)
            rules = runbooks.write_rules(files, home / "rules", addresses.url(PROMETHEUS, runbooks.PATH))
            read = configuration.prometheus_config(addresses, self._targets, rules, options.scrape_s)
            return [
                f"--config.file={config(read)}",
                f"--storage.tsdb.path={home / 'data'}",
                f"--web.listen-address={listen}",
                f"--web.console.templates={consoles}",
                f"--web.console.libraries={consoles}",
                "--enable-feature=exemplar-storage",
                "--log.level=warn",
            ]
        if program is ALERTMANAGER:
            return [
                f"--config.file={(options.configuration / configuration.ALERTMANAGER_FILE).absolute()}",
                f"--storage.path={home / 'data'}",
                f"--web.listen-address={listen}",
                "--cluster.listen-address=",
                "--log.level=warn",
            ]
        if program is JAEGER:
            return [f"--config={config(configuration.jaeger_config(addresses))}"]
        if program is COLLECTOR:
            layers = configuration.collector_layers(options.configuration)
            own = config(configuration.collector_overrides(addresses, home, files=options.files))
            return [f"--config={path}" for path in (*layers, own)]
        arguments = [f"-httpListenAddr={listen}", f"-storageDataPath={home / 'data'}", "-loggerLevel=WARN"]
        if program is VICTORIA_METRICS:
            arguments.append("-search.latencyOffset=1s")  # for who watches; the default hides the last 30 s
            if PROMETHEUS not in addresses.pages:
                scraped = {"scrape_configs": configuration.scrape_configs(self._targets)}
                arguments.append(f"-promscrape.config={config(scraped)}")
        return arguments
