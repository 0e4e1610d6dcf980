"""The standard `OTEL_*` variables: what each one does, and that a wrong value is named and never shown."""

import pytest

from sprat.base.errors import UserError
from sprat.telemetry import variables
from sprat.telemetry.variables import check_variables, exporters, sdk_disabled

pytestmark = pytest.mark.usefixtures("no_otel_variables")

SECRET = "wrong-value-s3cret"


def names(made):
    for each in made:
        each.shutdown()
    return [(type(each).__module__.split(".")[1], type(each).__name__) for each in made]


@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
def test_nothing_is_exported_without_a_variable(signal):
    assert exporters(signal) == []


def test_an_endpoint_for_all_signals_exports_all(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/")
    made = {signal: exporters(signal) for signal in ("traces", "metrics", "logs")}
    assert {signal: each._endpoint for signal, (each,) in made.items()} == {
        signal: f"http://127.0.0.1:4318/v1/{signal}" for signal in made
    }


@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
def test_an_endpoint_for_one_signal_exports_that_one(monkeypatch, signal):
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "http://127.0.0.1:4318/own")
    made = {each: exporters(each) for each in ("traces", "metrics", "logs")}
    assert [each for each, found in made.items() if found] == [signal]
    assert made[signal][0]._endpoint == "http://127.0.0.1:4318/own"


@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
def test_a_signal_is_left_out_by_none(monkeypatch, signal):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setenv(f"OTEL_{signal.upper()}_EXPORTER", "none")
    assert exporters(signal) == []


@pytest.mark.parametrize(
    ("signal", "name"),
    [("traces", "ConsoleSpanExporter"), ("metrics", "ConsoleMetricExporter"), ("logs", "ConsoleLogRecordExporter")],
)
def test_a_signal_is_written_to_the_console(monkeypatch, signal, name):
    monkeypatch.setenv(f"OTEL_{signal.upper()}_EXPORTER", "console")
    assert names(exporters(signal)) == [("sdk", name)]


def test_a_signal_is_exported_twice(monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp, console")
    assert names(exporters("traces")) == [("exporter", "OTLPSpanExporter"), ("sdk", "ConsoleSpanExporter")]


@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_{}_PROTOCOL"])
@pytest.mark.parametrize(("protocol", "package"), [("http/protobuf", "http"), ("grpc", "grpc")])
def test_the_protocol_chooses_the_exporter(monkeypatch, signal, variable, protocol, package):
    monkeypatch.setenv(f"OTEL_{signal.upper()}_EXPORTER", "otlp")
    monkeypatch.setenv(variable.format(signal.upper()), protocol)
    (made,) = exporters(signal)
    made.shutdown()
    assert type(made).__module__.startswith(f"opentelemetry.exporter.otlp.proto.{package}.")


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_timeout_is_in_milliseconds(monkeypatch, protocol):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3000")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "250")
    made = [exporters(signal)[0] for signal in ("traces", "logs")]
    for each in made:
        each.shutdown()
    clients = [each if protocol == "grpc" else each._client for each in made]
    assert [each._timeout for each in clients] == [3.0, 0.25]


@pytest.mark.parametrize(("value", "disabled"), [("true", True), ("false", False), ("", False), (" ", False)], ids=repr)
def test_the_sdk_is_disabled_by_true_alone(monkeypatch, value, disabled):
    monkeypatch.setenv("OTEL_SDK_DISABLED", value)
    assert sdk_disabled() is disabled


WRONG = [
    ("OTEL_SDK_DISABLED", SECRET),
    ("OTEL_TRACES_EXPORTER", SECRET),
    ("OTEL_METRICS_EXPORTER", f"otlp,{SECRET}"),
    ("OTEL_LOGS_EXPORTER", "none,otlp"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", SECRET),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", SECRET),
    ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", f"ftp://{SECRET}"),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://host:port-s3cret"),
    ("OTEL_EXPORTER_OTLP_HEADERS", SECRET),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", f"a=b,{SECRET}"),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", SECRET),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", f"/{SECRET}"),
    ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", f"/{SECRET}"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", SECRET),
    ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "10"),
    ("OTEL_TRACES_SAMPLER", SECRET),
    ("OTEL_METRICS_EXEMPLAR_FILTER", SECRET),
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", SECRET),
    ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", SECRET),
    ("OTEL_BSP_SCHEDULE_DELAY", "0"),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", SECRET),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "1.5"),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", "-1"),
    ("OTEL_RESOURCE_ATTRIBUTES", SECRET),
]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=[name for name, _ in WRONG])
def test_a_wrong_value_is_named_and_not_shown(monkeypatch, name, value):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=rf"^{name}: ") as raised:
        read_all()
    assert "s3cret" not in str(raised.value)


def read_all():
    sdk_disabled()
    check_variables()
    for signal in ("traces", "metrics", "logs"):
        for each in exporters(signal):
            each.shutdown()


@pytest.mark.parametrize("value", ["2", "-0.1", "half"])
def test_a_ratio_is_a_share(monkeypatch, value):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", value)
    with pytest.raises(UserError, match=r"^OTEL_TRACES_SAMPLER_ARG: a number from 0 to 1"):
        check_variables()


def test_correct_values_are_accepted(monkeypatch, tmp_path):
    certificate = tmp_path / "ca.pem"
    certificate.touch()
    correct = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://[::1]:4318/path",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20YTpi, x-tenant=a b==",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(certificate),
        "OTEL_TRACES_SAMPLER": "traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.25",
        "OTEL_BSP_MAX_QUEUE_SIZE": "8192",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4096",
        "OTEL_SPAN_LINK_COUNT_LIMIT": "0",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,team=a",
    }
    for name, value in correct.items():
        monkeypatch.setenv(name, value)
    read_all()


@pytest.mark.parametrize(("protocol", "extra"), [("http/protobuf", "sprat[otel]"), ("grpc", "sprat[otel-grpc]")])
def test_a_missing_exporter_is_named_with_what_installs_it(monkeypatch, protocol, extra):
    monkeypatch.setattr(variables, "entry_points", lambda **_: ())
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://127.0.0.1:4317")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    with pytest.raises(UserError) as raised:
        exporters("logs")
    assert str(raised.value) == (
        f"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT is set, but the exporter for {protocol} is not installed: "
        f"install {extra}, or unset it"
    )
