"""The configuration files of the programs that observe an installation, as JSON, which is YAML too."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sprat_local.observe.programs import ALERTMANAGER, COLLECTOR, JAEGER, VICTORIA_LOGS, VICTORIA_METRICS, Program
from sprat_local.processes.ports import HOST

JOB = "sprat"
"""Prometheus' name for all that it scrapes; the rules name it."""
ALERTMANAGER_FILE = Path("alertmanager") / "alertmanager.yml"
"""In a configuration folder: which alerts follow from another one; nobody is called."""
_COLLECTOR_LAYERS = ("base", "traces", "logs")
"""Of the shipped ones; metrics are scraped."""
_RULES = re.compile(r"^groups:", re.MULTILINE)
_MAX_FILE_MB = 100
_QUIET = {"metrics": {"level": "none"}, "logs": {"level": "warn"}}
"""Of a collector or of Jaeger, which is one: metrics about itself would take another port."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The ports of the programs that run."""

    pages: Mapping[Program, int]
    """Program → port of its web page; of the collector: of its receiver."""
    jaeger_receiver: int
    """OTLP over HTTP."""
    jaeger_grpc: int
    """Jaeger's other API; nothing uses it, but it would take a usual port."""
    collector_grpc: int
    """OTLP over gRPC, for programs of your own."""

    def url(self, program: Program, path: str = "") -> str:
        """Return the address of a program that runs."""
        return f"http://{self.host(program)}{path}"

    def host(self, program: Program) -> str:
        """Return the host and port of a program that runs."""
        return f"{HOST}:{self.pages[program]}"

    def traces_url(self) -> str | None:
        """Return where Jaeger takes spans; None if it does not run."""
        return f"http://{HOST}:{self.jaeger_receiver}/v1/traces" if JAEGER in self.pages else None

    def logs_url(self) -> str | None:
        """Return where VictoriaLogs takes log lines; None if it does not run."""
        return self.url(VICTORIA_LOGS, "/insert/opentelemetry/v1/logs") if VICTORIA_LOGS in self.pages else None


def rule_files(folder: Path) -> list[str]:
    """Return the files with alerts and recording rules in a configuration folder; tests of rules are left out."""
    files = sorted(path for pattern in ("*/*.y*ml", "*/*/*.y*ml") for path in folder.glob(pattern))
    return [str(path) for path in files if _RULES.search(path.read_text("utf-8"))]


def prometheus_config(addresses: Addresses, targets: Path, rules: Sequence[str], scrape_s: float) -> dict[str, Any]:
    """Return what Prometheus reads: what it scrapes, its files with rules, and where alerts and samples go."""
    config: dict[str, Any] = {
        "global": {"scrape_interval": f"{scrape_s * 1000:.0f}ms", "evaluation_interval": f"{scrape_s * 1000:.0f}ms"},
        "rule_files": list(rules),
        "scrape_configs": scrape_configs(targets),
    }
    if ALERTMANAGER in addresses.pages:
        config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [addresses.host(ALERTMANAGER)]}]}]}
    if VICTORIA_METRICS in addresses.pages:  # it gets what the rules record, too
        config["remote_write"] = [{"url": addresses.url(VICTORIA_METRICS, "/api/v1/write")}]
    return config


def scrape_configs(targets: Path) -> list[dict[str, Any]]:
    """Return what is scraped: the processes in the file `targets`, which is read again when it changes.

    The services name themselves (`service_name`, `sprat_model_name`); the targets' labels hold while they are down.
    """
    return [{"job_name": JOB, "honor_labels": True, "file_sd_configs": [{"files": [str(targets)]}]}]


def jaeger_config(addresses: Addresses) -> dict[str, Any]:
    """Return what Jaeger reads: it takes OTLP over HTTP and keeps the newest traces in memory."""
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"{HOST}:{addresses.jaeger_receiver}"}}}},
        "processors": {"batch": {"timeout": "200ms"}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "memory"}},
        "extensions": {
            "jaeger_storage": {"backends": {"memory": {"memory": {"max_traces": 100_000}}}},
            "jaeger_query": {
                "storage": {"traces": "memory"},
                "http": {"endpoint": addresses.host(JAEGER)},
                "grpc": {"endpoint": f"{HOST}:{addresses.jaeger_grpc}"},
            },
        },
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query"],
            "pipelines": {
                "traces": {"receivers": ["otlp"], "processors": ["batch"], "exporters": ["jaeger_storage_exporter"]}
            },
            "telemetry": _QUIET,
        },
    }


def collector_layers(configuration: Path) -> list[Path]:
    """Return the collector's files in a configuration folder, in order; `collector_overrides` comes after them."""
    return [(configuration / "collector" / f"{layer}.yaml").absolute() for layer in _COLLECTOR_LAYERS]


def collector_overrides(addresses: Addresses, folder: Path, *, files: bool) -> dict[str, Any]:
    """Return what differs on one machine: the addresses, and that every trace is kept, a second after its first span.

    A signal that no program shows goes into a file in the folder. With `files`, both signals are also written as the
    services have sent them, before they are masked and sampled.
    """
    exporters: dict[str, Any] = {}
    pipelines: dict[str, dict[str, list[str]]] = {}

    def file(name: str) -> list[str]:
        rotation = {"max_megabytes": _MAX_FILE_MB}
        exporters[f"file/{name}"] = {"path": str(folder / f"{name}.jsonl"), "rotation": rotation}
        return [f"file/{name}"]

    for signal, url in (("traces", addresses.traces_url()), ("logs", addresses.logs_url())):
        if url is None:
            pipelines[signal] = {"exporters": file(signal)}
        else:
            exporters[f"otlp_http/{signal}"] = {f"{signal}_endpoint": url}
        if files:
            pipelines[f"{signal}/sent"] = {
                "receivers": ["otlp"],
                "processors": ["batch"],
                "exporters": file(f"{signal}-sent"),
            }
    return {
        "receivers": {
            "otlp": {
                "protocols": {
                    "http": {"endpoint": addresses.host(COLLECTOR)},
                    "grpc": {"endpoint": f"{HOST}:{addresses.collector_grpc}"},
                }
            }
        },
        "processors": {
            "tail_sampling": {"decision_wait": "1s", "policies": [{"name": "all", "type": "always_sample"}]},
            "batch": {"timeout": "200ms"},
        },
        "exporters": exporters,
        "service": {"extensions": [], "pipelines": pipelines, "telemetry": _QUIET},
    }


def service_variables(addresses: Addresses, own: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that make the services export to what runs. Their metrics are scraped.

    Args:
        addresses: what runs.
        own: the user's variables: an endpoint for metrics that they name goes on getting them.
    """
    variables = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"} | _own_metrics(own)
    if COLLECTOR in addresses.pages:
        return variables | {"OTEL_EXPORTER_OTLP_ENDPOINT": addresses.url(COLLECTOR)}
    direct = {"TRACES": addresses.traces_url(), "LOGS": addresses.logs_url()}
    return variables | {f"OTEL_EXPORTER_OTLP_{name}_ENDPOINT": url for name, url in direct.items() if url is not None}


def _own_metrics(own: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by which metrics are also sent to the user's own endpoint; without one they are not sent."""
    specific = own.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
    common = own.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if not (specific or common) or own.get("OTEL_METRICS_EXPORTER") == "none":
        return {"OTEL_METRICS_EXPORTER": "none"}
    names = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    protocol = next((own[name] for name in names if own.get(name)), "http/protobuf")
    endpoint = specific or (common if protocol == "grpc" else f"{(common or '').rstrip('/')}/v1/metrics")
    return {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": endpoint or "", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": protocol}
