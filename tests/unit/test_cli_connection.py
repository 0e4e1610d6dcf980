"""How commands reach Kafka: what wins, and what is said when nothing answers."""

import logging
import os

import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError

from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import client_arguments
from sprat.kafka.publisher import OutRecord
from sprat_cli.options import kafka_settings
from sprat_cli.terminal import paint, wants_colour
from sprat_operations import local_run
from sprat_operations.connection import UnreachableError, explain_kafka_errors, reading_signatures, writing_signatures
from sprat_operations.local_run import LocalRun
from support.stream import SECRET, SIGNATURES


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("BOOTSTRAP", "PREFIX", "PARTITIONS", "SECURITY_PROTOCOL"):
        monkeypatch.delenv(f"SPRAT_KAFKA__{name}", raising=False)


def test_options_win_over_the_environment_and_that_over_the_default(monkeypatch):
    assert kafka_settings(None, None).bootstrap == "127.0.0.1:9092"
    monkeypatch.setenv("SPRAT_KAFKA__BOOTSTRAP", "from-env:1")
    monkeypatch.setenv("SPRAT_KAFKA__PREFIX", "env")
    assert kafka_settings(None, None).bootstrap == "from-env:1"
    chosen = kafka_settings("one:1,two:2", None, partitions=3)
    assert (chosen.bootstrap, chosen.prefix, chosen.partitions) == ("one:1,two:2", "env", 3)


def test_no_secret_is_needed_and_sasl_passes_through(monkeypatch):
    monkeypatch.setenv("SPRAT_KAFKA__SECURITY_PROTOCOL", "SASL_PLAINTEXT")
    monkeypatch.setenv("SPRAT_KAFKA__SASL_USERNAME", "me")
    monkeypatch.setenv("SPRAT_KAFKA__SASL_PASSWORD", "hidden")
    arguments = client_arguments(kafka_settings("host:1", None))
    assert arguments["security_protocol"] == "SASL_PLAINTEXT"
    assert (arguments["sasl_plain_username"], arguments["sasl_plain_password"]) == ("me", "hidden")


def test_what_must_be_signed_needs_the_secret_and_it_is_said_where_that_is(monkeypatch, tmp_path):
    monkeypatch.setenv("SPRAT_REDIS__URL", "redis://127.0.0.1:7/0")
    monkeypatch.delenv("SPRAT_SECRET", raising=False)
    assert reading_signatures() is None
    with pytest.raises(UserError, match=r"DIR/secret, Docker Compose in compose/\.env"):
        writing_signatures()
    (tmp_path / "secret").write_text("the secret of this installation")
    path = LocalRun(os.getpid(), str(tmp_path), "redis://:password@127.0.0.1:7/0").announce()
    with pytest.raises(UserError) as raised:
        writing_signatures()
    path.unlink()
    assert str(raised.value).endswith(f"export SPRAT_SECRET=$(cat {tmp_path}/secret)")
    monkeypatch.setenv("SPRAT_SECRET", (tmp_path / "secret").read_text())
    assert writing_signatures() is not None


def test_records_are_verified_with_the_secret_of_ones_own_installation(monkeypatch, tmp_path):
    monkeypatch.delenv("SPRAT_SECRET", raising=False)
    monkeypatch.setattr(local_run, "user_cache_path", lambda _: tmp_path / "cache")
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    where = {"bootstrap": "127.0.0.1:43211", "secret_file": str(tmp_path / "secret")}
    LocalRun(os.getpid(), str(tmp_path), "redis://127.0.0.1:6399/0", **where).announce()
    own = reading_signatures(KafkaSettings(bootstrap="localhost:43211"))
    record = SIGNATURES.sign(OutRecord("t", b"k", b"v", []))
    assert own.verdict(record) == "current"
    assert reading_signatures(KafkaSettings(bootstrap="127.0.0.1:43212")) is None
    monkeypatch.setenv("SPRAT_SECRET", "another secret of sixteen letters")
    assert reading_signatures(KafkaSettings(bootstrap="127.0.0.1:43211")).verdict(record) == "invalid"
    monkeypatch.delenv("SPRAT_SECRET")
    (tmp_path / "secret").unlink()
    assert reading_signatures(KafkaSettings(bootstrap="127.0.0.1:43211")) is None


def test_a_wrong_variable_is_named_without_its_value(monkeypatch):
    monkeypatch.setenv("SPRAT_KAFKA__SECURITY_PROTOCOL", "s3cret")
    with pytest.raises(UserError, match="SPRAT_KAFKA__SECURITY_PROTOCOL") as raised:
        kafka_settings(None, None)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("address", ["localhost", "localhost:", ":9092", "host:99999", "a:1,,b:2"])
def test_an_address_needs_host_and_port(address):
    with pytest.raises(UserError, match="is not HOST:PORT"):
        kafka_settings(address, None)


def fail(error, said="", **settings):
    """Let a command fail so, after aiokafka has logged what it knows."""
    with explain_kafka_errors(KafkaSettings(bootstrap="h:1", **settings)):
        logging.getLogger("aiokafka.client").error(said)
        raise error


def test_why_no_broker_answers_is_said_and_aiokafka_is_not_heard(caplog):
    line = "Unable connect to \"h:1\": [Errno 111] Connect call failed ('127.0.0.1', 1)"
    with pytest.raises(
        UnreachableError, match=r"Kafka at h:1 cannot be reached: nothing listens there\. Run"
    ) as raised:
        fail(KafkaConnectionError(), line)
    assert raised.value.reason == "nothing listens there"
    assert caplog.records == []
    assert logging.getLogger("aiokafka").propagate


def test_an_unknown_host_is_named_without_the_error_number():
    with pytest.raises(UnreachableError) as raised:
        fail(KafkaConnectionError(), 'Unable connect to "h:1": [Errno -2] Name or service not known')
    assert raised.value.reason == "no such host"


def test_with_security_the_variables_to_look_at_are_named():
    with pytest.raises(UnreachableError, match=r"asked as SASL_SSL: see SPRAT_KAFKA__SECURITY_PROTOCOL, SASL_"):
        fail(KafkaConnectionError(), security_protocol="SASL_SSL")


def test_missing_rights_are_said():
    with pytest.raises(UserError, match="does not let you: TopicAuthorizationFailedError; check the ACLs"):
        fail(TopicAuthorizationFailedError())


class Terminal:
    def isatty(self):
        return True


def test_colour_is_for_terminals_that_want_it(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout", Terminal())
    assert "\x1b[" in paint("x", "red")
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("x", "red") == "x"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not wants_colour(Terminal())
