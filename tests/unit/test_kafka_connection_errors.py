"""Why Kafka lets nobody in: what each error of a connection says of the settings. Real ones: test_secured_broker."""

import asyncio
import logging
import ssl

import pytest
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings
from sprat.kafka.connection_errors import capture_refusals, refusal_of
from support.sources import calls, sources

KAFKA = KafkaSettings(security_protocol="SASL_SSL", sasl_mechanism="PLAIN")

CLIENTS = {"AIOKafkaConsumer", "AIOKafkaProducer", "AIOKafkaAdminClient", "AIOKafkaClient"}


def not_trusted(code, message):
    error = ssl.SSLCertVerificationError(1, message)
    error.verify_code, error.verify_message = code, message
    return error


def alert(reason):
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


def hung_up(expected):
    """As aiokafka wraps it."""
    error = KafkaConnectionError("Connection at h:1 closed")
    error.__cause__ = asyncio.IncompleteReadError(b"", expected)
    return error


@pytest.mark.parametrize(
    ("error", "permanent", "message"),
    [
        (SaslAuthenticationFailed("x"), True, "the user or the password (PLAIN): look at SPRAT_KAFKA__SASL_USERNAME"),
        (UnsupportedSaslMechanismError(), True, "does not offer PLAIN: look at SPRAT_KAFKA__SASL_MECHANISM"),
        (IllegalSaslStateError(), True, "knows no users and passwords: asked as SASL_SSL"),
        (not_trusted(18, "self-signed"), True, "not trusted (self-signed): look at SPRAT_KAFKA__SSL_CAFILE"),
        (not_trusted(62, "mismatch"), True, "another host's: look at SPRAT_KAFKA__BOOTSTRAP"),
        (alert("TLSV13_ALERT_CERTIFICATE_REQUIRED"), True, "look at SPRAT_KAFKA__SSL_CERTFILE"),
        (alert("WRONG_VERSION_NUMBER"), False, "no TLS comes about (WRONG_VERSION_NUMBER): asked as SASL_SSL"),
        (hung_up(0x15030300), True, "this port speaks TLS"),
        (hung_up(4), False, "it hung up: asked as SASL_SSL, look at SPRAT_KAFKA__SECURITY_PROTOCOL"),
        (ConnectionResetError(), False, "it hung up"),
    ],
    ids=[
        *("password", "mechanism", "no SASL", "certificate", "other host", "no certificate of ours"),
        *("no TLS", "TLS", "closed", "reset"),
    ],
)
def test_an_error_of_a_connection_names_the_variable(error, permanent, message):
    refusal = refusal_of(error, KAFKA)
    assert message in refusal.reason
    assert refusal.permanent is permanent


def test_a_broker_that_is_away_says_nothing_of_the_settings():
    assert refusal_of(ConnectionRefusedError(111, "Connect call failed"), KAFKA) is None
    assert refusal_of(TimeoutError(), KAFKA) is None


def test_what_is_settled_is_told_once_and_what_is_not_gives_way():
    log, told = logging.getLogger("aiokafka.client"), []
    with capture_refusals(KAFKA, told.append) as captured:
        log.error("Unable connect to node with id %s: %s", 1, hung_up(4))
        assert "hung up" in captured.refusal.reason
        log.error("Unable connect to node with id %s: %s", 1, ConnectionRefusedError())
        assert captured.refusal is None
        for _ in range(2):
            log.error("Unable connect to node with id %s: %s", 1, SaslAuthenticationFailed("x"))
        log.error("Unable to update metadata from %s", [1])
    assert told == [captured.refusal]
    assert captured.last_message == "Unable to update metadata from [1]"
    assert captured not in logging.getLogger("aiokafka").handlers


def test_what_was_silenced_for_people_is_heard_all_the_same():
    log = logging.getLogger("aiokafka")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with capture_refusals(KAFKA) as captured:
            log.error("Unable connect to node with id %s: %s", 1, SaslAuthenticationFailed("x"))
        assert captured.refusal.permanent
        assert log.level == logging.CRITICAL
    finally:
        log.setLevel(before)


@pytest.mark.parametrize("name", ["SSL_CAFILE", "SSL_CERTFILE", "SSL_KEYFILE"])
def test_a_file_that_is_not_there_is_named_with_its_variable(name, tmp_path):
    kafka = KafkaSettings(security_protocol="SSL", **{name.lower(): tmp_path / "gone.pem"})
    with pytest.raises(UserError, match=rf"SPRAT_KAFKA__{name}: there is no file .*gone\.pem"):
        kafka.client()


@pytest.mark.parametrize("name", ["SSL_CAFILE", "SSL_CERTFILE"])
def test_a_file_that_is_no_certificate_is_said(name, tmp_path):
    (tmp_path / "letter.pem").write_text("no certificate")
    kafka = KafkaSettings(security_protocol="SSL", **{name.lower(): tmp_path / "letter.pem"})
    with pytest.raises(UserError, match=rf"SPRAT_KAFKA__{name}\b.*PEM"):
        kafka.client()


def test_every_client_takes_the_settings():
    """A client made from an address alone would not get past a broker with passwords."""
    made = [(path, call) for path in sources("shared", "services") for call in calls(path, *CLIENTS)]
    assert {call.func.id for _, call in made} == CLIENTS  # it finds them
    for path, call in made:
        names = {keyword.arg for keyword in call.keywords}
        assert None in names, f"{path}:{call.lineno} takes no **settings.client()"
        assert "bootstrap_servers" not in names, f"{path}:{call.lineno}"
