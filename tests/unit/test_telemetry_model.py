"""Services of two models of one task tell themselves apart: in logs, in all telemetry, and towards Kafka."""

import json
import logging

import pytest

from sprat.runtime import client_id
from sprat.telemetry.logs import configure_logs
from sprat.telemetry.providers import make_telemetry

pytestmark = pytest.mark.usefixtures("own_logs")


def logged(capsys, style, model):
    configure_logs("intent", "info", style, model)
    logging.getLogger("sprat.test").info("ready")
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("model", ["default", "hr"])
def test_a_log_line_names_the_model_beside_the_service(capsys, model):
    line = json.loads(logged(capsys, "json", model))
    assert (line["service"], line["model"]) == ("intent", model)


def test_a_service_without_a_model_names_none(capsys):
    assert "model" not in json.loads(logged(capsys, "json", None))


@pytest.mark.parametrize(("model", "named"), [("hr", "intent@hr"), ("default", "intent"), (None, "intent")])
def test_a_line_for_people_names_a_model_that_has_a_name_of_its_own(capsys, model, named):
    assert f" {named} ready" in logged(capsys, "text", model)


@pytest.mark.parametrize(
    ("model", "id"), [("hr", "sprat-intent.hr"), ("default", "sprat-intent"), (None, "sprat-intent")]
)
def test_kafka_is_told_the_model_so_that_members_of_two_groups_can_be_told_apart(model, id):
    assert client_id("intent", model) == id


@pytest.mark.parametrize("model", ["hr", None])
def test_telemetry_comes_from_a_service_and_its_model(monkeypatch, model):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1")
    telemetry = make_telemetry("intent", "1.2.3", model)
    attributes = telemetry.tracers.resource.attributes
    telemetry.shutdown()
    assert attributes["service.name"] == "sprat-intent"
    assert attributes.get("sprat.model.name") == model
