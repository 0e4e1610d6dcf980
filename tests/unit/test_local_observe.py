"""What `sprat up --observe` starts, how it is configured, and what Prometheus scrapes."""

import json
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from sprat.base.errors import UserError
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options
from sprat_local.observe import configuration, runbooks
from sprat_local.observe.configuration import Addresses
from sprat_local.observe.programs import (
    ALERTMANAGER,
    COLLECTOR,
    JAEGER,
    PROMETHEUS,
    VICTORIA_LOGS,
    VICTORIA_METRICS,
    find_programs,
)
from sprat_local.observe.stack import SHIPPED, Observability, Observers, Target
from sprat_local.processes.notices import Notice, discard_notice
from sprat_local.processes.service_process import LaunchSpec, ServiceProcess
from sprat_local.processes.supervisor import Supervisor
from sprat_local.up.session import observers as lines_of

ALL = Addresses(
    {PROMETHEUS: 1, ALERTMANAGER: 2, VICTORIA_METRICS: 3, VICTORIA_LOGS: 4, JAEGER: 5, COLLECTOR: 6},
    jaeger_receiver=7,
    jaeger_grpc=8,
    collector_grpc=9,
)


def only(*programs):
    return Addresses({program: ALL.pages[program] for program in programs}, 7, 8, 9)


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o755)
    return path


def observers(**more) -> Observers:
    return Observers(
        Observability(**more), Supervisor(discard_notice), discard_notice, usual_ports=False, restart=False
    )


def test_programs_are_found_on_the_path_and_where_go_installs_them(tmp_path):
    on_path = executable(tmp_path / "bin" / "prometheus-alertmanager")
    in_gobin = executable(tmp_path / "gobin" / "jaeger")
    in_gopath = executable(tmp_path / "go" / "bin" / "otelcol")
    (tmp_path / "bin" / "prometheus").touch(0o644)  # not executable

    found = find_programs(
        {"PATH": str(on_path.parent), "GOBIN": str(in_gobin.parent), "GOPATH": str(in_gopath.parent.parent)}
    )
    assert found == {ALERTMANAGER: on_path, JAEGER: in_gobin, COLLECTOR: in_gopath}


def test_without_any_program_the_error_names_all_and_where_to_read_on(tmp_path):
    with pytest.raises(UserError, match=r"none of prometheus, .*jaeger, otelcol is installed; docs/observability\.md"):
        find_programs({"PATH": str(tmp_path), "GOPATH": str(tmp_path)})


@pytest.mark.parametrize(
    ("script", "notices"),
    [
        ("#!/bin/sh\n[ $# = 4 ] && [ $1 = validate ] && [ -f ${2#--config=} ]\n", []),
        (
            "#!/bin/sh\necho \"processors: unknown type: 'redaction'\" >&2; exit 1\n",
            [
                Notice(
                    "otelcol",
                    "warning",
                    "{path} cannot run Sprat's configuration and is not started; "
                    "the distribution otelcol-contrib can: docs/observability.md says how to get it",
                )
            ],
        ),
    ],
    ids=["has all components", "the core distribution"],
)
def test_a_collector_that_cannot_run_the_shipped_layers_is_left_out_with_a_notice(
    script, notices, tmp_path, monkeypatch
):
    path = executable(tmp_path / "otelcol")
    path.write_text(script)
    executable(tmp_path / "prometheus")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("GOPATH", str(tmp_path))
    monkeypatch.delenv("GOBIN", raising=False)
    said: list[Notice] = []
    watching = Observers(Observability(), Supervisor(said.append), said.append, usual_ports=False, restart=False)

    watching.find()

    assert said == [replace(each, text=each.text.format(path=path)) for each in notices]
    assert (COLLECTOR in watching._programs) is not bool(notices)
    assert PROMETHEUS in watching._programs


def test_prometheus_loads_rules_but_not_their_tests(tmp_path):
    for name, content in {
        "alerts/lag.yaml": "# why\ngroups: []\n",
        "alerts/lag_test.yaml": "rule_files: [lag.yaml]\ntests:\n  - alert_rule_test: []\n    groups: no\n",
        "prometheus/rules/recording.yml": "groups:\n  - name: x\n",
        "prometheus/prometheus.yml": "scrape_configs: []\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    files = configuration.rule_files(tmp_path)
    config = configuration.prometheus_config(ALL, tmp_path / "targets.json", files, 0.5)

    assert config["rule_files"] == [str(tmp_path / "alerts/lag.yaml"), str(tmp_path / "prometheus/rules/recording.yml")]
    assert config["global"] == {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    assert config["alerting"]["alertmanagers"][0]["static_configs"] == [{"targets": ["127.0.0.1:2"]}]
    assert config["remote_write"] == [{"url": "http://127.0.0.1:3/api/v1/write"}]


def test_prometheus_alone_sends_to_nobody(tmp_path):
    config = configuration.prometheus_config(only(PROMETHEUS), tmp_path / "targets.json", [], 5)
    assert config.keys() == {"global", "rule_files", "scrape_configs"}


def test_the_collector_hands_on_to_what_runs_and_writes_the_rest_into_files(tmp_path):
    everything = configuration.collector_overrides(ALL, tmp_path, files=False)
    assert everything["exporters"] == {
        "otlp_http/traces": {"traces_endpoint": "http://127.0.0.1:7/v1/traces"},
        "otlp_http/logs": {"logs_endpoint": "http://127.0.0.1:4/insert/opentelemetry/v1/logs"},
    }
    assert everything["service"]["pipelines"] == {}  # as shipped

    alone = configuration.collector_overrides(only(COLLECTOR), tmp_path, files=False)
    assert alone["exporters"].keys() == {"file/traces", "file/logs"}
    assert alone["service"]["pipelines"] == {
        "traces": {"exporters": ["file/traces"]},
        "logs": {"exporters": ["file/logs"]},
    }


def test_files_of_what_was_sent_leave_the_shipped_pipelines_as_they_are(tmp_path):
    pipelines = configuration.collector_overrides(ALL, tmp_path, files=True)["service"]["pipelines"]
    assert pipelines["traces/sent"] == {
        "receivers": ["otlp"],
        "processors": ["batch"],
        "exporters": ["file/traces-sent"],
    }
    assert pipelines.keys() == {"traces/sent", "logs/sent"}


def test_the_collector_reads_the_shipped_layers_with_redaction_and_sampling():
    paths = configuration.collector_layers(SHIPPED)
    layers = [yaml.safe_load(path.read_text("utf-8")) for path in paths]
    assert [path.stem for path in paths] == ["base", "traces", "logs"]
    pipelines = {name: each for layer in layers for name, each in layer["service"].get("pipelines", {}).items()}
    assert pipelines["traces"]["processors"] == ["memory_limiter", "redaction", "tail_sampling", "batch"]
    assert "redaction" in pipelines["logs"]["processors"]


@pytest.mark.parametrize(
    ("running", "variables"),
    [
        ((COLLECTOR, JAEGER), {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:6"}),
        ((JAEGER,), {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:7/v1/traces"}),
        (
            (VICTORIA_LOGS,),
            {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://127.0.0.1:4/insert/opentelemetry/v1/logs"},
        ),
        ((PROMETHEUS,), {}),
    ],
)
def test_services_export_to_the_collector_or_straight_to_what_runs(running, variables):
    found = configuration.service_variables(only(*running), {})
    endpoints = {name: value for name, value in found.items() if name.endswith("ENDPOINT")}
    assert endpoints == variables
    assert found["OTEL_METRICS_EXPORTER"] == "none"  # they are scraped


@pytest.mark.parametrize(
    ("own", "kept"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://theirs:4318/"}, ("http://theirs:4318/v1/metrics", "http/protobuf")),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://theirs:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            ("http://theirs:4317", "grpc"),
        ),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://theirs/m"}, ("http://theirs/m", "http/protobuf")),
    ],
    ids=["of all signals", "gRPC", "of metrics"],
)
def test_metrics_still_go_to_an_endpoint_of_the_users_own(own, kept):
    found = configuration.service_variables(only(COLLECTOR), own)
    names = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL")
    assert tuple(found[name] for name in names) == kept
    assert "OTEL_METRICS_EXPORTER" not in found
    assert found["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:6"  # of traces and logs
    off = configuration.service_variables(only(COLLECTOR), own | {"OTEL_METRICS_EXPORTER": "none"})
    assert off["OTEL_METRICS_EXPORTER"] == "none"


def test_targets_follow_the_processes(tmp_path):
    watching = observers()
    watching._targets = tmp_path / "targets.json"

    for port in (1234, 4321):  # as after a restart
        target = Target("intent#2", port, {"service_name": "sprat-intent", "sprat_model_name": "default"})
        watching.write_targets([target])
        assert json.loads(watching._targets.read_text()) == [
            {
                "targets": [f"127.0.0.1:{port}"],
                "labels": {"instance": "intent#2", "service_name": "sprat-intent", "sprat_model_name": "default"},
            }
        ]
    before = watching._targets.stat().st_ino
    watching.write_targets([target])
    assert watching._targets.stat().st_ino == before  # nothing has changed: not written again
    assert [path.name for path in tmp_path.iterdir()] == ["targets.json"]


def test_services_may_be_stopped_while_the_supervisor_looks_at_them(tmp_path):
    seen = []

    def stop_the_other(processes):
        for process in processes:
            seen.append(process.name)
            supervisor.services.clear()

    supervisor = Supervisor(discard_notice, stop_the_other)
    for name in ("intent", "ner"):
        launch = LaunchSpec(name, "module", {}, "PORT", None, "/readyz", tmp_path / "log")
        supervisor.services[name] = ServiceProcess(launch, discard_notice)
    supervisor._run_thread()
    while supervisor.services:
        time.sleep(0.01)
    supervisor.shut_down()
    assert seen == ["intent", "ner"]


def test_an_installation_is_scraped_under_the_names_that_its_services_give_themselves(tmp_path):
    installation = Installation(Options(observability=Observability(), environment={"SPRAT_INTENT__MODEL": "hr"}))
    installation.observers._targets = tmp_path / "targets.json"
    started = ("simulator", "router", "intent", "intent#2")
    installation._write_targets(
        ServiceProcess(LaunchSpec(name, "m", {}, "PORT", None, "/", tmp_path / "log"), discard_notice)
        for name in started
    )

    labels = [each["labels"] for each in json.loads((tmp_path / "targets.json").read_text())]
    assert labels == [
        {"instance": "router", "service_name": "sprat-router"},
        {"instance": "intent", "service_name": "sprat-intent", "sprat_model_name": "hr"},
        {"instance": "intent#2", "service_name": "sprat-intent", "sprat_model_name": "hr"},
    ]


def test_alerts_link_to_runbooks_that_prometheus_serves(tmp_path):
    shipped = configuration.rule_files(SHIPPED)
    files = runbooks.write_rules(shipped, tmp_path / "rules", "http://127.0.0.1:1/consoles/runbooks")
    changed = set(files) - set(shipped)
    assert changed == {str(tmp_path / "rules" / "settings.yml")}
    assert len(files) == len(shipped)
    assert "labels: {base: http://127.0.0.1:1/consoles/runbooks}" in Path(*changed).read_text("utf-8")

    runbooks.write_pages(SHIPPED, tmp_path)
    pages = {path.name: path.read_text("utf-8") for path in (tmp_path / "runbooks").iterdir()}
    assert {"README.md", "SpratServiceDown.md"} <= pages.keys()
    assert set(re.findall('href="([^"]+)"', "".join(pages.values()))) <= pages.keys()
    assert not [
        name for name, page in pages.items() if "](" in page or "{{" in page
    ]  # Prometheus reads {{ as a template


def test_the_packaged_configuration_has_the_alerts_and_the_recording_rules():
    names = {Path(path).relative_to(SHIPPED).as_posix() for path in configuration.rule_files(SHIPPED)}
    assert {"alerts/texts.yml", "prometheus/rules/recording.yml"} <= names
    assert not [name for name in names if "tests" in name]


def test_the_greeting_says_where_everything_is_and_what_is_not_installed():
    watching = observers()
    watching._addresses = only(PROMETHEUS, COLLECTOR)
    first, second, last = lines_of(watching)
    assert first.split() == ["observe", "prometheus", "http://127.0.0.1:1/graph"]
    assert second.split()[:3] == ["observe", "otelcol", "http://127.0.0.1:6"]
    assert "alertmanager, victoria-metrics, victoria-logs, jaeger; docs/observability.md" in last
